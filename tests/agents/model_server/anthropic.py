"""Anthropic's Messages, as `POST /v1/messages` speaks it."""

from collections.abc import Iterator
from typing import Any

from tests.agents.model_server.faces import Json, encoded, pieces
from tests.agents.model_server.parts import Fault, Refusal, Reply, Text, Think, Tool

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_EMPTY: dict[type[Any], Json] = {
    Text: {"type": "text", "text": ""},
    Think: {"type": "thinking", "thinking": "", "signature": ""},
}


class Anthropic:
    def __init__(self, id: str, model: str) -> None:  # noqa: A002 - the protocol's word
        self._id = id
        self._model = model
        self._index = -1
        self._open: type[Any] | None = None
        self._calls = 0

    def begin(self, reply: Reply) -> Iterator[bytes]:
        message = {**self._message(reply), "content": [], "stop_reason": None}
        message["usage"] = {**message["usage"], "output_tokens": 1}
        yield _event("message_start", message=message)

    def part(self, part: Text | Think | Tool) -> Iterator[bytes]:
        if isinstance(part, Tool):
            yield from self._close()
            yield self._start({**self._tool(part), "input": {}})
            for piece in pieces(part.json):
                yield self._delta({"type": "input_json_delta", "partial_json": piece})
            self._open = Tool
            return
        if self._open is not type(part):
            yield from self._close()
            yield self._start(_EMPTY[type(part)])
            self._open = type(part)
        name = "text" if isinstance(part, Text) else "thinking"
        yield self._delta({"type": f"{name}_delta", name: part.text})

    def ping(self) -> Iterator[bytes]:
        yield _event("ping")

    def fault(self, fault: Fault) -> Iterator[bytes]:
        yield _event("error", error={"type": fault.kind, "message": fault.message})

    def end(self, reply: Reply) -> Iterator[bytes]:
        yield from self._close()
        delta = {"stop_reason": _stop(reply), "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage={"output_tokens": reply.output_tokens})
        yield _event("message_stop")

    def whole(self, reply: Reply) -> Json:
        return self._message(reply)

    def refusal(self, refusal: Refusal) -> Json:
        kind = refusal.kind or _KINDS.get(refusal.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": self._id}

    def _message(self, reply: Reply) -> Json:
        content: list[Json] = []
        if thought := reply.only(Think):
            content.append({"type": "thinking", "thinking": thought, "signature": "c2NyaXB0ZWQ="})
        if text := reply.only(Text):
            content.append({"type": "text", "text": text})
        for tool in reply.tools:
            given = tool.arguments if isinstance(tool.arguments, dict) else {}
            content.append({**self._tool(tool), "input": given})
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": _stop(reply),
            "stop_sequence": None,
            "usage": {
                "input_tokens": reply.input_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": reply.output_tokens,
            },
        }

    def _tool(self, tool: Tool) -> Json:
        self._calls += 1
        return {"type": "tool_use", "id": tool.id or f"toolu_{self._id}_{self._calls}", "name": tool.name}

    def _start(self, block: Json) -> bytes:
        self._index += 1
        return _event("content_block_start", index=self._index, content_block=block)

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> Iterator[bytes]:
        if self._open is Think:
            yield self._delta({"type": "signature_delta", "signature": "c2NyaXB0ZWQ="})
        if self._open:
            yield _event("content_block_stop", index=self._index)
        self._open = None


def _stop(reply: Reply) -> str:
    return reply.stop or ("tool_use" if reply.tools else "end_turn")


def _event(kind: str, **more: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + encoded({"type": kind, **more}) + b"\n\n"
