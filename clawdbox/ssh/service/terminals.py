"""Terminals: a PTY on a lease whose output is kept by offset, so that any device can come back to it."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from clawdbox import logs
from clawdbox.clock import iso
from clawdbox.errors import Conflict, Problem
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.ssh.model import KeptTerminal, Lease, Terminal
from clawdbox.ssh.rules import leases as rules
from clawdbox.ssh.service import taps
from clawdbox.ssh.service.kept_terminals import KeptTerminals
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.live_terminal import MAX_SIZE, LiveTerminal, check_size, view_of
from clawdbox.ssh.service.scrollback import Scrollback
from clawdbox.ssh.service.spills import Spills
from clawdbox.ssh.service.terminal_sizes import TerminalSizes
from clawdbox.ssh.sql import leases as sql
from clawdbox.ssh.wire.channels import PtyChannel
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.store import Store, Tx

__all__ = ["MAX_PER_LEASE", "MAX_SIZE", "LiveTerminal", "Terminals"]

log = logs.get("ssh")
MAX_PER_LEASE = 20
_KEPT_ENDED = 32
_LOOK_AGAIN_S = 0.25


class Terminals:
    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        settings: Settings,
        leases: Leases,
        kept: KeptTerminals,
        spills: Spills,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._capacity = settings.terminal_ring_bytes
        self._leases = leases
        self._kept = kept
        self._spills = spills
        self._sizes = TerminalSizes(store)
        self._live: OrderedDict[str, LiveTerminal] = OrderedDict()
        spills.on_short = self._release_oldest
        self.tappers: list[Callable[[LiveTerminal], Awaitable[taps.Tap | None]]] = []
        """Asked when a terminal opens, before its first byte; one living already takes more in its `taps`.

        One that raises a Problem keeps it from opening.
        """

    # opening

    async def open(
        self,
        actor: Actor,
        account_id: str,
        lease_id: str,
        cols: int,
        rows: int,
        *,
        keep_alive: bool = False,
    ) -> Terminal:
        """A login shell in a PTY. Raises Conflict when the lease is not up, has too many, or the server refuses.

        With `keep_alive` the shell runs in tmux on the server and outlives the lease. Raises Conflict `tmux_missing`.
        """
        check_size(cols, rows)
        lease, _master, link = await self._leases.up(account_id, lease_id)
        if not keep_alive:
            return await self._open(actor, lease, link, None, cols, rows)
        kept_id = new_id(self._store.clock.now())
        async with self._kept.held(kept_id):
            kept = await self._store.write(lambda tx: self._kept.intend(tx, lease, kept_id, cols, rows))
            await self._kept.make(link, kept)
            try:
                return await self._open(actor, lease, link, kept, cols, rows)
            except Problem:
                with suppress(Problem):
                    await self._kept.kill(link, kept)
                raise

    async def resume(
        self, actor: Actor, account_id: str, lease_id: str, kept_id: str, cols: int, rows: int
    ) -> Terminal:
        """Go on with a terminal that was kept alive on the server; the same one again when this lease shows it already.

        Raises NotFound, and Conflict `kept_terminal_gone` when it has ended there meanwhile.
        """
        check_size(cols, rows)
        lease, _master, link = await self._leases.up(account_id, lease_id)
        async with self._kept.held(kept_id):
            kept = await self._kept.get(account_id, lease.connection_id, kept_id)
            shown = self._showing(kept_id)
            if shown and shown.lease.id == lease_id:
                return shown.view
            seen = await self._kept.seen(link) if kept.state == "kept" else frozenset()
            if seen is not None and kept.name not in seen:
                await self._kept.over(kept_id, "gone")
                raise Conflict(
                    "kept_terminal_gone",
                    "This terminal has ended on the server, which may have been restarted. Open a new one.",
                )
            if shown:
                shown.hang_up("moved")
                await self._wait(shown)
            past = await self._kept.past(link, kept, cols, rows)
            return await self._open(actor, lease, link, kept, cols, rows, past)

    def _showing(self, kept_id: str) -> LiveTerminal | None:
        return next((live for live in self._live.values() if live.is_open and live.kept_id == kept_id), None)

    async def _open(
        self,
        actor: Actor,
        lease: Lease,
        link: Link,
        kept: KeptTerminal | None,
        cols: int,
        rows: int,
        past: bytes = b"",
    ) -> Terminal:
        terminal_id = new_id(self._store.clock.now())
        row = await self._store.write(
            lambda tx: self._intend(tx, actor, lease, terminal_id, kept, cols, rows)
        )
        try:
            channel = (
                await self._kept.enter(link, kept, cols, rows)
                if kept
                else await link.open_terminal(cols, rows)
            )
        except (ChannelRefused, LinkLost) as refusal:
            await self._never_opened(terminal_id)
            raise Conflict("terminal_refused", f"The server opened no terminal. {refusal}") from None
        except BaseException:
            await asyncio.shield(self._never_opened(terminal_id))
            raise
        try:
            live = await self._begin(row, lease, channel)
        except BaseException:
            channel.close()
            await asyncio.shield(self._never_opened(terminal_id))
            raise
        if past:
            live.show(past)
        live.pump = asyncio.get_running_loop().create_task(self._pump(live, kept))
        return live.view

    async def _begin(self, row: dict[str, Any], lease: Lease, channel: PtyChannel) -> LiveTerminal:
        """Raises Problem when it may not open, or the lease ended in this very moment."""
        master = self._leases.held.get(lease.id)
        if master is None:
            raise rules.closed_meanwhile()
        live = LiveTerminal(row, lease, master, channel, Scrollback(self._capacity, self._spills.open()))
        live.on_size = self._sizes.changed
        live.taps = await taps.ask(self.tappers, live, live.id)
        if lease.id not in self._leases.held:
            await taps.end(live.taps, live.id)
            raise rules.closed_meanwhile()
        self._live[live.id] = live
        self._forget_oldest()
        return live

    async def _never_opened(self, terminal_id: str) -> None:
        await self._store.write(lambda tx: sql.end_terminal(tx, terminal_id, None, "refused"))

    def _intend(
        self,
        tx: Tx,
        actor: Actor,
        lease: Lease,
        terminal_id: str,
        kept: KeptTerminal | None,
        cols: int,
        rows: int,
    ) -> dict[str, Any]:
        rules.check_still_active(sql.get(tx, lease.account_id, lease.id))
        if sum(row["state"] == "open" for row in sql.terminals(tx, lease.id)) >= MAX_PER_LEASE:
            raise Conflict(
                "terminal_limit_reached", f"{MAX_PER_LEASE} terminals are open here. Close one first."
            )
        tx.insert(
            "terminals",
            {
                "id": terminal_id,
                "account_id": lease.account_id,
                "connection_id": lease.connection_id,
                "session_lease_id": lease.id,
                "kept_terminal_id": kept.id if kept else None,
                "cols": cols,
                "rows": rows,
                "created_at": tx.now,
            },
        )
        payload = {"session_id": lease.id}
        detail = {**payload, "kept_terminal_id": kept.id} if kept else payload
        self._ledger.event(tx, lease.account_id, "terminal.opened", "terminal", terminal_id, payload)
        self._ledger.audit(
            tx, actor, "terminal.open", "terminal", terminal_id, detail=detail, account_id=lease.account_id
        )
        return sql.terminal(tx, lease.id, terminal_id)

    # reading

    async def list(self, account_id: str, lease_id: str) -> list[Terminal]:
        await self._leases.get(account_id, lease_id)
        rows = await self._store.read(lambda r: sql.terminals(r, lease_id))
        return [self._live[row["id"]].view if row["id"] in self._live else view_of(row, 0, 0) for row in rows]

    async def live(self, account_id: str, lease_id: str, terminal_id: str) -> LiveTerminal | Terminal:
        """The living terminal, or what is known of one whose bytes are no longer held."""
        await self._leases.get(account_id, lease_id)
        row = await self._store.read(lambda r: sql.terminal(r, lease_id, terminal_id))
        return self._live.get(terminal_id) or view_of(row, 0, 0)

    def shows(self, kept_id: str) -> Terminal | None:
        """The open terminal that shows a kept one now."""
        live = self._showing(kept_id)
        return live.view if live else None

    # ending

    async def close(self, actor: Actor, account_id: str, lease_id: str, terminal_id: str) -> Terminal:
        """Hang up; a kept terminal is ended on the server, too. Its own reader writes the end down. Repeatable.

        Raises Conflict when a kept terminal's server cannot be asked now.
        """
        live = await self.live(account_id, lease_id, terminal_id)
        if isinstance(live, Terminal):
            return live
        if live.is_open:
            await self._store.write(
                lambda tx: self._ledger.audit(
                    tx, actor, "terminal.close", "terminal", terminal_id, account_id=account_id
                )
            )
            if live.kept_id:
                await self._end_kept(live, live.kept_id)
            live.hang_up("closed")
            await self._wait(live)
        return live.view

    async def _end_kept(self, live: LiveTerminal, kept_id: str) -> None:
        lease, _master, link = await self._leases.up(live.lease.account_id, live.lease.id)
        kept = await self._kept.get(lease.account_id, lease.connection_id, kept_id)
        live.end_reason = "closed"
        try:
            await self._kept.kill(link, kept)
        except BaseException:
            live.end_reason = None
            raise

    async def close_all(self, lease_id: str) -> None:
        """Before the link of a lease goes. What is kept alive stays on the server."""
        mine = [live for live in self._live.values() if live.lease.id == lease_id and live.is_open]
        for live in mine:
            live.hang_up("kept" if live.kept_id else "session_closed")
        for live in mine:
            await self._wait(live)

    async def stop(self) -> None:
        await self._sizes.stop()
        self._spills.stop()

    async def _wait(self, live: LiveTerminal) -> None:
        if live.pump:
            await asyncio.wait([live.pump], timeout=5)

    # living

    async def _pump(self, live: LiveTerminal, kept: KeptTerminal | None) -> None:
        """Read the PTY until it ends for good; a kept terminal is entered again when its link is back."""
        try:
            await live.read_all()
            while kept and await self._comes_back(live, kept):
                await live.read_all()
        except Exception:
            log.exception("terminal.pump_failed", terminal_id=live.id)
        await self._settle(live)

    async def _comes_back(self, live: LiveTerminal, kept: KeptTerminal) -> bool:
        """Whether a kept terminal that lost its channel goes on; if not, `end_reason` says why."""
        while not live.end_reason:
            link = live.master.link if live.master.is_up else None
            seen = await self._kept.seen(link) if link else None
            if link is None or seen is None:
                live.away()
                await self._a_moment(live)
            elif kept.name not in seen:
                live.end_reason = "gone" if live.is_away else "exited"
                await self._kept.over(kept.id, live.end_reason)
            elif not live.is_away and live.master.is_up:
                live.end_reason = "kept"  # somebody detached it by hand: it goes on without us
            else:
                await self._enter_again(live, kept, link)
                if not live.is_away:
                    return True
        return False

    async def _enter_again(self, live: LiveTerminal, kept: KeptTerminal, link: Link) -> None:
        size = live.view.cols, live.view.rows
        try:
            past = await self._kept.past(link, kept, *size)
            channel = await self._kept.enter(link, kept, *size)
        except (ChannelRefused, LinkLost, Conflict) as refusal:
            log.info("terminal.not_back_yet", terminal_id=live.id, reason=str(refusal))
            await self._a_moment(live)
            return
        live.show(past)
        live.back(channel, size)

    async def _a_moment(self, live: LiveTerminal) -> None:
        try:
            async with asyncio.timeout(_LOOK_AGAIN_S):
                await live.hung_up.wait()
        except TimeoutError:
            pass

    async def _settle(self, live: LiveTerminal) -> None:
        status = None if live.kept_id else live.exit_status  # of tmux, that is
        reason = live.end_reason or ("exited" if live.master.is_up else "link_lost")

        def change(tx: Tx) -> None:
            live.ended(reason, iso(tx.now), status)
            if sql.end_terminal(tx, live.id, status, reason):
                payload = {"session_id": live.lease.id, "end_reason": reason, "exit_status": status}
                self._ledger.event(tx, live.lease.account_id, "terminal.ended", "terminal", live.id, payload)

        try:
            await self._store.write(change)
        except Problem as problem:  # a full disk; who listens must hear of the end all the same
            log.warning("terminal.end_not_written", problem=problem.code, terminal_id=live.id)
            live.ended(reason, iso(self._store.clock.now()), status)
        finally:
            live.notify()
            await taps.end(live.taps, live.id)

    def _forget_oldest(self) -> None:
        ended = [terminal_id for terminal_id, live in self._live.items() if not live.is_open]
        for terminal_id in ended[:-_KEPT_ENDED]:
            self._live.pop(terminal_id).ring.release()

    def _release_oldest(self) -> None:
        """The disk's share is used up: of what has ended only memory is kept."""
        for live in self._live.values():
            if not live.is_open and live.ring.release():
                return
