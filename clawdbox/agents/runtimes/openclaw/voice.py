"""What a run says and does, passed on to the conversation: nothing twice, also after a restart of the box."""

from clawdbox.agents.runtimes.openclaw import frames
from clawdbox.agents.runtimes.openclaw.rules import speech, tools
from clawdbox.agents.runtimes.openclaw.rules.speech import Said
from clawdbox.agents.runtimes.openclaw.rules.standing import Standing
from clawdbox.agents.runtimes.port import Hands, Usage

SESSION = "session_key"
_LONGEST_LINE = 4096


class Voice:
    """Of one turn. `run` is who answers, `key` the conversation's session at the gateway (empty until it has one).

    What was said is in the conversation itself, so that only the beginning of a run has to be remembered.
    """

    def __init__(self, hands: Hands, gateway_id: str) -> None:
        self._hands = hands
        self._gateway_id = gateway_id
        state = hands.state if hands.state.get("gateway") == gateway_id else {}
        goes_on = state.get("turn") == hands.turn_id
        self.key = str(state.get(SESSION) or "")
        self.run = str(state.get("run") or hands.turn_id) if goes_on else hands.turn_id
        self._before = int(state.get("before") or 0) if goes_on else 0
        self._total = speech.length(hands.said_before)
        self._said = speech.append(Said(self.run), speech.after(hands.said_before, self._before))
        line = hands.said_before.rpartition("\n")[2]
        self._line = line if len(line) <= _LONGEST_LINE else ""
        self._told_limits = bool(state.get("told_limits"))
        self._titles: dict[str, str] = {}

    def tells_limits(self) -> bool:
        """True once in a conversation."""
        first, self._told_limits = not self._told_limits, True
        return first

    async def hear(self, chat: frames.Chat) -> None:
        """A piece of the answer: what is new of it, as long as it follows upon what was said."""
        if chat.replace or not chat.delta_text:
            await self.speak(chat.message.text if chat.message else chat.delta_text)
            return
        delta = chat.delta_text if self._said.count else chat.delta_text.lstrip()
        if delta:
            after = speech.append(self._said, delta)
            await self._say(delta, after)

    async def speak(self, answer: str) -> None:
        """All of the answer so far; what of it was said before is left out."""
        text, after = speech.more(self._said, answer)
        if text:
            await self._say(text, after)

    async def _say(self, text: str, after: Said) -> None:
        if self._before and not self._said.count:
            text = f"\n\n{text}"  # another run goes on
        line, self._line = self._line, ""  # again, as a secret may lie across the place where the box died
        await self._hands.say(line + text, shown=len(line))
        self._total += speech.length(text)
        self._said = after

    async def follow(self, now: Standing) -> None:
        """What the history has of the run, and of the one that went on in its place."""
        if now.run is not None and now.run != self.run:
            await self._hands.think(
                "The gateway was started again in between, and goes on with the turn.\n\n"
            )
            self.run, self._before, self._said = now.run, self._total, Said(now.run)
            await self.remember()
        await self.speak(now.answer)
        if now.input_tokens is not None:
            await self._hands.usage(Usage(now.input_tokens, now.output_tokens, now.cost_usd))

    async def show(self, event: frames.Agent, prefix: str | None) -> None:
        """What it does besides speaking."""
        data = event.data
        if event.stream == "tool":
            call = tools.call(data, self._titles, prefix)
            if call is not None:
                self._titles[call.call_id] = call.title
                await self._hands.tool(call)
        elif event.stream == "plan":
            await self._hands.plan(tools.steps(data))
        elif event.stream == "item":
            aside = tools.aside(data)
            if aside and not speech.was_said(self._said, aside):
                await self._hands.think(f"{aside}\n\n")
        elif event.stream == "thinking" and isinstance(data.get("delta"), str):
            await self._hands.think(data["delta"])
        elif event.stream == "usage" and isinstance(data.get("outputTokens"), int):
            await self._hands.usage(Usage(output_tokens=data["outputTokens"]))

    async def remember(self) -> None:
        """What a box that is started again has to know."""
        await self._hands.remember(
            {
                "gateway": self._gateway_id,
                SESSION: self.key,
                "turn": self._hands.turn_id,
                "run": self.run,
                "before": self._before,
                "told_limits": self._told_limits,
            }
        )
