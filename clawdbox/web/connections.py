"""`/connections`: saved SSH targets, and the test that approves their host key."""

import asyncio
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import delete, get, patch, post
from litestar.params import JSONBody, QueryParameter

from clawdbox.policy import Tier
from clawdbox.ssh.model import Connection, TestOutcome, TestResult
from clawdbox.ssh.rules import connections as rules
from clawdbox.web.box import Box
from clawdbox.web.fields import Fingerprint, Host, Id, Label, PathId, Port, Username
from clawdbox.web.gate import check_fresh
from clawdbox.web.limits import Limits, check
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at, visit_of

Jump = Annotated[
    str,
    msgspec.Meta(
        max_length=64,
        description="The saved server through which this one is reached.",
        examples=["019b9d3c-4a10-7c3e-9d56-0d2f6a1b2c3e"],
    ),
]


class OfferedHostKey(msgspec.Struct, frozen=True):
    """What the server showed last, when that is not (or no longer) the pinned key."""

    fingerprint: str
    type: str | None
    at: datetime | None


class ConnectionView(msgspec.Struct, frozen=True):
    id: str
    label: str
    host: str
    port: int
    username: str
    keypair_id: str
    jump_connection_id: str | None
    state: str
    host_key_fingerprint: str | None
    host_key_type: str | None
    host_key_pinned_at: datetime | None
    host_authority_id: str | None
    offered_host_key: OfferedHostKey | None
    last_tested_at: datetime | None
    last_test_result: str | None
    last_test_message: str | None
    last_latency_ms: float | None
    created_at: datetime
    updated_at: datetime
    tier: Tier
    judge_people: bool
    active_session_id: str | None


class ConnectionList(msgspec.Struct, frozen=True):
    connections: list[ConnectionView]


class OneConnection(msgspec.Struct, frozen=True):
    connection: ConnectionView


class NewConnection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: Label
    host: Host
    username: Username
    port: Port = 22
    keypair_id: Id | None = None
    jump_connection_id: Jump | None = None


class ConnectionPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes; a `jump_connection_id` of null means that the box dials it directly. `tier` says
    how much agents may do there unasked, `judge_people` whether what a person types into a conversation is judged, too."""

    label: Label | None = None
    host: Host | None = None
    port: Port | None = None
    username: Username | None = None
    keypair_id: Id | None = None
    jump_connection_id: Jump | msgspec.UnsetType | None = msgspec.UNSET
    tier: Tier | None = None
    judge_people: bool | None = None


class TestRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`accept_host_key` pins the key with that `fingerprint`, or without one the key that was shown last."""

    accept_host_key: bool = False
    fingerprint: Fingerprint | None = None


NOTHING_GIVEN = TestRequest()


class HostKeyView(msgspec.Struct, frozen=True):
    fingerprint: str
    type: str


class FailedHop(msgspec.Struct, frozen=True):
    """The jump host at which a dial failed."""

    connection_id: str
    label: str


class TestView(msgspec.Struct, frozen=True):
    result: str
    latency_ms: float | None
    cause: str | None
    message: str
    next_step: str | None
    host_key: HostKeyView | None
    server_version: str | None
    failed_hop: FailedHop | None
    connection: ConnectionView


class KeyRemovalView(msgspec.Struct, frozen=True):
    attempted: bool
    removed: bool | None
    message: str


class RemovedConnection(msgspec.Struct, frozen=True):
    connection: ConnectionView
    key_removal: KeyRemovalView


@get("/connections", summary="Saved servers", responses=usual())
async def list_connections(request: Req) -> ConnectionList:
    """`active_session_id` is the newest open session of each, if any."""
    box, who = at(request)
    connections, sessions = await asyncio.gather(
        box.connections.list(who.account_id), box.connections.active_sessions(who.account_id)
    )
    return ConnectionList([view(connection, sessions.get(connection.id)) for connection in connections])


@post(
    "/connections",
    opt={"action": "connection.create"},
    summary="Save a server",
    responses=usual(
        404,
        422,
        s409="The label is taken (`label_taken`), or the way cannot be (`jump_cycle`, `jump_too_long`).",
    ),
)
async def create_connection(request: Req, data: JSONBody[NewConnection]) -> OneConnection:
    """It is a draft until a test has succeeded. Nothing is dialled yet."""
    box, who = at(request)
    connection = await box.connections.create(
        who.actor,
        who.account_id,
        label=data.label,
        host=data.host,
        port=data.port,
        username=data.username,
        keypair_id=data.keypair_id,
        jump_connection_id=data.jump_connection_id,
    )
    return OneConnection(view(connection, None))


@get("/connections/{connection_id:str}", summary="A saved server", responses=usual(404))
async def get_connection(request: Req, connection_id: PathId) -> OneConnection:
    """One of the account's connections."""
    box, who = at(request)
    connection = await box.connections.get(who.account_id, connection_id)
    return await _one(box, connection)


@patch(
    "/connections/{connection_id:str}",
    opt={"action": "connection.update"},
    summary="Change a server",
    responses=usual(
        404,
        422,
        s409="A session is open (`connection_in_use`), the way cannot be (`jump_cycle`, `jump_too_long`), or `label_taken`.",
    ),
)
async def change_connection(
    request: Req, connection_id: PathId, data: JSONBody[ConnectionPatch]
) -> OneConnection:
    """Another host or port clears the pinned host key and the test's result, another jump host the test's result.

    To let agents ask less there (another tier, people judged no more), a person has to be there.
    """
    box, who = at(request)
    if data.tier or data.judge_people is not None:
        before = await box.connections.get(who.account_id, connection_id)
        if rules.lowers_policy(before, data.tier, data.judge_people):
            await check_fresh(box, visit_of(request.scope))
    connection = await box.connections.change(
        who.actor,
        who.account_id,
        connection_id,
        label=data.label,
        host=data.host,
        port=data.port,
        username=data.username,
        keypair_id=data.keypair_id,
        jump_connection_id=data.jump_connection_id,
        tier=data.tier,
        judge_people=data.judge_people,
    )
    return await _one(box, connection)


@post(
    "/connections/{connection_id:str}/test",
    status_code=200,
    opt={"action": "connection.test"},
    summary="Test a server",
    responses=usual(
        404,
        422,
        s409="The host key is not pinned yet (`host_key_unknown`, with `new_fingerprint` and `new_type`), or it is "
        "another one than before (`host_key_changed`, with `old_fingerprint`, too). No login was tried.",
    ),
)
async def run_test(
    request: Req, connection_id: PathId, data: JSONBody[TestRequest] = NOTHING_GIVEN
) -> TestView:
    """Logs in and runs `echo`. A failure is an answer, too: it names its cause and the next step."""
    box, who = at(request)
    limits: Limits = request.app.state["limits"]
    check(limits.test, f"{who.account_id} {connection_id}", box.clock.monotonic())
    outcome = await box.connections.test(
        who.actor,
        who.account_id,
        connection_id,
        accept_host_key=data.accept_host_key,
        fingerprint=data.fingerprint,
    )
    return await _test_view(box, outcome)


@delete(
    "/connections/{connection_id:str}",
    status_code=200,
    opt={"action": "connection.delete"},
    summary="Remove a server",
    responses=usual(
        404,
        422,
        s409="A session is open (`connection_in_use`, with `session_ids`), or others are reached through it"
        " (`connection_is_jump`, with `connections`).",
    ),
)
async def remove_connection(
    request: Req,
    connection_id: PathId,
    remove_key: Annotated[bool, QueryParameter(description="First take the key off the server.")] = False,
) -> RemovedConnection:
    """`key_removal` says whether the key is off the server."""
    box, who = at(request)
    connection, removal = await box.connections.remove(
        who.actor, who.account_id, connection_id, remove_key=remove_key
    )
    return RemovedConnection(
        view(connection, None), KeyRemovalView(removal.attempted, removal.removed, removal.message)
    )


async def _one(box: Box, connection: Connection) -> OneConnection:
    sessions = await box.connections.active_sessions(connection.account_id)
    return OneConnection(view(connection, sessions.get(connection.id)))


async def _test_view(box: Box, outcome: TestOutcome) -> TestView:
    mismatch = outcome.result is TestResult.HOST_KEY_MISMATCH
    key = outcome.host_key
    return TestView(
        result="host_key_changed" if mismatch else outcome.result.value,
        latency_ms=outcome.latency_ms,
        cause=outcome.cause,
        message=outcome.message,
        next_step=outcome.next_step,
        host_key=HostKeyView(key.fingerprint, key.type) if key else None,
        server_version=outcome.server_version,
        failed_hop=FailedHop(outcome.failed_hop.id, outcome.failed_hop.label) if outcome.failed_hop else None,
        connection=(await _one(box, outcome.connection)).connection,
    )


def view(connection: Connection, active_session_id: str | None) -> ConnectionView:
    return ConnectionView(
        id=connection.id,
        label=connection.label,
        host=connection.host,
        port=connection.port,
        username=connection.username,
        keypair_id=connection.keypair_id,
        jump_connection_id=connection.jump_connection_id,
        state=connection.state,
        host_key_fingerprint=connection.host_key_fingerprint,
        host_key_type=connection.host_key_type,
        host_key_pinned_at=connection.host_key_pinned_at,
        host_authority_id=connection.host_authority_id,
        offered_host_key=_offered(connection),
        last_tested_at=connection.last_tested_at,
        last_test_result=connection.last_test_result.value if connection.last_test_result else None,
        last_test_message=connection.last_test_message,
        last_latency_ms=connection.last_latency_ms,
        created_at=connection.created_at,
        updated_at=connection.updated_at,
        tier=Tier(connection.tier),
        judge_people=connection.judge_people,
        active_session_id=active_session_id,
    )


def _offered(connection: Connection) -> OfferedHostKey | None:
    if connection.offered_fingerprint is None:
        return None
    return OfferedHostKey(connection.offered_fingerprint, connection.offered_key_type, connection.offered_at)
