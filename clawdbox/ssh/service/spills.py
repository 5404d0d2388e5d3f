"""Where terminals put the output that no longer has room in memory: sealed blocks on disk, bounded for the whole box."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from clawdbox import logs
from clawdbox.ssh.wire.sealed_file import BLOCK, SealedFile, sweep

log = logs.get("ssh")
_SICK_S = 30.0


class _Block(msgspec.Struct, frozen=True):
    """`length` bytes of the stream from `offset` on; `number` seals it, `slot` is its place in the file."""

    offset: int
    length: int
    slot: int
    number: int


class Spills:
    """The disk's share of all terminals. One thread writes, so a slow disk holds up nothing but itself.

    `on_short` is called when the box's share is used up; it may close the spill of a terminal that nobody needs.
    """

    def __init__(self, folder: Path, each: int, total: int) -> None:
        self.folder = folder
        self.each = each // BLOCK
        self.on_short: Callable[[], object] = lambda: None
        self._room = total // BLOCK
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="spill")
        sweep(folder)

    def open(self) -> "Spill | None":
        """None where the settings want everything in memory."""
        return Spill(self) if self.each else None

    def take(self) -> bool:
        if not self._room:
            self.on_short()
        if not self._room:
            return False
        self._room -= 1
        return True

    def give(self, blocks: int) -> None:
        self._room += blocks

    async def in_thread(self, work: Callable[[], bool]) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def later(self, work: Callable[[], None]) -> None:
        self._writer.submit(work)

    def stop(self) -> None:
        self._writer.shutdown(wait=False, cancel_futures=False)


class Spill:
    """A contiguous piece of one terminal's stream, `[start, end)`; the oldest goes when there is no more room."""

    def __init__(self, spills: Spills) -> None:
        self._spills = spills
        self._file: SealedFile | None = None
        self._blocks: deque[_Block] = deque()
        self._free: list[int] = []
        self._slots = 0
        self._number = 0
        self._sick_until = 0.0
        self._closed = False

    @property
    def start(self) -> int:
        return self._blocks[0].offset if self._blocks else 0

    @property
    def end(self) -> int:
        return self._blocks[-1].offset + self._blocks[-1].length if self._blocks else 0

    @property
    def holds(self) -> bool:
        """Whether closing it would give anything back."""
        return self._slots > 0

    @property
    def takes(self) -> bool:
        """False for a while after the disk has refused."""
        return not self._closed and asyncio.get_running_loop().time() >= self._sick_until

    async def put(self, offset: int, data: bytes) -> bool:
        """Write what follows on `end`; False when it could not be, and then nothing before `offset` is held either."""
        blocks = []
        for at in range(0, len(data), BLOCK):
            slot = self._slot()
            if slot is None:
                break
            self._number += 1
            blocks.append(_Block(offset + at, min(BLOCK, len(data) - at), slot, self._number))
        written = len(blocks) * BLOCK >= len(data) and await self._spills.in_thread(
            lambda: self._write(blocks, offset, data)
        )
        if written and not self._closed:
            self._blocks.extend(blocks)
            return True
        self._free.extend(block.slot for block in blocks)
        self.clear()
        self._sick_until = asyncio.get_running_loop().time() + _SICK_S
        return False

    async def read(self, offset: int, limit: int) -> bytes | None:
        """Up to `limit` bytes of the block in which `offset` lies, or None when it is gone."""
        block = next((one for one in self._blocks if one.offset <= offset < one.offset + one.length), None)
        file = self._file
        if block is None or file is None:
            return None
        data = await asyncio.to_thread(file.read, block.slot, block.number, block.length)
        return None if data is None else data[offset - block.offset :][:limit]

    def clear(self) -> None:
        """Forget what is held; the room in the file stays this terminal's."""
        self._free.extend(block.slot for block in self._blocks)
        self._blocks.clear()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.clear()
        self._spills.give(self._slots)
        self._slots = 0
        if self._number:
            self._spills.later(self._shut)  # behind a write that may be making the file just now

    def _slot(self) -> int | None:
        """A place for one more block: a free one, a new one, or the oldest block's."""
        if self._free:
            return self._free.pop()
        if self._slots < self._spills.each and self._spills.take():
            self._slots += 1
            return self._slots - 1
        return self._blocks.popleft().slot if self._blocks else None

    def _shut(self) -> None:
        """In the writer's thread."""
        if self._file:
            self._file.close()

    def _write(self, blocks: list[_Block], offset: int, data: bytes) -> bool:
        """In the writer's thread."""
        try:
            if self._file is None:
                self._file = SealedFile(self._spills.folder)
            for block in blocks:
                at = block.offset - offset
                self._file.write(block.slot, block.number, data[at : at + block.length])
        except OSError as error:
            log.warning("terminal.spill_failed", error=str(error))
            return False
        return True
