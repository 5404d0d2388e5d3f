"""`/fleet-runs`: a command on many connections at once, and what each of them answered."""

import base64
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from clawdbox.errors import Invalid, NotFound
from clawdbox.ids import is_id
from clawdbox.ssh.model.fleet import SHORT_BYTES, FleetAnswer, FleetRun
from clawdbox.web.fields import Id, PathId
from clawdbox.web.limits import Limits, check
from clawdbox.web.problems import usual
from clawdbox.web.sessions import whole_characters
from clawdbox.web.snippets import Values
from clawdbox.web.visit import Req, at


class FleetAnswerView(msgspec.Struct, frozen=True):
    """Equal answers have an equal `digest`. `cause`, `message` and `next_step` say why there is none, or no good one.

    Output that is no UTF-8 comes as base64, both streams (`encoding`). `truncated`: the server wrote more than was kept;
    `shortened`: more was kept than is shown in this list, see the answer's own address.
    """

    id: str
    connection_id: str
    label: str
    session_id: str | None
    state: str
    exit_status: int | None
    stdout: str
    stderr: str
    encoding: str
    truncated: bool
    shortened: bool
    digest: str | None
    duration_ms: float | None
    cause: str | None
    message: str | None
    next_step: str | None
    started_at: datetime | None
    ended_at: datetime | None


class FleetRunView(msgspec.Struct, frozen=True):
    """`title` is the snippet's label; `counts` tells how many answers are in which state."""

    id: str
    title: str | None
    command: str
    timeout_s: float
    state: str
    counts: dict[str, int]
    created_at: datetime
    ended_at: datetime | None


class FleetRunList(msgspec.Struct, frozen=True):
    fleet_runs: list[FleetRunView]
    total: int
    limit: int
    offset: int


class OneFleetRun(msgspec.Struct, frozen=True):
    fleet_run: FleetRunView
    answers: list[FleetAnswerView]


class OneFleetAnswer(msgspec.Struct, frozen=True):
    answer: FleetAnswerView


class NewFleetRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either `command`, or `snippet_id` with its `values`."""

    connection_ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=1_000)]
    command: Annotated[str, msgspec.Meta(min_length=1, max_length=100_000, examples=["uptime"])] | None = None
    snippet_id: Id | None = None
    values: Values = {}
    timeout_s: (
        Annotated[
            float, msgspec.Meta(ge=0.1, le=86_400, description="For each server. Default 60, at most 600.")
        ]
        | None
    ) = None


@post(
    "/fleet-runs",
    opt={"action": "fleet.run"},
    summary="Run a command on many servers",
    responses=usual(404, 422, s409="Four runs are going on already (`fleet_limit_reached`)."),
)
async def start_fleet_run(request: Req, data: JSONBody[NewFleetRun]) -> OneFleetRun:
    """Answers at once; what the servers say comes in as they say it. At most once on each of them, even over a crash.

    A server with an active session is asked over it. For the others a session is made and closed afterwards, a few at a
    time and within the limit of open sessions. Send an Idempotency-Key: each call makes a new run.
    """
    box, who = at(request)
    limits: Limits = request.app.state["limits"]
    check(limits.fleet, who.account_id, box.clock.monotonic())
    if not all(is_id(connection_id) for connection_id in data.connection_ids):
        raise NotFound
    timeout_s = box.settings.fleet_timeout_s if data.timeout_s is None else data.timeout_s
    if timeout_s > box.settings.exec_timeout_max_s:
        raise Invalid("timeout_s", f"Choose at most {box.settings.exec_timeout_max_s:g} seconds.")
    command, title = data.command, None
    if (data.command is None) == (data.snippet_id is None):
        raise Invalid("command", "Give either a command or a snippet.")
    if data.snippet_id is not None:
        title, command = await box.snippets.rendered(who.account_id, data.snippet_id, data.values)
    run = await box.fleet.start(
        who.actor, who.account_id, command or "", data.connection_ids, timeout_s=timeout_s, title=title
    )
    return _one(*await box.fleet.get(who.account_id, run.id))


@get("/fleet-runs", summary="Fleet runs", responses=usual(422))
async def list_fleet_runs(
    request: Req,
    limit: Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")] = 20,
    offset: Annotated[int, QueryParameter(ge=0, le=1_000_000, description="How many to skip.")] = 0,
) -> FleetRunList:
    """The newest first. The last 100 are kept."""
    box, who = at(request)
    runs, total = await box.fleet.page(who.account_id, limit, offset)
    return FleetRunList([_run(run, counts) for run, counts in runs], total, limit, offset)


@get("/fleet-runs/{fleet_run_id:str}", summary="A fleet run", responses=usual(404))
async def get_fleet_run(request: Req, fleet_run_id: PathId) -> OneFleetRun:
    """With the answer of each server; long output is shortened to 4 KiB here."""
    box, who = at(request)
    return _one(*await box.fleet.get(who.account_id, fleet_run_id))


@get(
    "/fleet-runs/{fleet_run_id:str}/answers/{answer_id:str}",
    summary="One server's answer",
    responses=usual(404),
)
async def get_fleet_answer(request: Req, fleet_run_id: PathId, answer_id: PathId) -> OneFleetAnswer:
    """With all that was kept of its output: 64 KiB of each stream."""
    box, who = at(request)
    return OneFleetAnswer(_answer(await box.fleet.answer(who.account_id, fleet_run_id, answer_id)))


@post(
    "/fleet-runs/{fleet_run_id:str}/cancel",
    status_code=200,
    opt={"action": "fleet.cancel"},
    summary="Cancel a fleet run",
    responses=usual(404),
)
async def cancel_fleet_run(request: Req, fleet_run_id: PathId) -> OneFleetRun:
    """Stops what runs and sends nothing more. A run that has ended stays as it is."""
    box, who = at(request)
    return _one(*await box.fleet.cancel(who.actor, who.account_id, fleet_run_id))


def _one(run: FleetRun, answers: list[FleetAnswer]) -> OneFleetRun:
    counts: dict[str, int] = {}
    for answer in answers:
        counts[answer.outcome.state.value] = counts.get(answer.outcome.state.value, 0) + 1
    return OneFleetRun(_run(run, counts), [_answer(answer, SHORT_BYTES) for answer in answers])


def _run(run: FleetRun, counts: dict[str, int]) -> FleetRunView:
    return FleetRunView(
        run.id, run.title, run.command, run.timeout_s, run.state.value, counts, run.created_at, run.ended_at
    )


def _answer(answer: FleetAnswer, most: int | None = None) -> FleetAnswerView:
    outcome = answer.outcome
    stdout, stderr = outcome.stdout[:most], outcome.stderr[:most]
    shortened = len(stdout) + len(stderr) < len(outcome.stdout) + len(outcome.stderr)
    encoding, texts = _texts(stdout, stderr, cut=outcome.truncated or shortened)
    return FleetAnswerView(
        id=answer.id,
        connection_id=answer.connection_id,
        label=answer.label,
        session_id=answer.session_lease_id,
        state=outcome.state.value,
        exit_status=outcome.exit_status,
        stdout=texts[0],
        stderr=texts[1],
        encoding=encoding,
        truncated=outcome.truncated,
        shortened=shortened,
        digest=outcome.digest,
        duration_ms=outcome.duration_ms,
        cause=outcome.cause,
        message=outcome.message,
        next_step=outcome.next_step,
        started_at=answer.started_at,
        ended_at=answer.ended_at,
    )


def _texts(stdout: bytes, stderr: bytes, *, cut: bool) -> tuple[str, tuple[str, str]]:
    try:
        whole = (whole_characters(stdout), whole_characters(stderr)) if cut else (stdout, stderr)
        return "utf-8", (whole[0].decode(), whole[1].decode())
    except UnicodeDecodeError:
        return "base64", (base64.b64encode(stdout).decode(), base64.b64encode(stderr).decode())
