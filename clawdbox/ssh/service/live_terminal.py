"""A terminal whose bytes this process holds: while its PTY lives, and for a while after it has ended."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clawdbox import logs
from clawdbox.clock import parse
from clawdbox.errors import Invalid
from clawdbox.ssh.model import Lease, Terminal
from clawdbox.ssh.rules.sizes import Sizes
from clawdbox.ssh.service import taps
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.service.scrollback import Scrollback
from clawdbox.ssh.wire.channels import PtyChannel

log = logs.get("ssh")
MAX_SIZE = 1000
_CLIENTS = 64


class LiveTerminal:
    """`channel` is None while a kept terminal waits for its link to come back."""

    def __init__(
        self, row: dict[str, Any], lease: Lease, master: Master, channel: PtyChannel, ring: Scrollback
    ) -> None:
        self.id: str = row["id"]
        self.kept_id: str | None = row["kept_terminal_id"]
        self.lease = lease
        self.master = master
        self.ring = ring
        self.sizes = Sizes()
        self.pump: asyncio.Task[None] | None = None
        self.taps: list[taps.Tap] = []
        self.end_reason: str | None = None
        self.hung_up = asyncio.Event()
        self.on_size: Callable[[LiveTerminal], None] = lambda _live: None
        self._row = row
        self._channel: PtyChannel | None = channel
        self._listeners: set[asyncio.Event] = set()
        self._devices: dict[str, str] = {}
        self._taken: OrderedDict[str, int] = OrderedDict()
        self._refused: dict[str, int] = {}
        self._typing = asyncio.Lock()

    @property
    def view(self) -> Terminal:
        return view_of(self._row, self.ring.start, self.ring.end)

    @property
    def is_open(self) -> bool:
        return bool(self._row["state"] == "open")

    @property
    def is_away(self) -> bool:
        """Its shell goes on on the server, and nobody can reach it now."""
        return self._channel is None

    # devices

    @contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """An asyncio.Event set on output, on another size and at the end; the listener clears it."""
        signal = asyncio.Event()
        self._listeners.add(signal)
        try:
            yield signal
        finally:
            self._listeners.discard(signal)

    @contextmanager
    def attended(self, client: str, device: str = "") -> Iterator[asyncio.Event]:
        """`listen`, as a device that may have a size of its own. `device` is what a person calls it."""
        self.sizes.came(client)
        self._devices[client] = device
        try:
            with self.listen() as signal:
                yield signal
        finally:
            if self.sizes.left(client):
                self._devices.pop(client, None)
            self.notify()

    @property
    def sized_by(self) -> str | None:
        """The name of the device whose size it has; None while nobody has it, or when it has no name."""
        return self._devices.get(self.sizes.owner or "") or None

    def notify(self) -> None:
        for signal in self._listeners:
            signal.set()

    # input

    def last_input(self, client: str) -> int:
        """The highest input number taken from that client, 0 for a new one."""
        return self._taken.get(client, 0)

    async def type(self, client: str, seq: int, data: bytes) -> int:
        """Type `data` unless that number was typed before; returns the highest number taken from the client.

        A number is taken before its bytes go out: after a lost link a piece may be missing, but none comes twice.
        While the terminal is away nothing is taken, and afterwards what was refused must come first.
        """
        async with self._typing:
            if seq <= self.last_input(client):
                return self.last_input(client)
            if self.is_open and self.is_away:
                self._refused.setdefault(client, seq)
            if client in self._refused and (self.is_away or seq > self._refused[client]):
                return self.last_input(client)
            self._refused.pop(client, None)
            self._take(client, seq)
            if self.is_open and self._channel:
                self._resize_to(self.sizes.typed(client))
                self.master.touch()
                try:
                    await self._channel.write(data)
                except OSError:
                    log.info("terminal.input_after_end", terminal_id=self.id)
        return seq

    def _take(self, client: str, seq: int) -> None:
        self._taken[client] = seq
        self._taken.move_to_end(client)
        while len(self._taken) > _CLIENTS:
            self._taken.popitem(last=False)

    # size

    async def resize(self, cols: int, rows: int) -> None:
        """For everybody, whoever has the size."""
        check_size(cols, rows)
        self._resize_to((cols, rows))

    def wish(self, client: str, cols: int, rows: int, *, take: bool = False) -> None:
        """A device says what size it would have; it gets it if the size is its own, nobody's, or it takes it."""
        check_size(cols, rows)
        before = self.sizes.owner
        self._resize_to(self.sizes.wish(client, (cols, rows), take=take))
        if self.sizes.owner != before:
            self.notify()

    def _resize_to(self, size: tuple[int, int] | None) -> None:
        if size is None or not self.is_open or size == (self._row["cols"], self._row["rows"]):
            return
        cols, rows = size
        self._row.update(cols=cols, rows=rows)
        if self._channel:
            self._channel.resize(cols, rows)
        taps.tell(self.taps, self.id, lambda tap: tap.resized(cols, rows))
        self.on_size(self)
        self.notify()

    # its channel

    async def read_all(self) -> None:
        """From the PTY into the ring, until the PTY ends; no database in between."""
        while self._channel and (data := await self._channel.read()):
            self.master.touch()
            self.show(data)

    def show(self, data: bytes) -> None:
        self.ring.append(data)
        taps.tell(self.taps, self.id, lambda tap: tap.output(data))
        self.notify()

    def away(self) -> None:
        self._channel = None
        self.notify()

    def back(self, channel: PtyChannel, size: tuple[int, int]) -> None:
        """On a new channel, which was opened in that `size`."""
        self._channel = channel
        if size != (self._row["cols"], self._row["rows"]):
            channel.resize(self._row["cols"], self._row["rows"])
        if self.hung_up.is_set():
            channel.close()
        self.notify()

    def hang_up(self, reason: str) -> None:
        self.end_reason = self.end_reason or reason
        self.hung_up.set()
        if self._channel:
            self._channel.close()

    @property
    def exit_status(self) -> int | None:
        return self._channel.exit_status if self._channel else None

    def ended(self, reason: str, ended_at: str, exit_status: int | None) -> None:
        """Settle how it ended."""
        self._row.update(state="ended", exit_status=exit_status, end_reason=reason, ended_at=ended_at)


def check_size(cols: int, rows: int) -> None:
    for field, value in (("cols", cols), ("rows", rows)):
        if not 1 <= value <= MAX_SIZE:
            raise Invalid(field, f"A terminal has 1 to {MAX_SIZE} {field}.")


def view_of(row: dict[str, Any], start: int, end: int) -> Terminal:
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
        kept_id=row["kept_terminal_id"],
    )
