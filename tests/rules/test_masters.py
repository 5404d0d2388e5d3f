"""The states of a master as a table, and a master that is closed in each of them."""

import asyncio
from datetime import timedelta

import pytest

from clawdbox.errors import Conflict
from clawdbox.ssh.model import MasterState
from clawdbox.ssh.rules.leases import MASTER_TRANSITIONS
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.link import Link
from tests.clocks import HandClock

DIALLING, UP, DRAINING, LOST, CLOSED = MasterState
STEPS = {
    (DIALLING, UP), (DIALLING, LOST), (DIALLING, CLOSED), (UP, LOST), (UP, DRAINING), (UP, CLOSED),
    (LOST, DIALLING), (LOST, CLOSED), (DRAINING, CLOSED),
}  # fmt: skip


async def never() -> Link:
    await asyncio.Event().wait()
    raise AssertionError


async def refused(_master: Master, _failure: DialFailure) -> None:
    raise AssertionError


def master(state: MasterState = DIALLING) -> Master:
    made = Master("l", HandClock(), timedelta(minutes=5), never, lambda _master: None, refused)
    made.state = state
    return made


@pytest.mark.parametrize("before", MasterState)
@pytest.mark.parametrize("after", MasterState)
def test_every_pair_of_states(before: MasterState, after: MasterState) -> None:
    assert (after in MASTER_TRANSITIONS[before]) == ((before, after) in STEPS)
    if (before, after) in STEPS:
        made = master(before)
        made._move(after)
        assert made.state is after
    else:
        with pytest.raises(AssertionError):
            master(before)._move(after)


@pytest.mark.parametrize("state", [DIALLING, UP, LOST])
async def test_a_master_closes_from_every_state_and_only_once(state: MasterState) -> None:
    made = master(state)
    await made.close()
    await made.close()
    assert made.state is CLOSED
    assert not made.is_up


async def test_closing_ends_the_first_dial() -> None:
    made = master()
    connecting = asyncio.ensure_future(made.connect())
    await asyncio.sleep(0)
    await made.close()
    with pytest.raises(Conflict) as closed:
        await asyncio.wait_for(connecting, 5)
    assert closed.value.code == "session_not_active"


async def test_closing_waits_for_the_commands_it_stops() -> None:
    made = master(UP)
    ended: list[str] = []

    async def command(name: str) -> None:
        stop = asyncio.Event()
        with made.busy(stop):
            await stop.wait()
            await asyncio.sleep(0)
            ended.append(name)

    commands = [asyncio.ensure_future(command(name)) for name in "ab"]
    await asyncio.sleep(0)
    await made.close()
    assert sorted(ended) == ["a", "b"]
    assert made.running == set()
    await asyncio.gather(*commands)


async def test_a_command_that_does_not_end_does_not_keep_a_master_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clawdbox.ssh.service.masters.DRAIN_S", 0.01)
    made = master(UP)
    with made.busy(asyncio.Event()):
        await asyncio.wait_for(made.close(), 5)
    assert made.state is CLOSED


def test_a_touch_is_an_activity_of_this_moment() -> None:
    made = master(UP)
    before = made.last_activity
    assert isinstance(made._clock, HandClock)
    made._clock.turn(60)
    made.touch()
    assert made.last_activity - before >= timedelta(seconds=60)
