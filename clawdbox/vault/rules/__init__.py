"""Pure decisions of the vault: keys and nonces are arguments, so the same call always gives the same bytes."""
