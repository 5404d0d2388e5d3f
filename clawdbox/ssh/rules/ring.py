"""A bounded memory of a byte stream, addressed by offsets in the whole stream."""

from collections import deque

_BLOCK = 4096


class Ring:
    """Keeps the newest `capacity` bytes or a little more (whole chunks). `[start, end)` are the offsets kept."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._chunks: deque[bytes] = deque()
        self.start = 0
        self.end = 0

    def append(self, data: bytes) -> None:
        if not data:
            return
        if self._chunks and len(self._chunks[-1]) + len(data) <= _BLOCK:
            # keystrokes echo a byte at a time: chunks of one byte would cost more than they hold
            self._chunks[-1] += data
        else:
            self._chunks.append(data)
        self.end += len(data)
        while self.end - self.start - len(self._chunks[0]) >= self._capacity:
            self.start += len(self._chunks.popleft())

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset` on, or from `start` when those before are no longer kept.

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
        return b"".join(reversed(parts))
