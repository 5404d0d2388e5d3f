"""Terminals: a PTY on a lease whose output is kept by offset, so that any device can come back to it."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clawdbox import logs
from clawdbox.clock import iso, parse
from clawdbox.errors import Conflict, Invalid, Problem
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease, Terminal
from clawdbox.ssh.rules import leases as rules
from clawdbox.ssh.rules.ring import Ring
from clawdbox.ssh.service import taps
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.sql import leases as sql
from clawdbox.ssh.wire.channels import PtyChannel
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.store import Store, Tx

log = logs.get("ssh")
MAX_SIZE = 1000
MAX_PER_LEASE = 20
_KEPT_ENDED = 32
_CLIENTS = 64


class LiveTerminal:
    """A terminal whose bytes this process holds: while its PTY lives, and for a while after it has ended."""

    def __init__(
        self, row: dict[str, Any], lease: Lease, master: Master, channel: PtyChannel, capacity: int
    ) -> None:
        self.id: str = row["id"]
        self.lease = lease
        self.ring = Ring(capacity)
        self.pump: asyncio.Task[None] | None = None
        self.taps: list[taps.Tap] = []
        self.end_reason: str | None = None
        self._row = row
        self._master = master
        self._channel = channel
        self._listeners: set[asyncio.Event] = set()
        self._taken: OrderedDict[str, int] = OrderedDict()
        self._typing = asyncio.Lock()

    @property
    def view(self) -> Terminal:
        return _view(self._row, self.ring.start, self.ring.end)

    @property
    def is_open(self) -> bool:
        return bool(self._row["state"] == "open")

    @contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """An asyncio.Event set on output, on another size and at the end; the listener clears it."""
        signal = asyncio.Event()
        self._listeners.add(signal)
        try:
            yield signal
        finally:
            self._listeners.discard(signal)

    def last_input(self, client: str) -> int:
        """The highest input number taken from that client, 0 for a new one."""
        return self._taken.get(client, 0)

    async def type(self, client: str, seq: int, data: bytes) -> int:
        """Type `data` unless that number was typed before; returns the highest number taken from the client.

        A number is taken before its bytes go out: after a lost link a piece may be missing, but none comes twice.
        """
        async with self._typing:
            if seq <= self.last_input(client):
                return self.last_input(client)
            self._taken[client] = seq
            self._taken.move_to_end(client)
            while len(self._taken) > _CLIENTS:
                self._taken.popitem(last=False)
            if self.is_open:
                self._master.touch()
                try:
                    await self._channel.write(data)
                except OSError:
                    log.info("terminal.input_after_end", terminal_id=self.id)
        return seq

    async def resize(self, cols: int, rows: int) -> None:
        check_size(cols, rows)
        if self.is_open and (cols, rows) != (self._row["cols"], self._row["rows"]):
            self._row.update(cols=cols, rows=rows)
            self._channel.resize(cols, rows)
            taps.tell(self.taps, self.id, lambda tap: tap.resized(cols, rows))
            self.notify()

    async def read_channel(self) -> bytes:
        data = await self._channel.read()
        if data:
            self._master.touch()
        return data

    def tell_taps(self, data: bytes) -> None:
        taps.tell(self.taps, self.id, lambda tap: tap.output(data))

    def hang_up(self, reason: str) -> None:
        self.end_reason = self.end_reason or reason
        self._channel.close()

    def ended(self, reason: str, ended_at: str) -> int | None:
        """Settle how it ended; returns the exit status of its shell, if the server told it."""
        self._row.update(
            state="ended", exit_status=self._channel.exit_status, end_reason=reason, ended_at=ended_at
        )
        return self._channel.exit_status

    @property
    def link_is_up(self) -> bool:
        return self._master.is_up

    def notify(self) -> None:
        for signal in self._listeners:
            signal.set()


class Terminals:
    def __init__(self, store: Store, ledger: Ledger, settings: Settings, leases: Leases) -> None:
        self._store = store
        self._ledger = ledger
        self._capacity = settings.terminal_ring_bytes
        self._leases = leases
        self._live: OrderedDict[str, LiveTerminal] = OrderedDict()
        self.tappers: list[Callable[[LiveTerminal], taps.Tap | None]] = []
        """Asked when a terminal opens, before its first byte; one living already takes more in its `taps`."""

    async def open(self, actor: Actor, account_id: str, lease_id: str, cols: int, rows: int) -> Terminal:
        """A login shell in a PTY. Raises Conflict when the lease is not up, has too many, or the server refuses."""
        check_size(cols, rows)
        lease, master, link = await self._leases.up(account_id, lease_id)
        terminal_id = new_id(self._store.clock.now())
        row = await self._store.write(lambda tx: self._intend(tx, actor, lease, terminal_id, cols, rows))
        try:
            channel = await link.open_terminal(cols, rows)
        except (ChannelRefused, LinkLost) as refusal:
            await self._never_opened(terminal_id)
            raise Conflict("terminal_refused", f"The server opened no terminal. {refusal}") from None
        except BaseException:
            await asyncio.shield(self._never_opened(terminal_id))
            raise
        live = LiveTerminal(row, lease, master, channel, self._capacity)
        self._live[terminal_id] = live
        self._forget_oldest()
        live.taps = taps.ask(self.tappers, live, live.id)
        live.pump = asyncio.get_running_loop().create_task(self._pump(live))
        return live.view

    async def _never_opened(self, terminal_id: str) -> None:
        await self._store.write(lambda tx: sql.end_terminal(tx, terminal_id, None, "refused"))

    async def list(self, account_id: str, lease_id: str) -> list[Terminal]:
        await self._leases.get(account_id, lease_id)
        rows = await self._store.read(lambda r: sql.terminals(r, lease_id))
        return [self._live[row["id"]].view if row["id"] in self._live else _view(row, 0, 0) for row in rows]

    async def live(self, account_id: str, lease_id: str, terminal_id: str) -> LiveTerminal | Terminal:
        """The living terminal, or what is known of one whose bytes are no longer held."""
        await self._leases.get(account_id, lease_id)
        row = await self._store.read(lambda r: sql.terminal(r, lease_id, terminal_id))
        return self._live.get(terminal_id) or _view(row, 0, 0)

    async def close(self, actor: Actor, account_id: str, lease_id: str, terminal_id: str) -> Terminal:
        """Hang up. The end is written down by the terminal's own reader; one that has ended stays as it is."""
        live = await self.live(account_id, lease_id, terminal_id)
        if isinstance(live, Terminal):
            return live
        if live.is_open:
            await self._store.write(
                lambda tx: self._ledger.audit(
                    tx, actor, "terminal.close", "terminal", terminal_id, account_id=account_id
                )
            )
            live.hang_up("closed")
            await self._wait(live)
        return live.view

    async def close_all(self, lease_id: str) -> None:
        """Before the link of a lease goes."""
        mine = [live for live in self._live.values() if live.lease.id == lease_id and live.is_open]
        for live in mine:
            live.hang_up("session_closed")
        for live in mine:
            await self._wait(live)

    async def _wait(self, live: LiveTerminal) -> None:
        if live.pump:
            await asyncio.wait([live.pump], timeout=5)

    def _intend(
        self, tx: Tx, actor: Actor, lease: Lease, terminal_id: str, cols: int, rows: int
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
                "cols": cols,
                "rows": rows,
                "created_at": tx.now,
            },
        )
        payload = {"session_id": lease.id}
        self._ledger.event(tx, lease.account_id, "terminal.opened", "terminal", terminal_id, payload)
        self._ledger.audit(
            tx, actor, "terminal.open", "terminal", terminal_id, detail=payload, account_id=lease.account_id
        )
        return sql.terminal(tx, lease.id, terminal_id)

    async def _pump(self, live: LiveTerminal) -> None:
        """From the PTY into the ring, until the PTY ends; no database in between (HOUSE, the terminal path)."""
        while data := await live.read_channel():
            live.ring.append(data)
            live.tell_taps(data)
            live.notify()
        reason = live.end_reason or ("exited" if live.link_is_up else "link_lost")

        def change(tx: Tx) -> None:
            status = live.ended(reason, iso(tx.now))
            if sql.end_terminal(tx, live.id, status, reason):
                payload = {"session_id": live.lease.id, "end_reason": reason, "exit_status": status}
                self._ledger.event(tx, live.lease.account_id, "terminal.ended", "terminal", live.id, payload)

        try:
            await self._store.write(change)
        except Problem as problem:  # a full disk; who listens must hear of the end all the same
            log.warning("terminal.end_not_written", problem=problem.code, terminal_id=live.id)
            live.ended(reason, iso(self._store.clock.now()))
        finally:
            live.notify()
            await taps.end(live.taps, live.id)

    def _forget_oldest(self) -> None:
        ended = [terminal_id for terminal_id, live in self._live.items() if not live.is_open]
        for terminal_id in ended[:-_KEPT_ENDED]:
            del self._live[terminal_id]


def check_size(cols: int, rows: int) -> None:
    for field, value in (("cols", cols), ("rows", rows)):
        if not 1 <= value <= MAX_SIZE:
            raise Invalid(field, f"A terminal has 1 to {MAX_SIZE} {field}.")


def _view(row: dict[str, Any], start: int, end: int) -> Terminal:
    return Terminal(
        id=row["id"],
        session_id=row["session_lease_id"],
        state=row["state"],
        cols=row["cols"],
        rows=row["rows"],
        exit_status=row["exit_status"],
        end_reason=row["end_reason"],
        start_offset=start,
        end_offset=end,
        created_at=parse(row["created_at"]),
        ended_at=parse(row["ended_at"]) if row["ended_at"] else None,
    )
