"""What is noted stands with what was said after it, and never without."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clawdbox.agents import sql
from clawdbox.agents.journal import Journal
from clawdbox.agents.model import Turn
from clawdbox.agents.runtimes.port import Hands, Question, TurnLost
from clawdbox.approvals.model import Option
from clawdbox.store import Tx
from tests.rooms.conversing import World, of_type, world
from tests.rooms.test_agents_ask import Thinker, asked
from tests.waiting import eventually


@pytest.fixture
def agent() -> Thinker:
    return Thinker()


@pytest.fixture
async def here(agent: Thinker) -> AsyncIterator[World]:
    async with world([agent]) as made:
        yield made


async def test_a_note_is_written_with_the_text_that_follows_it(here: World, agent: Thinker) -> None:
    seen: list[tuple[int, str]] = []
    half = asyncio.Event()

    async def script(hands: Hands) -> None:
        for number in range(200):
            await hands.say(f"<{number}>", note=_heard(number))
            if number == 100:
                half.set()
            await asyncio.sleep(0)

    async def watch() -> None:
        """What one transaction shows: never a text without its note, never a note without its text."""
        await half.wait()
        seen.extend([await here.store.read(_both(here.conversation_id)) for _ in range(50)])

    agent.script = script
    watching = asyncio.ensure_future(watch())
    turn = await here.ask("go")
    await watching
    seen.append(await here.store.read(_both(here.conversation_id)))
    assert turn.state == "done"
    for heard, text in seen:
        assert text == "".join(f"<{number}>" for number in range(heard + 1))
    assert seen[-1][0] == 199


def _heard(number: int) -> Any:
    return lambda _unfinished, _shown: {"heard": number}


async def test_a_line_with_a_secret_in_it_goes_on_after_a_restart_without_showing_it(
    here: World, agent: Thinker
) -> None:
    """The line is said again from its beginning, and what was shown of it is not shown twice."""
    said = ["All is well.\nThe new ", "password", "=hunt", "er2hunter2\nIt ", "is set."]
    marks: list[tuple[int, int]] = []

    async def first(hands: Hands) -> None:
        for number, text in enumerate(said[:3]):
            await hands.say(text, note=lambda *mark, n=number: {"heard": n, "mark": mark})
        marks.append(tuple(hands.state["mark"]))
        raise TurnLost("the box died")

    agent.script = first
    before = await here.ask("go")
    unfinished, shown = marks[0]
    again = ("".join(said[:3])[-unfinished:], *said[3:])

    async def second(hands: Hands) -> None:
        await hands.say(again[0], shown=shown)
        for text in again[1:]:
            await hands.say(text)

    agent.script = second
    after = await here.ask("go on")
    told = [event["text"] for event in of_type(await here.said(after), "text")]
    assert (again[0], shown) == ("The new password=hunt", len("The new "))
    assert "".join(told) == "password=[redacted: password]\nIt is set."
    assert of_type(await here.said(before), "text")[0]["text"].startswith("All is well.\nThe new ")


def _both(conversation_id: str) -> Any:
    def look(r: Any) -> tuple[int, str]:
        events = sql.events_after(r, conversation_id, 0, 10_000)
        text = "".join(event.payload["text"] for event in events if event.type == "text")
        return sql.state(r, conversation_id).get("heard", -1), text

    return look


async def test_a_note_alone_is_written_within_a_pause(here: World, agent: Thinker) -> None:
    async def script(hands: Hands) -> None:
        hands.note({"heard": 7})
        assert hands.state == {"heard": 7}
        await hands.cancelled.wait()

    agent.script = script
    await here.send("go")

    async def saved() -> bool:
        return await here.store.read(lambda r: sql.state(r, here.conversation_id)) == {"heard": 7}

    await eventually(saved, what="the note")


async def test_what_is_remembered_replaces_a_note(here: World, agent: Thinker) -> None:
    async def script(hands: Hands) -> None:
        hands.note({"heard": 1})
        await hands.remember({"heard": 2})

    agent.script = script
    await here.ask("go")
    assert await here.store.read(lambda r: sql.state(r, here.conversation_id)) == {"heard": 2}


async def test_a_note_goes_along_with_what_another_transaction_takes(here: World, agent: Thinker) -> None:
    done: list[Any] = []

    async def script(hands: Hands) -> None:
        turn = await here.turn(hands.turn_id)
        journal = Journal(here.store, turn, lambda: None)
        journal.add("text", {"text": "taken"}, 5)
        journal.beside(_saving(turn, '{"heard":5}'))
        await here.store.write(journal.taken())
        done.append(await here.store.read(lambda r: sql.state(r, here.conversation_id)))
        await journal.close()

    agent.script = script
    turn = await here.ask("go")
    assert done == [{"heard": 5}]
    assert of_type(await here.said(turn), "text")[-1]["text"] == "taken"


def _saving(turn: Turn, text: str) -> Any:
    def save(tx: Tx) -> None:
        sql.save_state(tx, turn.conversation_id, text)

    return save


class TestFilesOfTheAgentsOwn:
    OPTIONS = (
        Option("always", "Always allow", "allow_always"),
        Option("yes", "Allow", "allow_once"),
        Option("no", "Reject", "reject_once"),
    )

    async def test_reading_one_passes_unasked_and_never_for_always(self, here: World, agent: Thinker) -> None:
        async def script(hands: Hands) -> Any:
            return await hands.ask(
                Question("q1", "Read", self.OPTIONS, path="/etc/motd", file="read"),
            )

        agent.script = script
        await here.ask("go")
        assert (agent.results[0].allowed, agent.results[0].option) == (True, "yes")

    async def test_a_secret_one_is_denied_and_the_log_says_so(self, here: World, agent: Thinker) -> None:
        async def script(hands: Hands) -> Any:
            return await hands.ask(
                Question("q1", "Read the key", self.OPTIONS, path="~/.ssh/id_ed25519", file="read"),
            )

        agent.script = script
        turn = await here.ask("go")
        assert (agent.results[0].allowed, agent.results[0].option) == (False, "no")
        assert of_type(await here.said(turn), "command.refused")[0]["command"] == "Read the key"

    async def test_writing_one_asks(self, here: World, agent: Thinker) -> None:
        async def script(hands: Hands) -> Any:
            return await hands.ask(
                Question("q1", "Write", self.OPTIONS, path="/etc/motd", file="write"),
            )

        agent.script = script
        turn = await here.send("go")
        approval = await asked(here)
        assert (approval.kind, approval.klass, approval.directory) == (
            "question",
            "privileged",
            "/etc/motd",
        )
        await here.approvals.answer(here.actor, here.account_id, approval.id, allow=True)
        await here.ended(turn)
        assert agent.results[0].option == "yes"
