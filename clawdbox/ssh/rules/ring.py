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
            self._chunks[-1] += (
                data  # keystrokes echo a byte at a time: as chunks of their own, reading would crawl
            )
        else:
            self._chunks.append(data)
        self.end += len(data)
        while self.end - self.start - len(self._chunks[0]) >= self._capacity:
            self.start += len(self._chunks.popleft())

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset` on, or from `start` when those before are no longer kept."""
        position, parts, wanted = self.start, [], limit
        offset = max(offset, self.start)
        for chunk in self._chunks:
            if position + len(chunk) > offset:
                part = chunk[max(0, offset - position) :][:wanted]
                parts.append(part)
                wanted -= len(part)
                if wanted <= 0:
                    break
            position += len(chunk)
        return b"".join(parts)
