"""Structured logs on standard error: a JSON object a line, or coloured text on a terminal. No secret gets through.

`logs.get("ssh").info("ssh.connected", session_lease_id=…)`: the event's name first, then what is worth knowing as
key and value, so that nothing needs to be parsed out of a sentence.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import IO, Any

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
_QUIET = ("uvicorn", "uvicorn.error", "asyncssh", "apscheduler", "websockets", "asyncio", "httpcore", "httpx")


def get(room: str) -> FilteringBoundLogger:
    """A logger whose lines carry the name of the room."""
    logger: FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


def configure(level: str = "info", stream: IO[str] | None = None) -> None:
    """Set up structlog, and the standard library's loggers through it. Calling it again replaces the set-up."""
    out = stream or sys.stderr
    threshold = _LEVELS.get(level.lower(), logging.INFO)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(out)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def _renderer(out: IO[str]) -> Processor:
    if out.isatty():
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Hide values whose key speaks of a secret (`token`, `X-CSRF-Token`, `private_key_pem`), however deep they lie."""
    _hide(event)
    return event


def _hide(values: MutableMapping[str, Any]) -> None:
    for key, value in values.items():
        if _is_secret(key):
            values[key] = HIDDEN
        elif isinstance(value, Mapping):
            values[key] = copy = dict(value)
            _hide(copy)


def _is_secret(key: object) -> bool:
    name = str(key).lower().replace("-", "_")
    return name in _SECRETS or any(part in name for part in ("token", "private_key", "password", "cookie"))
