"""The dialogue with a gateway: challenge, connect, hello; then requests with their answers, and events."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

import msgspec
from websockets.exceptions import ConnectionClosed

from clawdbox import __version__
from clawdbox.agents.runtimes.openclaw import frames
from clawdbox.agents.runtimes.openclaw.frames import (
    PROTOCOL,
    Challenge,
    Event,
    Failure,
    Hello,
    Malformed,
    Response,
)
from clawdbox.agents.runtimes.openclaw.wire import device as devices
from clawdbox.agents.runtimes.openclaw.wire.device import Device

HANDSHAKE_S = 15.0
ANSWER_S = 30.0
_MOST_EVENTS = 2000  # not yet taken; further ones are missed, and the history has them
_MOST_PENDING = 64
_CLOSE_S = 2.0
CAPS = ("tool-events", "exec-approvals")


class Refused(Exception):
    """The gateway answered a request with an error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.reason}: {failure.message}")
        self.failure = failure
        self.reason = failure.reason


class Lost(Exception):
    """There is no connection to the gateway any more, or what came over it was no answer."""


class Socket(Protocol):
    """What is needed of a WebSocket."""

    async def send(self, message: str) -> None: ...
    async def recv(self) -> str | bytes: ...
    async def close(self, code: int = 1000, reason: str = "") -> None: ...


class Credentials(msgspec.Struct, frozen=True):
    """At most one of them is sent. Never in a log: there is no repr of it."""

    token: str = ""
    password: str = ""
    device_token: str = ""

    def __repr__(self) -> str:
        return "<Credentials>"


class Client:
    """A gateway that has said hello. `wanted` are the names of events that are kept for `next_event`."""

    def __init__(self, socket: Socket, hello: Hello, wanted: frozenset[str]) -> None:
        self.hello = hello
        self._socket = socket
        self._wanted = wanted
        self._count = 0
        self._pending: dict[str, asyncio.Future[Response]] = {}
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._last_seq: int | None = None
        self._missed = False
        self._lost: str | None = None
        self._reading = asyncio.get_running_loop().create_task(self._read())

    # asking

    async def request(self, method: str, params: dict[str, Any], timeout: float = ANSWER_S) -> msgspec.Raw:
        """The payload of the answer. Raises Refused and Lost."""
        if self._lost is not None:
            raise Lost(self._lost)
        if len(self._pending) >= _MOST_PENDING:
            raise Lost("too many requests are unanswered")
        self._count += 1
        id_ = str(self._count)
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._pending[id_] = answer
        try:
            async with asyncio.timeout(timeout):
                await self._socket.send(frames.request(id_, method, params))
                response = await answer
        except TimeoutError:
            raise Lost(f"no answer to {method} in {timeout:g} s") from None
        except (ConnectionClosed, OSError):
            raise Lost(self._why) from None
        finally:
            self._pending.pop(id_, None)
        if not response.ok:
            raise Refused(response.error or Failure())
        return response.payload

    # hearing

    async def next_event(self) -> Event | None:
        """The next one that is wanted; None when some were missed, so that the history must be read. Raises Lost."""
        while True:
            if self._missed:
                self._missed = False
                return None
            if self._events:
                return self._events.popleft()
            if self._lost is not None:
                raise Lost(self._lost)
            self._arrived.clear()
            await self._arrived.wait()

    @property
    def _why(self) -> str:
        return self._lost or "the connection ended"

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait({self._reading})
        self._end("the connection was closed")
        await close_quietly(self._socket)

    async def _read(self) -> None:
        try:
            while True:
                self._take(frames.read(await self._socket.recv()))
        except Malformed as error:
            self._end(f"it sent what is no frame of its protocol ({error})")
            await close_quietly(self._socket, 1002)
        except (ConnectionClosed, OSError):
            self._end("the connection ended")

    def _take(self, frame: Response | Event) -> None:
        if isinstance(frame, Response):
            waiting = self._pending.get(frame.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
            return
        if frame.event == "connect.challenge":
            raise Malformed("a second challenge")
        if frame.seq is not None:
            if self._last_seq is not None and frame.seq != self._last_seq + 1:
                self._miss()
            self._last_seq = frame.seq
        if frame.event not in self._wanted:
            return
        if len(self._events) >= _MOST_EVENTS:
            self._events.clear()
            self._miss()
            return
        self._events.append(frame)
        self._arrived.set()

    def _miss(self) -> None:
        self._missed = True
        self._arrived.set()

    def _end(self, reason: str) -> None:
        self._lost = self._lost or reason
        self._arrived.set()
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError(reason))


async def shake_hands(
    socket: Socket,
    device: Device,
    credentials: Credentials,
    wanted: frozenset[str],
    scopes: tuple[str, ...] = devices.SCOPES,
) -> Client:
    """Answer the challenge and be let in. Raises Refused (PAIRING_REQUIRED among others) and Lost."""
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            challenge = await _challenge(socket)
            await socket.send(
                frames.request("connect", "connect", _greeting(challenge, device, credentials, scopes))
            )
            return Client(socket, await _hello(socket), wanted)
    except TimeoutError:
        raise Lost("it listens, and says nothing: this may be no OpenClaw gateway") from None
    except Malformed as error:
        raise Lost(f"it does not speak the protocol of an OpenClaw gateway ({error})") from None
    except ConnectionClosed as closed:
        reason = closed.rcvd.reason[:200] if closed.rcvd else ""
        raise Lost(reason or "the connection ended while it was being made") from None
    except OSError:
        raise Lost("the connection ended while it was being made") from None


async def _challenge(socket: Socket) -> Challenge:
    frame = frames.read(await socket.recv())
    if not isinstance(frame, Event) or frame.event != "connect.challenge":
        raise Malformed("no challenge at the beginning")
    return frames.payload(frame.payload, Challenge)


async def _hello(socket: Socket) -> Hello:
    """What answers `connect`; events may come before it."""
    while True:
        frame = frames.read(await socket.recv())
        if isinstance(frame, Event):
            if frame.event == "connect.challenge":
                raise Malformed("a second challenge")
            continue
        if frame.id != "connect":
            raise Malformed("an answer to another question")
        if not frame.ok:
            raise Refused(frame.error or Failure())
        hello = frames.payload(frame.payload, Hello)
        if hello.protocol != PROTOCOL:
            raise Malformed(f"protocol {hello.protocol} instead of {PROTOCOL}")
        return hello


def _greeting(
    challenge: Challenge, device: Device, credentials: Credentials, scopes: tuple[str, ...]
) -> dict[str, Any]:
    auth = {
        name: secret
        for name, secret in (
            ("token", credentials.token),
            ("password", credentials.password),
            ("deviceToken", credentials.device_token),
        )
        if secret
    }
    proof = device.proof(challenge, credentials.token or credentials.device_token, scopes)
    return {
        "minProtocol": PROTOCOL,
        "maxProtocol": PROTOCOL,
        "client": {
            "id": devices.CLIENT_ID,
            "displayName": "clawdbox",
            "version": __version__,
            "platform": devices.PLATFORM,
            "mode": devices.CLIENT_MODE,
        },
        "role": devices.ROLE,
        "scopes": list(scopes),
        "caps": list(CAPS),
        "auth": auth,
        "device": msgspec.to_builtins(proof),
        "userAgent": f"clawdbox/{__version__}",
    }


async def close_quietly(socket: Socket, code: int = 1000) -> None:
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_S):
            await socket.close(code)
