"""One turn with a gateway: sent once, followed to its end, across lost connections and restarts of either side."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from clawdbox.agents.model import Context, Conversation
from clawdbox.agents.runtimes.openclaw import frames
from clawdbox.agents.runtimes.openclaw.model import Gateway, Look, State
from clawdbox.agents.runtimes.openclaw.past import Past
from clawdbox.agents.runtimes.openclaw.questions import Questions
from clawdbox.agents.runtimes.openclaw.rules import context as context_rules
from clawdbox.agents.runtimes.openclaw.rules import gateways as gateway_rules
from clawdbox.agents.runtimes.openclaw.rules import patience
from clawdbox.agents.runtimes.openclaw.rules.context import Reach
from clawdbox.agents.runtimes.openclaw.rules.standing import Course, Standing
from clawdbox.agents.runtimes.openclaw.service import Entered, Gateways, NotEntered
from clawdbox.agents.runtimes.openclaw.voice import Voice
from clawdbox.agents.runtimes.openclaw.way_in import WayIn
from clawdbox.agents.runtimes.openclaw.wire.client import Client, Lost, Refused
from clawdbox.agents.runtimes.port import Card, Hands, Row, Status, TurnCancelled, TurnLost
from clawdbox.errors import Conflict, Upstream
from clawdbox.ssh.service.control_sockets import ControlSockets
from clawdbox.ssh.service.leases import Leases

T = TypeVar("T")
WANTED = frozenset({"chat", "agent", "exec.approval.requested", "exec.approval.resolved"})
_LOOK_S = 2.0
_ENDS = {"final": Course.DONE, "aborted": Course.ABORTED, "error": Course.FAILED}


def session_name(conversation: Conversation) -> str:
    """By which the gateway's own sessions tell this conversation; it makes a key of it."""
    return f"clawdbox:{conversation.id}"


class Talk:
    """Runs once. `client` is the connection to the gateway that it has or had last."""

    def __init__(
        self,
        gateways: Gateways,
        leases: Leases,
        sockets: ControlSockets,
        gateway: Gateway,
        text: str,
        context: Context,
        hands: Hands,
    ) -> None:
        self.client: Client | None = None
        self._gateways = gateways
        self._gateway = gateway
        self._text = text
        self._context = context
        self._hands = hands
        self._way_in = WayIn(leases, sockets, context, hands)
        self._questions = Questions(hands)
        self._past = Past(hands.turn_id, self._ask)
        self._voice = Voice(hands, gateway.id)
        self._mode = "read-only"
        self._tried = hands.resumed
        self._sent = False
        self._got_on = False
        self._shown_command: str | None = None

    async def run(self) -> None:
        """To the end of the run. Raises Problem, TurnLost and TurnCancelled."""
        try:
            await self._until_done()
        finally:
            await self._questions.close()
            await self._way_in.close()

    # connections, one after the other

    async def _until_done(self) -> None:
        loop = asyncio.get_running_loop()
        since, attempt = loop.time(), 0
        while True:
            try:
                await self._converse(await self._enter())
            except NotEntered as no:
                look = no.look
            except (Lost, frames.Malformed) as lost:
                look = Look(State.UNREACHABLE, f"The gateway breaks off: {gateway_rules.shown(str(lost))}.")
                self._questions.disconnected()
                if self._got_on:
                    since, attempt = loop.time(), 0
            else:
                return
            patience.check(look, loop.time() - since, sent=self._is_underway)
            await self._tell_pairing(look)
            await self._pause(patience.delay_s(attempt, look))
            attempt += 1

    @property
    def _is_underway(self) -> bool:
        """Whether the gateway may be at work for this turn, for all that is known here."""
        return self._sent or self._tried

    async def _enter(self) -> Entered:
        if self.client is not None:
            await self.client.close()
        entering = self._gateways.enter(self._gateway, self._context.session_lease_id, WANTED)
        entered = await self._unless_cancelled(entering)
        self.client = entered.client
        return entered

    async def _tell_pairing(self, look: Look) -> None:
        command = gateway_rules.pairing_command(look.pairing_request_id)
        if command is None or command == self._shown_command:
            return
        self._shown_command = command
        await self._hands.card(
            Card(
                f"{self._gateway.label} does not know this box yet",
                Status.WARN,
                "Run this on the gateway's machine to let it in. The turn goes on by itself then.",
                (Row("Command", command, Status.WARN),),
            )
        )

    # one connection

    async def _converse(self, entered: Entered) -> None:
        """Until the run has ended. Raises Lost when the connection does, before that."""
        self._got_on = False
        reach = await self._reach(entered)
        if not self._voice.key:
            await self._open_session()
        course = await self._catch_up(reach)
        await self._questions.begin(entered.client, self._voice.key, reach)
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while course in (Course.RUNNING, Course.CUT_OFF):
            if course is Course.RUNNING:
                heard = loop.time()
            elif loop.time() - heard > patience.CUT_OFF_S:
                raise TurnLost(patience.NOT_TAKEN_UP)
            course = await self._step(entered.client, reach, course)
        if course is Course.ABORTED:
            raise Conflict("agent_stopped", "The run was stopped at the gateway.")

    async def _reach(self, entered: Entered) -> Reach:
        """How the run may act on the server; a session at the gateway is made to fit, before anything is sent."""
        why_not = gateway_rules.why_not_execute(self._gateway)
        if why_not is None and not entered.is_beside:
            why_not = (
                "This gateway's name leads to another machine by now: it may chat here, but not run commands."
            )
        reach = Reach(None, why_not) if why_not else await self._way_in.open()
        self._mode = "guarded" if reach.prefix else "read-only"
        if reach.prefix is None and self._voice.tells_limits():
            await self._hands.card(Card("It can talk, but not act", Status.INFO, reach.why_not))
        return reach

    async def _open_session(self) -> None:
        """The conversation's session at the gateway, in the mode that this turn is to run in."""
        name = session_name(self._hands.conversation)
        title = self._hands.conversation.title or name
        params = {
            "key": self._voice.key or name,
            "permissionMode": self._mode,
            "displayName": title[:200],
        }
        self._voice.key = frames.payload(await self._ask("sessions.create", params), frames.Session).key
        await self._voice.remember()

    async def _catch_up(self, reach: Reach) -> Course:
        """Pass on what is new in the history, and send the message if it is not there."""
        now, history = await self._past.look(self._voice.key, thorough=self._is_underway)
        if now.course is Course.UNSENT:
            return await self._send(reach)
        return await self._take(now, history)

    async def _take(self, now: Standing, history: frames.History) -> Course:
        await self._delivered()
        await self._voice.follow(now)
        if history.in_flight_run is not None and history.in_flight_run.run_id == self._voice.run:
            for event in history.in_flight_run.events:
                if event.stream in ("tool", "plan"):
                    await self._voice.show(event, self._way_in.prefix)
        if now.course is Course.FAILED:
            raise _failed(now.error)
        return now.course

    async def _send(self, reach: Reach) -> Course:
        """At most once: a gateway that is up knows the key, and the history of one that was started again was read."""
        await self._open_session()
        self._tried = True
        params = {
            "sessionKey": self._voice.key,
            "message": context_rules.message(self._text, self._context, reach),
            "idempotencyKey": self._hands.turn_id,
            "expectedPermissionMode": self._mode,
        }
        started = frames.payload(await self._ask("chat.send", params), frames.Started)
        await self._delivered()
        if started.status in ("started", "in_flight"):
            return Course.RUNNING
        now, history = await self._past.look(self._voice.key, thorough=True)
        if now.course is Course.UNSENT:
            raise _failed(
                "it says that it has answered this message before, and its history does not have it"
            )
        return await self._take(now, history)

    async def _delivered(self) -> None:
        if not self._sent:
            self._sent = True
            await self._hands.delivered()

    # what comes

    async def _step(self, client: Client, reach: Reach, course: Course) -> Course:
        try:
            async with asyncio.timeout(_LOOK_S if course is Course.CUT_OFF else None):
                event = await self._unless_cancelled(client.next_event())
        except TimeoutError:
            return await self._catch_up(reach)
        if event is None:  # some were missed
            course = await self._catch_up(reach)
            await self._questions.begin(client, self._voice.key, reach)
            return course
        if event.event == "chat":
            chat = frames.payload(event.payload, frames.Chat)
            return await self._chat(chat) if self._is_mine(chat) else await self._other(chat, reach, course)
        if event.event == "agent":
            doing = frames.payload(event.payload, frames.Agent)
            if not self._is_mine(doing):
                return await self._other(doing, reach, course)
            await self._voice.show(doing, self._way_in.prefix)
            return Course.RUNNING
        await self._questions.hear(event)
        return course

    def _is_mine(self, event: frames.Chat | frames.Agent) -> bool:
        mine = event.session_key == self._voice.key and event.run_id == self._voice.run
        self._got_on = self._got_on or mine
        return mine

    async def _other(self, event: frames.Chat | frames.Agent, reach: Reach, course: Course) -> Course:
        """Another run: when ours was cut off, it may be the one with which the gateway goes on."""
        if course is Course.CUT_OFF and event.session_key == self._voice.key:
            return await self._catch_up(reach)
        return course

    async def _chat(self, chat: frames.Chat) -> Course:
        if chat.state == "delta":
            await self._voice.hear(chat)
            return Course.RUNNING
        ending = _ENDS.get(chat.state)
        if ending is None:
            return Course.RUNNING
        if ending is Course.FAILED:
            raise _failed(chat.error_message or "")
        if chat.message is not None and ending is Course.DONE:
            await self._voice.speak(chat.message.text)
        now, _ = await self._past.look(self._voice.key, thorough=False)  # which has all tokens and costs
        await self._voice.follow(now)
        return ending

    # asking the gateway

    async def _ask(self, method: str, params: dict[str, Any]) -> msgspec.Raw:
        """Raises Lost, TurnCancelled, and Upstream for what the gateway refuses."""
        client = self.client
        assert client is not None
        try:
            return await self._unless_cancelled(client.request(method, params))
        except Refused as refused:
            if refused.failure.retryable:
                raise Lost(str(refused)) from None
            said = gateway_rules.shown(refused.failure.message or refused.reason)
            raise Upstream("gateway_refused_request", f"The gateway refused ({method}): {said}") from None

    async def _unless_cancelled(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises TurnCancelled as soon as the turn is to end, and whatever a question could not get over."""
        if self._hands.cancelled.is_set():
            work.close()
            raise TurnCancelled
        doing = asyncio.ensure_future(work)
        cancelling = asyncio.ensure_future(self._hands.cancelled.wait())
        failing = asyncio.ensure_future(self._questions.failed())
        try:
            await asyncio.wait({doing, cancelling, failing}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            if failing.done():
                failing.result()
            raise TurnCancelled
        finally:
            for task in (doing, cancelling, failing):
                task.cancel()
            await asyncio.gather(doing, cancelling, failing, return_exceptions=True)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hands.cancelled.wait()
        except TimeoutError:
            return
        raise TurnCancelled


def _failed(said: str) -> Upstream:
    words = gateway_rules.shown(said) or "The gateway does not say why; its log does."
    return Upstream("agent_failed", f"The agent failed: {words}")
