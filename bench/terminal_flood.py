"""A terminal of its own process that takes 50 MB/s, while somebody else's keystrokes are timed.

python -m bench.terminal_flood KIND PLACE     # says `flowing`, then at the end of its input the MB/s it saw
"""

import asyncio
import base64
import sys
import time

from bench.web_terminals import Terminal, leave, open_terminal, unpack

# 500 kB each 10 ms; Python, since a shell cannot keep a pace.
PACED = (
    "import sys,time;b=(b'x'*99+b'\\n')*5000;t=time.monotonic();o=sys.stdout.buffer\n"
    "while 1:\n t+=0.01;o.write(b);o.flush();time.sleep(max(0,t-time.monotonic()))"
)
CODE = base64.b64encode(PACED.encode()).decode()
_FLOWING = 4_000_000


async def main(kind: str, place: str) -> None:
    terminal = await open_terminal(kind, unpack(place))
    await terminal.send(f"python3 -c 'import base64;exec(base64.b64decode(\"{CODE}\"))'\r".encode())
    draining = asyncio.ensure_future(drain(terminal))
    await asyncio.to_thread(sys.stdin.read)
    draining.cancel()
    await leave(terminal)


async def drain(terminal: Terminal) -> None:
    count, begun, said = 0, time.monotonic(), False
    try:
        while True:
            count += len(await terminal.receive())
            if not said and count > _FLOWING:
                print("flowing", flush=True)
                count, begun, said = 0, time.monotonic(), True
    finally:
        print(f"{count / 1e6 / (time.monotonic() - begun):.0f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
