"""The bare peer: Litestar on the same uvicorn, with one route that answers 20 connections from memory."""

import socket
import sys

import msgspec
import uvicorn
from litestar import Litestar, get


class Row(msgspec.Struct):
    id: str
    label: str
    host: str
    port: int
    username: str
    created_at: str


ROWS = [Row(f"id-{i}", f"Server {i}", f"10.0.0.{i}", 22, "root", "2026-11-21T03:08:00Z") for i in range(20)]


@get("/connections", sync_to_thread=False)
def connections() -> dict[str, list[Row]]:
    return {"connections": ROWS}


@get("/health", sync_to_thread=False)
def health() -> dict[str, str]:
    return {"status": "ok"}


def main() -> None:
    # Named TCP, as the box does: else asyncio leaves Nagle's algorithm on, and the peer would be slower than it is.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    app = Litestar([connections, health], openapi_config=None)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="error")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
