"""What the documents are compared with, read out of the code itself."""

import ast
import inspect
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from litestar.handlers import HTTPRouteHandler, WebsocketRouteHandler

from clawdbox import errors
from clawdbox.errors import Problem
from clawdbox.settings import Settings
from clawdbox.store.migrate import migrate
from clawdbox.web import health, metrics
from clawdbox.web.box import Box
from clawdbox.web.description import complete
from clawdbox.web.limits import Limits, Window
from clawdbox.web.problems import status_of
from clawdbox.web.site import ROUTES, create_app
from tests.house.tree import ROOT

Handler = HTTPRouteHandler | WebsocketRouteHandler
Json = dict[str, Any]


@cache
def openapi() -> Json:
    """The OpenAPI document as a running box serves it; nothing is started for it."""
    epoch = datetime(2026, 1, 1, tzinfo=UTC)
    clock = SimpleNamespace(now=lambda: epoch, monotonic=lambda: 0.0)
    app = create_app(cast("Box", SimpleNamespace(settings=Settings(), clock=clock)))
    served: Json = msgspec.json.decode(msgspec.json.encode(complete(app.openapi_schema.to_schema())))
    return served


def operations() -> dict[str, Json]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in openapi()["paths"].items()
        for method, operation in item.items()
    }


def handlers() -> dict[str, Handler]:
    """`GET /api/v1/keys` → its handler; sockets are `WEBSOCKET …`."""
    inside = [(f"/api/v1{path}", handler) for routes in ROUTES.values() for path, handler in _paths(routes)]
    outside = list(_paths([health.health, metrics.metrics]))
    found = {}
    for path, handler in [*inside, *outside]:
        methods = handler.http_methods if isinstance(handler, HTTPRouteHandler) else {"WEBSOCKET"}
        for method in methods:
            found[f"{method} {re.sub(r':[a-z]+}', '}', path)}"] = handler
    return found


def _paths(routes: list[Any]) -> Iterator[tuple[str, Handler]]:
    for handler in routes:
        for path in handler.paths:
            yield path, handler


def rates(handler: Handler) -> set[str]:
    """`5/minute` and the like: the windows that the handler checks, and the one that every login has."""
    limits = Limits(Settings())
    named = re.findall(r"check\(limits\.(\w+)", inspect.getsource(handler.fn))
    if not handler.opt.get("public"):
        named.append("request")
    return {rate(getattr(limits, name)) for name in named}


def rate(window: Window) -> str:
    return f"{window.count}/{ {60: 'minute', 3600: 'hour'}[int(window.seconds)] }".replace(" ", "")


@cache
def problem_codes() -> dict[str, int]:
    """Every code that is raised anywhere but at the start of the box, and its HTTP status."""
    found: dict[str, int] = {}
    for call, name in _raised():
        for problem in _problems(call, name):
            status = status_of(problem)
            assert found.setdefault(problem.code, status) == status, f"{problem.code} has two statuses"
    return found


def _raised() -> Iterator[tuple[ast.Call | None, str]]:
    for file in sorted((ROOT / "clawdbox").rglob("*.py")):
        if file.parent.name in ("admin", "cli") or file.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _is_problem(_name(node.func)):
                yield node, _name(node.func)
            elif isinstance(node, ast.Raise) and node.exc and _is_problem(_name(node.exc)):
                yield None, _name(node.exc)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_problem(name: str) -> bool:
    kind = getattr(errors, name, None)
    return isinstance(kind, type) and issubclass(kind, Problem) and kind is not errors.StartRefused


def _problems(call: ast.Call | None, name: str) -> list[Problem]:
    arguments = call.args if call else []
    keywords = {keyword.arg: keyword.value for keyword in call.keywords} if call else {}
    match name:
        case "NotFound":
            return [errors.NotFound()]
        case "RateLimited":
            return [errors.RateLimited(1)]
        case "Invalid":
            code = keywords.get("code") or (arguments[2] if len(arguments) > 2 else None)
            return [errors.Invalid("field", "", _text(code)) if code else errors.Invalid("field", "")]
        case "Unauthorized":
            return [errors.Unauthorized(_text(arguments[0])) if arguments else errors.Unauthorized()]
        case "Upstream":
            return _upstream(arguments[0], keywords.get("timed_out"))
    return [getattr(errors, name)(_text(arguments[0]), "")]


def _upstream(code: ast.expr, timed_out: ast.expr | None) -> list[Problem]:
    if isinstance(code, ast.IfExp):
        assert timed_out is not None
        assert ast.dump(code.test) == ast.dump(timed_out), "the code and the status hang on different things"
        yes, no = _text(code.body), _text(code.orelse)
        return [errors.Upstream(yes, "", timed_out=True), errors.Upstream(no, "")]
    return [errors.Upstream(_text(code), "")]


def _text(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant), ast.dump(node)
    assert isinstance(node.value, str), ast.dump(node)
    return node.value


@cache
def texts() -> frozenset[str]:
    """Every text constant of the code, to tell whether a name in a document is a name in the code."""
    return frozenset(
        node.value
        for file in (ROOT / "clawdbox").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@cache
def logged() -> dict[str, str]:
    """Event of a structured log → its level, where the event is a constant such as `ssh.connect`."""
    levels = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
    levels["say"] = "info"  # of the requests, whose level hangs on the route
    found = {}
    for file in (ROOT / "clawdbox").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and node.args and _name(node.func) in levels:
                first = node.args[0]
                if isinstance(first, ast.Constant) and re.fullmatch(r"[a-z_]+\.[a-z_]+", str(first.value)):
                    found[str(first.value)] = levels[_name(node.func)]
    return found


def database_sql() -> list[tuple[str, str, str, str]]:
    """(kind, name, table, SQL) of everything in a database that had all migrations, as SQLite keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "schema.db")
        migrate(path, datetime.now(UTC))
        db = sqlite3.connect(path)
        try:
            return db.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_master"
                " WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
            ).fetchall()
        finally:
            db.close()
