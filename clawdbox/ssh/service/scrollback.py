"""What a terminal wrote, by offset: the newest in memory, what came before on disk, and what came before that gone."""

import asyncio

from clawdbox.ssh.rules.ring import Ring
from clawdbox.ssh.service.spills import Spill
from clawdbox.ssh.wire.sealed_file import BLOCK

MAX_WAITING = 4 * 1_048_576  # bytes that wait in memory for a slow disk
_AT_ONCE = 16


class Scrollback:
    """Keeps `[start, end)`. `append` never waits: what the disk does not take in time is let go, and `start` says so."""

    def __init__(self, capacity: int, spill: Spill | None) -> None:
        self._capacity = capacity
        self._ring = Ring()
        self._spill = spill
        self._spilling: asyncio.Task[None] | None = None

    @property
    def start(self) -> int:
        spill = self._spill
        return spill.start if spill and spill.end == self._ring.start and spill.end else self._ring.start

    @property
    def end(self) -> int:
        return self._ring.end

    @property
    def in_memory(self) -> int:
        """The offset from which on reading needs no disk."""
        return self._ring.start

    def append(self, data: bytes) -> None:
        ring, spill = self._ring, self._spill
        ring.append(data)
        excess = len(ring) - self._capacity
        if excess < BLOCK:
            if spill is None:
                ring.trim(self._capacity)
            return
        if spill is None or not spill.takes:
            ring.trim(self._capacity)
        elif self._spilling is None:
            self._spilling = asyncio.get_running_loop().create_task(self._put_away(spill))
        elif excess > MAX_WAITING:
            ring.trim(self._capacity)

    def recent(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset` on, as far as memory has them."""
        return self._ring.read(offset, limit)

    async def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset` on, or from `start` when those before are gone; at most a block from disk.

        b"" at the end, and when what was asked for went while it was read: then `start` lies behind `offset`.
        """
        begin = max(offset, self.start)
        if begin >= self._ring.start or self._spill is None:
            return self._ring.read(begin, limit)
        data = await self._spill.read(begin, limit)
        if data is None and begin >= self.start:
            self._spill.clear()  # the disk has lost it: what lies before memory is not to be had any more
        return data or b""

    def release(self) -> bool:
        """Give the disk's part back; memory keeps the newest. False when there was none."""
        spill, self._spill = self._spill, None
        if spill is None:
            return False
        held = spill.holds
        spill.close()
        return held

    async def _put_away(self, spill: Spill) -> None:
        ring = self._ring
        try:
            while (blocks := (len(ring) - self._capacity) // BLOCK) > 0 and self._spill is spill:
                at = ring.start
                data = ring.read(at, min(blocks, _AT_ONCE) * BLOCK)
                if spill.end != at:
                    spill.clear()
                written = await spill.put(at, data)
                if not written:
                    ring.trim(self._capacity)
                    return
                ring.drop_to(at + len(data))
        finally:
            self._spilling = None
