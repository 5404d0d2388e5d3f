"""A gateway whose course a test writes: it speaks protocol 4 and checks signatures, and misbehaves on demand."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Json = dict[str, Any]
Course = Callable[["Visitor", Json], Awaitable[None]]


class Visitor:
    """One connection that was let in."""

    def __init__(self, gateway: "ScriptedGateway", socket: ServerConnection) -> None:
        self.gateway = gateway
        self.socket = socket
        self.seq = 0

    async def event(self, name: str, payload: Json, *, skip: int = 0) -> None:
        """`skip` events before it are lost."""
        self.seq += 1 + skip
        await self.send({"type": "event", "event": name, "payload": payload, "seq": self.seq})

    async def send(self, frame: Json) -> None:
        await self.socket.send(json.dumps(frame))

    async def chat(self, run: Json, state: str, *, skip: int = 0, **more: Any) -> None:
        payload = {"runId": run["runId"], "sessionKey": run["key"], "seq": self.seq, "state": state, **more}
        await self.event("chat", payload, skip=skip)

    async def delta(self, run: Json, text: str, *, skip: int = 0) -> None:
        """The run says more. Its gateway remembers all of it."""
        run["text"] += text
        message = {"role": "assistant", "content": [{"type": "text", "text": run["text"]}]}
        await self.chat(run, "delta", deltaText=text, message=message, skip=skip)

    async def agent(self, run: Json, stream: str, data: Json) -> None:
        payload = {"runId": run["runId"], "sessionKey": run["key"], "stream": stream, "data": data}
        await self.event("agent", payload)

    async def final(self, run: Json, **usage: int) -> None:
        self.gateway.end(run, usage=usage)
        await self.chat(run, "final", message={"role": "assistant", "content": run["text"]})


async def greets(visitor: Visitor, run: Json) -> None:
    await visitor.delta(run, "Hello.")
    await visitor.final(run, input=11, output=3)


class ScriptedGateway:
    """`course` is how a run goes; `on_greeting` may take over a connection before anything is said."""

    def __init__(self, token: str = "t0ken") -> None:
        self.token = token
        self.port = 0
        self.nonce = "nonce-0123456789"
        self.requires_pairing = False
        self.paired: set[str] = set()
        self.course: Course = greets
        self.on_greeting: Callable[[ServerConnection], Awaitable[bool]] | None = None
        self.greetings: list[Json] = []
        self.requests: list[Json] = []
        self.approvals: list[Json] = []
        self.resolved: list[tuple[str, str]] = []
        self.rows: list[Json] = []
        self.runs: dict[str, Json] = {}
        self.visitors: list[Visitor] = []
        self.problems: list[str] = []
        self._server: Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await serve(self._welcome, "127.0.0.1", self.port, max_size=None, compression=None)
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.go_away()
        assert self.problems == []

    async def go_away(self) -> None:
        """As a gateway that is killed: what it knew of keys and runs goes, its history stays."""
        for task in list(self._tasks):
            task.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        self.visitors.clear()
        self.runs.clear()
        self.approvals.clear()

    async def come_back(self) -> None:
        await self.__aenter__()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def sent(self) -> list[Json]:
        return [request["params"] for request in self.requests if request["method"] == "chat.send"]

    def asked(self, method: str) -> list[Json]:
        return [request["params"] for request in self.requests if request["method"] == method]

    def end(self, run: Json, *, stop: str = "stop", usage: Json | None = None) -> None:
        """Into the history."""
        run["live"] = False
        self.rows.append(
            {
                "role": "assistant", "content": [{"type": "text", "text": run["text"]}], "stopReason": stop,
                "usage": {"input": 0, "output": 0, **(usage or {})}, "__openclaw": {"runId": run["runId"]},
            }
        )  # fmt: skip

    # inside

    async def _welcome(self, socket: ServerConnection) -> None:
        try:
            if self.on_greeting is not None and await self.on_greeting(socket):
                return
            visitor = await self._let_in(socket)
            if visitor is None:
                return
            self.visitors.append(visitor)
            async for message in socket:
                await self._answer(visitor, json.loads(message))
        except (ConnectionClosed, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001 - a test is to hear of it
            self.problems.append(repr(error))

    async def _let_in(self, socket: ServerConnection) -> Visitor | None:
        visitor = Visitor(self, socket)
        stamp = int(time.time() * 1000)
        await visitor.send(
            {"type": "event", "event": "connect.challenge", "payload": {"nonce": self.nonce, "ts": stamp}}
        )
        frame = json.loads(await socket.recv())
        given = frame["params"]
        self.greetings.append(given)
        refusal = self._refusal(given, stamp)
        if refusal is not None:
            await visitor.send({"type": "res", "id": frame["id"], "ok": False, "error": refusal})
            await socket.close(1008, refusal["message"])
            return None
        hello = {
            "type": "hello-ok", "protocol": 4, "server": {"version": "2026.9.6", "connId": "x"},
            "auth": {"role": "operator", "scopes": given["scopes"], "deviceToken": f"dt-{given['device']['id'][:8]}"},
            "policy": {"tickIntervalMs": 30000},
        }  # fmt: skip
        await visitor.send({"type": "res", "id": frame["id"], "ok": True, "payload": hello})
        return visitor

    def _refusal(self, given: Json, stamp: int) -> Json | None:
        device, auth = given["device"], given["auth"]
        public = _unbase64url(device["publicKey"])
        if hashlib.sha256(public).hexdigest() != device["id"] or device["nonce"] != self.nonce:
            return _error("INVALID_REQUEST", "device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH")
        signed = "|".join(
            [
                "v3", device["id"], given["client"]["id"], given["client"]["mode"], given["role"],
                ",".join(given["scopes"]), str(stamp), auth.get("token") or auth.get("deviceToken") or "",
                self.nonce, given["client"]["platform"], "",
            ]
        )  # fmt: skip
        Ed25519PublicKey.from_public_bytes(public).verify(_unbase64url(device["signature"]), signed.encode())
        if auth.get("deviceToken"):
            if auth["deviceToken"] != f"dt-{device['id'][:8]}":
                return _error("INVALID_REQUEST", "device token mismatch", "AUTH_DEVICE_TOKEN_MISMATCH")
        elif auth.get("token") != self.token and auth.get("password") != self.token:
            return _error("INVALID_REQUEST", "unauthorized", "AUTH_TOKEN_MISMATCH")
        if self.requires_pairing and device["id"] not in self.paired:
            more = {"requestId": "11111111-2222-3333-4444-555555555555"}
            return _error("NOT_PAIRED", "pairing required", "PAIRING_REQUIRED", **more)
        return None

    async def _answer(self, visitor: Visitor, request: Json) -> None:
        self.requests.append(request)
        verb = getattr(self, "_" + request["method"].replace(".", "_"))
        payload = await verb(visitor, request["params"])
        if payload is not None:
            await visitor.send({"type": "res", "id": request["id"], "ok": True, "payload": payload})

    async def _sessions_create(self, _visitor: Visitor, params: Json) -> Json:
        key = params["key"]
        return {"ok": True, "key": key if key.startswith("agent:") else f"agent:main:{key}"}

    async def _chat_send(self, visitor: Visitor, params: Json) -> Json:
        key = params["idempotencyKey"]
        if key in self.runs:
            return {"runId": key, "status": "in_flight" if self.runs[key]["live"] else "ok"}
        self.rows.append({"role": "user", "content": params["message"], "idempotencyKey": f"{key}:user"})
        run = self.runs[key] = {"runId": key, "key": params["sessionKey"], "text": "", "live": True}
        task = asyncio.get_running_loop().create_task(self._course(visitor, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return {"runId": key, "status": "started"}

    async def _course(self, visitor: Visitor, run: Json) -> None:
        try:
            await self.course(visitor, run)
        except ConnectionClosed:
            pass
        except Exception as error:  # noqa: BLE001 - as above
            self.problems.append(repr(error))

    async def _chat_history(self, _visitor: Visitor, params: Json) -> Json:
        live = [run for run in self.runs.values() if run["live"]]
        about = {
            "status": "running" if live else "done",
            "hasActiveRun": bool(live),
            "activeRunIds": [r["runId"] for r in live],
        }
        more: Json = {"inFlightRun": {"runId": live[0]["runId"], "text": live[0]["text"]}} if live else {}
        if "cursor" in params:
            begin = int(params["cursor"])
            rows = [{"message": row} for row in self.rows[begin:]]
            more |= {"kind": "delta"}
        else:
            rows = self.rows[-params["limit"] :]
        return {
            "messages": rows,
            "deltaCursor": str(len(self.rows)),
            "hasMore": False,
            "sessionInfo": about,
            **more,
        }

    async def _chat_abort(self, visitor: Visitor, params: Json) -> Json:
        for run in self.runs.values():
            if run["live"]:
                self.end(run)
                await visitor.chat(run, "aborted", stopReason="rpc")
        return {"ok": True, "aborted": True}

    async def _exec_approval_list(self, _visitor: Visitor, _params: Json) -> list[Json]:
        return self.approvals

    async def _exec_approval_resolve(self, visitor: Visitor, params: Json) -> Json:
        self.resolved.append((params["id"], params["decision"]))
        self.approvals = [one for one in self.approvals if one["id"] != params["id"]]
        await visitor.event("exec.approval.resolved", {"id": params["id"], "decision": params["decision"]})
        return {"ok": True}

    async def request_approval(self, visitor: Visitor, run: Json, id_: str, command: str) -> None:
        request = {
            "command": command,
            "cwd": "/srv",
            "host": "gateway",
            "sessionKey": run["key"],
            "runId": run["runId"],
        }
        self.approvals.append({"id": id_, "request": request})
        await visitor.event("exec.approval.requested", {"id": id_, "request": request})


def _error(code: str, message: str, reason: str, **more: Any) -> Json:
    return {"code": code, "message": message, "details": {"code": reason, **more}}


def _unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
