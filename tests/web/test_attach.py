"""The terminal's socket, on a real shell: every byte by its offset, every key typed once."""

import asyncio
import re
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from clawdbox.ssh.service.terminals import LiveTerminal
from clawdbox.web.attach import CREDIT, TAIL
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.served import Client, Json, Make, Served, code_of, hear
from tests.web.servers import open_terminal, start_session

pytestmark = pytest.mark.sshd


class Screen:
    """A page's side of the socket: puts the output together and checks that it fits."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.hello: Json = {}
        self.start: int | None = None
        self.output = b""
        self.told: list[Json] = []
        self.seq = 0

    @property
    def end(self) -> int:
        return (self.start or 0) + len(self.output)

    async def greet(self) -> None:
        self.hello = await hear(self.socket)
        assert self.hello["type"] == "hello"
        self.seq = self.hello["input_seq"]

    async def read(self) -> None:
        frame = await asyncio.wait_for(self.socket.recv(), 20)
        if isinstance(frame, str):
            message = msgspec.json.decode(frame)
            if message["type"] == "gap":
                self.start, self.output = message["to"], b""
            self.told.append(message)
            return
        offset = int.from_bytes(frame[:8], "big")
        if self.start is None:
            self.start = offset
        assert offset == self.end, "a byte is missing or came twice"
        self.output += frame[8:]
        await self.say("received", offset=self.end)

    async def until(self, text: bytes) -> None:
        while text not in self.output:
            await self.read()

    async def until_told(self, kind: str) -> Json:
        while not (found := [message for message in self.told if message["type"] == kind]):
            await self.read()
        return found[-1]

    async def type(self, text: str) -> int:
        self.seq += 1
        await self.socket.send(self.seq.to_bytes(8, "big") + text.encode())
        return self.seq

    async def say(self, kind: str, **values: Any) -> None:
        await self.socket.send(msgspec.json.encode({"type": kind, **values}).decode())


@pytest.fixture
async def session(phone: Client, sshd: Sshd) -> Json:
    return await start_session(phone, sshd)


@pytest.fixture
async def terminal(phone: Client, session: Json) -> Json:
    return await open_terminal(phone, session)


def path_of(terminal: Json, after: int | None = None, client: str = "page-1") -> str:
    query = f"?client={client}" + ("" if after is None else f"&after={after}")
    return f"{terminal['attach_path']}{query}"


async def live_of(served: Served, terminal: Json) -> LiveTerminal:
    live = await served.box.terminals.live(served.box.owner.id, terminal["session_id"], terminal["id"])
    assert isinstance(live, LiveTerminal)
    return live


async def test_what_is_typed_runs_and_its_output_comes_back(phone: Client, terminal: Json) -> None:
    async with phone.socket(path_of(terminal)) as socket:
        screen = Screen(socket)
        await screen.greet()
        assert {"start_offset", "end_offset", "cols", "rows", "input_seq", "state"} < set(screen.hello)
        assert (screen.hello["input_seq"], screen.hello["state"]) == (0, "open")
        seq = await screen.type("echo $((6*7))answer\n")
        await screen.until(b"42answer")
        assert await screen.until_told("ack") == {"type": "ack", "seq": seq}


async def test_another_page_sees_everything_that_is_kept(phone: Client, terminal: Json) -> None:
    async with (
        phone.socket(path_of(terminal)) as first,
        phone.socket(path_of(terminal, client="page-2")) as second,
    ):
        one, two = Screen(first), Screen(second)
        await one.greet()
        await two.greet()
        await one.type("echo shared-$((1+1))\n")
        await one.until(b"shared-2")
        await two.until(b"shared-2")
        assert two.output.startswith(one.output[:20])
        assert two.start == 0


async def test_who_comes_back_misses_no_byte_and_sees_none_twice(phone: Client, terminal: Json) -> None:
    async with phone.socket(path_of(terminal)) as socket:
        screen = Screen(socket)
        await screen.greet()
        await screen.type("echo before; read line; for i in 1 2 3; do echo while-away-$i; done\n")
        await screen.until(b"before\r\n")
        seen, at = screen.output, screen.end

    async with phone.socket(path_of(terminal, after=at)) as socket:
        again = Screen(socket)
        await again.greet()
        assert again.hello["input_seq"] == 1
        await again.type("\n")
        await again.until(b"while-away-3\r\n")
        assert again.start == at

    async with phone.socket(path_of(terminal, client="page-2")) as socket:
        whole = Screen(socket)
        await whole.greet()
        await whole.until(b"while-away-3\r\n")
        assert whole.output.startswith(seen + again.output[: again.output.index(b"while-away-3")])


async def test_input_that_is_sent_again_is_not_typed_again(phone: Client, terminal: Json) -> None:
    async with phone.socket(path_of(terminal)) as socket:
        screen = Screen(socket)
        await screen.greet()
        await screen.type("echo ty$((3*3))ped\n")
        await screen.until_told("ack")

    async with phone.socket(path_of(terminal)) as socket:
        screen = Screen(socket)
        await screen.greet()
        assert screen.hello["input_seq"] == 1
        await socket.send((1).to_bytes(8, "big") + b"echo ty$((3*3))ped\n")
        assert await screen.until_told("ack") == {"type": "ack", "seq": 1}
        await socket.send((2).to_bytes(8, "big") + b"echo end-$((1+1))\n")
        await screen.until(b"end-2")
        assert screen.output.count(b"ty9ped") == 1


async def test_a_new_size_reaches_the_server_and_every_page(phone: Client, terminal: Json) -> None:
    async with (
        phone.socket(path_of(terminal)) as first,
        phone.socket(path_of(terminal, client="page-2")) as second,
    ):
        one, two = Screen(first), Screen(second)
        await one.greet()
        await two.greet()
        await one.say("resize", cols=123, rows=45)
        for screen, yours in ((one, True), (two, False)):
            told = await screen.until_told("size")
            assert told == {"type": "size", "cols": 123, "rows": 45, "yours": yours, "device": "Test browser"}
        await one.type("stty size\n")
        await one.until(b"45 123")


async def test_the_end_of_the_shell_is_told_with_its_status(phone: Client, terminal: Json) -> None:
    async with phone.socket(path_of(terminal)) as socket:
        screen = Screen(socket)
        await screen.greet()
        await screen.type("exit 7\n")
        ended = await screen.until_told("ended")
        assert (ended["exit_status"], ended["end_reason"]) == (7, "exited")
        assert await code_of(socket) == 1000

    async with phone.socket(path_of(terminal, after=screen.end)) as socket:
        later = Screen(socket)
        await later.greet()
        assert later.hello["state"] == "ended"
        assert (await later.until_told("ended"))["exit_status"] == 7


async def test_a_terminal_whose_bytes_are_gone_still_says_what_became_of_it(
    served: Served, phone: Client, terminal: Json
) -> None:
    await phone.delete(f"/sessions/{terminal['session_id']}/terminals/{terminal['id']}")
    served.box.terminals._live.clear()
    async with phone.socket(path_of(terminal)) as socket:
        screen = Screen(socket)
        await screen.greet()
        assert screen.hello["state"] == "ended"
        assert (await screen.until_told("ended"))["end_reason"] == "closed"
        assert screen.told[0] == {"type": "gap", "from": 0, "to": None}, "what was lost is said, never silent"
        assert await code_of(socket) == 1000


class TestBounds:
    @pytest.fixture
    async def served(self, make: Make) -> Served:
        return await make(allow_loopback=True, terminal_ring_bytes=100_000, terminal_spill_bytes=0)

    async def test_what_is_no_longer_kept_is_a_gap_and_never_silent(
        self, served: Served, phone: Client, terminal: Json
    ) -> None:
        live = await live_of(served, terminal)
        async with phone.socket(path_of(terminal)) as socket:
            screen = Screen(socket)
            await screen.greet()
            await screen.type("stty -echo; echo ready-$((1+1))\n")
            await screen.until(b"ready-2")
            at = screen.end
        for _ in range(25):
            live.ring.append(b"x" * 10_000)
        live.ring.append(b"THE END")
        live.notify()

        async with phone.socket(path_of(terminal, after=at)) as socket:
            again = Screen(socket)
            await again.greet()
            gap = await again.until_told("gap")
            assert gap["from"] == at
            assert gap["to"] == again.hello["start_offset"] > at
            await again.until(b"THE END")

    async def test_a_page_that_renders_nothing_is_sent_no_more_than_its_credit(
        self, make: Make, sshd: Sshd
    ) -> None:
        served = await make(allow_loopback=True, terminal_ring_bytes=4 * CREDIT, terminal_spill_bytes=0)
        phone = await served.browser()
        terminal = await open_terminal(phone, await start_session(phone, sshd))
        live = await live_of(served, terminal)
        live.ring.append(b"y" * (2 * CREDIT))
        start = live.ring.start
        live.notify()
        async with phone.socket(path_of(terminal, after=start)) as socket:
            assert (await hear(socket))["type"] == "hello"
            received = 0
            while received < CREDIT:
                frame = await socket.recv()
                received += len(frame) - 8
            assert received == CREDIT
            await socket.send('{"type":"ping"}')
            assert await hear(socket) == {"type": "pong"}, (
                "nothing more comes before the page says what it has"
            )
            await socket.send(f'{{"type":"received","offset":{start + 1000}}}')
            more = await socket.recv()
            assert len(more) - 8 == 1000

    async def test_a_page_cannot_claim_more_than_it_was_sent(
        self, served: Served, phone: Client, terminal: Json
    ) -> None:
        async with phone.socket(path_of(terminal, after=2**50)) as socket:
            screen = Screen(socket)
            await screen.greet()
            await screen.say("received", offset=2**50)
            await screen.type("echo still-$((1+1))\n")
            await screen.until(b"still-2")


class TestRights:
    async def test_a_viewer_sees_but_neither_types_nor_resizes(
        self, served: Served, phone: Client, terminal: Json
    ) -> None:
        await served.box.store.write(lambda tx: tx.run("UPDATE accounts SET role = 'viewer'"))
        for frame in ((1).to_bytes(8, "big") + b"echo no\n", '{"type":"resize","cols":10,"rows":10}'):
            async with phone.socket(path_of(terminal)) as socket:
                assert (await hear(socket))["type"] == "hello"
                await socket.send(frame)
                assert await code_of(socket) == 4403
        assert (await live_of(served, terminal)).last_input("page-1") == 0

    async def test_a_revoked_login_types_no_more(self, served: Served, phone: Client, terminal: Json) -> None:
        async with phone.socket(path_of(terminal)) as socket:
            await hear(socket)
            await phone.delete("/auth/session")
            assert await code_of(socket) == 4401
            with pytest.raises(ConnectionClosed):
                await socket.send((1).to_bytes(8, "big") + b"echo no\n")

    @pytest.mark.parametrize(
        "frame",
        [
            b"short",
            (0).to_bytes(8, "big") + b"zero",
            (2**63).to_bytes(8, "big") + b"huge",
            '{"type":"resize","cols":0,"rows":1}',
            '{"type":"resize","cols":99999,"rows":1}',
            '{"type":"resize"}',
            '{"type":"received","offset":-1}',
            '{"type":"format-disk"}',
        ],
    )
    async def test_what_is_no_message_ends_the_socket(
        self, phone: Client, terminal: Json, frame: str | bytes
    ) -> None:
        async with phone.socket(path_of(terminal)) as socket:
            await hear(socket)
            await socket.send(frame)
            assert await code_of(socket) == 4400

    @pytest.mark.parametrize("client", ["a b", "x" * 65, "../x"])
    async def test_a_pages_name_is_plain(self, phone: Client, terminal: Json, client: str) -> None:
        async with phone.socket(path_of(terminal, client=client.replace(" ", "%20"))) as socket:
            assert await code_of(socket) == 4400


class TestSeveralDevices:
    async def test_one_has_the_size_and_another_may_take_it(self, phone: Client, terminal: Json) -> None:
        async with (
            phone.socket(path_of(terminal, client="phone")) as first,
            phone.socket(path_of(terminal, client="desk")) as second,
        ):
            one, two = Screen(first), Screen(second)
            await one.greet()
            await two.greet()
            await one.say("resize", cols=40, rows=20)
            assert (await one.until_told("size"))["yours"] is True
            assert (await two.until_told("size"))["yours"] is False
            two.told.clear()
            await two.say("resize", cols=120, rows=50)
            await two.type("stty size\n")
            assert await two.until_told("size") == {
                "type": "size",
                "cols": 120,
                "rows": 50,
                "yours": True,
                "device": "Test browser",
            }
            await two.until(b"50 120")
            one.told.clear()
            await one.say("resize", cols=40, rows=20, take=True)
            told = await one.until_told("size")
            while told["cols"] != 40:
                one.told.clear()
                told = await one.until_told("size")
            assert told["yours"] is True

    async def test_an_owner_that_leaves_gives_the_size_up(self, phone: Client, terminal: Json) -> None:
        async with phone.socket(path_of(terminal, client="desk")) as second:
            two = Screen(second)
            await two.greet()
            async with phone.socket(path_of(terminal, client="phone")) as first:
                one = Screen(first)
                await one.greet()
                await one.say("resize", cols=40, rows=20)
                await two.until_told("size")
                two.told.clear()
            assert (await two.until_told("size"))["yours"] is None
            two.told.clear()
            await two.say("resize", cols=100, rows=30)
            assert (await two.until_told("size"))["cols"] == 100

    async def test_who_only_watches_sees_all_and_changes_nothing(
        self, served: Served, phone: Client, terminal: Json
    ) -> None:
        async with phone.socket(path_of(terminal)) as socket:
            typing = Screen(socket)
            await typing.greet()
            assert typing.hello["may_type"] is True
            async with phone.socket(path_of(terminal, client="eye") + "&view=1") as other:
                watching = Screen(other)
                await watching.greet()
                assert watching.hello["may_type"] is False
                await typing.type("echo se$((1+1))en\n")
                await watching.until(b"se2en")
        for frame in ((1).to_bytes(8, "big") + b"echo no\n", '{"type":"resize","cols":10,"rows":10}'):
            async with phone.socket(path_of(terminal, client="eye") + "&view=1") as socket:
                await hear(socket)
                await socket.send(frame)
                assert await code_of(socket) == 4403
        assert (await live_of(served, terminal)).last_input("eye") == 0


class TestMuchBehindIt:
    @pytest.fixture
    async def filled(self, served: Served, terminal: Json) -> LiveTerminal:
        live = await live_of(served, terminal)
        for number in range(60_000):
            live.ring.append(b"line %08d of a long output....\n" % number)
            if number % 1000 == 0:
                await asyncio.sleep(0)
        await eventually(lambda: live.ring._spilling is None, what="an idle disk")
        assert live.ring.start == 0
        assert live.ring.in_memory > 1_000_000
        return live

    async def test_a_new_page_gets_the_newest_part_and_is_told_where_it_begins(
        self, phone: Client, terminal: Json, filled: LiveTerminal
    ) -> None:
        async with phone.socket(path_of(terminal)) as socket:
            screen = Screen(socket)
            await screen.greet()
            await screen.until(b"line 00059999")
            assert screen.start == screen.hello["offset"] >= filled.ring.end - TAIL
            assert screen.hello["start_offset"] == 0
            assert screen.output.startswith(b"line "), "from the beginning of a line"

    async def test_who_asks_for_everything_gets_it_from_disk_and_memory(
        self, phone: Client, terminal: Json, filled: LiveTerminal
    ) -> None:
        async with phone.socket(path_of(terminal, after=0)) as socket:
            screen = Screen(socket)
            await screen.greet()
            await screen.until(b"line 00059999")
            numbers = [int(number) for number in re.findall(rb"line (\d{8})", screen.output)]
            assert numbers == list(range(60_000))
            assert not [message for message in screen.told if message["type"] == "gap"]

    async def test_who_would_rather_skip_than_lag_is_told_what_it_skipped(
        self, phone: Client, terminal: Json, filled: LiveTerminal
    ) -> None:
        async with phone.socket(path_of(terminal, after=0) + "&most=100000") as socket:
            screen = Screen(socket)
            await screen.greet()
            gap = await screen.until_told("gap")
            assert (gap["from"], gap["kept"]) == (0, True)
            await screen.until(b"line 00059999")
            assert len(screen.output) <= 50_000 + 100

    @pytest.mark.parametrize("most", ["0", "65535", "-1", "all"])
    async def test_a_bound_that_is_none_is_refused(self, phone: Client, terminal: Json, most: str) -> None:
        async with phone.socket(path_of(terminal) + f"&most={most}") as socket:
            assert await code_of(socket) == 4400
