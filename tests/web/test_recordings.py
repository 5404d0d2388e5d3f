"""Recordings over the API: begun, listed, played, renamed, deleted; and nobody else's."""

import json
from typing import Any

import pytest

from clawdbox.ssh.service.terminals import LiveTerminal
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.routes import http_routes
from tests.web.served import Client, Served
from tests.web.servers import open_terminal, start_session

pytestmark = pytest.mark.sshd


class Stage:
    """A terminal on a real shell, and what is done with its recordings."""

    def __init__(self, served: Served, client: Client, session: dict[str, Any], live: LiveTerminal) -> None:
        self.served, self.client, self.session, self.live = served, client, session, live
        self._seq = 0

    @property
    def start_path(self) -> str:
        return f"/sessions/{self.session['id']}/terminals/{self.live.id}/recording"

    async def start(self) -> dict[str, Any]:
        answer = await self.client.post(self.start_path)
        assert answer.status_code == 201, answer.text
        recording: dict[str, Any] = answer.json()["recording"]
        return recording

    async def say(self, word: str) -> None:
        self._seq += 1
        after = self.live.ring.end
        await self.live.type("test", self._seq, f"echo {word[0]}''{word[1:]}\n".encode())
        await eventually(lambda: word.encode() in self.live.ring.recent(after, 100_000), what=word)

    async def stop(self, recording: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.post(f"/recordings/{recording['id']}/stop")
        assert answer.status_code == 200, answer.text
        stopped: dict[str, Any] = answer.json()["recording"]
        return stopped


@pytest.fixture
async def stage(served: Served, phone: Client, sshd: Sshd) -> Stage:
    session = await start_session(phone, sshd)
    terminal = await open_terminal(phone, session)
    live = await served.box.terminals.live(served.box.owner.id, session["id"], terminal["id"])
    assert isinstance(live, LiveTerminal)
    return Stage(served, phone, session, live)


async def test_a_recording_is_begun_shown_stopped_played_renamed_and_deleted(stage: Stage) -> None:
    phone = stage.client
    recording = await stage.start()
    assert (recording["state"], recording["why"]) == ("recording", "asked")
    again = await phone.post(stage.start_path)
    assert (again.status_code, again.json()["code"]) == (409, "already_recording")
    assert again.json()["recording_id"] == recording["id"]
    await stage.say("hello-cast")
    running = (await phone.get(f"/recordings?terminal_id={stage.live.id}&status=recording")).json()
    assert [each["id"] for each in running["recordings"]] == [recording["id"]]
    stopped = await stage.stop(recording)
    assert (stopped["state"], stopped["end_reason"]) == ("done", "asked")
    twice = await phone.post(f"/recordings/{recording['id']}/stop")
    assert (twice.status_code, twice.json()["code"]) == (409, "recording_ended")

    renamed = await phone.patch(f"/recordings/{recording['id']}", {"title": 'Größe 50% "x"'})
    assert renamed.json()["recording"]["title"] == 'Größe 50% "x"'
    for words, count in (("größe", 1), ("Größe", 1), ("50%", 1), ("5%0", 0), ("_", 0), ("GR", 1)):
        page = (await phone.get("/recordings", params={"q": words})).json()
        assert len(page["recordings"]) == count, words
    assert (await phone.get("/recordings")).json()["used_bytes"] == stopped["size_bytes"]

    answer = await phone.ask("GET", recording["cast_path"] + "?export=true")
    assert answer.headers["content-type"].startswith("application/x-asciicast")
    assert answer.headers["content-disposition"].startswith(
        'attachment; filename="recording.cast"; filename*='
    )
    assert answer.headers["cache-control"] == "no-store"
    header, *events = [json.loads(line) for line in answer.text.splitlines()]
    assert header["title"] == 'Größe 50% "x"'
    assert "hello-cast" in "".join(event[2] for event in events)

    deleted = await phone.delete(f"/recordings/{recording['id']}")
    assert deleted.status_code == 200
    assert (await phone.get(f"/recordings/{recording['id']}")).status_code == 404
    assert (await phone.ask("GET", recording["cast_path"])).status_code == 404
    assert (await phone.get("/recordings")).json()["recordings"] == []
    actions = {row["action"] for row in await stage.served.audit(target_type="recording")}
    assert actions == {f"recording.{verb}" for verb in ("start", "stop", "end", "rename", "export", "delete")}


async def test_one_that_runs_can_be_played_up_to_what_has_reached_the_disk(stage: Stage) -> None:
    recording = await stage.start()
    await stage.say("so-far")

    async def shows() -> bool:
        return "so-far" in (await stage.client.ask("GET", recording["cast_path"])).text

    await eventually(shows, what="what has been said so far")
    refused = await stage.client.delete(f"/recordings/{recording['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "recording_running")


async def test_another_account_finds_nothing_of_it(stage: Stage) -> None:
    recording = await stage.start()
    stranger = await stage.served.browser(await stage.served.account())
    mine = {"recording_id": recording["id"], "session_id": stage.session["id"], "terminal_id": stage.live.id}
    routes = [route for route in http_routes() if "recording" in route.path and route.parameters]
    assert len(routes) == 6
    for route in routes:
        answer = await stranger.ask(route.method, route.at(**mine), json=route.body)
        absent = await stranger.ask(route.method, route.at(), json=route.body)
        assert (answer.status_code, answer.text) == (404, absent.text), route
    assert (await stranger.get("/recordings")).json()["total"] == 0
    choice = {"record": "always", "connection_id": stage.session["connection_id"]}
    assert (await stranger.patch("/recording-policy", choice)).status_code == 404


async def test_a_viewer_watches_and_changes_nothing(stage: Stage) -> None:
    viewer = await stage.served.browser(await stage.served.account("Viewer", role="viewer"))
    assert (await viewer.get("/recordings")).status_code == 200
    assert (await viewer.patch("/recording-policy", {"record": "never"})).status_code == 403


async def test_a_policy_is_chosen_for_all_and_for_one(stage: Stage) -> None:
    phone, connection = stage.client, stage.session["connection_id"]
    path = "/recording-policy"
    assert (await phone.get(path)).json()["policy"] == {"default": "ask", "connections": []}
    await phone.patch(path, {"record": "never"})
    refused = await phone.post(stage.start_path)
    assert (refused.status_code, refused.json()["code"]) == (409, "recording_forbidden")
    chosen = await phone.patch(path, {"record": "ask", "connection_id": connection})
    own = {"connection_id": connection, "record": "ask"}
    assert chosen.json()["policy"] == {"default": "never", "connections": [own]}
    await stage.start()
    back = await phone.patch(path, {"record": "default", "connection_id": connection})
    assert back.json()["policy"] == {"default": "never", "connections": []}
    for body in ({"record": "default"}, {"record": "sometimes"}, {}, {"record": "ask", "more": 1}):
        assert (await phone.patch(path, body)).status_code == 422, body
    assert (await phone.get("/recordings?status=deleted")).status_code == 422
    assert (await phone.post("/recordings/nothing/stop")).status_code == 404


async def test_a_file_that_was_changed_is_refused_before_a_byte_of_it_is_sent(stage: Stage) -> None:
    recording = await stage.start()
    await stage.say("first")
    await stage.stop(recording)
    path = stage.served.box.data_dir / "recordings" / f"{recording['id']}.cast"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    answer = await stage.client.ask("GET", recording["cast_path"])
    assert (answer.status_code, answer.json()["code"]) == (409, "recording_damaged")
