"""Terminals kept alive on the server: their rows, which belong to the connection, and their tmux sessions there."""

import asyncio
from weakref import WeakValueDictionary

from clawdbox import logs
from clawdbox.errors import Conflict
from clawdbox.events import Actor, Ledger
from clawdbox.ssh.model import KeptTerminal, Lease
from clawdbox.ssh.rules import tmux
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import kept_terminals as sql
from clawdbox.ssh.wire.channels import PtyChannel
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.store import Reader, Store, Tx

log = logs.get("ssh")
MAX_KEPT = 20
_ANSWER_S = 10.0
_ANSWER_BYTES = 65_536


class KeptTerminals:
    """tmux is asked over the link of a lease; what it does not answer is never taken for an end."""

    def __init__(self, store: Store, ledger: Ledger, leases: Leases) -> None:
        self._store = store
        self._ledger = ledger
        self._leases = leases
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # rows

    def intend(self, tx: Tx, lease: Lease, kept_id: str, cols: int, rows: int) -> KeptTerminal:
        """Under `held`, so that nobody looks for the session before it was made."""
        if len(sql.waiting(tx, lease.connection_id)) >= MAX_KEPT:
            raise Conflict(
                "terminal_limit_reached",
                f"{MAX_KEPT} terminals are kept alive on this server. End one first.",
            )
        name = tmux.name_of(kept_id)
        kept = KeptTerminal(
            kept_id, lease.account_id, lease.connection_id, name, "kept", None, cols, rows, tx.now, None
        )
        sql.insert(tx, kept)
        self._event(tx, kept, "terminal.kept", None)
        return kept

    async def waiting(self, account_id: str, connection_id: str) -> list[KeptTerminal]:
        """Those of a connection that have not ended, as far as the box knows; with an open lease the server is asked."""

        def load(r: Reader) -> list[KeptTerminal]:
            connection_sql.get(r, account_id, connection_id)
            return sql.waiting(r, connection_id)

        kept = await self._store.read(load)
        busy = {one.id for one in kept if self._is_busy(one.id)}
        link = await self._link(account_id, connection_id) if kept else None
        seen = await self.seen(link) if link else None
        if seen is None:
            return kept
        gone = [
            one for one in kept if one.name not in seen and one.id not in busy and not self._is_busy(one.id)
        ]
        for one in gone:
            await self.over(one.id, "gone")
        return [one for one in kept if one not in gone]

    async def get(self, account_id: str, connection_id: str, kept_id: str) -> KeptTerminal:
        return await self._store.read(lambda r: sql.get(r, account_id, connection_id, kept_id))

    async def over(self, kept_id: str, reason: str) -> None:
        await self._store.write(lambda tx: self._end(tx, kept_id, reason))

    def _end(self, tx: Tx, kept_id: str, reason: str) -> None:
        ended = sql.end(tx, kept_id, reason)
        if ended:
            self._event(tx, ended, "terminal.released", reason)

    def _event(self, tx: Tx, kept: KeptTerminal, kind: str, reason: str | None) -> None:
        payload = {"connection_id": kept.connection_id, "end_reason": reason}
        self._ledger.event(tx, kept.account_id, kind, "kept_terminal", kept.id, payload)

    # the server

    def held(self, kept_id: str) -> asyncio.Lock:
        """The lock under which a kept terminal is made, entered and ended."""
        return self._locks.setdefault(kept_id, asyncio.Lock())

    async def make(self, link: Link, kept: KeptTerminal) -> None:
        """The tmux session. Raises Conflict `tmux_missing` or `terminal_refused`; then the row has ended."""
        try:
            made = tmux.was_made(await self._ask(link, tmux.make(kept.name, kept.cols, kept.rows)))
        except BaseException:
            await asyncio.shield(self.over(kept.id, "refused"))
            raise
        if made != "made":
            await self.over(kept.id, "refused")
        if made == "missing":
            raise Conflict(
                "tmux_missing",
                "This server has no tmux, which keeps terminals alive. Install it there (apt install tmux, or its like), "
                "or open a plain terminal, which lives as long as this session.",
            )
        if made == "failed":
            raise Conflict(
                "terminal_refused",
                "tmux did not start on the server. Try `tmux new` in a plain terminal to see what it says.",
            )

    async def past(self, link: Link, kept: KeptTerminal, cols: int, rows: int) -> bytes:
        """What a terminal of that size shows before it is entered. Raises Conflict."""
        command = tmux.past(kept.name, cols, rows)
        return tmux.shown(await self._ask(link, command, tmux.PAST_BYTES + _ANSWER_BYTES), rows)

    async def enter(self, link: Link, kept: KeptTerminal, cols: int, rows: int) -> PtyChannel:
        """Raises ChannelRefused and LinkLost."""
        return await link.open_terminal(cols, rows, command=tmux.enter(kept.name))

    async def seen(self, link: Link) -> frozenset[str] | None:
        """The sessions on the server, or None when it does not say."""
        try:
            return tmux.seen(await self._ask(link, tmux.look()))
        except Conflict:
            return None

    async def kill(self, link: Link, kept: KeptTerminal) -> None:
        """End what runs in it. Raises Conflict when the server does not say that it ended."""
        seen = tmux.seen(await self._ask(link, tmux.end(kept.name)))
        if seen is None or kept.name in seen:
            raise Conflict("terminal_refused", "The server did not end this terminal. Try again in a moment.")
        await self.over(kept.id, "closed")

    async def end(self, actor: Actor, account_id: str, connection_id: str, kept_id: str) -> KeptTerminal:
        """End one that no terminal of the box shows; one that has ended stays as it is."""
        kept = await self.get(account_id, connection_id, kept_id)
        if kept.state == "ended":
            return kept
        link = await self._link(account_id, connection_id)
        if link is None:
            raise Conflict(
                "session_not_active",
                "This terminal goes on on the server. Start a session on this connection, then it can be ended.",
            )
        await self._store.write(
            lambda tx: self._ledger.audit(
                tx, actor, "terminal.close", "kept_terminal", kept_id, account_id=account_id
            )
        )
        async with self.held(kept_id):
            await self.kill(link, kept)
        return await self.get(account_id, connection_id, kept_id)

    async def _ask(self, link: Link, command: str, most: int = _ANSWER_BYTES) -> bytes:
        """Raises Conflict."""
        try:
            result = await run(link, command, timeout_s=_ANSWER_S, max_output_bytes=most)
        except (ChannelRefused, LinkLost) as refusal:
            raise Conflict("terminal_refused", f"The server opened no terminal. {refusal}") from None
        return result.stdout

    async def _link(self, account_id: str, connection_id: str) -> Link | None:
        lease = await self._leases.present(account_id, connection_id)
        master = self._leases.held.get(lease.id) if lease else None
        return master.link if master and master.is_up else None

    def _is_busy(self, kept_id: str) -> bool:
        lock = self._locks.get(kept_id)
        return lock is not None and lock.locked()
