"""Whether a public key can be read by what will compare it."""

import asyncssh


def is_public_key(text: str) -> bool:
    """`text` is type and base64, as in a .pub file."""
    try:
        asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError):
        return False
    return True
