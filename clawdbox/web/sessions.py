"""`/sessions`: leases, and commands run over one."""

import base64
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody, QueryParameter

from clawdbox.errors import Invalid, NotFound
from clawdbox.ids import is_id
from clawdbox.ssh.model import Connection, ExecAnswer, Lease, LeaseStatus, MasterView
from clawdbox.web.box import Box
from clawdbox.web.fields import Id, PathId
from clawdbox.web.limits import Limits, check
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at, public_origin, visit_of

MAX_OUTPUT = 8 * 1_048_576
STATES = ["pending", "active", "closed", "error"]


class SessionConnection(msgspec.Struct, frozen=True):
    id: str
    label: str
    host: str
    port: int
    username: str


class SessionMaster(msgspec.Struct, frozen=True):
    """The warm SSH connection of an open session; `grace_ends_at` only while it is lost and redialled."""

    state: str
    since: datetime
    redials: int
    grace_ends_at: datetime | None


class SessionView(msgspec.Struct, frozen=True):
    id: str
    status: str
    connection_id: str
    connection: SessionConnection
    keypair_id: str
    agent_session_id: str | None
    conversation_id: str | None
    chat_url: str
    started_at: datetime | None
    closed_at: datetime | None
    close_reason: str | None
    error_detail: str | None
    last_heartbeat_at: datetime | None
    created_at: datetime
    idle_timeout_s: int
    last_activity_at: datetime | None
    master: SessionMaster | None


class SessionList(msgspec.Struct, frozen=True):
    sessions: list[SessionView]
    total: int
    limit: int
    offset: int


class OneSession(msgspec.Struct, frozen=True):
    session: SessionView


class NewSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    connection_id: Id


class ExecRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    command: Annotated[str, msgspec.Meta(min_length=1, max_length=100_000, examples=["uptime"])]
    timeout_s: (
        Annotated[float, msgspec.Meta(ge=0.1, le=86_400, description="Default 25, at most 600.")] | None
    ) = None
    max_output_bytes: (
        Annotated[int, msgspec.Meta(ge=1, le=MAX_OUTPUT, description="Default 1 MiB.")] | None
    ) = None
    shell: Annotated[
        Literal["fresh", "kept"],
        msgspec.Meta(
            description="`kept` runs it in one `sh` that stays open on the server: faster, and less faithful."
        ),
    ] = "fresh"


class ExecView(msgspec.Struct, frozen=True):
    """`exit_status` null: the link was lost, and nobody knows. Output that is no UTF-8 comes as base64, both streams."""

    exit_status: int | None
    stdout: str
    stderr: str
    encoding: str
    truncated: bool
    timed_out: bool
    duration_ms: float


@post(
    "/sessions",
    opt={"action": "session.start"},
    summary="Start a session",
    responses=usual(
        404,
        422,
        502,
        504,
        s409="`connection_untested`, `lease_limit_reached`, `host_key_changed` or `keypair_revoked`.",
    ),
)
async def start_session(request: Req, data: JSONBody[NewSession]) -> OneSession:
    """Dials the server and answers when the session is active. Send an Idempotency-Key: each call makes a new one."""
    box, who = at(request)
    if not is_id(data.connection_id):
        raise NotFound
    limits: Limits = request.app.state["limits"]
    check(limits.session_start, who.account_id, box.clock.monotonic())
    lease = await box.leases.start(who.actor, who.account_id, data.connection_id)
    return await _one(request, lease)


@get("/sessions", summary="Sessions", responses=usual(422))
async def list_sessions(
    request: Req,
    status: Annotated[
        str | None, QueryParameter(description="Only those in this state.", enum=STATES, max_length=16)
    ] = None,
    connection_id: Annotated[
        str | None, QueryParameter(description="Only those of this connection.", max_length=64)
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200, description="How many at most.")] = 20,
    offset: Annotated[int, QueryParameter(ge=0, le=1_000_000, description="How many to skip.")] = 0,
) -> SessionList:
    """The newest first; `total` counts all that match."""
    box, who = at(request)
    leases, total = await box.leases.list(
        who.account_id,
        status=_status(status),
        connection_id=connection_id or None,
        limit=limit,
        offset=offset,
    )
    return SessionList(await Views(request).of(leases), total, limit, offset)


@get("/sessions/{session_id:str}", summary="A session", responses=usual(404))
async def get_session(request: Req, session_id: PathId) -> OneSession:
    """Its state, its master's state, and where its chat is (`chat_url`)."""
    box, who = at(request)
    return await _one(request, await box.leases.get(who.account_id, session_id))


@delete(
    "/sessions/{session_id:str}",
    status_code=200,
    opt={"action": "session.close"},
    summary="Close a session",
    responses=usual(404),
)
async def close_session(request: Req, session_id: PathId) -> OneSession:
    """Signals what runs on the server and closes the link. Repeating it changes nothing."""
    box, who = at(request)
    return await _one(request, await box.leases.close(who.actor, who.account_id, session_id))


@post(
    "/sessions/{session_id:str}/exec",
    status_code=200,
    opt={"action": "session.exec", "unlimited": True},
    summary="Run a command",
    responses=usual(
        404,
        422,
        s409="`session_not_active`, `session_reconnecting`, the server refused (`command_refused`), or what people type"
        " there is asked about first (`command_judged`).",
    ),
)
async def exec_command(request: Req, session_id: PathId, data: JSONBody[ExecRequest]) -> ExecView:
    """At most once: after a lost link it is never run again by itself. Its own time-out counts, not the request's."""
    box, who = at(request)
    settings = box.settings
    timeout_s = settings.exec_timeout_s if data.timeout_s is None else data.timeout_s
    if timeout_s > settings.exec_timeout_max_s:
        raise Invalid("timeout_s", f"Choose at most {settings.exec_timeout_max_s:g} seconds.")
    answer = await box.execs.execute(
        who.actor,
        who.account_id,
        session_id,
        data.command,
        timeout_s=timeout_s,
        max_output_bytes=data.max_output_bytes or settings.exec_output_bytes,
        kept_shell=data.shell == "kept",
        on_start=box.conversations.typed_check(who.account_id, session_id, data.command),
    )
    return exec_view(answer)


def exec_view(answer: ExecAnswer) -> ExecView:
    stdout, stderr = answer.stdout, answer.stderr
    if answer.truncated:
        stdout, stderr = whole_characters(stdout), whole_characters(stderr)
    try:
        encoding, texts = "utf-8", (stdout.decode(), stderr.decode())
    except UnicodeDecodeError:
        encoding = "base64"
        texts = base64.b64encode(answer.stdout).decode(), base64.b64encode(answer.stderr).decode()
    return ExecView(
        exit_status=answer.exit_status,
        stdout=texts[0],
        stderr=texts[1],
        encoding=encoding,
        truncated=answer.truncated,
        timed_out=answer.timed_out,
        duration_ms=round(answer.duration_ms, 2),
    )


def whole_characters(data: bytes) -> bytes:
    """Without the last UTF-8 character, if a cap has cut it."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            wanted = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return data[:-back] if wanted > back else data
    return data


def _status(text: str | None) -> LeaseStatus | None:
    if not text:
        return None
    if text not in STATES:
        raise Invalid("status", f"Choose one of {', '.join(STATES)}.")
    return LeaseStatus(text)


async def _one(request: Req, lease: Lease) -> OneSession:
    return OneSession((await Views(request).of([lease]))[0])


class Views:
    """Leases as the API shows them, each with its connection, its master and its conversation."""

    def __init__(self, request: Req) -> None:
        self._box, self._who = at(request)
        self._origin = public_origin(self._box, visit_of(request.scope))

    async def of(self, leases: list[Lease]) -> list[SessionView]:
        idle_timeout_s = await self._box.leases.idle_timeout_s(self._who.account_id)
        ids = {lease.connection_id for lease in leases}
        connections = {id_: await self._connection(id_) for id_ in ids}
        conversations = {id_: await conversation_id(self._box, self._who.account_id, id_) for id_ in ids}
        return [
            self._view(
                lease, connections[lease.connection_id], conversations[lease.connection_id], idle_timeout_s
            )
            for lease in leases
        ]

    async def _connection(self, connection_id: str) -> Connection:
        return await self._box.connections.get(self._who.account_id, connection_id, deleted=True)

    def _view(
        self, lease: Lease, connection: Connection, conversation: str | None, idle_timeout_s: int
    ) -> SessionView:
        return SessionView(
            id=lease.id,
            status=lease.status.value,
            connection_id=lease.connection_id,
            connection=SessionConnection(
                connection.id, connection.label, connection.host, connection.port, connection.username
            ),
            keypair_id=lease.keypair_id,
            agent_session_id=lease.agent_session_id,
            conversation_id=conversation,
            chat_url=f"{self._origin}/sessions/{lease.id}",
            started_at=lease.started_at,
            closed_at=lease.closed_at,
            close_reason=lease.close_reason.value if lease.close_reason else None,
            error_detail=lease.error_detail,
            last_heartbeat_at=lease.last_heartbeat_at,
            created_at=lease.created_at,
            idle_timeout_s=idle_timeout_s,
            last_activity_at=lease.last_activity_at,
            master=_master(self._box.leases.master(lease.id)),
        )


async def conversation_id(box: Box, account_id: str, connection_id: str) -> str | None:
    try:
        return (await box.conversations.of_connection(account_id, connection_id)).id
    except NotFound:
        return None


def _master(master: MasterView | None) -> SessionMaster | None:
    return (
        SessionMaster(master.state.value, master.since, master.redials, master.grace_ends_at)
        if master
        else None
    )
