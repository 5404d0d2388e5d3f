"""OpenAI's Responses, as `POST /v1/responses` speaks it."""

from collections.abc import Iterator
from typing import Any

from tests.agents.model_server.chat import openai_error
from tests.agents.model_server.faces import Json, encoded, pieces
from tests.agents.model_server.parts import Fault, Refusal, Reply, Text, Think, Tool

_CREATED = 1_795_000_000


class Responses:
    """An answer is a list of items; a text and a thought have parts of their own in theirs."""

    def __init__(self, id: str, model: str) -> None:  # noqa: A002 - the protocol's word
        self._id = id
        self._model = model
        self._sequence = -1
        self._done: list[Json] = []
        self._open: type[Any] | None = None
        self._so_far = ""

    def begin(self, reply: Reply) -> Iterator[bytes]:
        yield self._event("response.created", response=self._response("in_progress"))
        yield self._event("response.in_progress", response=self._response("in_progress"))

    def part(self, part: Text | Think | Tool) -> Iterator[bytes]:
        if isinstance(part, Tool):
            yield from self._close()
            yield from self._call(part)
            return
        if self._open is not type(part):
            yield from self._close()
            yield from self._start(type(part))
        self._so_far += part.text
        if isinstance(part, Text):
            yield self._inside("response.output_text.delta", delta=part.text, logprobs=[])
        else:
            yield self._inside("response.reasoning_summary_text.delta", delta=part.text)

    def ping(self) -> Iterator[bytes]:
        yield b": keep-alive\n\n"

    def fault(self, fault: Fault) -> Iterator[bytes]:
        yield self._event("error", code=fault.kind, message=fault.message, param=None)

    def end(self, reply: Reply) -> Iterator[bytes]:
        yield from self._close()
        short = reply.stop == "max_output_tokens"
        kind = "incomplete" if short else "completed"
        yield self._event(f"response.{kind}", response=self._response(kind, reply))

    def whole(self, reply: Reply) -> Json:
        for kind in (Think, Text):
            if text := reply.only(kind):
                self._done.append(self._item(kind, text, "completed"))
        self._done.extend(
            self._call_item(tool, len(self._done) + n, tool.json) for n, tool in enumerate(reply.tools)
        )
        return self._response("completed", reply)

    def refusal(self, refusal: Refusal) -> Json:
        return openai_error(refusal)

    # items

    def _start(self, kind: type[Any]) -> Iterator[bytes]:
        self._open, self._so_far = kind, ""
        item = {**self._item(kind, "", "in_progress"), "content" if kind is Text else "summary": []}
        yield self._event("response.output_item.added", output_index=self._at, item=item)
        name = "content_part" if kind is Text else "reasoning_summary_part"
        yield self._inside(f"response.{name}.added", part=_inner(kind, ""))

    def _close(self) -> Iterator[bytes]:
        if self._open is None:
            return
        kind, text = self._open, self._so_far
        if kind is Text:
            yield self._inside("response.output_text.done", text=text, logprobs=[])
            yield self._inside("response.content_part.done", part=_inner(kind, text))
        else:
            yield self._inside("response.reasoning_summary_text.done", text=text)
            yield self._inside("response.reasoning_summary_part.done", part=_inner(kind, text))
        yield from self._finish(self._item(kind, text, "completed"))
        self._open = None

    def _call(self, tool: Tool) -> Iterator[bytes]:
        begun = {**self._call_item(tool, self._at, ""), "status": "in_progress"}
        yield self._event("response.output_item.added", output_index=self._at, item=begun)
        place = {"item_id": begun["id"], "output_index": self._at}
        for piece in pieces(tool.json):
            yield self._event("response.function_call_arguments.delta", **place, delta=piece)
        yield self._event(
            "response.function_call_arguments.done", **place, name=tool.name, arguments=tool.json
        )
        yield from self._finish(self._call_item(tool, self._at, tool.json))

    def _finish(self, item: Json) -> Iterator[bytes]:
        yield self._event("response.output_item.done", output_index=self._at, item=item)
        self._done.append(item)

    @property
    def _at(self) -> int:
        return len(self._done)

    def _item(self, kind: type[Any], text: str, status: str) -> Json:
        if kind is Think:
            return {"id": f"rs_{self._id}_{self._at}", "type": "reasoning", "summary": [_inner(kind, text)]}
        known = {"id": f"msg_{self._id}_{self._at}", "type": "message", "role": "assistant"}
        return {**known, "status": status, "content": [_inner(kind, text)]}

    def _call_item(self, tool: Tool, at: int, arguments: str) -> Json:
        call_id = tool.id or f"call_{self._id}_{at}"
        known = {"id": f"fc_{self._id}_{at}", "type": "function_call", "call_id": call_id}
        return {**known, "name": tool.name, "arguments": arguments, "status": "completed"}

    # frames

    def _inside(self, kind: str, **more: Any) -> bytes:
        """An event within the open item's only part."""
        text = self._open is Text
        place = {
            "item_id": f"{'msg' if text else 'rs'}_{self._id}_{self._at}",
            "output_index": self._at,
            "content_index" if text else "summary_index": 0,
        }
        return self._event(kind, **place, **more)

    def _event(self, kind: str, **more: Any) -> bytes:
        self._sequence += 1
        body = {"type": kind, "sequence_number": self._sequence, **more}
        return b"event: " + kind.encode() + b"\ndata: " + encoded(body) + b"\n\n"

    def _response(self, status: str, reply: Reply | None = None) -> Json:
        return {
            "id": f"resp_{self._id}",
            "object": "response",
            "created_at": _CREATED,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": None,
            "metadata": {},
            "model": self._model,
            "output": list(self._done),
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": _used(reply) if reply else None,
        }


def _inner(kind: type[Any], text: str) -> Json:
    if kind is Think:
        return {"type": "summary_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _used(reply: Reply) -> Json:
    return {
        "input_tokens": reply.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.input_tokens + reply.output_tokens,
    }
