"""A box as a peer of a section: its API with a session on a server."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from bench.processes import Running, box, clawdbox
from tests.ssh.sshd import Sshd

ROOMY = ("CLAWDBOX_RATE_REQUEST_PER_MINUTE=1000000", "CLAWDBOX_RATE_TEST_PER_MINUTE=1000")


@contextlib.asynccontextmanager
async def running_box(data_dir: Path) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    token = clawdbox(data_dir, "token", "create", "--name", "bench")
    with box(data_dir, "CLAWDBOX_ALLOW_LOOPBACK=true", *ROOMY) as ours:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=f"{ours.address}/api/v1", headers=headers, timeout=60, trust_env=False
        ) as api:
            yield ours, api


async def a_session(api: httpx.AsyncClient, server: Sshd) -> str:
    """The id of a session that is up."""
    keypair = (await api.get("/keys")).json()["keypairs"][0]
    server.authorize(keypair["public_key"])
    place = {"label": "bench", "host": server.host, "port": server.port, "username": server.username}
    connection = await posted(api, "/connections", place)
    path = f"/connections/{connection['connection']['id']}"
    fingerprint = (await api.post(f"{path}/test", json={})).json()["new_fingerprint"]
    await posted(api, f"{path}/test", {"accept_host_key": True, "fingerprint": fingerprint})
    session = await posted(api, "/sessions", {"connection_id": connection["connection"]["id"]})
    return str(session["session"]["id"])


async def posted(api: httpx.AsyncClient, path: str, body: dict[str, object]) -> dict[str, Any]:
    answer = await api.post(path, json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
