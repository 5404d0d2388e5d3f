"""OpenAI's Chat Completions, as `POST /v1/chat/completions` speaks it, here and in Ollama, llama.cpp, vLLM, OpenRouter."""

from collections.abc import Iterator
from typing import Any

from tests.agents.model_server.faces import Json, encoded, pieces
from tests.agents.model_server.parts import Fault, Refusal, Reply, Text, Think, Tool

_CREATED = 1_795_000_000
_KINDS = {401: "invalid_request_error", 429: "requests", 500: "server_error"}
_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class Chat:
    """`thinks_in` is the field for thoughts: `reasoning_content` (llama.cpp, vLLM) or `reasoning` (Ollama, OpenRouter)."""

    thinks_in = "reasoning_content"

    def __init__(self, id: str, model: str, *, usage: bool) -> None:  # noqa: A002 - the protocol's word
        self._id = f"chatcmpl-{id}"
        self._model = model
        self._usage = usage
        self._calls = 0

    def begin(self, reply: Reply) -> Iterator[bytes]:
        yield self._delta({"role": "assistant", "content": ""})

    def part(self, part: Text | Think | Tool) -> Iterator[bytes]:
        if isinstance(part, Text):
            yield self._delta({"content": part.text})
        elif isinstance(part, Think):
            yield self._delta({self.thinks_in: part.text})
        else:
            index = self._calls
            call = self._call(part)
            yield self._delta(
                {"tool_calls": [{"index": index, **call, "function": {"name": part.name, "arguments": ""}}]}
            )
            for piece in pieces(part.json):
                yield self._delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})

    def ping(self) -> Iterator[bytes]:
        yield b": keep-alive\n\n"

    def fault(self, fault: Fault) -> Iterator[bytes]:
        yield _data({"error": {"message": fault.message, "type": fault.kind, "param": None, "code": None}})

    def end(self, reply: Reply) -> Iterator[bytes]:
        yield self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": _stop(reply)}])
        if self._usage:
            yield self._chunk([], usage=_used(reply))
        yield b"data: [DONE]\n\n"

    def whole(self, reply: Reply) -> Json:
        message: Json = {"role": "assistant", "content": reply.only(Text) or None, "refusal": None}
        if thought := reply.only(Think):
            message[self.thinks_in] = thought
        if reply.tools:
            message["tool_calls"] = [
                {**self._call(tool), "function": {"name": tool.name, "arguments": tool.json}}
                for tool in reply.tools
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _stop(reply)}
        return {**self._head("chat.completion"), "choices": [choice], "usage": _used(reply)}

    def refusal(self, refusal: Refusal) -> Json:
        return openai_error(refusal)

    def _call(self, tool: Tool) -> Json:
        self._calls += 1
        return {"id": tool.id or f"call_{self._id}_{self._calls}", "type": "function"}

    def _head(self, kind: str) -> Json:
        return {"id": self._id, "object": kind, "created": _CREATED, "model": self._model}

    def _delta(self, delta: Json) -> bytes:
        return self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def _chunk(self, choices: list[Json], **more: Any) -> bytes:
        return _data({**self._head("chat.completion.chunk"), "choices": choices, **more})


def openai_error(refusal: Refusal) -> Json:
    """As OpenAI words one, over Chat Completions and Responses alike."""
    kind = _KINDS.get(refusal.status, "invalid_request_error")
    code = refusal.kind or _CODES.get(refusal.status)
    return {"error": {"message": refusal.message, "type": kind, "param": None, "code": code}}


def _stop(reply: Reply) -> str:
    return reply.stop or ("tool_calls" if reply.tools else "stop")


def _used(reply: Reply) -> Json:
    total = reply.input_tokens + reply.output_tokens
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": total,
    }


def _data(value: Any) -> bytes:
    return b"data: " + encoded(value) + b"\n\n"
