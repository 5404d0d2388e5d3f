"""paramiko in a process and a virtual environment of its own: reads one JSON line, answers with one.

`{"exec": "true"}` runs it on the warm connection and answers the seconds; `{"bulk": "…"}` reads all of its output.
"""

import json
import socket
import sys
import time

import paramiko  # type: ignore[import-untyped] # from a virtual environment of its own


def main() -> None:
    port, username, key = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507 - the bench made that server
    sock = socket.create_connection(("127.0.0.1", port))
    # paramiko does not do so by itself, and waits for acknowledgements
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect(
        "127.0.0.1",
        port,
        username,
        pkey=paramiko.Ed25519Key.from_private_key_file(key),
        allow_agent=False,
        look_for_keys=False,
        sock=sock,
    )
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        begun = time.perf_counter()
        _, out, _ = client.exec_command(order.get("exec") or order["bulk"])
        size = 0
        while piece := out.channel.recv(1 << 20):
            size += len(piece)
        out.channel.recv_exit_status()
        print(json.dumps({"s": time.perf_counter() - begun, "bytes": size}), flush=True)


if __name__ == "__main__":
    main()
