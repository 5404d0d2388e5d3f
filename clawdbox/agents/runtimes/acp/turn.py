"""One turn with a code agent: started if it does not run, asked, listened to, and answered."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from clawdbox import __version__
from clawdbox.agents.rules.secrets import redacted
from clawdbox.agents.runtimes.acp import endings, messages, scripts
from clawdbox.agents.runtimes.acp.memory import Memory, Prompt
from clawdbox.agents.runtimes.acp.messages import at, dicts, number_of, text_of
from clawdbox.agents.runtimes.acp.options import Chosen
from clawdbox.agents.runtimes.acp.talk import Talk
from clawdbox.agents.runtimes.acp.wire import AgentGone
from clawdbox.agents.runtimes.port import Card, Hands, Status, TurnCancelled, TurnLost
from clawdbox.errors import Conflict, Problem, Upstream
from clawdbox.ssh.service.streams import Streams

_START_S = 60.0
_SETUP_S = 120.0
_SHORT_S = 30.0
_GRACE_S = 5.0
Started = Callable[[str], Awaitable[None]]


class AcpTurn(Talk):
    """`started` writes down that an agent is about to be started: which start of it."""

    def __init__(
        self, streams: Streams, hands: Hands, lease_id: str, chosen: Chosen, idle_s: float, started: Started
    ) -> None:
        super().__init__(streams, hands, lease_id, chosen)
        self._idle_s = idle_s
        self._started = started

    async def run(self, text: str) -> None:
        try:
            await self._run(text)
        except AgentGone:
            await self._gone()
        except TurnCancelled:
            raise
        except (Problem, TurnLost):
            await self.call_off()
            raise
        finally:
            for ask in self._asks.values():
                ask.cancel()
            await asyncio.gather(*self._asks.values(), return_exceptions=True)

    async def _run(self, text: str) -> None:
        prompt = self._memory.prompt
        mine = prompt is not None and prompt.turn_id == self._hands.turn_id
        if not mine:
            self._memory.inset = self._memory.shown = 0  # what was left of a line belongs to its own turn
            await self._settle_before()
            await self._be_ready()
            self._memory.prompt = prompt = Prompt(self._hands.turn_id, spent=self._memory.cost)
            self._memory.last, self._memory.begun = "", []
            await self._remember()
        assert prompt is not None
        if prompt.is_open:
            content = {"sessionId": self._memory.session, "prompt": [{"type": "text", "text": text}]}
            self._wire.put(prompt.key, messages.request(prompt.key, "session/prompt", content))
            self._ask_all()
            await self._listen(lambda: not prompt.is_open)
        await self._report()
        endings.finish(prompt)

    # before the message: an agent that runs, with a session

    async def _settle_before(self) -> None:
        """A turn that was called off while nobody could tell the agent: it is told now, and what it still says is dropped."""
        before = self._memory.prompt
        if before is None or not before.is_open:
            return
        await self.call_off()
        self._quiet = True
        try:
            await self._listen(lambda: not before.is_open)
        except AgentGone:
            self._memory.ready = False
        self._quiet = False
        self._memory.prompt = None
        self._memory.asking.clear()

    async def _be_ready(self) -> None:
        if self._memory.ready and self._memory.agent == self._chosen.digest:
            try:
                await self._alive()
                return
            except AgentGone:
                pass
        same = self._memory.agent == self._chosen.digest
        before = self._memory.session if same else ""
        cwd = self._memory.cwd if same else ""
        self._memory = Memory(agent=self._chosen.digest, gen=secrets.token_hex(8), session=before, cwd=cwd)
        await self._remember()
        try:
            async with asyncio.timeout(_SETUP_S):
                await self._start()
                await self._open_session(before)
        except TimeoutError:
            raise endings.silent(
                f"{self._chosen.label} did not answer in time. Look at the load of the server, then try again."
            ) from None
        except AgentGone:
            raise await self._ended_at_once() from None
        self._memory.ready = True
        await self._remember()

    async def _alive(self) -> None:
        """Raises AgentGone. What was said since the last turn is heard with it."""
        key = self._key("mode")
        if not self._memory.mode:
            await self._wire.listen(self._memory.gen, lambda: self._memory.offset, self._take, _once())
            return
        await self._set_mode(key, self._memory.mode)

    async def _start(self) -> None:
        await self._started(self._memory.gen)
        script = self._chosen.start(self._conversation_id, self._memory.gen, self._idle_s)
        told = scripts.answers(await self._wire.ask(script, _START_S))
        state = told.get("state", "")
        if state not in ("started", "alive"):
            raise endings.not_started(state, self._chosen)
        self._memory.cwd = told.get("cwd", "")

    async def _open_session(self, before: str) -> None:
        hello = await self._request("initialize", messages.initialize(__version__))
        if number_of(hello, "protocolVersion") != messages.VERSION:
            raise Conflict(
                "code_agent_protocol",
                f"{self._chosen.label} speaks another version of the protocol than this box. Update it on the server.",
            )
        where: dict[str, Any] = {"cwd": self._memory.cwd, "mcpServers": []}
        if self._chosen.meta:
            where["_meta"] = dict(self._chosen.meta)
        offers = await self._session(hello, before, where)
        await self._ask_first(offers)

    async def _session(self, hello: Any, before: str, where: dict[str, Any]) -> Any:
        """The session that it had before where it can go on with it, else a new one, which is said."""
        way = _way_back(hello) if before else None
        if way:
            self._quiet = True
            try:
                found = await self._request(way, {"sessionId": before, **where})
                self._memory.session = before
                return found
            except Conflict as refused:
                if refused.code != "code_agent_refused":
                    raise
            finally:
                self._quiet = False
        if before:
            await self._hands.say(endings.FORGOTTEN)
        try:
            made = await self._request("session/new", where)
        except Conflict as refused:
            if refused.code != "code_agent_sign_in" or not await self._authenticate(hello):
                raise
            made = await self._request("session/new", where)
        self._memory.session = text_of(made, "sessionId")
        return made

    async def _authenticate(self, hello: Any) -> bool:
        """By what lies on the server already: never a browser, never a token of ours."""
        offered = {text_of(one, "id") for one in dicts(at(hello, "authMethods"))}
        for method in self._chosen.authenticate:
            if method in offered:
                try:
                    await self._request("authenticate", {"methodId": method})
                except Conflict:
                    continue
                return True
        return False

    async def _ask_first(self, offers: Any) -> None:
        """Put it into the mode in which it asks; one that has modes and none of these decides alone, and that is said."""
        there = _modes(offers)
        wanted = (self._chosen.mode,) if self._chosen.mode else self._chosen.asks
        mode = next((one for one in wanted if one in there), None)
        if mode is not None:
            await self._set_mode(self._key("mode"), mode)
            self._memory.mode = mode
        elif there:
            shown = ", ".join(sorted(there))
            await self._hands.card(
                Card(
                    "This agent decides by itself what it asks",
                    Status.WARN,
                    f"None of its modes ({shown}) is known to ask before it acts.",
                )
            )

    async def _set_mode(self, key: str, mode: str) -> None:
        params = {"sessionId": self._memory.session, "modeId": mode}
        await self._request("session/set_mode", params, key)

    # ends

    async def call_off(self) -> None:
        """Tell the agent that it is to stop, and end it if it does not."""
        script = endings.calling_off(self._conversation_id, self._memory, _GRACE_S)
        if script is None:
            return
        try:
            await self._wire.ask(script, _SHORT_S)
        except (TimeoutError, Problem):
            return  # it is told before the next message, or by the next lease

    async def _gone(self) -> None:
        """The agent has ended. Its session may be there for the next message."""
        self._memory.ready = False
        prompt = self._memory.prompt
        if prompt and prompt.turn_id == self._hands.turn_id and prompt.is_open:
            prompt.error = endings.GONE
        self._memory.asking.clear()
        await self._remember()
        words = await self._last_words()
        raise TurnLost(f"{endings.ENDED} {words}".strip())

    async def _ended_at_once(self) -> Upstream:
        words = await self._last_words()
        return Upstream(
            "code_agent_ended",
            f"{self._chosen.label} ended as soon as it was started. {words} Try it in a terminal there.",
        )

    async def _last_words(self) -> str:
        try:
            said = await self._wire.ask(scripts.last_words(self._conversation_id), _SHORT_S)
        except (TimeoutError, Problem):
            return ""
        lines = [
            line.strip() for line in redacted(said.decode("utf-8", "replace")).splitlines() if line.strip()
        ]
        return f"It wrote: {lines[-1][:300]}" if lines else ""

    async def _report(self) -> None:
        """What could not be read is not passed over in silence."""
        odd, self._memory.odd = self._memory.odd, 0
        if odd:
            self._note()
            what = "1 message" if odd == 1 else f"{odd} messages"
            await self._hands.card(
                Card("Left out", Status.WARN, f"The agent sent {what} that could not be read.")
            )


def _way_back(hello: Any) -> str | None:
    """`session/resume` replays nothing, so it is the better one."""
    if at(hello, "agentCapabilities", "sessionCapabilities", "resume") is not None:
        return "session/resume"
    return "session/load" if at(hello, "agentCapabilities", "loadSession") is True else None


def _modes(offers: Any) -> set[str]:
    return {text_of(one, "id") for one in dicts(at(offers, "modes", "availableModes"))} - {""}


def _once() -> Callable[[], bool]:
    """False the first time: so that the head of the log is looked at, which tells whether the agent lives."""
    asked = iter((False,))
    return lambda: next(asked, True)
