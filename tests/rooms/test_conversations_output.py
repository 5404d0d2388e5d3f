"""What commands put out arrives whole, or says what was cut; and never buries the box."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clawdbox.agents.model import Turn, TurnState
from clawdbox.ssh.model import ExecAnswer
from clawdbox.store import Tx
from tests.rooms.conversing import Call, World, of_type, puts_out, world

MIB = 1024 * 1024


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        yield made


async def _outputs(here: World, turn: Turn) -> list[dict[str, Any]]:
    return of_type(await here.said(turn), "command.output")


def _bytes(payloads: list[dict[str, Any]]) -> bytes:
    return b"".join(
        base64.b64decode(payload["data"]) if payload["encoding"] == "base64" else payload["data"].encode()
        for payload in payloads
    )


async def test_ten_megabytes_are_cut_to_one_in_few_writes(here: World) -> None:
    line = b"0123456789abcde\n"
    here.commands.course = puts_out(*[("stdout", line * 2048)] * 320)
    writes = 0

    def count(keys: set[str]) -> None:
        nonlocal writes
        writes += f"conversation:{here.conversation_id}" in keys

    here.store.on_commit(count)
    turn = await here.ask("$ cat big")
    payloads = await _outputs(here, turn)
    assert _bytes(payloads) == line * (MIB // len(line))
    assert max(len(payload["data"]) for payload in payloads) <= 16 * 1024
    assert len(payloads) < 150
    assert writes < 100
    assert of_type(await here.said(turn), "command.finished")[0]["truncated"] is True
    assert turn.state is TurnState.DONE


async def test_binary_output_comes_back_byte_for_byte(here: World) -> None:
    data = bytes(range(256)) * 500
    here.commands.course = puts_out(("stdout", data[:1000]), ("stdout", data[1000:]))
    payloads = await _outputs(here, await here.ask("$ cat /bin/true"))
    assert _bytes(payloads) == data
    assert "base64" in {payload["encoding"] for payload in payloads}


async def test_a_character_that_arrives_in_two_pieces_stays_whole(here: World) -> None:
    euro = "€".encode()
    here.commands.course = puts_out(
        ("stdout", b"5 " + euro[:2]), ("stderr", b"!"), ("stdout", euro[2:] + b"\n")
    )
    payloads = await _outputs(here, await here.ask("$ price"))
    assert {payload["encoding"] for payload in payloads} == {"utf-8"}
    assert _bytes([payload for payload in payloads if payload["stream"] == "stdout"]) == b"5 " + euro + b"\n"


async def test_many_small_pieces_become_few_events(here: World) -> None:
    here.commands.course = puts_out(*[("stdout", b"%d\n" % number) for number in range(3000)])
    payloads = await _outputs(here, await here.ask("$ seq 3000"))
    assert _bytes(payloads) == b"".join(b"%d\n" % number for number in range(3000))
    assert len(payloads) < 10


async def test_output_is_seen_while_the_command_still_runs(here: World) -> None:
    seen = asyncio.Event()

    async def course(call: Call) -> ExecAnswer:
        await call.on_output("stdout", b"working")
        await seen.wait()
        return call.answer(0)

    here.commands.course = course
    turn = await here.send("$ slow")
    with here.hub.listen(f"conversation:{here.conversation_id}") as signal:
        while not await _outputs(here, turn):
            await asyncio.wait_for(signal.wait(), 10)
            signal.clear()
    assert (await here.turn(turn.id)).state is TurnState.RUNNING
    seen.set()
    assert (await here.ended(turn)).state is TurnState.DONE


async def test_a_full_disk_stops_the_command_and_fails_the_turn(here: World) -> None:
    stopped = asyncio.Event()

    async def course(call: Call) -> ExecAnswer:
        while not call.cancel.is_set():
            await call.on_output("stdout", b"x" * 4096)
            await asyncio.sleep(0)
        stopped.set()
        return call.answer(None, cancelled=True)

    await here.store.write(lambda tx: _room_for(tx, 20))
    here.commands.course = course
    turn = await here.send("$ yes")
    await asyncio.wait_for(stopped.wait(), 20)
    await here.store.write(lambda tx: _room_for(tx, 100_000))
    ended = await here.ended(turn)
    assert ended.state is TurnState.FAILED
    assert "could not be saved" in (ended.error or "")
    events = await here.said(turn)
    assert of_type(events, "command.finished")[0]["truncated"] is True
    assert [event.seq for event in events] == list(range(events[0].seq, events[0].seq + len(events)))
    assert (await here.ask("help")).state is TurnState.DONE


def _room_for(tx: Tx, pages: int) -> None:
    """Let the database grow by so many pages, as on a disk of that size."""
    now = tx.value("PRAGMA page_count")
    tx.value(f"PRAGMA max_page_count = {now + pages}")
