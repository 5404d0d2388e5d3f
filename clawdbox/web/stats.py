"""`/sessions/{id}/facts`, `stats` and `shell-start`: what a server is, how it does, and what its login shell costs."""

import msgspec
from litestar import get, post, websocket

from clawdbox.errors import Problem
from clawdbox.ssh.model.stats import Facts, Sample, ShellStart
from clawdbox.web.fields import PathId
from clawdbox.web.live import Line, Socket, deaf, refuse, serve
from clawdbox.web.problems import body_of, usual
from clawdbox.web.visit import Req, at

_REFUSED = "`session_not_active`, `session_reconnecting`, or the server refused (`command_refused`)."
_FAILED = "The server answered with nothing that can be read, or not in time (`probe_failed`)."


class OneFacts(msgspec.Struct, frozen=True):
    facts: Facts


class StatsView(msgspec.Struct, frozen=True):
    """`history` are the samples of the last 15 minutes that somebody looked at, the oldest first."""

    latest: Sample
    history: list[Sample]
    interval_s: float


class OneShellStart(msgspec.Struct, frozen=True):
    shell_start: ShellStart


@get(
    "/sessions/{session_id:str}/facts",
    summary="What a server is",
    responses=usual(404, s409=_REFUSED, s502=_FAILED),
)
async def get_facts(request: Req, session_id: PathId) -> OneFacts:
    """System, kernel, cores, addresses, who is logged in, whether a restart is due; at most a minute old.

    What cannot be found out there is null. Looking does not count as use of the session.
    """
    box, who = at(request)
    return OneFacts(await box.stats.facts(who.actor, who.account_id, session_id))


@get(
    "/sessions/{session_id:str}/stats",
    summary="How a server does",
    responses=usual(404, s409=_REFUSED, s502=_FAILED),
)
async def get_stats(request: Req, session_id: PathId) -> StatsView:
    """Processors, memory, disks, load, temperatures, each with a `level`. Processors need two samples.

    The WebSocket `/api/v1/sessions/{session_id}/stats/live` goes on with the same ones.
    """
    box, who = at(request)
    latest, history = await box.stats.latest(who.actor, who.account_id, session_id)
    return StatsView(latest, history, box.settings.stats_interval_s)


@post(
    "/sessions/{session_id:str}/shell-start",
    status_code=200,
    opt={"action": "session.measure", "unlimited": True},
    summary="Measure the login shell",
    responses=usual(404, s409=_REFUSED, s502=_FAILED),
)
async def measure_shell_start(request: Req, session_id: PathId) -> OneShellStart:
    """How long start-up files make every command wait: the median of five runs, and what to do about it."""
    box, who = at(request)
    return OneShellStart(await box.stats.shell_start(who.actor, who.account_id, session_id))


@websocket("/sessions/{session_id:str}/stats/live", opt={"action": "session.watch"})
async def follow_stats(socket: Socket, session_id: PathId) -> None:
    """A sample every few seconds while somebody listens: first those that are kept, then each new one."""
    box, who = at(socket)
    try:
        await box.leases.up(who.account_id, session_id)
    except Problem as problem:
        await refuse(socket, problem)
        return

    async def talk(line: Line) -> None:
        watching = box.stats.watching(who.actor, who.account_id, session_id)
        async with watching as look:
            with box.hub.listen(f"stats:{session_id}") as news:
                known = look()
                await line.say("ready", history=known.history, interval_s=box.settings.stats_interval_s)
                last = known.history[-1].at if known.history else None
                while not known.over:
                    await news.wait()
                    news.clear()
                    known = look()
                    if known.problem and not known.over:
                        await line.say("problem", problem=body_of(known.problem))
                    elif known.history and known.history[-1].at != last:
                        last = known.history[-1].at
                        await line.say("sample", sample=known.history[-1])

    await serve(socket, talk, deaf)
