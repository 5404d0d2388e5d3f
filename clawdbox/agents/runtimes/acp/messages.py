"""Messages of the Agent Client Protocol, version 1, as far as the box reads and writes them. Pure.

Whatever is not understood is left out: an unknown kind of update is no error, and a field of another type is not there.
"""

from typing import Any

import msgspec

VERSION = 1
MAX_LINE = 8 * 1024 * 1024
AUTH_REQUIRED = -32000


class Message(msgspec.Struct):
    """A request (`method` and `id`), a notification (`method` alone) or a response (`id` alone)."""

    id: Any = None
    method: str | None = None
    params: Any = None
    result: Any = None
    error: Any = None
    clawdbox: Any = None  # written by our own script, when the agent has ended
    status: Any = None


_decode = msgspec.json.Decoder(Message).decode


def read(line: bytes) -> Message | None:
    """None for what is no message."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def request(key: str, method: str, params: Any) -> str:
    return _line({"jsonrpc": "2.0", "id": key, "method": method, "params": params})


def notification(method: str, params: Any) -> str:
    return _line({"jsonrpc": "2.0", "method": method, "params": params})


def response(to: Any, result: Any) -> str:
    return _line({"jsonrpc": "2.0", "id": to, "result": result})


def refusal(to: Any) -> str:
    error = {"code": -32601, "message": "Method not found"}
    return _line({"jsonrpc": "2.0", "id": to, "error": error})


def initialize(version: str) -> dict[str, Any]:
    """Neither files nor terminals: the agent has its own, on its own machine."""
    return {
        "protocolVersion": VERSION,
        "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
        "clientInfo": {"name": "clawdbox", "title": "clawdbox", "version": version},
    }


def selected(option_id: str | None) -> dict[str, Any]:
    if option_id is None:
        return {"outcome": {"outcome": "cancelled"}}
    return {"outcome": {"outcome": "selected", "optionId": option_id}}


def text_of(value: Any, *path: str) -> str:
    """A string somewhere in it; "" when there is none."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def number_of(value: Any, *path: str) -> float | None:
    found = at(value, *path)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _line(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
