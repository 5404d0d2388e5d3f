"""The real command killed with -9 while its terminals flood: what the next one finds, and what it left on disk."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection

from clawdbox.ssh.wire.sealed_file import BLOCK
from tests.cli.command import Served, clawdbox, environment
from tests.ssh.sshd import Sshd
from tests.ssh.test_kept_terminals import server
from tests.waiting import eventually
from tests.web.served import Client, Json
from tests.web.servers import connect_to

__all__ = ["server"]
pytestmark = pytest.mark.sshd

CANARY = b"cage-and-canary"
FLOOD = "yes cage-and''-canary &\n"
LINES = 400


class Page:
    """A page's side of a terminal: what came, and the highest input number that was acknowledged."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.hello: Json = {}
        self.told: list[Json] = []
        self.output = b""
        self.acked = 0

    async def read(self) -> None:
        while True:
            frame = await asyncio.wait_for(self._socket.recv(), 30)
            if isinstance(frame, bytes):
                self.output = (self.output + frame[8:])[-BLOCK:]
                end = int.from_bytes(frame[:8], "big") + len(frame) - 8
                await self._socket.send(msgspec.json.encode({"type": "received", "offset": end}).decode())
                return
            message = msgspec.json.decode(frame)
            if message["type"] == "ack":
                self.acked = message["seq"]
            if message["type"] == "hello":
                self.hello = message
            self.told.append(message)

    async def until(self, text: bytes) -> None:
        while text not in self.output:
            await self.read()

    async def type(self, seq: int, text: str) -> None:
        await self._socket.send(seq.to_bytes(8, "big") + text.encode())


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[list[Served]]:
    started: list[Served] = []
    yield started
    for one in started:
        one.end()


@asynccontextmanager
async def running(tmp_path: Path, boxes: list[Served], token: str) -> AsyncIterator[tuple[Served, Client]]:
    """The command, with little memory for what terminals wrote, so that its disk is in use at once."""
    env = environment(CLAWDBOX_TERMINAL_RING_BYTES="65536")
    served = Served(tmp_path / "box", "--allow-loopback", env=env).wait()
    boxes.append(served)
    async with httpx.AsyncClient(base_url=served.address, trust_env=False, timeout=30) as http:
        yield served, Client(http, served.address, {"authorization": f"Bearer {token}"}, None)


@asynccontextmanager
async def page(client: Client, terminal: Json) -> AsyncIterator[Page]:
    async with client.socket(f"{terminal['attach_path']}?client=phone&most=2000000") as socket:
        yield Page(socket)


async def started(client: Client, connection_id: str) -> Json:
    answer = await client.post("/sessions", {"connection_id": connection_id})
    assert answer.status_code == 201, answer.text
    session: Json = answer.json()["session"]
    return session


async def opened(client: Client, session: Json, **body: Any) -> Json:
    answer = await client.post(f"/sessions/{session['id']}/terminals", {"cols": 80, "rows": 24, **body})
    assert answer.status_code == 201, answer.text
    terminal: Json = answer.json()["terminal"]
    return terminal


async def said(client: Client, session: Json, command: str) -> None:
    """One turn of the conversation, to its end."""
    path = f"/conversations/{session['conversation_id']}"
    turn = await client.post(f"{path}/turns", {"text": f"$ {command}"})
    assert turn.status_code in (200, 201, 202), turn.text

    async def over() -> bool:
        shown = (await client.get(f"/connections/{session['connection_id']}/conversation")).json()
        return shown["conversation"]["running_turn_id"] is None

    await eventually(over, timeout=30, what="the end of the turn")


def nameless(pid: int, folder: Path) -> list[bytes]:
    """What lies in the files without a name that the process has open in the folder."""
    found = []
    for descriptor in list(Path(f"/proc/{pid}/fd").iterdir()):
        try:
            if str(folder) in (target := str(descriptor.readlink())) and "(deleted)" in target:
                found.append(descriptor.read_bytes())
        except OSError:  # closed meanwhile
            continue
    return found


def with_canary(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and CANARY in file.read_bytes()]


async def type_until_killed(shown: Page, served: Served, mark: str) -> None:
    """Numbered lines while the terminal floods; the process dies with some of them on their way."""
    for seq in range(2, LINES):
        await shown.type(seq, f"echo {mark}-{seq} >> $HOME/typed\n")
        if shown.acked >= 10:
            served.process.kill()
            break
        await shown.read()
    assert served.process.wait(10) == -9


async def test_after_kill_9_in_a_flood_the_kept_terminal_goes_on_and_nothing_is_typed_twice_or_left_readable(
    tmp_path: Path, server: Sshd, boxes: list[Served]
) -> None:
    data, typed = tmp_path / "box", tmp_path / "home" / "typed"
    token = clawdbox("token", "create", "--name", "test", "--data-dir", data).stdout.strip()

    async with running(tmp_path, boxes, token) as (served, client):
        connection = await connect_to(client, server)
        session = await started(client, connection["id"])
        await said(client, session, "echo before")
        plain, kept = await opened(client, session), await opened(client, session, keep_alive=True)
        async with page(client, plain) as one, page(client, kept) as two:
            for shown in (one, two):
                await shown.type(1, FLOOD)
                await shown.until(CANARY + b"\r\n" + CANARY)
            await eventually(
                lambda: any(len(found) > BLOCK for found in nameless(served.process.pid, data)),
                what="output on disk",
            )
            assert not any(CANARY in found for found in nameless(served.process.pid, data))
            assert with_canary(data) == [], "while it runs"
            await type_until_killed(two, served, "kept")

    assert with_canary(data) == []
    assert list((data / "spill").iterdir()) == []
    assert CANARY not in served.log.encode()

    async with running(tmp_path, boxes, token) as (_, client):
        listed = (await client.get(f"/sessions/{session['id']}/terminals")).json()["terminals"]
        assert {one["id"]: one["end_reason"] for one in listed} == {
            plain["id"]: "box_crashed",
            kept["id"]: "box_crashed",
        }
        async with page(client, plain) as shown:
            with pytest.raises(Exception, match="1000"):
                await shown.read()
            assert [one["type"] for one in shown.told] == ["hello", "gap", "ended"]
            assert shown.told[-1]["end_reason"] == "box_crashed"

        second = await started(client, connection["id"])
        waiting = await client.get(f"/connections/{connection['id']}/kept-terminals")
        assert [one["id"] for one in waiting.json()["kept_terminals"]] == [kept["kept_id"]]
        again = await opened(client, second, kept_id=kept["kept_id"])
        async with page(client, again) as shown:
            await shown.until(CANARY)
            assert (again["kept_id"], shown.hello["input_seq"]) == (kept["kept_id"], 0)
            await shown.type(1, "kill %1; echo again >> $HOME/typed; echo ca''lm\n")
            await shown.until(b"calm")
        lines = typed.read_text().split()
        numbers = [int(line.rpartition("-")[2]) for line in lines[:-1]]
        assert lines[-1] == "again"
        assert numbers == list(range(2, 2 + len(numbers))), "in their order, none twice"
        assert len(numbers) >= 9, "what was acknowledged long ago has arrived"

        await said(client, second, "echo after")
        assert second["conversation_id"] == session["conversation_id"]
        events = (await client.get(f"/conversations/{second['conversation_id']}/events")).json()
        assert [event["seq"] for event in events["events"]] == list(range(1, events["last_seq"] + 1))
        kinds = [event["type"] for event in events["events"]]
        assert (kinds.count("lease.started"), kinds.count("lease.ended")) == (2, 1)
