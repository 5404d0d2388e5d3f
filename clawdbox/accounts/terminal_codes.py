"""Step-up at the terminal: a code on the phone, typed behind `clawdbox confirm` on the box."""

import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from clawdbox.accounts import sql
from clawdbox.accounts.model import Account, Login, Principal
from clawdbox.accounts.service import Accounts
from clawdbox.accounts.short_lived import ShortLived
from clawdbox.errors import Problem
from clawdbox.store import Store, Tx

_TTL = timedelta(minutes=5)
_MOST_WRONG = 5


class TerminalCode(NamedTuple):
    code: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "TerminalCode(…)"


class TerminalCodes:
    """One living code a login. Whoever types it has the box's own user; five that are wrong void them all."""

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts
        self._waiting: ShortLived[tuple[str, str]] = ShortLived(store.clock, _TTL)
        self._wrong = 0

    def issue(self, principal: Principal) -> TerminalCode:
        for code, _, (_, login_id) in list(self._waiting.living()):
            if login_id == principal.login.id:
                self._waiting.take(code)
        code = self._fresh_code()
        return TerminalCode(code, self._waiting.put(code, (principal.account_id, principal.login.id)))

    async def confirm(self, code: str) -> tuple[Login, Account]:
        """Raises Problem `confirm_code_wrong`, alike for a wrong, used and expired code."""
        found = self._waiting.take("".join(code.split()))
        if found is None:
            self._count_wrong()
            raise _wrong()
        self._wrong = 0
        account_id, login_id = found

        def change(tx: Tx) -> tuple[Login, Account]:
            return self._accounts.verify_login(tx, login_id, "terminal"), sql.account(tx, account_id)

        return await self._store.write(change)

    def _fresh_code(self) -> str:
        while True:
            code = f"{secrets.randbelow(1_000_000):06}"
            if self._waiting.look(code) is None:
                return code

    def _count_wrong(self) -> None:
        self._wrong += 1
        if self._wrong >= _MOST_WRONG:
            self._wrong = 0
            self._waiting.clear()


def _wrong() -> Problem:
    return Problem(
        "confirm_code_wrong",
        "This code is mistyped, used or older than five minutes. The phone shows a new one when it asks again;"
        " after five wrong ones all codes are void.",
    )
