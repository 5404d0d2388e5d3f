"""A server that answers as GitHub's endpoints do, by its documentation, errors and their odd statuses included."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

Json = dict[str, Any]


class GitHubLike:
    """`codes` are what a person's consent at /authorize gave out; `device` what the next poll of the device flow says."""

    def __init__(self) -> None:
        self.user: Json = {"id": 583231, "login": "octocat", "name": "The Octocat", "email": None}
        self.emails: list[Json] = [
            {"email": "octo@example.org", "primary": True, "verified": True, "visibility": None}
        ]
        self.codes: dict[str, str] = {}
        self.device: list[str | None] = []
        self.limited = False
        self.redirects = False
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def consent(self, challenge: str, code: str = "c0de") -> str:
        self.codes[code] = challenge
        return code

    def answer(self, path: str, form: dict[str, str], token: str | None) -> tuple[int, Any]:
        self.asked.append((path, form))
        if self.limited:
            return 429, {"message": "API rate limit exceeded", "documentation_url": "https://docs.github.com"}
        match path:
            case "/login/oauth/access_token":
                return 200, self._token(form)
            case "/login/device/code":
                return 200, {
                    "device_code": "d" * 40, "user_code": "WDJB-MJHT", "expires_in": 900, "interval": 5,
                    "verification_uri": "https://github.com/login/device",
                }  # fmt: skip
            case "/api/v3/user":
                return (200, self.user) if token == "gho_canary" else (401, {"message": "Bad credentials"})
            case "/api/v3/user/emails":
                return 200, self.emails
        return 404, {"message": "Not Found"}

    def _token(self, form: dict[str, str]) -> Json:
        if form.get("client_id") != "Iv1.test":
            return {"error": "incorrect_client_credentials"}
        if "device_code" in form:
            error = self.device.pop(0)
            return {"error": error, "interval": 10} if error else self._granted()
        if form.get("client_secret") != "canary-github-secret":
            return {"error": "incorrect_client_credentials"}
        challenge = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if challenge is None or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
            return {"error": "bad_verification_code", "error_description": "The code passed is incorrect."}
        return self._granted()

    def _granted(self) -> Json:
        return {"access_token": "gho_canary", "scope": "read:user,user:email", "token_type": "bearer"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"])).decode()
                self._answer({name: values[0] for name, values in parse_qs(text).items()})

            def _answer(self, form: dict[str, str]) -> None:
                token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
                status, body = github.answer(self.path, form, token or None)
                raw = json.dumps(body).encode()
                self.send_response(302 if github.redirects else status)
                if github.redirects:
                    self.send_header("location", "http://169.254.169.254/")
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: object) -> None:
                pass

        return Handler
