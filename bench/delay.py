"""A TCP proxy that holds every byte back for a while, in both directions: `python -m bench.delay PORT MS`.

It prints the port on which it listens. It is a process of its own, so that it neither slows what it measures nor is
slowed by it. Order is kept, throughput is not limited.
"""

import asyncio
import sys
from collections import deque
from typing import cast

import uvloop


class OneWay(asyncio.Protocol):
    """Hands on what it gets to its other half, `delay` seconds later."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._waiting: deque[bytes | None] = deque()
        self.transport: asyncio.Transport | None = None
        self.other: OneWay | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._later(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._later(None)

    def _later(self, data: bytes | None) -> None:
        self._waiting.append(data)
        asyncio.get_running_loop().call_later(self._delay, self._hand_on)

    def _hand_on(self) -> None:
        data = self._waiting.popleft()
        if self.other is None or self.other.transport is None or self.other.transport.is_closing():
            return
        if data is None:
            self.other.transport.close()
        else:
            self.other.transport.write(data)


async def main() -> None:
    port, delay = int(sys.argv[1]), float(sys.argv[2]) / 1000
    loop = asyncio.get_running_loop()
    pairs: set[asyncio.Task[None]] = set()

    class Inward(OneWay):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert self.transport is not None
            self.transport.pause_reading()
            task = loop.create_task(self._join())
            pairs.add(task)
            task.add_done_callback(pairs.discard)

        async def _join(self) -> None:
            _, outward = await loop.create_connection(lambda: OneWay(delay), "127.0.0.1", port)
            self.other, outward.other = outward, self
            assert self.transport is not None
            self.transport.resume_reading()

    server = await loop.create_server(lambda: Inward(delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
