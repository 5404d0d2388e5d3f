"""An example for every body in the description, put together from the schema and from what names usually hold."""

from typing import Any

_ID = "019b9d3c-4a10-7c3e-9d56-0d2f6a1b2c3d"
_MOMENT = "2026-11-21T03:08:00.000000Z"
_FINGERPRINT = "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDmfjS0RnlAwx8m9cE"
_BY_NAME: dict[str, Any] = {
    "account_id": _ID,
    "action": "session.start",
    "actor": f"account:{_ID}",
    "algorithm": "ed25519",
    "attach_path": f"/api/v1/sessions/{_ID}/terminals/{_ID}/attach",
    "chat_url": f"http://192.168.1.20:8022/sessions/{_ID}",
    "command": "uptime",
    "csrf_token": "8bmYmDGFvdDavyPRtSHYhmHyWk2YeSNOCAEQO0VwFew",
    "detail": {"code": "label_taken", "status": 409},
    "device_name": "Bob's phone",
    "display_name": "Owner",
    "encoding": "utf-8",
    "fingerprint": _FINGERPRINT,
    "host": "nas.lan",
    "host_key_fingerprint": _FINGERPRINT,
    "host_key_type": "ssh-ed25519",
    "idle_timeout_s": 1800,
    "ip_address": "192.168.1.30",
    "kind": "browser",
    "label": "Bob's NAS",
    "last_test_result": "ok",
    "limit": 20,
    "max_leases": 5,
    "max_output_bytes": 1_048_576,
    "message": "Logged in to nas.lan as bob.",
    "payload": {},
    "port": 22,
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFb7eC4L+aU9IaGE86STe3fu/JrepytMflHbsTKdVOYy clawdbox-default",
    "result": "ok",
    "role": "owner",
    "runtime": "runbook",
    "server_version": "SSH-2.0-OpenSSH_9.2",
    "state": "open",
    "status": "active",
    "stdout": " 03:08:00 up 41 days,  2 users,  load average: 0.08, 0.03, 0.01\n",
    "text": "health",
    "title": "The full disk",
    "turn_max_commands": 100,
    "turn_max_cost_usd": 5.0,
    "turn_max_s": 3600,
    "turn_max_tokens": 2_000_000,
    "unattended_commands": 20,
    "type": "connection.tested",
    "url": "http://192.168.1.20:8022/pair#pZ1v…",
    "username": "bob",
    "words": ["abandon", "ability", "able", "about", "above", "absent", "absorb", "abstract"],
}
_PYTHON: dict[str, type] = {"integer": int, "array": list, "object": dict}
_BY_TYPE: dict[str, Any] = {
    "integer": 1,
    "number": 12.5,
    "boolean": False,
    "string": "",
    "object": {},
    "null": None,
}


def example(schema: dict[str, Any], components: dict[str, Any], name: str = "") -> Any:
    """A value that fits the schema; of several kinds the first."""
    if "$ref" in schema:
        return example(components[schema["$ref"].rpartition("/")[2]], components, name)
    if "oneOf" in schema:
        return example(schema["oneOf"][0], components, name)
    if "properties" in schema:
        return {field: example(part, components, field) for field, part in schema["properties"].items()}
    if schema.get("examples") or "enum" in schema:
        return (schema.get("examples") or schema["enum"])[0]
    return _plain(schema, components, name)


def _plain(schema: dict[str, Any], components: dict[str, Any], name: str) -> Any:
    kind = str(schema.get("type"))
    if schema.get("format") == "date-time":
        return _MOMENT
    if isinstance(_BY_NAME.get(name), _PYTHON.get(kind, str)):
        return _BY_NAME[name]
    if kind == "array":
        return [example(schema["items"], components)]
    if kind == "string" and (name == "id" or name.endswith("_id")):
        return _ID
    return _BY_TYPE.get(kind, "")
