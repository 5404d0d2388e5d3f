"""The pieces of an upload that are on their way: in order, never too many, and exact after a failure."""

import asyncio

import pytest

from clawdbox.ssh.service.upload_pieces import AHEAD, Pieces


class Server:
    """Confirms or refuses each piece when the test says so."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[None]] = []

    async def write(self) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        await answer


async def begun(pieces: Pieces, server: Server, *lengths: int) -> None:
    for length in lengths:
        pieces.begin(length, server.write())
    await asyncio.sleep(0)  # the writes begin


async def waits(work: "asyncio.Future[None]") -> bool:
    done, _ = await asyncio.wait({work}, timeout=0.05)
    return not done


async def test_a_piece_is_taken_before_the_last_is_confirmed_and_no_more_than_that() -> None:
    pieces, server = Pieces(), Server()
    await begun(pieces, server, *[10] * AHEAD)
    assert (pieces.offset, len(server.answers)) == (10 * AHEAD, AHEAD)
    room = asyncio.ensure_future(pieces.settle(AHEAD - 1))
    assert await waits(room)
    server.answers[0].set_result(None)
    await room
    assert (pieces.offset, len(pieces)) == (10 * AHEAD, AHEAD - 1)


async def test_after_a_failure_the_offset_is_where_it_began_though_later_ones_were_written() -> None:
    pieces, server = Pieces(), Server()
    await begun(pieces, server, 10, 20, 30)
    server.answers[0].set_result(None)
    server.answers[1].set_exception(OSError("full"))
    told = asyncio.ensure_future(pieces.settle(2))
    assert await waits(told), "what is on its way could still be written over what comes next"
    server.answers[2].set_result(None)
    with pytest.raises(OSError, match="full"):
        await told
    assert (pieces.offset, len(pieces)) == (10, 0)
    await pieces.settle()


async def test_one_who_goes_away_while_waiting_takes_nothing_with_him() -> None:
    pieces, server = Pieces(), Server()
    await begun(pieces, server, 10, 20)
    waiting = asyncio.ensure_future(pieces.settle())
    assert await waits(waiting)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert (pieces.offset, len(pieces)) == (30, 2)
    for answer in server.answers:
        answer.set_result(None)
    await pieces.settle()
    assert pieces.offset == 30


async def test_what_is_given_up_is_not_confirmed() -> None:
    pieces, server = Pieces(), Server()
    await begun(pieces, server, 10, 20)
    server.answers[0].set_result(None)
    await pieces.settle(1)
    await pieces.drop()
    assert (pieces.offset, len(pieces)) == (10, 0)
