"""A forward that this process holds open: it counts, and opens a channel for each connection that comes."""

import asyncio
import socket
from typing import Protocol

import msgspec

from clawdbox.errors import Conflict, NotFound, Upstream
from clawdbox.ssh.model.forwards import Forward
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.wire.forwards import TargetRefused, TcpChannel, open_tcp
from clawdbox.ssh.wire.model import LinkLost
from clawdbox.ssh.wire.splice import accept, reset, splice

MAX_CONNECTIONS = 256


class Meter(Protocol):
    """What forwards count (document 05, section 5.5)."""

    def forward_connected(self, kind: str, outcome: str) -> None: ...
    def forward_carried(self, bytes_in: int, bytes_out: int) -> None: ...


class Carried:
    """A channel of a forward, whose bytes are counted. Closing it twice is harmless."""

    def __init__(self, forward: "LiveForward", channel: TcpChannel, master: Master) -> None:
        self._forward = forward
        self._channel = channel
        self._master = master
        self._open = True

    async def read(self, most: int = 64 * 1024) -> bytes:
        data = await self._channel.read(most)
        self._forward.count(len(data), 0)
        self._master.touch()
        return data

    async def write(self, data: bytes) -> None:
        await self._channel.write(data)
        self._forward.count(0, len(data))
        self._master.touch()

    def end(self) -> None:
        self._channel.end()

    @property
    def is_readable(self) -> bool:
        return self._channel.is_readable

    def close(self) -> None:
        if self._open:
            self._open = False
            self._forward.channels.discard(self)
            self._channel.close()


class LiveForward:
    def __init__(self, row: Forward, leases: Leases, meter: Meter) -> None:
        self.row = row
        self.channels: set[Carried] = set()
        self.last_refusal: str | None = None
        self.entered = 0  # how often a browser was let in
        self.foreign_port = False  # another app was shown on this port before
        self.end_reason: str | None = None
        self._leases = leases
        self._meter = meter
        self._listening: asyncio.Task[None] | None = None
        self._total = self._in = self._out = 0

    @property
    def view(self) -> Forward:
        return msgspec.structs.replace(
            self.row, connections=self._total, bytes_in=self._in, bytes_out=self._out
        )

    @property
    def counts(self) -> tuple[int, int, int]:
        return self._total, self._in, self._out

    def _has_ended(self) -> bool:
        return self.end_reason is not None

    def count(self, bytes_in: int, bytes_out: int) -> None:
        self._in += bytes_in
        self._out += bytes_out
        self._meter.forward_carried(bytes_in, bytes_out)

    async def connect(self) -> Carried:
        """A connection to the target. Raises Conflict and Upstream, each with a sentence for a person."""
        if self._has_ended():
            raise NotFound
        kind = str(self.row.kind)
        try:
            _, master, link = await self._leases.up(self.row.account_id, self.row.session_lease_id)
            channel = await open_tcp(link, self.row.target_host, self.row.target_port)
        except TargetRefused as refusal:
            self._meter.forward_connected(kind, "refused")
            self.last_refusal = str(refusal)
            if refusal.forbidden:
                raise Conflict("forward_forbidden", self.last_refusal) from None
            raise Upstream("target_refused", self.last_refusal) from None
        except LinkLost:
            self._meter.forward_connected(kind, "lost")
            raise Conflict(
                "session_reconnecting", "The link to the server is down, and the box is dialling again."
            ) from None
        carried = Carried(self, channel, master)
        if self._has_ended():  # while the server was being asked
            carried.close()
            raise NotFound
        self._meter.forward_connected(kind, "opened")
        self.last_refusal = None
        self._total += 1
        self.channels.add(carried)
        return carried

    def listen(self, listener: socket.socket) -> None:
        """Serve who connects to it until `stop`."""
        self._listening = asyncio.get_running_loop().create_task(
            accept(listener, MAX_CONNECTIONS, self._serve)
        )

    async def _serve(self, client: socket.socket) -> None:
        try:
            far = await self.connect()
        except (Conflict, Upstream, NotFound):
            reset(client)
            return
        await splice(client, far)

    async def stop(self, reason: str) -> None:
        """No new connection, and those that are there end."""
        self.end_reason = self.end_reason or reason
        if self._listening:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        for channel in list(self.channels):
            channel.close()
