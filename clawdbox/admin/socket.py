"""The socket through which a running box takes the verbs.

It is the person's own (0600) and the caller's user id is checked besides, so there is no login here.
One request a line: `{"verb": …, "args": {…}}`, answered by `{"ok": true, "result": …}` or `{"ok": false, "problem": …}`.
"""

import asyncio
import hashlib
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from clawdbox import logs
from clawdbox.admin.args import Answer
from clawdbox.admin.verbs import perform
from clawdbox.errors import Invalid, Problem


class Holder(Protocol):
    """Whose socket it is: a box, or one that still waits for its passphrase."""

    data_dir: Path


Perform = Callable[[Any, str, object], Awaitable[Answer]]

log = logs.get("admin")
SOCKET = "admin.sock"
MAX_LINE = 1_048_576
_MAX_PATH = 107  # sun_path holds 108 bytes with its final zero (unix(7))
_IDLE_TIMEOUT_S = 60.0


class AdminSocket:
    """Answers the verbs for the life of a box. `path` is where it listens."""

    def __init__(
        self, box: Holder, environment: Mapping[str, str] = os.environ, perform: Perform = perform
    ) -> None:
        self._box = box
        self._perform = perform
        self.path = socket_path(box.data_dir, environment)
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """The caller holds the instance lock, so whatever lies at `path` was left by a box that died."""
        if self.path.parent != self._box.data_dir:
            _private_folder(self.path.parent)
        with suppress(FileNotFoundError):
            self.path.unlink()
        listener = _bind(self.path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        with suppress(FileNotFoundError):
            self.path.unlink()
        for caller in self._callers:
            caller.cancel()
        if self._callers:
            await asyncio.wait(self._callers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = asyncio.current_task()
        assert caller is not None
        self._callers.add(caller)
        try:
            if _peer_uid(writer.get_extra_info("socket")) in (0, os.geteuid()):
                await self._answer_all(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.LimitOverrunError, ValueError):
            pass  # gone, silent or too long: nothing was begun that would have to be undone
        except asyncio.CancelledError:
            pass  # the box stops; asyncio 3.11 would complain of a cancelled caller
        finally:
            self._callers.discard(caller)
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await asyncio.wait_for(reader.readline(), _IDLE_TIMEOUT_S):
            writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
            await writer.drain()

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return _problem(Invalid("request", f"This is no request: {error}."))
        try:
            result = await self._perform(self._box, request.verb, request.args)
        except Problem as problem:
            return _problem(problem)
        except Exception:
            log.exception("admin.failed")
            return _problem(Problem("internal", "The box failed at this; its log says where."))
        log.info("admin.done", verb=request.verb)
        return {"ok": True, "result": result}


class Request(msgspec.Struct, frozen=True):
    verb: str
    args: dict[str, Any] = {}


def socket_path(data_dir: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """In the data folder, unless that path is too long for a socket's address."""
    path = data_dir / SOCKET
    if len(os.fsencode(path)) <= _MAX_PATH:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:32]
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    parent = Path(runtime) if runtime.startswith("/") and len(runtime) < 40 else Path("/tmp")  # noqa: S108 - a private folder in it
    return parent / f"clawdbox-{os.geteuid()}" / f"{name}.sock"


def _private_folder(folder: Path) -> None:
    """In /tmp anybody may have made one of this name first."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
        raise Problem(
            "admin_socket_folder",
            f"{folder} is not a folder of this user alone (0700). Remove it, then start again.",
        )


def _bind(path: Path) -> socket.socket:
    """Nobody else may open it at any moment: the mode is right from the first."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _peer_uid(peer: Any) -> int:
    _, uid, _ = struct.unpack(
        "3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    return int(uid)


def _problem(problem: Problem) -> Answer:
    detail = msgspec.to_builtins(problem.detail)
    return {"ok": False, "problem": {"code": problem.code, "message": problem.message, "detail": detail}}
