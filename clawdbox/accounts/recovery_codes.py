"""Recovery codes: ten on paper, each of which signs in once."""

import secrets

from clawdbox.accounts import sql
from clawdbox.accounts.model import Device, Granted, Principal
from clawdbox.accounts.service import Accounts
from clawdbox.errors import Unauthorized
from clawdbox.events import Ledger
from clawdbox.ids import new_id, token_hash
from clawdbox.store import Store, Tx

_COUNT = 10
_LENGTH = 16  # of 32 letters: 80 random bits, so that a plain hash suffices
_LETTERS = "abcdefghjkmnpqrstvwxyz0123456789"  # none that is read as another


class RecoveryCodes:
    def __init__(self, store: Store, ledger: Ledger, accounts: Accounts) -> None:
        self._store = store
        self._ledger = ledger
        self._accounts = accounts

    async def left(self, account_id: str) -> int:
        return await self._store.read(lambda r: sql.recovery_codes_left(r, account_id))

    async def renew(self, who: Principal) -> list[str]:
        """Ten new ones, seen by nobody again; the old ones are good no more."""
        codes = [_new_code() for _ in range(_COUNT)]

        def change(tx: Tx) -> None:
            tx.run("DELETE FROM recovery_codes WHERE account_id = ?", (who.account_id,))
            for code in codes:
                row = {"id": new_id(tx.now), "account_id": who.account_id, "created_at": tx.now}
                tx.insert("recovery_codes", {**row, "code_hash": token_hash(_plain(code))})
            self._ledger.event(tx, who.account_id, "recovery_codes.renewed", "account", who.account_id)
            self._ledger.audit(
                tx, who.actor, "recovery_codes.renew", "account", who.account_id, account_id=who.account_id
            )

        await self._store.write(change)
        return codes

    async def sign_in(self, code: str, device: Device) -> Granted:
        """Raises Unauthorized `recovery_code_invalid`, alike for a wrong and a used one; the first of two wins."""
        hashed = token_hash(_plain(code))

        def change(tx: Tx) -> Granted:
            account_id = sql.use_recovery_code(tx, hashed)
            if account_id is None:
                raise _refused()
            try:
                return self._accounts.sign_in(
                    tx, sql.account(tx, account_id), "recovery_code", device, verified=True
                )
            except Unauthorized:
                raise _refused() from None

        return await self._store.write(change)


def _new_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return "-".join(letters[start : start + 4] for start in range(0, _LENGTH, 4))


def _plain(code: str) -> str:
    return "".join(letter for letter in code.lower() if letter in _LETTERS)[: _LENGTH + 1]


def _refused() -> Unauthorized:
    return Unauthorized(
        "recovery_code_invalid",
        "This recovery code is mistyped or used up. Try another of the ten, or run `clawdbox pair` on the box.",
    )
