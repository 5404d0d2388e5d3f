"""What one command puts out, on its way into events; an agent's is redacted before anything sees it."""

from collections.abc import Callable
from typing import Any

from clawdbox.agents.journal import Journal
from clawdbox.agents.rules.output import Chunk, Transcript
from clawdbox.agents.rules.secrets import RedactedBytes
from clawdbox.ssh.model import ExecAnswer
from clawdbox.store import Tx


class Output:
    """Fed while it runs; `end` is told the outcome."""

    def __init__(self, journal: Journal, command_id: str, cap: int, *, judged: bool) -> None:
        self._journal = journal
        self._command_id = command_id
        self._transcript = Transcript(cap)
        self._redactors: dict[str, RedactedBytes] | None = {} if judged else None
        self._seen: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    @property
    def truncated(self) -> bool:
        return self._transcript.truncated

    async def feed(self, stream: str, data: bytes) -> None:
        if self._journal.failure is None:
            self._put(stream, self._redacted(stream, data))
            await self._journal.drain_quietly()

    def end(self, state: str, result: Any) -> Callable[[Tx], None]:
        """Told on the loop, with the result; what it returns is written with the outcome."""
        if self._journal.failure is not None:
            return _unused
        for stream, redactor in (self._redactors or {}).items():
            self._put(stream, redactor.finish())
        self._add(self._transcript.finish())
        payload: dict[str, Any] = {
            "command_id": self._command_id,
            "exit_status": result.exit_status if state == "done" else None,
            "duration_ms": result.duration_ms,
            "truncated": result.truncated or self._transcript.truncated,
            "state": state,
        }
        self._journal.add("command.finished", payload)
        return self._journal.taken()

    def texts(self, answer: ExecAnswer) -> tuple[str, str]:
        if self._redactors is None:
            return _text(answer.stdout), _text(answer.stderr)
        return _text(bytes(self._seen["stdout"])), _text(bytes(self._seen["stderr"]))

    def _redacted(self, stream: str, data: bytes) -> bytes:
        if self._redactors is None:
            return data
        return self._redactors.setdefault(stream, RedactedBytes()).feed(data)

    def _put(self, stream: str, data: bytes) -> None:
        if self._redactors is not None:
            self._seen[stream] += data
        self._add(self._transcript.feed(stream, data))

    def _add(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            payload = {
                "command_id": self._command_id,
                "stream": chunk.stream,
                "data": chunk.data,
                "encoding": chunk.encoding,
            }
            self._journal.add("command.output", payload, chunk.size)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _unused(_tx: Tx) -> None:
    return
