"""Clients of four web terminals as their own pages speak to them: what is typed goes in, what the terminal writes comes out."""

import asyncio
import base64
import json
from typing import Any, Protocol, Self
from urllib.parse import quote

import httpx
from websockets.asyncio.client import ClientConnection, connect

SIZE = (80, 24)
_ACK_EVERY = 256 * 1024


class Gap(Exception):
    """The server left something out: what is timed here is every byte."""


class Terminal(Protocol):
    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes: ...

    async def close(self) -> None: ...


class Socket:
    """What the clients over a WebSocket share."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def close(self) -> None:
        await self._socket.close()


class Clawdbox(Socket):
    """Frames of an offset and bytes; what was received is told, so that the box sends on (document 03)."""

    def __init__(self, socket: ClientConnection, path: str, address: str, token: str) -> None:
        super().__init__(socket)
        self.terminal = path.rpartition("/")[2]
        self._path = path
        self._address = address
        self._token = token
        self._seq = 0
        self._told = 0

    @classmethod
    async def open(cls, address: str, token: str, session: str) -> Self:
        size = {"cols": SIZE[0], "rows": SIZE[1]}
        async with _api(address, token) as api:
            made = (await api.post(f"/sessions/{session}/terminals", json=size)).raise_for_status()
        return await cls.attach(address, token, session, made.json()["terminal"]["id"])

    @classmethod
    async def attach(cls, address: str, token: str, session: str, terminal: str, after: str = "0") -> Self:
        """`after` an offset, or empty for the newest screenful."""
        path = f"/sessions/{session}/terminals/{terminal}"
        query = f"?after={after}" if after else ""
        url = f"ws{address.removeprefix('http')}/api/v1{path}/attach{query}"
        headers = {"Authorization": f"Bearer {token}"}
        socket = await connect(url, additional_headers=headers, compression=None, max_size=None)
        return cls(socket, path, address, token)

    async def end(self) -> None:
        await self.close()
        async with _api(self._address, self._token) as api:
            (await api.delete(self._path)).raise_for_status()

    async def send(self, data: bytes) -> None:
        self._seq += 1
        await self._socket.send(self._seq.to_bytes(8, "big") + data)

    async def receive(self) -> bytes:
        while True:
            frame = await self._socket.recv()
            if isinstance(frame, bytes):
                await self._tell(int.from_bytes(frame[:8], "big") + len(frame) - 8)
                return frame[8:]
            if json.loads(frame)["type"] == "gap":
                raise Gap(frame)

    async def _tell(self, offset: int) -> None:
        if offset - self._told >= _ACK_EVERY:
            self._told = offset
            await self._socket.send(json.dumps({"type": "received", "offset": offset}))


def _api(address: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"{address}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60
    )


class Webssh(Socket):
    """webssh (PyPI): a form with the key, then JSON in and bytes out."""

    @classmethod
    async def open(cls, address: str, server: dict[str, Any]) -> Self:
        form = {"hostname": server["host"], "port": str(server["port"]), "username": server["username"]}
        async with httpx.AsyncClient(base_url=address, timeout=30) as api:
            made = await api.post("/", data={**form, "privatekey": server["key"]})
            found = made.raise_for_status().json()
        if not found.get("id"):
            raise RuntimeError(f"webssh did not log in: {found.get('status')}")
        url = f"ws{address.removeprefix('http')}/ws?id={quote(found['id'])}"
        return cls(await connect(url, origin=address, compression=None, max_size=None))  # type: ignore[arg-type]

    async def send(self, data: bytes) -> None:
        await self._socket.send(json.dumps({"data": data.decode()}))

    async def receive(self) -> bytes:
        frame = await self._socket.recv()
        return frame if isinstance(frame, bytes) else frame.encode()


class Wetty(Socket):
    """WeTTY (npm): socket.io events `input` and `data`, and `commit` for what was received."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._reader = asyncio.ensure_future(self._read())

    @classmethod
    async def open(cls, address: str) -> Self:
        url = f"ws{address.removeprefix('http')}/wetty/socket.io/?EIO=4&transport=websocket"
        headers = {"Referer": f"{address}/wetty/", "Origin": address}
        opened = cls(await connect(url, additional_headers=headers, compression=None, max_size=None))
        await opened._socket.send("40")
        name, _ = await opened._events.get()
        if name != "login":  # what is typed earlier is lost
            raise RuntimeError(f"WeTTY said {name}")
        return opened

    async def _read(self) -> None:
        """Pings want an answer within seconds, also while nobody waits for output."""
        async for frame in self._socket:
            assert isinstance(frame, str)
            if frame == "2":
                await self._socket.send("3")
            elif frame.startswith("42"):
                name, *values = json.loads(frame[2:])
                self._events.put_nowait((name, values[0] if values else ""))
        self._events.put_nowait(("closed", ""))

    async def send(self, data: bytes) -> None:
        await self._say("input", data.decode())

    async def receive(self) -> bytes:
        name, value = await self._events.get()
        if name != "data":
            raise RuntimeError(f"WeTTY said {name}")
        await self._say("commit", len(value))
        return str(value).encode()

    async def close(self) -> None:
        self._reader.cancel()
        await super().close()

    async def _say(self, name: str, value: object) -> None:
        await self._socket.send(f"42{json.dumps([name, value])}")


class Shellinabox:
    """shellinabox (Debian): no WebSocket; each answer to a waiting request carries what the terminal wrote."""

    def __init__(self, address: str) -> None:
        self._api = httpx.AsyncClient(base_url=address, timeout=60)
        self._session = ""

    @classmethod
    async def open(cls, address: str) -> Self:
        opened = cls(address)
        opened._session = (await opened._ask(rooturl=f"{address}/"))["session"]
        while not await opened.receive():  # what is typed before the prompt may be lost
            pass
        return opened

    async def send(self, data: bytes) -> None:
        await self._ask(session=self._session, keys=data.hex().upper())

    async def receive(self) -> bytes:
        answer = await self._ask(session=self._session)
        return str(answer.get("data", "")).encode()

    async def close(self) -> None:
        await self._api.aclose()

    async def _ask(self, **fields: str) -> dict[str, Any]:
        form = {"width": str(SIZE[0]), "height": str(SIZE[1]), **fields}
        answer = (await self._api.post("/", data=form)).raise_for_status()
        if not answer.text.startswith("{"):
            return {}
        found: dict[str, Any] = json.loads(answer.text)
        return found


async def open_terminal(kind: str, place: dict[str, Any]) -> Terminal:
    """A terminal in a shell that waits for input."""
    match kind:
        case "clawdbox":
            terminal: Terminal = await Clawdbox.open(place["address"], place["token"], place["session"])
        case "webssh":
            terminal = await Webssh.open(place["address"], place["server"])
        case "WeTTY":
            terminal = await Wetty.open(place["address"])
        case _:
            terminal = await Shellinabox.open(place["address"])
    await until(terminal, b"ready-1", sends=b"echo ready-$((0+1))\r")
    return terminal


async def leave(terminal: Terminal) -> None:
    """Stop what runs and end the shell, since not every server ends it with its page."""
    await terminal.send(b"\x03")
    await terminal.send(b"exit\r")
    await terminal.close()


async def until(terminal: Terminal, words: bytes, *, sends: bytes = b"", patience: float = 60) -> int:
    """Send, and read until these words have come; how many bytes came."""
    tail, count = b"", 0
    if sends:
        await terminal.send(sends)
    async with asyncio.timeout(patience):
        while True:
            data = await terminal.receive()
            count += len(data)
            if words in tail + data:
                return count
            tail = (tail + data)[-len(words) :]


def unpack(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(text))
    return found


def pack(place: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(place).encode()).decode()
