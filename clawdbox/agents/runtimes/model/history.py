"""What a model remembers of a conversation, as the libraries' messages: kept, mended, shortened."""

from typing import Any

import msgspec
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from clawdbox.agents.runtimes.model import told

GO_ON = (
    "(The connection broke in the middle of your answer. Go on exactly where it ended, and repeat nothing.)"
)
_SMALL = 400  # characters of an output that are not worth leaving out
_LAST = 2_000  # what is left of the newest outputs when nothing else helps
ROOM = 3 * 1024 * 1024  # bytes; what is remembered of a conversation may be 4 MiB


class History:
    """The messages of a conversation. They always alternate in a way that every provider takes."""

    def __init__(self, messages: list[ModelMessage] | None = None) -> None:
        self.messages = messages or []

    @classmethod
    def load(cls, kept: Any) -> "History":
        return cls(list(ModelMessagesTypeAdapter.validate_python(kept or [])))

    def dump(self) -> Any:
        return ModelMessagesTypeAdapter.dump_python(self.messages, mode="json", exclude_none=True)

    def begin(self, text: str) -> None:
        """A new message of the person. Calls that an earlier turn left open are closed first."""
        left = [self._returned(call, told.ENDED) for call in self.open_calls()]
        self.messages.append(ModelRequest(parts=[*left, UserPromptPart(text)]))

    def open_calls(self) -> list[ToolCallPart]:
        """Those of the last answer, which nothing was told of yet."""
        last = self.messages[-1] if self.messages else None
        if not isinstance(last, ModelResponse):
            return []
        return [part for part in last.parts if isinstance(part, ToolCallPart)]

    @property
    def is_answered(self) -> bool:
        """Whether the last word is the model's, and it waits for nothing."""
        return bool(self.messages) and isinstance(self.messages[-1], ModelResponse) and not self.open_calls()

    def answer(self, results: list[tuple[ToolCallPart, str]]) -> None:
        self.messages.append(ModelRequest(parts=[self._returned(call, text) for call, text in results]))

    def add(self, response: ModelResponse) -> None:
        self.messages.append(response)

    def add_broken(self, response: ModelResponse) -> None:
        """What came of an answer that broke off, and the request to go on."""
        text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        self.messages.append(ModelResponse(parts=[TextPart(text)], model_name=response.model_name))
        self.messages.append(ModelRequest(parts=[UserPromptPart(GO_ON)]))

    # making room

    def shorten(self) -> str | None:
        """Leave out what can be missed most easily; what it was, for a person, or None when nothing is left to leave out."""
        if left_out := self._drop_outputs():
            return f"{left_out} older outputs"
        if left_out := self._drop_turns():
            return f"{left_out} older messages"
        if left_out := self._cut_last():
            return f"the middle of {left_out} outputs"
        return None

    def fit(self) -> bool:
        """Shorten until it can be remembered; whether that was needed."""
        shortened = False
        while len(msgspec.json.encode(self.dump())) > ROOM and self.shorten():
            shortened = True
        return shortened

    def _drop_outputs(self) -> int:
        return sum(
            self._replace(message, _SMALL, lambda text: f"[left out to make room: {len(text):,} characters]")
            for message in self.messages[:-1]
        )

    def _cut_last(self) -> int:
        return sum(
            self._replace(message, _LAST * 2, lambda text: told.shortened(text, _LAST))
            for message in self.messages
        )

    def _drop_turns(self) -> int:
        """All before the last message of the person."""
        start = max((at for at, message in enumerate(self.messages) if _is_from_person(message)), default=0)
        if start == 0:
            return 0
        first = self.messages[start]
        assert isinstance(first, ModelRequest)
        asked = [part for part in first.parts if isinstance(part, UserPromptPart)]
        self.messages = [ModelRequest(parts=asked), *self.messages[start + 1 :]]
        return start

    def _replace(self, message: ModelMessage, over: int, shorter: Any) -> int:
        if not isinstance(message, ModelRequest):
            return 0
        replaced = 0
        for part in message.parts:
            if (
                isinstance(part, ToolReturnPart)
                and isinstance(part.content, str)
                and len(part.content) > over
            ):
                part.content = shorter(part.content)
                replaced += 1
        return replaced

    def _returned(self, call: ToolCallPart, text: str) -> ToolReturnPart:
        return ToolReturnPart(tool_name=call.tool_name, content=text, tool_call_id=call.tool_call_id)


def _is_from_person(message: ModelMessage) -> bool:
    return isinstance(message, ModelRequest) and any(
        isinstance(part, UserPromptPart) and part.content != GO_ON for part in message.parts
    )
