"""Every route of the API, from the router itself, so that no test forgets one."""

import re
from collections.abc import Iterator
from functools import cache

import msgspec
from litestar.handlers import HTTPRouteHandler, WebsocketRouteHandler

from clawdbox.web.site import BASE, ROUTES

ABSENT = "019b9d3c-4a10-7c3e-9d56-0d2f6a1b2c3d"  # the id of nothing
UNSAFE = frozenset({"POST", "PATCH", "DELETE"})
# The smallest body that a route takes.
BODIES: dict[str, dict[str, object]] = {
    "pair": {"code": "x"},
    "claim_pairing": {"secret": "x"},
    "confirm_pairing_request": {"digits": "000000"},
    "add_passkey": {"label": "a", "credential": {}},
    "rename_passkey": {"label": "a"},
    "sign_in_with_passkey": {"credential": {}},
    "step_up_with_passkey": {"credential": {}},
    "sign_in_with_recovery_code": {"code": "x"},
    "start_oauth": {},
    "start_device": {},
    "accept_invitation": {"code": "x", "display_name": "a"},
    "add_login_provider": {"kind": "github", "label": "a", "client_id": "c"},
    "choose_sign_up": {"mode": "owner"},
    "create_invitation": {"label": "a"},
    "create_connection": {"label": "a", "host": "nas.lan", "username": "bob"},
    "add_host_authority": {"public_key": "ssh-ed25519 AAAA", "patterns": "*.lan"},
    "start_session": {"connection_id": ABSENT},
    "exec_command": {"command": "true"},
    "start_fleet_run": {"command": "true", "connection_ids": [ABSENT]},
    "create_snippet": {"label": "a", "command": "true"},
    "preview_snippet": {"command": "true"},
    "create_model_provider": {
        "label": "a",
        "kind": "openai",
        "base_url": "http://127.0.0.1:1/v1",
        "model": "m",
    },
    "start_turn": {"text": "help"},
    "answer_approval": {"decision": "deny"},
    "add_notify_channel": {
        "label": "a",
        "kinds": [],
        "ntfy": {"server": "https://ntfy.example.com", "topic": "a"},
    },
    "add_gateway": {"label": "a", "url": "ws://127.0.0.1:18789"},
    "open_forward": {"kind": "local", "target_port": 3000},
    "rename_recording": {"title": "a"},
    "change_recording_policy": {"record": "ask"},
    "make_folder": {"path": "/a"},
    "move_file": {"path": "/a", "to": "/b"},
    "set_file_mode": {"path": "/a", "mode": "0644"},
    "save_text": {"path": "/a", "text": "", "version": ""},
    "begin_upload": {"path": "/a", "size": 1},
    "begin_removal": {"path": "/a"},
}
# Their body is bytes.
RAW = frozenset({"send_piece"})


class Route(msgspec.Struct, frozen=True):
    name: str
    method: str
    path: str
    public: bool

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def body(self) -> dict[str, object] | None:
        takes_json = self.method in ("POST", "PATCH") and self.name not in RAW
        return BODIES.get(self.name, {}) if takes_json else None

    def at(self, **values: str) -> str:
        return self.path.format(**{**dict.fromkeys(self.parameters, ABSENT), **values})

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@cache
def all_routes() -> list[Route]:
    return list(_walk())


def http_routes(*, unsafe: bool | None = None) -> list[Route]:
    return [
        route
        for route in all_routes()
        if route.method != "WEBSOCKET" and not route.public and unsafe in (None, route.method in UNSAFE)
    ]


def socket_routes() -> list[Route]:
    return [route for route in all_routes() if route.method == "WEBSOCKET"]


def all_handlers() -> Iterator[HTTPRouteHandler | WebsocketRouteHandler]:
    for handlers in ROUTES.values():
        for handler in handlers:
            assert isinstance(handler, HTTPRouteHandler | WebsocketRouteHandler)
            yield handler


def _walk() -> Iterator[Route]:
    for handler in all_handlers():
        methods = handler.http_methods if isinstance(handler, HTTPRouteHandler) else {"WEBSOCKET"}
        for method in methods:
            for path in handler.paths:
                template = re.sub(r":\w+}", "}", path)
                yield Route(
                    handler.fn.__name__, str(method), BASE + template, bool(handler.opt.get("public"))
                )
