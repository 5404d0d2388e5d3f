"""The UI, served from memory with the compression it was built with. Every address that is no file is a page of it."""

import hashlib
from functools import cached_property
from pathlib import Path

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from clawdbox.errors import NotFound, Problem
from clawdbox.web.problems import respond
from clawdbox.web.visit import visit_of

FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_ENCODINGS = {"br": ".br", "gzip": ".gz"}
_IMMUTABLE = "public, max-age=31536000, immutable"  # its name is a hash of its content
_SITE = ("/api", "/health", "/metrics")
_SCHEMA = "/schema"
_NOT_BUILT = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>clawdbox</title>
<body style="font: 1rem/1.5 system-ui; max-width: 34rem; margin: 3rem auto; padding: 0 1rem">
<h1>The box runs, but its pages are not built</h1>
<p>In the clone, run <code>make ui</code>, then start the box again.</p>
<p>The API works meanwhile: <a href="/schema/openapi.json">its description</a>.</p>
"""


class Variant:
    """One encoding of a file, read once and then kept."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def data(self) -> bytes:
        return self._path.read_bytes()

    @cached_property
    def etag(self) -> bytes:
        return f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'.encode()


class File:
    def __init__(self, path: Path, name: str) -> None:
        self.content_type = _TYPES.get(path.suffix, "application/octet-stream")
        self.cache_control = _IMMUTABLE if name.startswith("/assets/") else "no-cache"
        self.variants = {"identity": Variant(path)}
        for encoding, suffix in _ENCODINGS.items():
            sibling = path.with_name(path.name + suffix)
            if sibling.is_file():
                self.variants[encoding] = Variant(sibling)
        if not name.startswith(f"{_SCHEMA}/"):
            self._hold()

    def _hold(self) -> None:
        """Read it now: a page and what it loads stay those of one build, also when another is made meanwhile."""
        for variant in self.variants.values():
            _ = variant.data

    def choose(self, accepted: str) -> tuple[str, Variant]:
        """The smallest encoding that the client takes (RFC 9110, 12.5.3)."""
        wanted = _accepted(accepted)
        for encoding in _ENCODINGS:
            if encoding in self.variants and encoding in wanted:
                return encoding, self.variants[encoding]
        return "identity", self.variants["identity"]


def load(folder: Path) -> dict[str, File]:
    """Files by their address. Nothing else in the file system can be reached, whatever a path says."""
    if not folder.is_dir():
        return {}
    compressed = tuple(_ENCODINGS.values())
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in compressed)
    names = [f"/{path.relative_to(folder).as_posix()}" for path in found]
    return {name: File(path, name) for name, path in zip(names, found, strict=True)}


class Pages:
    """ASGI middleware: answers for the UI, and hands everything else on."""

    def __init__(self, app: ASGIApp, folder: Path = FOLDER) -> None:
        self._app = app
        self._files = load(folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET or not self._is_mine(scope["path"]):
            await self._app(scope, receive, send)
            return
        visit = visit_of(scope)
        visit.route = "static"
        if scope["method"] not in ("GET", "HEAD"):
            refusal = Problem("method_not_allowed", "Pages can only be read.", allow="GET, HEAD")
            await respond(refusal, visit, send)
            return
        file = self._find(scope["path"])
        if file is not None:
            await _send_file(file, scope, send)
        elif "/index.html" not in self._files and self._is_page(scope["path"]):
            await _send(send, 503, [(b"content-type", b"text/html; charset=utf-8")], _NOT_BUILT)
        else:
            await respond(NotFound(), visit, send)

    def _is_mine(self, path: str) -> bool:
        if path == "/schema/openapi.json":
            return False
        return not any(path == prefix or path.startswith(f"{prefix}/") for prefix in _SITE)

    def _find(self, path: str) -> File | None:
        if path in (_SCHEMA, f"{_SCHEMA}/"):
            return self._files.get("/schema/index.html")
        found = self._files.get(path)
        if found is None and self._is_page(path) and not path.startswith(_SCHEMA):
            return self._files.get("/index.html")
        return found

    def _is_page(self, path: str) -> bool:
        """A place in the UI, rather than a file that is not (or no longer) there."""
        return not path.startswith("/assets/") and "." not in path.rpartition("/")[2]


async def _send_file(file: File, scope: Scope, send: Send) -> None:
    asked = {
        name: value for name, value in scope["headers"] if name in (b"accept-encoding", b"if-none-match")
    }
    encoding, variant = file.choose(asked.get(b"accept-encoding", b"").decode("latin-1"))
    headers = [
        (b"etag", variant.etag),
        (b"cache-control", file.cache_control.encode()),
        (b"vary", b"accept-encoding"),
    ]
    if _matches(asked.get(b"if-none-match"), variant.etag):
        await _send(send, 304, headers, b"")
        return
    headers.append((b"content-type", file.content_type.encode()))
    if encoding != "identity":
        headers.append((b"content-encoding", encoding.encode()))
    await _send(send, 200, headers, variant.data)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    if status != 304:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _matches(header: bytes | None, etag: bytes) -> bool:
    tags = {tag.strip().removeprefix(b"W/") for tag in (header or b"").split(b",")}
    return b"*" in tags or etag in tags


def _accepted(header: str) -> set[str]:
    names = set()
    for part in header.split(","):
        name, _, parameters = part.partition(";")
        weight = parameters.strip().lower().removeprefix("q=")
        if not parameters or weight.strip("0.") != "":
            names.add(name.strip().lower())
    return names
