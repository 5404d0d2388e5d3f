"""Who may see an app: a ticket, good once and for a minute, is traded for a grant that ends with its login.

Both are in memory alone: an app is shown for no longer than its lease lives, and that does not outlive the process.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from clawdbox.accounts import Principal
from clawdbox.clock import Clock
from clawdbox.ids import new_token, token_hash
from clawdbox.web.box import Box

TICKET_S = 60
_MOST_TICKETS = 32
_MOST_GRANTS = 64
_LOOK_S = 30.0


class Grant:
    """A browser that was let in. `run` is how it does anything, so that everything of it can be ended."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.ended = False
        self._running: set[asyncio.Task[Any]] = set()
        self.watch: asyncio.Task[None] | None = None

    async def run(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether `work` came to its end; False when the grant ended first."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        try:
            if self.ended:
                task.cancel()
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            self._running.discard(task)
        if task.cancelled():
            return False
        task.result()
        return True

    def end(self) -> None:
        self.ended = True
        for task in self._running:
            task.cancel()
        if self.watch:
            self.watch.cancel()


class Grants:
    """Of one app."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._clock: Clock = box.clock
        self._tickets: dict[str, tuple[Principal, float]] = {}
        self._grants: dict[str, Grant] = {}

    def ticket(self, principal: Principal) -> str:
        """Only its hash is kept."""
        while len(self._tickets) >= _MOST_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        ticket = new_token()
        self._tickets[token_hash(ticket)] = (principal, self._clock.monotonic() + TICKET_S)
        return ticket

    async def enter(self, ticket: str) -> tuple[str, Grant] | None:
        """The token of a new grant; None for a ticket that is unknown, used or too old, or whose login has ended."""
        principal, until = self._tickets.pop(token_hash(ticket[:200]), (None, 0.0))
        if principal is None or self._clock.monotonic() > until:
            return None
        if not await self._box.accounts.still_valid(principal):
            return None
        while len(self._grants) >= _MOST_GRANTS:
            self._drop(next(iter(self._grants)))
        token, grant = new_token(), Grant(principal)
        self._grants[token_hash(token)] = grant
        grant.watch = asyncio.get_running_loop().create_task(self._watch(token_hash(token), grant))
        return token, grant

    def of(self, tokens: list[str]) -> Grant | None:
        """The living grant of any of these tokens: a page may have set a cookie of the same name beside the real one."""
        found = (self._grants.get(token_hash(token)) for token in tokens[:8] if len(token) <= 200)
        return next((grant for grant in found if grant), None)

    def end(self) -> None:
        self._tickets.clear()
        for key in list(self._grants):
            self._drop(key)

    def _drop(self, key: str) -> None:
        grant = self._grants.pop(key, None)
        if grant:
            grant.end()

    async def _watch(self, key: str, grant: Grant) -> None:
        """At once when the login is revoked, soon when it expires."""
        accounts, login_id = self._box.accounts, grant.principal.login.id
        with self._box.hub.listen(f"login:{login_id}") as revoked:
            while await accounts.still_valid(grant.principal):
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await revoked.wait()
                except TimeoutError:
                    pass
                revoked.clear()
        grant.watch = None  # it ends here: nobody has to cancel it
        self._drop(key)
