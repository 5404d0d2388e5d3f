"""The tap of a recording: it puts down what comes and when, and a task of its own writes it to the disk."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from clawdbox import logs
from clawdbox.clock import Clock
from clawdbox.ssh.rules.recordings import LAST_WORDS
from clawdbox.ssh.service.cast_file import CastFile, Output, Resize, is_no_room

log = logs.get("ssh")
FLUSH_S = 2.0
FLUSH_BYTES = 65_536
MAX_HELD = 8_388_608

Room = Callable[[], str | None]


class Recorder:
    """A `Tap`. It listens from the moment it is made, so that nothing is missed while its file is being opened.

    `begun` is set when its file is there, or cannot be. `over` is set when all of it is settled: the file closed, and
    its end told to who asked for it.
    """

    def __init__(self, clock: Clock, cols: int, rows: int) -> None:
        self.cols, self.rows = cols, rows
        self.size = 0
        self.begun = asyncio.Event()
        self.over = asyncio.Event()
        self._clock = clock
        self._begun = clock.monotonic()
        self._reason: str | None = None
        self._ended_at = 0.0
        self._pieces: list[Output | Resize] = []
        self._held = 0
        self._synced_at = self._begun
        self._is_synced = True
        self._some = asyncio.Event()
        self._urgent = asyncio.Event()

    @property
    def reason(self) -> str | None:
        """Why it has stopped."""
        return self._reason

    @property
    def seconds(self) -> float:
        return self._ended_at if self._reason else self._clock.monotonic() - self._begun

    def output(self, data: bytes) -> None:
        if self._reason is None:
            self._pieces.append(Output(self.seconds, data))
            self._held += len(data)
            self._some.set()
            if self._held >= FLUSH_BYTES:
                self._urgent.set()
            if self._held > MAX_HELD:
                self.stop("disk_slow")

    def resized(self, cols: int, rows: int) -> None:
        if self._reason is None:
            self._pieces.append(Resize(self.seconds, cols, rows))
            self._some.set()

    async def ended(self) -> None:
        self.stop("terminal_ended")
        await self.over.wait()

    def stop(self, reason: str) -> None:
        """The first reason stands."""
        if self._reason is None:
            self._ended_at = self.seconds
            self._reason = reason
            self._some.set()
            self._urgent.set()

    def forget(self) -> None:
        """Nobody wants this recording."""
        self._reason = self._reason or "asked"
        self._pieces.clear()
        self.over.set()

    async def write(self, create: Callable[[], CastFile], room: Room) -> str:
        """Until somebody stops it or the disk does; returns why. `room` names what forbids to go on, if anything."""
        file: CastFile | None = None
        try:
            file = await asyncio.to_thread(create)
            self.size = file.size
            self.begun.set()
            while self._reason is None:
                await self._until_worth_writing()
                await asyncio.to_thread(self._put, file, self._taken())
                self.size = file.size
                if short := room():
                    self.stop(short)
            await asyncio.to_thread(file.write, self._taken())
        except OSError as error:
            log.warning("recording.broken", error=error.strerror)
            self._reason = None  # what the disk says counts more than that somebody stopped it meanwhile
            self.stop("disk_full" if is_no_room(error) else "disk_failed")
        finally:
            self.begun.set()
        reason = self._reason or "asked"
        if file is not None:
            await asyncio.to_thread(self._close, file, reason)
        return reason

    def _put(self, file: CastFile, pieces: list[Output | Resize]) -> None:
        """A flood is written often, and synced as seldom as all else."""
        file.write(pieces)
        now = self._clock.monotonic()
        self._is_synced = now - self._synced_at >= FLUSH_S
        if self._is_synced:
            file.sync()
            self._synced_at = now

    def _close(self, file: CastFile, reason: str) -> None:
        try:
            file.finish(self.seconds, LAST_WORDS.get(reason))
        except OSError as error:
            log.warning("recording.not_finished", error=error.strerror)
        finally:
            self.size = file.size
            file.close()

    async def _until_worth_writing(self) -> None:
        if self._is_synced:
            await self._some.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._urgent.wait()

    def _taken(self) -> list[Output | Resize]:
        pieces, self._pieces, self._held = self._pieces, [], 0
        self._some.clear()
        self._urgent.clear()
        return pieces
