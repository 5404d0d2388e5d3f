"""Sockets: nothing is missed, nobody dead is kept, and a login's end is the socket's end."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack

import pytest

from clawdbox.events.model import SYSTEM
from clawdbox.store import Tx
from clawdbox.web.live import MAX_SOCKETS, Pace
from clawdbox.web.protocols import Ws
from tests.waiting import eventually
from tests.web.served import Client, Make, Served, code_of, hear, new_connection

LIVE = "/api/v1/events/live"
QUICK = Pace(ping_every=0.05, dead_after=0.4)


async def test_what_is_new_is_told_as_it_happens(phone: Client) -> None:
    last = (await phone.get("/events")).json()["last_seq"]
    async with phone.socket(LIVE) as socket:
        assert await hear(socket) == {"type": "ready", "last_seq": last}
        connection = await new_connection(phone)
        told = await hear(socket)
    assert told["type"] == "event"
    event = told["event"]
    assert set(event) == {"seq", "id", "type", "subject_type", "subject_id", "payload", "created_at"}
    assert (event["type"], event["subject_id"]) == ("connection.created", connection["id"])
    assert event["seq"] > last


async def test_who_comes_back_hears_everything_missed_once_and_in_order(phone: Client) -> None:
    async with phone.socket(LIVE) as socket:
        seq = (await hear(socket))["last_seq"]
        await new_connection(phone, label="seen")
        seq = (await hear(socket))["event"]["seq"]
    missed = [(await new_connection(phone, label=f"missed {n}"))["id"] for n in range(5)]

    async with phone.socket(f"{LIVE}?after={seq}") as socket:
        await hear(socket)
        heard = [(await hear(socket))["event"] for _ in missed]
        more = await new_connection(phone, label="new")
        last = (await hear(socket))["event"]

    assert [event["subject_id"] for event in heard] == missed
    assert last["subject_id"] == more["id"]
    everything = (await phone.get(f"/events?after={seq}")).json()["events"]
    assert everything == [*heard, last]


async def test_more_than_a_page_is_replayed_whole(served: Served, phone: Client) -> None:
    owner = served.box.owner.id

    def many(tx: Tx) -> None:
        for number in range(450):
            served.box.ledger.event(tx, owner, "test.event", "test", None, {"number": number})

    await served.box.store.write(many)
    async with phone.socket(f"{LIVE}?after=0") as socket:
        await hear(socket)
        numbers: list[int] = []
        while len(numbers) < 450:
            event = (await hear(socket))["event"]
            if event["type"] == "test.event":
                numbers.append(event["payload"]["number"])
    assert numbers == list(range(450))


async def test_another_accounts_events_are_not_heard(served: Served, phone: Client) -> None:
    other = await served.script(await served.account())
    async with phone.socket(LIVE) as socket:
        await hear(socket)
        await new_connection(other, label="theirs")
        mine = await new_connection(phone, label="mine")
        assert (await hear(socket))["event"]["subject_id"] == mine["id"]


class TestEnds:
    async def test_revoking_the_login_closes_its_sockets_at_once(self, served: Served, phone: Client) -> None:
        other = await served.browser()
        async with phone.socket(LIVE) as socket, other.socket(LIVE) as kept:
            await hear(socket)
            await hear(kept)
            await other.delete(f"/logins/{phone.login_id}")
            assert await code_of(socket) == 4401
            assert (await hear(kept))["event"]["type"] == "login.revoked"

    async def test_signing_out_and_disabling_close_them_too(self, served: Served, phone: Client) -> None:
        account = await served.account()
        theirs = await served.script(account)
        async with phone.socket(LIVE) as socket:
            await hear(socket)
            await phone.delete("/auth/session")
            assert await code_of(socket) == 4401
        async with theirs.socket(LIVE) as socket:
            await hear(socket)
            await served.box.accounts.set_active(SYSTEM, account.id, False)
            assert await code_of(socket) == 4401

    async def test_an_expired_login_closes_them_soon(self, make: Make) -> None:
        served = await make(pace=Pace(ping_every=0.05, dead_after=30))
        phone = await served.browser()
        async with phone.socket(LIVE) as socket:
            await hear(socket)
            served.turn(31 * 86_400)
            assert await code_of(socket) == 4401

    async def test_a_box_that_stops_says_that_it_restarts(self, served: Served, phone: Client) -> None:
        async with phone.socket(LIVE) as socket:
            await hear(socket)
            served.box.stopping.set()
            assert await code_of(socket) == 1012

    async def test_a_server_that_stops_says_so_even_if_the_box_did_not(
        self, served: Served, phone: Client
    ) -> None:
        async with phone.socket(LIVE) as socket:
            await hear(socket)
            stopping = asyncio.create_task(served.web.stop())
            assert await code_of(socket) == 1012
            await stopping


class TestPulse:
    async def test_a_silent_peer_is_given_up(self, make: Make) -> None:
        phone = await (await make(pace=QUICK)).browser()
        async with phone.socket(LIVE) as socket:
            assert await code_of(socket) == 4408

    async def test_a_peer_that_answers_is_kept(self, make: Make) -> None:
        phone = await (await make(pace=QUICK)).browser()
        async with phone.socket(LIVE) as socket:
            pings = 0
            while pings < 20:
                if '"ping"' in str(await socket.recv()):
                    pings += 1
                    await socket.send('{"type":"pong"}')

    async def test_a_peer_that_takes_nothing_is_dropped_with_all_that_waits_for_it(self, make: Make) -> None:
        """Without reading it would hold the buffers of a polite close for ever."""
        served = await make(pace=QUICK)
        script, owner = await served.script(), served.box.owner.id

        def flood(tx: Tx) -> None:
            for _ in range(6000):
                served.box.ledger.event(tx, owner, "test.flood", "test", None, {"text": "x" * 2000})

        await served.box.store.write(flood)
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", served.web.port))
        head = [
            f"GET {LIVE}?after=0 HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            f"Authorization: {script.headers['authorization']}", "", "",
        ]  # fmt: skip
        deaf.sendall("\r\n".join(head).encode())
        connections = served.web._server.server_state.connections
        await eventually(
            lambda: [one for one in connections if isinstance(one, Ws)], what="the socket is open"
        )
        await eventually(
            lambda: not [one for one in connections if isinstance(one, Ws)], timeout=40, what="it was dropped"
        )
        deaf.close()

    async def test_a_ping_is_answered(self, phone: Client) -> None:
        async with phone.socket(LIVE) as socket:
            await hear(socket)
            await socket.send('{"type":"ping"}')
            assert await hear(socket) == {"type": "pong"}


async def test_one_login_holds_so_many_sockets_and_no_more(served: Served, phone: Client) -> None:
    other = await served.script()
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(phone.socket(LIVE)) for _ in range(MAX_SOCKETS)]
        for socket in held:
            await hear(socket)
        async with phone.socket(LIVE) as socket:
            assert await code_of(socket) == 4429
        async with other.socket(LIVE) as socket:
            await hear(socket)
    async with phone.socket(LIVE) as socket:
        await hear(socket)


class TestBadInput:
    @pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 40, "", "١"])
    async def test_a_place_that_is_none_is_refused(self, phone: Client, after: str) -> None:
        async with phone.socket(f"{LIVE}?after={after}".encode().decode("ascii", "replace")) as socket:
            assert await code_of(socket) == 4400

    @pytest.mark.parametrize("frame", ["no json", "[]", "{}", '{"type":1}', '{"type":"' + "x" * 40 + '"}'])
    async def test_what_is_no_message_ends_the_socket(self, phone: Client, frame: str) -> None:
        async with phone.socket(LIVE) as socket:
            await hear(socket)
            await socket.send(frame)
            assert await code_of(socket) == 4400

    async def test_frames_have_a_size(self, phone: Client) -> None:
        for frame in (json.dumps({"type": "pong", "x": "y" * 70_000}), b"x" * 300_000):
            async with phone.socket(LIVE) as socket:
                await hear(socket)
                await socket.send(frame)
                assert await code_of(socket) == 1009


async def test_a_socket_that_ends_leaves_nothing_behind(served: Served, phone: Client) -> None:
    for _ in range(5):
        async with phone.socket(LIVE) as socket:
            await hear(socket)
    keys = {f"account:{served.box.owner.id}", f"login:{phone.login_id}"}
    await eventually(lambda: not keys & set(served.box.hub._waiters), what="nobody listens any more")
    await eventually(
        lambda: not [task for task in asyncio.all_tasks() if "Line." in repr(task.get_coro())],
        what="no task is left",
    )
