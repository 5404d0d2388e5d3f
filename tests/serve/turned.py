"""A served box whose clock goes forward by hand."""

import re
from pathlib import Path
from typing import Any

import httpx

from tests.cli.command import Served, clawdbox
from tests.ssh.sshd import Sshd
from tests.waiting import eventually_sync

Json = dict[str, Any]


class Turned:
    def __init__(self, served: Served, clock: Path) -> None:
        self.served = served
        self._clock = clock
        self._seconds = 0.0
        token = clawdbox("token", "create", "--name", "test", "--data-dir", served.data_dir).stdout.strip()
        self.http = httpx.Client(
            base_url=f"{served.address}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=40
        )

    def close(self) -> None:
        self.http.close()

    def turn(self, seconds: float) -> None:
        """Every deadline of the box comes nearer by that much, at once."""
        self._seconds += seconds
        self._clock.write_text(str(self._seconds))

    def printed_code(self) -> str:
        found = re.search(r"/pair#(\S+)", self.served.out)
        assert found
        return found.group(1)

    def post(self, path: str, body: Json | None = None, status: int = 201) -> Json:
        answer = self.http.post(path, json=body or {})
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    def get(self, path: str) -> Json:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def tested(self, server: Sshd, label: str = "nas") -> str:
        """A saved connection whose host key is pinned; its id."""
        server.authorize(self.get("/keys")["keypairs"][0]["public_key"])
        place = {"label": label, "host": server.host, "port": server.port, "username": server.username}
        connection_id = str(self.post("/connections", place)["connection"]["id"])
        new = self.post(f"/connections/{connection_id}/test", status=409)["new_fingerprint"]
        accept = {"accept_host_key": True, "fingerprint": new}
        assert self.post(f"/connections/{connection_id}/test", accept, status=200)["result"] == "ok"
        return connection_id

    def session(self, session_id: str) -> Json:
        found: Json = self.get(f"/sessions/{session_id}")["session"]
        return found

    def ended(self, session_id: str) -> Json:
        """The session, once it has ended."""

        def over() -> Json | None:
            session = self.session(session_id)
            return session if session["closed_at"] else None

        found = eventually_sync(over, timeout=20, what="the end of the session")
        assert found is not None
        return found
