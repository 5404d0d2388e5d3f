"""A memory of the newest part of a byte stream, addressed by offsets in the whole stream."""

from collections import deque

_BLOCK = 4096


class Ring:
    """`[start, end)` are the offsets it holds. It grows until somebody trims it."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self.start = 0
        self.end = 0

    def __len__(self) -> int:
        return self.end - self.start

    def append(self, data: bytes) -> None:
        if not data:
            return
        if self._chunks and len(self._chunks[-1]) + len(data) <= _BLOCK:
            # keystrokes echo a byte at a time: chunks of one byte would cost more than they hold
            self._chunks[-1] += data
        else:
            self._chunks.append(data)
        self.end += len(data)

    def trim(self, capacity: int) -> None:
        """Let go of the oldest, as long as `capacity` bytes or a little more (whole chunks) stay."""
        while self._chunks and len(self) - len(self._chunks[0]) >= capacity:
            self.start += len(self._chunks.popleft())

    def drop_to(self, offset: int) -> None:
        """Let go of exactly what lies before `offset`."""
        while self._chunks and self.start + len(self._chunks[0]) <= offset:
            self.start += len(self._chunks.popleft())
        if self._chunks and self.start < offset:
            self._chunks[0] = self._chunks[0][offset - self.start :]
            self.start = offset

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset` on, or from `start` when those before are not held.

        Sought from the end, where nearly every reader is: it waits there for the next bytes.
        """
        begin = max(offset, self.start)
        position, parts = self.end, []
        for chunk in reversed(self._chunks):
            if position <= begin:
                break
            position -= len(chunk)
            if position < begin + limit:
                parts.append(chunk[max(0, begin - position) : begin + limit - position])
        return parts[0] if len(parts) == 1 else b"".join(reversed(parts))
