"""Running one command to its end, within limits of time and output.

The command goes to the user's login shell exactly as it stands: no wrapper, no quoting, no file on the server. Its
stdin is empty. Output is handed on as it comes, and kept, up to `max_output_bytes` (both streams together); what is
beyond is read and thrown away, and beyond `flood_bytes` the command is stopped. `ending` tells how a command is stopped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from time import perf_counter
from typing import Any

from clawdbox.ssh.wire.channels import ExecChannel
from clawdbox.ssh.wire.ending import end
from clawdbox.ssh.wire.link import Link, check_command
from clawdbox.ssh.wire.model import ExecResult, LinkLost
from clawdbox.ssh.wire.runner import runner_of

__all__ = ["ExecResult", "OnOutput", "run"]

OnOutput = Callable[[str, bytes], Awaitable[None]]
Begin = Callable[[str, Callable[[], None]], Coroutine[Any, Any, ExecChannel]]
Stops = Mapping[str, asyncio.Event | None]

FLOOD_BYTES = 256 * 1024 * 1024
_LINGER_S = 2.0
_OPENING_S = 5.0
_SIGNAL_NUMBERS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12,
    "PIPE": 13, "ALRM": 14, "TERM": 15,
}  # fmt: skip


async def run(
    link: Link,
    command: str,
    *,
    timeout_s: float,
    max_output_bytes: int,
    on_output: OnOutput | None = None,
    cancel: asyncio.Event | None = None,
    flood_bytes: int = FLOOD_BYTES,
    grace_s: float = 2.0,
    kept: bool = False,
) -> ExecResult:
    """Run `command` and tell how it ended. `timeout_s` counts from now on, waiting for a free session included.

    Raises ChannelRefused when the server would not run it, LinkLost when the link was gone before it was asked, and
    ValueError for what is no command. Whatever happens later is a result: `lost` when its outcome is unknown.
    A slow `on_output` slows the command down. If this call itself is cancelled, the command is stopped all the same.
    With `kept` it runs in the shell that is kept for such commands (see `runner`).
    """
    check_command(command)
    begin: Begin = runner_of(link).begin if kept else partial(_fresh, link)
    with link.at_work():
        one = _Run(link, begin, command, max_output_bytes, on_output, flood_bytes, grace_s)
        return await one.to_the_end(timeout_s, cancel)


async def _fresh(link: Link, command: str, on_sent: Callable[[], None]) -> ExecChannel:
    return await link.open_exec(command, on_sent=on_sent)


class _Run:
    def __init__(
        self,
        link: Link,
        begin: Begin,
        command: str,
        cap: int,
        on_output: OnOutput | None,
        flood_bytes: int,
        grace_s: float,
    ) -> None:
        self._link = link
        self._begin = begin
        self._command = command
        self._cap = cap
        self._on_output = on_output
        self._flood_bytes = max(flood_bytes, cap)
        self._grace_s = grace_s
        self._kept = {"stdout": bytearray(), "stderr": bytearray()}
        self._received = 0
        self._room = cap
        self._sent = False
        self._flooded = asyncio.Event()
        self._begun = perf_counter()

    async def to_the_end(self, timeout_s: float, cancel: asyncio.Event | None) -> ExecResult:
        deadline = asyncio.get_running_loop().time() + timeout_s
        stops = {"cancel": cancel, "closing": self._link.closing}
        opening = asyncio.ensure_future(self._begin(self._command, self._mark_sent))
        try:
            stopped = await _first(opening, stops, deadline)
        except LinkLost:
            if not self._sent:
                raise
            return self._result(None, None, ended=False)
        except BaseException:
            self._link.spawn(self._give_up(opening))
            raise
        if stopped is not None:
            return await self._give_up(opening, stopped)
        channel = opening.result()
        pump = asyncio.ensure_future(self._pump(channel))
        try:
            return await self._watch(channel, pump, {**stops, "flood": self._flooded}, deadline)
        except BaseException:
            self._link.spawn(self._finish(channel, pump))
            raise

    async def _give_up(self, opening: asyncio.Future[ExecChannel], stopped: str = "cancel") -> ExecResult:
        """Stopped before the channel was there. If the command had already left, it may run: then it is ended."""
        if self._sent:
            await asyncio.wait({opening}, timeout=_OPENING_S)
        opening.cancel()  # a channel that still comes of it is closed by the link, with nothing run on it
        await asyncio.wait({opening})
        if opening.cancelled() or opening.exception() is not None:
            return self._result(None, stopped, ended=not self._sent)
        channel = opening.result()
        ended = await self._finish(channel, asyncio.ensure_future(self._pump(channel)))
        return self._result(channel, stopped, ended=ended)

    async def _watch(
        self, channel: ExecChannel, pump: asyncio.Task[None], stops: Stops, deadline: float
    ) -> ExecResult:
        stopped = await _first(pump, stops, deadline)
        if stopped is None:
            pump.result()
            channel.done()
            return self._result(channel, None, ended=True)
        ended = await self._finish(channel, pump)
        return self._result(channel, stopped, ended=ended)

    async def _finish(self, channel: ExecChannel, pump: asyncio.Task[None]) -> bool:
        """Stop the command, take what it still says, and close."""
        try:
            ended = await end(self._link, channel, self._grace_s)
            if ended and not pump.done():
                await asyncio.wait({pump}, timeout=_LINGER_S)
        finally:
            channel.close()
            pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        return ended

    async def _pump(self, channel: ExecChannel) -> None:
        while (piece := await channel.next(_LINGER_S)) is not None:
            await self._take(*piece)

    def _mark_sent(self) -> None:
        self._sent = True

    async def _take(self, name: str, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._flood_bytes:
            self._flooded.set()
        piece = data[: self._room]
        self._room -= len(piece)
        if piece:
            self._kept[name] += piece
            if self._on_output is not None:
                await self._on_output(name, piece)

    def _result(self, channel: ExecChannel | None, stopped: str | None, *, ended: bool) -> ExecResult:
        status, signal = (channel.exit_status, channel.exit_signal) if channel else (None, None)
        if signal is not None:
            status = 128 + _SIGNAL_NUMBERS.get(signal, 0)
        return ExecResult(
            exit_status=status,
            stdout=bytes(self._kept["stdout"]),
            stderr=bytes(self._kept["stderr"]),
            truncated=self._received > self._cap,
            timed_out=stopped == "timeout",
            cancelled=stopped in ("cancel", "closing"),
            flooded=stopped == "flood",
            lost=status is None and stopped is None,
            duration_ms=(perf_counter() - self._begun) * 1000,
            exit_signal=signal,
            started=self._sent,
            ended=ended,
            left_running=stopped is None and channel is not None and channel.session.left_open,
        )


async def _first(work: asyncio.Future[Any], stops: Stops, deadline: float) -> str | None:
    """What comes first: the end of `work` (None), the name of an event, or "timeout". Errors of `work` are raised."""
    waits = {name: asyncio.ensure_future(event.wait()) for name, event in stops.items() if event is not None}
    try:
        left = max(deadline - asyncio.get_running_loop().time(), 0)
        await asyncio.wait({work, *waits.values()}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            return None
        return next((name for name, wait in waits.items() if wait.done()), "timeout")
    finally:
        for wait in waits.values():
            wait.cancel()
