"""A real OpenSSH server as a saved connection: from the key that is let in to an active session."""

from tests.ssh.sshd import Sshd
from tests.web.served import Client, Json, new_connection


async def connect_to(client: Client, sshd: Sshd, label: str = "Real server") -> Json:
    """A tested connection to it."""
    key = (await client.get("/keys")).json()["keypairs"][0]
    sshd.authorize(key["public_key"])
    connection = await new_connection(
        client, label=label, host=sshd.host, port=sshd.port, username=sshd.username
    )
    shown = await client.post(f"/connections/{connection['id']}/test")
    assert shown.json()["code"] == "host_key_unknown", shown.text
    accepted = {"accept_host_key": True, "fingerprint": shown.json()["new_fingerprint"]}
    tested = await client.post(f"/connections/{connection['id']}/test", accepted)
    assert tested.json()["result"] == "ok", tested.text
    found: Json = tested.json()["connection"]
    return found


async def start_session(client: Client, sshd: Sshd, label: str = "Real server") -> Json:
    connection = await connect_to(client, sshd, label)
    answer = await client.post("/sessions", {"connection_id": connection["id"]})
    assert answer.status_code == 201, answer.text
    session: Json = answer.json()["session"]
    return session


async def open_terminal(client: Client, session: Json, **size: int) -> Json:
    answer = await client.post(f"/sessions/{session['id']}/terminals", size)
    assert answer.status_code == 201, answer.text
    terminal: Json = answer.json()["terminal"]
    return terminal
