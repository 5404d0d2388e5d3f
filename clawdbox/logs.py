"""Structured logs on standard error: a JSON object a line, or coloured text on a terminal. No secret gets through.

`logs.get("ssh").info("ssh.connected", session_lease_id=…)`: the event's name first, then what is worth knowing as
key and value, so that nothing needs to be parsed out of a sentence.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import IO, Any

import msgspec
import structlog
from structlog.types import EventDict, FilteringBoundLogger, Processor

HIDDEN = "<hidden>"
_SECRETS = {
    "authorization",
    "code",
    "cookie",
    "csrf",
    "passphrase",
    "password",
    "private_key",
    "secret",
    "token",
    "words",
}
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# Libraries whose own lines repeat what the box says better, or quote request addresses with their query.
_QUIET = (
    "uvicorn", "uvicorn.error", "asyncssh", "apscheduler", "websockets", "asyncio", "httpcore", "httpx", "httpcore2",
    "httpx2", "openai", "anthropic", "pydantic_ai",
)  # fmt: skip


def get(room: str) -> FilteringBoundLogger:
    """A logger whose lines carry the name of the room."""
    logger: FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


def configure(level: str = "info", stream: IO[str] | None = None) -> None:
    """Set up structlog, and the standard library's loggers beside it. Calling it again replaces the set-up."""
    out = stream or sys.stderr
    threshold = _LEVELS.get(level.lower(), logging.INFO)
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*before, _SINK.render],
        logger_factory=lambda *_: _SINK,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=True,  # five times faster
    )
    _SINK.direct(out)
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _SINK.render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


class _Sink:
    """Where lines go at last. Loggers that were made before it was directed elsewhere follow it there."""

    def __init__(self) -> None:
        self.direct(sys.stderr)

    def direct(self, stream: IO[str]) -> None:
        self._stream = stream
        self._renderer: Processor = _json
        if stream.isatty():
            self._renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)

    def render(self, logger: Any, method: str, event: EventDict) -> Any:
        return self._renderer(logger, method, event)

    def msg(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()

    debug = info = warning = error = critical = exception = msg


def _json(_logger: Any, _method: str, event: EventDict) -> str:
    return msgspec.json.encode({"event": event.pop("event", ""), **event}, enc_hook=repr).decode()


_SINK = _Sink()


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Hide values whose key speaks of a secret (`token`, `X-CSRF-Token`, `private_key_pem`), however deep they lie."""
    _hide(event)
    return event


def _hide(values: MutableMapping[str, Any]) -> None:
    for key, value in values.items():
        if _is_secret(str(key)):
            values[key] = HIDDEN
        elif isinstance(value, Mapping):
            values[key] = copy = dict(value)
            _hide(copy)


@lru_cache(1024)
def _is_secret(key: str) -> bool:
    name = key.lower().replace("-", "_")
    return name in _SECRETS or any(part in name for part in ("token", "private_key", "password", "cookie"))
