"""A request as a model's server received it, read the same way whichever protocol it came in."""

import threading
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


class Asked:
    """`face` is anthropic, chat or responses. `first_sent` is when its first content left, by `time.perf_counter`."""

    def __init__(self, face: str, path: str, headers: dict[str, str], raw: bytes, body: Json) -> None:
        self.face = face
        self.path = path
        self.headers = headers
        self.raw = raw
        self.body = body
        self.first_sent: float | None = None
        self.gone = threading.Event()  # the client hung up before the answer was whole
        self.ended = threading.Event()

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def tools(self) -> list[str]:
        """The names of the tools it offers."""
        return [tool.get("function", tool).get("name", "") for tool in self.body.get("tools") or ()]

    @property
    def results(self) -> dict[str, str]:
        """What tools came to, by the id of their call, in the order of the history."""
        return dict(self._results())

    @property
    def said(self) -> str:
        """The last text in the role of the user that is no result of a tool."""
        texts = [_plain(item["content"]) for item in self._messages() if item.get("role") == "user"]
        return next((text for text in reversed(texts) if text), "")

    def _messages(self) -> list[Json]:
        if self.face == "responses":
            given = self.body.get("input", "")
            return given if isinstance(given, list) else [{"role": "user", "content": given}]
        return list(self.body.get("messages", ()))

    def _results(self) -> Iterator[tuple[str, str]]:
        for item in self._messages():
            if item.get("role") == "tool":
                yield item["tool_call_id"], _plain(item["content"])
            elif item.get("type") == "function_call_output":
                yield item["call_id"], _plain(item["output"])
            elif isinstance(item.get("content"), list):
                for block in item["content"]:
                    if block.get("type") == "tool_result":
                        yield block["tool_use_id"], _plain(block.get("content", ""))


def _plain(content: Any) -> str:
    """The text of a message's content, which is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content or () if block.get("type") != "tool_result")
