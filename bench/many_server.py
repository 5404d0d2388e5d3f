"""An asyncssh server for masses of connections: `python -m bench.many_server HOST_KEY CLIENT_KEY.pub`; prints its port.

It answers every command with nothing and status 0, without a process of its own.
"""

import sys

import asyncssh
import uvloop


async def answer(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    process.exit(0)


async def main() -> None:
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[sys.argv[1]],
        authorized_client_keys=sys.argv[2],
        process_factory=answer,
        encoding=None,
        backlog=1000,
        login_timeout=120,
    )
    print(server.get_port(), flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    uvloop.run(main())
