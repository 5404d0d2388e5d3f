"""What a terminal wrote, in memory and sealed on disk: every byte by its offset, or a start that says what went."""

import asyncio
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdbox.ssh.service.scrollback import MAX_WAITING, Scrollback
from clawdbox.ssh.service.spills import Spills
from clawdbox.ssh.wire.sealed_file import BLOCK, PREFIX, SealedFile
from tests.waiting import eventually

HOT = 2 * BLOCK


@pytest.fixture
def spills(tmp_path: Path) -> Iterator[Spills]:
    made = Spills(tmp_path / "spill", 8 * BLOCK, 12 * BLOCK)
    yield made
    made.stop()


async def settled(back: Scrollback) -> None:
    await eventually(lambda: back._spilling is None, what="an idle writer")


async def pour(back: Scrollback, stream: bytes, piece: int = 30_000) -> None:
    for at in range(0, len(stream), piece):
        back.append(stream[at : at + piece])
        await settled(back)


async def whole(back: Scrollback, limit: int = 777_777) -> bytes:
    pieces, offset = [], back.start
    while data := await back.read(offset, limit):
        pieces.append(data)
        offset += len(data)
    return b"".join(pieces)


async def test_what_leaves_memory_is_read_from_disk_to_the_byte(spills: Spills) -> None:
    stream = random.Random(1).randbytes(8 * BLOCK)
    back = Scrollback(HOT, spills.open())
    await pour(back, stream)
    assert back.start == 0
    assert back.end - back.in_memory <= HOT + BLOCK, "memory holds only the newest"
    assert await whole(back) == stream
    assert await back.read(12_345, 100) == stream[12_345:12_445]


async def test_a_full_share_lets_the_oldest_go_and_start_says_so(spills: Spills) -> None:
    stream = random.Random(2).randbytes(40 * BLOCK)
    back = Scrollback(HOT, spills.open())
    await pour(back, stream)
    assert back.end - back.start >= 8 * BLOCK
    assert await whole(back) == stream[back.start :]


async def test_all_terminals_together_stay_within_the_boxs_share(spills: Spills) -> None:
    stream = random.Random(3).randbytes(30 * BLOCK)
    backs = [Scrollback(HOT, spills.open()) for _ in range(4)]
    for back in backs:
        await pour(back, stream)
    kept = sum(back.end - back.start for back in backs)
    assert kept <= 12 * BLOCK + 4 * (HOT + BLOCK)
    for back in backs:
        assert await whole(back) == stream[back.start :]


async def test_what_one_terminal_gives_back_another_takes(spills: Spills) -> None:
    stream = random.Random(4).randbytes(30 * BLOCK)
    first, second = Scrollback(HOT, spills.open()), Scrollback(HOT, spills.open())
    spills.on_short = first.release
    await pour(first, stream)
    await pour(second, stream)
    assert second.end - second.start >= 8 * BLOCK
    assert await whole(first) == stream[first.start :]


async def test_a_disk_that_refuses_costs_the_past_and_never_the_present(
    spills: Spills, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = random.Random(5).randbytes(20 * BLOCK)
    back = Scrollback(HOT, spills.open())
    await pour(back, stream[: 6 * BLOCK])
    assert back.start == 0

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SealedFile, "write", full)
    await pour(back, stream[6 * BLOCK :])
    assert 0 < back.start <= back.end - HOT
    assert await whole(back) == stream[back.start :]


async def test_a_disk_that_hangs_holds_up_nobody_and_memory_stays_bounded(
    spills: Spills, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    real = SealedFile.write

    def slow(self: SealedFile, slot: int, number: int, data: bytes) -> None:
        go.wait(30)
        real(self, slot, number, data)

    monkeypatch.setattr(SealedFile, "write", slow)
    back = Scrollback(HOT, spills.open())
    stream = random.Random(6).randbytes(MAX_WAITING + 40 * BLOCK)
    for at in range(0, len(stream), 30_000):
        back.append(stream[at : at + 30_000])
        await asyncio.sleep(0)
    assert back.end - back.in_memory <= HOT + MAX_WAITING + BLOCK
    assert await whole(back) == stream[back.start :]
    go.set()
    await settled(back)
    assert await whole(back) == stream[back.start :]


async def test_a_block_that_was_overwritten_while_it_was_asked_for_is_none(tmp_path: Path) -> None:
    file = SealedFile(tmp_path)
    file.write(0, 1, b"first")
    file.write(0, 2, b"other")
    assert (file.read(0, 1, 5), file.read(0, 2, 5), file.read(7, 3, 5)) == (None, b"other", None)
    file.close()
    assert file.read(0, 2, 5) is None
    with pytest.raises(OSError, match="part"):
        file.write(0, 3, b"late")


async def test_nothing_readable_lies_in_the_folder(tmp_path: Path, spills: Spills) -> None:
    back = Scrollback(HOT, spills.open())
    await pour(back, b"top secret line\r\n" * (6 * BLOCK // 17))
    assert back.in_memory > 0, "some of it is on disk"
    assert list((tmp_path / "spill").iterdir()) == [], "no name to open it by"
    opened = _opened_in(str(tmp_path / "spill"))
    assert any(len(data) > BLOCK for data in opened)
    assert not any(b"secret" in data for data in opened), "and it is sealed"


def _opened_in(folder: str) -> list[bytes]:
    """What lies in the files that this process has open there."""
    return [fd.read_bytes() for fd in list(Path("/proc/self/fd").iterdir()) if folder in _target(fd)]


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""


async def test_what_a_killed_process_left_is_swept_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "spill"
    folder.mkdir()
    (folder / f"{PREFIX}abc").write_bytes(b"half")
    Spills(folder, BLOCK, BLOCK).stop()
    assert list(folder.iterdir()) == []


async def test_without_a_share_everything_stays_in_memory(tmp_path: Path) -> None:
    spills = Spills(tmp_path / "spill", 0, 0)
    back = Scrollback(HOT, spills.open())
    back.append(b"x" * (10 * BLOCK))
    back.append(b"y")
    assert back.start == back.in_memory
    assert await back.read(0, 1) in (b"x", b"y")
    assert not back.release()
    spills.stop()


async def test_a_spill_that_is_closed_in_its_first_write_leaves_no_descriptor(
    spills: Spills, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()
    made: list[SealedFile] = []

    def slowly(folder: Path) -> SealedFile:
        started.set()
        assert go_on.wait(30)
        made.append(SealedFile(folder))
        return made[0]

    monkeypatch.setattr("clawdbox.ssh.service.spills.SealedFile", slowly)
    spill = spills.open()
    assert spill is not None
    writing = asyncio.ensure_future(spill.put(0, b"x" * BLOCK))
    await asyncio.to_thread(started.wait, 30)
    spill.close()
    go_on.set()
    assert not await writing
    assert await spills.in_thread(lambda: made[0].read(0, 1, BLOCK) is None)
