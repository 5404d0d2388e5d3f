"""Backups: the whole box in one file, which opens with the words alone on a machine that never saw it."""

import asyncio
import random
import shutil
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.backups import archive
from clawdbox.backups.restore import Contents, look_through, restore
from clawdbox.backups.service import Made
from clawdbox.errors import Conflict, Problem
from clawdbox.events.model import SYSTEM
from clawdbox.settings import Settings
from clawdbox.vault import Keyring
from tests.clocks import HandClock
from tests.rooms import rotating

RECORDING = "recordings/01a22235-45c4-72a4-aa58-9c4d7d431ed9.cast"
ARCHIVE = "audit-archive/2026-08-1.jsonl"


class Saved:
    """A backup of a box, the words that open it, and what was sealed in the box."""

    def __init__(self, file: Path, words: str, told: rotating.Told) -> None:
        self.file = file
        self.words = words
        self.told = told


async def words_of(box: Box) -> str:
    await box.recovery.load()
    words = " ".join(await box.recovery.reveal())
    await box.recovery.confirm(SYSTEM)
    return words


async def back_up(folder: Path) -> Saved:
    async with Box.offline(folder, Settings()) as box:
        words = await words_of(box)
    told = rotating.fill(folder, 2)
    (folder / "recordings").mkdir(exist_ok=True)
    (folder / RECORDING).write_bytes(b"sealed by itself" * 50_000)
    (folder / "audit-archive").mkdir()
    (folder / ARCHIVE).write_text("{}")
    async with Box.offline(folder, Settings()) as box:
        made = await box.backups.make_to_take(SYSTEM)
    file = folder.parent / "box.clawdbox"
    shutil.move(made.path, file)
    return Saved(file, words, told)


def found_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
async def saved(tmp_path: Path) -> Saved:
    return await back_up(tmp_path / "old")


async def test_with_the_words_alone_it_is_a_box_again_elsewhere(saved: Saved, tmp_path: Path) -> None:
    shutil.move(tmp_path / "old", tmp_path / "burnt")
    here = tmp_path / "new"
    found = restore(saved.file, here, saved.words, by="words")
    assert found.recordings == 1
    assert rotating.lost(here, saved.told) == []
    assert (here / ARCHIVE).read_text() == "{}"
    assert (here / RECORDING).read_bytes() == (tmp_path / "burnt" / RECORDING).read_bytes()
    assert (await rotating.audited(here)).first_bad is None
    assert {path.stat().st_mode & 0o777 for path in here.rglob("*") if path.is_file()} == {0o600}
    assert (here / "host.key").read_bytes() != (tmp_path / "burnt" / "host.key").read_bytes()
    assert not [name for name in found_in(tmp_path) if "restoring" in name]


async def test_a_passphrase_opens_it_too(tmp_path: Path) -> None:
    async with Box.offline(tmp_path / "old", Settings()) as box:
        box.keyring.set_passphrase("correct horse battery staple")
        made = await box.backups.make_to_take(SYSTEM)
    with pytest.raises(Problem, match="Caps Lock"):
        restore(made.path, tmp_path / "new", "another horse battery staple", by="passphrase")
    restore(made.path, tmp_path / "new", "correct horse battery staple", by="passphrase")
    box = Box(tmp_path / "new", Settings(port=0))
    await box.start()
    try:
        assert (await box.keys.default(box.owner.id)).is_active
    finally:
        await box.stop()


async def test_a_file_that_nothing_would_open_is_not_made(tmp_path: Path) -> None:
    async with Box.offline(tmp_path / "old", Settings()) as box:
        with pytest.raises(Conflict) as refused:
            await box.backups.make_to_take(SYSTEM)
        assert refused.value.code == "recovery_words_pending"


async def test_nothing_of_it_can_be_read_without_the_words(saved: Saved) -> None:
    raw = saved.file.read_bytes()
    assert b"SQLite format" not in raw
    assert b"sealed by itself" not in raw
    assert b'"host"' not in raw, "what only the old machine opens stays there"


async def test_what_is_written_meanwhile_leaves_a_whole_box(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    box = Box(folder, Settings(port=0))
    await box.start()
    try:
        words = await words_of(box)
        writing = True

        async def write() -> None:
            while writing:
                await box.accounts.create(SYSTEM, "somebody")

        busy = asyncio.ensure_future(write())
        made = [await box.backups.make_to_take(SYSTEM) for _ in range(3)]
        writing = False
        await busy
    finally:
        await box.stop()
    for number, one in enumerate(made):
        restore(one.path, tmp_path / f"new{number}", words, by="words")
        assert (await rotating.audited(tmp_path / f"new{number}")).first_bad is None


# what is refused, and leaves no trace


def refused(saved: Saved, target: Path, words: str | None = None) -> str:
    before = sorted(target.parent.iterdir())
    with pytest.raises(Problem) as problem:
        restore(saved.file, target, words or saved.words, by="words")
    assert sorted(target.parent.iterdir()) == before
    return problem.value.code


async def test_another_boxs_words_open_nothing_and_make_no_key(saved: Saved, tmp_path: Path) -> None:
    async with Box.offline(tmp_path / "other", Settings()) as other:
        words = await words_of(other)
    assert refused(saved, tmp_path / "new", words) == "words_wrong"


async def test_a_folder_in_use_stays_as_it_is(saved: Saved, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine").write_text("kept")
    assert refused(saved, tmp_path / "new") == "restore_not_empty"
    assert (tmp_path / "new" / "mine").read_text() == "kept"


async def test_an_empty_folder_is_taken(saved: Saved, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir(mode=0o755)
    restore(saved.file, tmp_path / "new", saved.words, by="words")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


async def test_a_changed_or_cut_file_is_refused_wherever_it_was_touched(saved: Saved, tmp_path: Path) -> None:
    raw, chance = saved.file.read_bytes(), random.Random(5)
    places = [0, 4, 5, 9, len(raw) - 1, *(chance.randrange(len(raw)) for _ in range(20))]
    for place in places:
        saved.file.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        assert refused(saved, tmp_path / "new") in {
            "backup_damaged", "backup_none", "backup_newer", "keyring_corrupt", "words_wrong",
        }, place  # fmt: skip
    for end in [0, 3, 8, len(raw) - 1, *(chance.randrange(len(raw)) for _ in range(10))]:
        saved.file.write_bytes(raw[:end])
        assert refused(saved, tmp_path / "new") in {"backup_damaged", "backup_none"}, end
    saved.file.write_bytes(raw + b"\0")
    assert refused(saved, tmp_path / "new") == "backup_damaged"


@pytest.mark.parametrize(
    "names",
    [
        ["clawdbox.db", "../beside"],
        ["clawdbox.db", "../../etc/cron.d/x"],
        ["clawdbox.db", "/etc/passwd"],
        ["clawdbox.db", "host.key"],
        ["clawdbox.db", "master.keyring"],
        ["clawdbox.db", "config.toml"],
        ["clawdbox.db", "recordings/../../x.cast"],
        ["clawdbox.db", "clawdbox.db"],
        [],
        ["no database"],
    ],
    ids=repr,
)
async def test_whoever_knows_the_words_still_chooses_no_place_to_write_to(
    saved: Saved, tmp_path: Path, names: list[str]
) -> None:
    """An archive with good seals and hostile contents; the last one's database is none."""
    with archive.Reader(saved.file) as reader:
        header, sealer = reader.header, Keyring.open(tmp_path / "old", database=tmp_path / "x").sealer()
    hostile = tmp_path / "hostile.clawdbox"
    told = {name: getattr(header, name) for name in ("id", "instance_id", "created_at", "version", "keyring")}
    (tmp_path / "content").write_bytes(b"no database" * 100)
    database = tmp_path / "old" / "clawdbox.db"  # a whole one, so that nothing but the other name is wrong
    with archive.Writer(hostile, sealer, **told) as writer:
        for name in names:
            source = database if name == archive.DATABASE else tmp_path / "content"
            with source.open("rb") as content:
                writer.add(
                    archive.DATABASE if name == "no database" else name, content, source.stat().st_size
                )
        writer.finish()
    assert refused(Saved(hostile, saved.words, {}), tmp_path / "new") == "backup_damaged"


async def test_a_file_that_ends_before_it_should_leaves_no_archive(saved: Saved, tmp_path: Path) -> None:
    sealer = Keyring.open(tmp_path / "old", database=tmp_path / "x").sealer()
    told = dict.fromkeys(("id", "instance_id", "created_at", "version", "keyring"), "x")
    with (
        pytest.raises(Problem, match="became shorter"),
        archive.Writer(tmp_path / "short", sealer, **told) as writer,
        saved.file.open("rb") as file,
    ):
        writer.add("clawdbox.db", file, saved.file.stat().st_size + 1)
    assert not (tmp_path / "short").exists()


# by the clock


async def test_by_the_clock_one_is_made_when_it_is_due_and_the_oldest_go(
    tmp_path: Path, clock: HandClock
) -> None:
    elsewhere = tmp_path / "elsewhere"
    settings = Settings(backup_every_h=24, backup_keep=3, backup_folder=str(elsewhere))
    async with Box.offline(tmp_path / "box", settings, clock) as box:
        words = await words_of(box)
        made: list[Made] = []
        for _ in range(5):
            one = await box.backups.make_if_due()
            assert one
            made.append(one)
            assert await box.backups.make_if_due() is None
            clock.turn(23 * 3600)
            assert await box.backups.make_if_due() is None
            clock.turn(2 * 3600)
        (elsewhere / "20200101T000000Z-notes.txt").write_text("mine")
        assert sorted(elsewhere.glob("*.clawdbox")) == [one.path for one in made[-3:]]
    found: Contents = look_through(made[-1].path, text=words, by="words")
    assert found.size > 0
