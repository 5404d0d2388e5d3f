"""Streams: a shell of a lease's server that stays, whose input and output another room writes and reads.

What runs in it is a script of the box's own, handed over as its input, so that no login shell can misread it. Who
opens one writes down why (an agent's start is in the audit trail); what passes through it is not written down here.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clawdbox.errors import Conflict
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.wire.channels import ExecChannel
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost

__all__ = ["LinkLost", "Stream", "Streams"]

_OPEN_S = 15.0
_HELLO_S = 20.0
_MOST_BEFORE_HELLO = 256 * 1024
_MOST_SAID = 256 * 1024


class Stream:
    """A running script. `read` gives ("stdout" | "stderr", bytes) in the order in which they came, None at the end."""

    def __init__(self, channel: ExecChannel, master: Master) -> None:
        self._channel = channel
        self._master = master
        self._first: list[tuple[str, bytes]] = []
        self._writing = asyncio.Lock()

    async def begin(self, script: str) -> None:
        """Hand the script over, and read past what rc files say. Raises Conflict `stream_refused`, LinkLost."""
        nonce = secrets.token_hex(16)
        say = f"printf '\\000%s\\n' {nonce}"
        await self.write(f"{{ {say}; {say} >&2\n{script}\nexit 0\n}}\n".encode())
        mark = b"\0" + f"{nonce}\n".encode()
        before = {"stdout": bytearray(), "stderr": bytearray()}
        try:
            async with asyncio.timeout(_HELLO_S):
                while before:
                    name, data = await self._piece()
                    if name not in before:
                        self._first.append((name, data))
                        continue
                    before[name] += data
                    noise, found, rest = bytes(before[name]).partition(mark)
                    if found:
                        del before[name]
                        if rest:
                            self._first.append((name, rest))
                    elif len(noise) > _MOST_BEFORE_HELLO:
                        raise _no_shell()
        except TimeoutError:
            raise _no_shell() from None

    @property
    def lost(self) -> bool:
        """Whether it ended without its script having come to an end."""
        return self._channel.exit_status is None

    async def read(self) -> tuple[str, bytes] | None:
        if self._first:
            return self._first.pop(0)
        piece = await self._channel.next(0.5)
        self._master.touch()
        return piece

    def give_back(self, piece: tuple[str, bytes]) -> None:
        """What was read too far; it is read next."""
        self._first.insert(0, piece)

    async def write(self, data: bytes) -> None:
        """Waits while the server does not take it. Raises LinkLost when the stream has ended."""
        async with self._writing:
            self._master.touch()
            try:
                for start in range(0, len(data), 32 * 1024):
                    self._channel.session.write(data[start : start + 32 * 1024])
                    await self._channel.session.drain()
            except BrokenPipeError:
                raise LinkLost("The stream has ended.") from None

    def close(self) -> None:
        self._channel.close()

    async def _piece(self) -> tuple[str, bytes]:
        piece = await self._channel.next(0.5)
        if piece is not None:
            return piece
        if self._channel.exit_status is None:
            raise LinkLost("The link ended.")
        raise _no_shell()


class Streams:
    """A lease that is being closed still carries a last stream, for one who has had one on it (`last`)."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._used: dict[str, tuple[str, Master]] = {}  # lease → whose it is, and its master

    @asynccontextmanager
    async def open(
        self, account_id: str, lease_id: str, script: str, *, last: bool = False
    ) -> AsyncIterator[Stream]:
        """A stream on an active lease, which it keeps in use, and which ends it when it closes.

        Raises Conflict `session_not_active`, `session_reconnecting` and `stream_refused`; LinkLost when the link ends.
        """
        master, link = await self._link(account_id, lease_id, last)
        stop = asyncio.Event()
        with master.busy(stop):
            stream = Stream(await _opened(link), master)
            closing = asyncio.ensure_future(_close_on(stop, stream))
            try:
                await stream.begin(script)
                yield stream
            finally:
                closing.cancel()
                stream.close()

    async def ask(
        self, account_id: str, lease_id: str, script: str, timeout_s: float, *, last: bool = False
    ) -> bytes:
        """What a short script says on stdout. Raises as `open` does, and TimeoutError."""
        said = bytearray()
        async with asyncio.timeout(timeout_s), self.open(account_id, lease_id, script, last=last) as stream:
            while (piece := await stream.read()) is not None:
                if piece[0] == "stdout" and len(said) < _MOST_SAID:
                    said += piece[1][: _MOST_SAID - len(said)]
            if stream.lost:
                raise LinkLost("The link ended.")
        return bytes(said)

    def forget(self, lease_id: str) -> None:
        """It is about to be gone."""
        self._used.pop(lease_id, None)

    async def _link(self, account_id: str, lease_id: str, last: bool) -> tuple[Master, Link]:
        owner, used = self._used.get(lease_id, ("", None))
        if last and used is not None and owner == account_id and used.is_up and used.link is not None:
            return used, used.link
        _, master, link = await self._leases.up(account_id, lease_id)
        self._used[lease_id] = (account_id, master)
        return master, link

    async def until_up(self, account_id: str, lease_id: str) -> None:
        """Wait while the link is dialled again. Raises Conflict `session_not_active` once the lease has ended."""
        await self._leases.until_up(account_id, lease_id)


async def _opened(link: Link) -> ExecChannel:
    try:
        async with asyncio.timeout(_OPEN_S):
            return await link.open_exec(f"sh -s clawdbox-{secrets.token_hex(4)}", stdin=True)
    except TimeoutError:
        raise Conflict(
            "stream_refused",
            "The server has no session left for this. End a terminal or a command first. One that allows a single"
            " session at a time (MaxSessions 1) cannot carry a code agent.",
        ) from None
    except ChannelRefused as refusal:
        raise Conflict("stream_refused", f"The server opened no shell for this. {refusal}") from None


async def _close_on(stop: asyncio.Event, stream: Stream) -> None:
    await stop.wait()
    stream.close()


def _no_shell() -> Conflict:
    return Conflict(
        "stream_refused",
        "The server runs no POSIX shell for this login, which a code agent needs. A login that is restricted to one"
        " command, or a server without `sh`, cannot carry one.",
    )
