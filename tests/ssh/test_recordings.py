"""Recordings of real terminals: what is in them and what never is, sealed at rest, and honest about how they ended."""

import asyncio
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clawdbox.app import Box
from clawdbox.errors import NotFound
from clawdbox.events import Actor
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease
from clawdbox.ssh.model.recordings import Policy, Recording, RecordingState
from clawdbox.ssh.service import recorder as recorder_module
from clawdbox.ssh.service.cast_file import CastFile
from clawdbox.ssh.service.recorder import Recorder
from clawdbox.ssh.service.terminals import LiveTerminal
from clawdbox.vault import new_stream_key
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.ssh.test_kept_terminals import keep, kept_of, resume, sessions
from tests.ssh.test_terminal_life import ends, says
from tests.ssh.world import World, problem_of
from tests.waiting import eventually

Event = list[Any]


async def begin(world: World, live: LiveTerminal) -> Recording:
    return await world.box.recordings.begin(world.me, world.owner, live.lease.id, live.id)


async def end(world: World, recording: Recording) -> Recording:
    return await world.box.recordings.end(world.me, world.owner, recording.id)


async def cast_of(box: Box, recording: Recording) -> bytes:
    owner = recording.account_id
    chunks = await box.recordings.play(Actor(owner), owner, recording.id, export=False)
    return b"".join([chunk async for chunk in chunks])


def parsed(cast: bytes) -> tuple[dict[str, Any], list[Event]]:
    assert cast.endswith(b"\n")
    header, *events = [json.loads(line) for line in cast.splitlines()]
    times = [event[0] for event in events]
    assert times == sorted(times)
    return header, events


def shown(events: list[Event]) -> str:
    return "".join(data for _, code, data in events if code == "o")


async def only(world: World, **wanted: Any) -> Recording:
    every = {"connection_id": None, "terminal_id": None, "state": None, "words": None}
    page = await world.box.recordings.page(world.owner, **{**every, **wanted}, limit=10, offset=0)
    (found,) = page.recordings
    return found


async def ended(world: World, recording: Recording) -> Recording:
    async def over() -> Recording | None:
        found = await world.box.recordings.get(world.owner, recording.id)
        return found if found.state is not RecordingState.RECORDING else None

    found = await eventually(over, timeout=20, what="the end of the recording")
    assert found is not None
    return found


def file_of(box: Box, recording: Recording) -> Path:
    return box.data_dir / "recordings" / f"{recording.id}.cast"


async def type_and_see(live: LiveTerminal, seq: int, line: str, wanted: str) -> None:
    at = live.ring.end
    await live.type("a", seq, line.encode() + b"\n")
    await says(live, wanted.encode(), at)


async def test_what_a_terminal_shows_from_the_start_to_the_stop_is_an_asciicast(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    await type_and_see(live, 1, "echo be''fore", "before")
    recording = await begin(world, live)
    await live.resize(100, 30)
    await type_and_see(
        live, 2, "printf 'gr\\303\\274\\303\\237e \\377 \\033[31mred\\033[0m'; echo d''one", "done"
    )
    stopped = await end(world, recording)
    await type_and_see(live, 3, "echo af''ter", "after")
    assert (stopped.state, stopped.end_reason, stopped.why) == (RecordingState.DONE, "asked", "asked")
    header, events = parsed(await cast_of(world.box, stopped))
    assert (header["version"], header["width"], header["height"]) == (2, 80, 24)
    assert header["title"] == "Server"
    assert [data for _, code, data in events if code == "r"] == ["100x30"]
    text = shown(events)
    assert "grüße \ufffd \x1b[31mred\x1b[0mdone" in text
    assert "before" not in text
    assert "after" not in text
    assert stopped.size_bytes == file_of(world.box, stopped).stat().st_size
    assert stopped.duration_ms is not None
    assert stopped.duration_ms >= events[-1][0] * 1000 - 1
    assert live.is_open


async def test_each_time_a_kept_terminal_is_shown_is_a_recording_of_its_own(
    tmp_path: Path, clock: HandClock
) -> None:
    home, sockets = tmp_path / "home", tmp_path / "tmux"
    home.mkdir()
    sockets.mkdir()
    with Sshd(tmp_path / "keeps", options={"SetEnv": f"HOME={home} TMUX_TMPDIR={sockets}"}) as server:
        box = Box(tmp_path / "box", Settings(allow_loopback=True), clock)
        await box.start()
        try:
            world = await World.meet(box, clock, server)
            lease = await world.ready()
            live = await keep(world, lease)
            first = await begin(world, live)
            await type_and_see(live, 1, "echo fi''rst", "first")
            server.kill_connections()
            await eventually(lambda: live.is_away, what="a terminal that is away")
            await eventually(lambda: not live.is_away, timeout=60, what="a terminal that is back")
            await type_and_see(live, 2, "echo ba''ck", "back")
            await world.close(lease)
            done = await ended(world, first)
            assert (done.state, done.end_reason) == (RecordingState.DONE, "terminal_ended")
            _, events = parsed(await cast_of(box, done))
            assert "first" in shown(events)
            assert "back" in shown(events), "a lost link does not cut it"

            again = await resume(world, (await world.start()).id, kept_of(live))
            await says(again, b"first")
            assert again.taps == [], "nobody asked for another one"
            second = await begin(world, again)
            assert (second.terminal_id, second.id != first.id) == (again.id, True)
            await type_and_see(again, 1, "echo la''ter", "later")
            _, events = parsed(await cast_of(box, await end(world, second)))
            assert "later" in shown(events)
            assert "later" not in shown(parsed(await cast_of(box, done))[1])
            await box.terminals.close(world.me, world.owner, again.lease.id, again.id)

            await box.recordings.choose(world.me, world.owner, world.connection.id, Policy.ALWAYS)
            always = await keep(world, again.lease)
            one = await eventually(lambda: only_or_none(world, always), what="a recording by policy")
            await world.close(again.lease)
            more = await resume(world, (await world.start()).id, kept_of(always))
            two = await eventually(lambda: only_or_none(world, more), what="one for the second time, too")
            assert one is not None
            assert two is not None
            assert one.id != two.id
            await box.terminals.close(world.me, world.owner, more.lease.id, more.id)
        finally:
            await box.stop()


async def test_asciinema_itself_plays_it(world: World, tmp_path: Path) -> None:
    live = await world.open_terminal(await world.ready())
    recording = await begin(world, live)
    await type_and_see(live, 1, "echo played-''back", "played-back")
    await live.type("a", 2, b"exit\n")
    await ends(live)
    path = tmp_path / "it.cast"
    path.write_bytes(await cast_of(world.box, await ended(world, recording)))
    done = subprocess.run(
        [sys.executable, "-m", "asciinema", "cat", str(path)],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "ASCIINEMA_CONFIG_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert b"played-back" in done.stdout


async def test_what_is_typed_at_a_prompt_without_echo_is_in_no_recording(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    recording = await begin(world, live)
    await type_and_see(live, 1, "read -rsp 'Sec''ret: ' it; echo; echo got ${#it}", "Secret: ")
    await type_and_see(live, 2, "hush-hush-read", "got 14")
    python = "import getpass; print('len', len(getpass.getpass('Pass' + 'word: ')))"
    await type_and_see(live, 3, f'{sys.executable} -c "{python}"', "Password: ")
    await type_and_see(live, 4, "hush-hush-getpass", "len 17")
    if shutil.which("passwd"):
        await type_and_see(live, 5, "passwd", "assword: ")
        await type_and_see(live, 6, "hush-hush-passwd", "assword: ")
        await type_and_see(live, 7, "something-else", "match")
        await live.type("a", 8, b"\x03\n")
    await type_and_see(live, 9, "echo d''one", "done")
    _, events = parsed(await cast_of(world.box, await end(world, recording)))
    assert "Secret: " in shown(events)
    assert {code for _, code, _ in events} == {"o"}
    assert "hush-hush" not in json.dumps(events)


async def test_it_lies_sealed_on_the_disk_while_it_runs_and_afterwards(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    recording = await begin(world, live)
    canary = "canary-7f3a"
    await type_and_see(
        live, 1, f"for i in $(seq 9000); do echo {canary[:6]}''{canary[6:]}-$i; done", f"{canary}-9000"
    )
    path = file_of(world.box, recording)
    await eventually(lambda: path.stat().st_size > 50_000, what="a file that grows")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert canary in (await cast_of(world.box, recording)).decode()
    assert holding(world.box.data_dir, canary) == []
    await end(world, recording)
    assert holding(world.box.data_dir, canary) == []
    (row,) = await world.rows("SELECT key_enc FROM recordings")
    assert len(row["key_enc"]) > 60


def holding(folder: Path, words: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and words.encode() in path.read_bytes()]


async def test_a_policy_records_each_terminal_from_its_first_byte_and_ends_by_the_policy_alone(
    world: World,
) -> None:
    lease = await world.ready()
    recordings = world.box.recordings
    await recordings.choose(world.me, world.owner, world.connection.id, Policy.ALWAYS)
    live = await world.open_terminal(lease)
    await type_and_see(live, 1, "echo he''re", "here")
    recording = await eventually(lambda: only_or_none(world, live), what="a recording by policy")
    assert recording is not None
    assert (recording.why, recording.state) == ("policy", RecordingState.RECORDING)
    assert (await problem_of(end(world, recording))).code == "recording_by_policy"
    assert (await problem_of(begin(world, live))).code == "already_recording"
    await live.type("a", 2, b"exit\n")
    await ends(live)
    done = await ended(world, recording)
    assert done.end_reason == "terminal_ended"
    _, events = parsed(await cast_of(world.box, done))
    assert shown(events).encode() == live.ring.recent(0, 1_000_000)

    await recordings.choose(world.me, world.owner, world.connection.id, Policy.NEVER)
    quiet = await world.open_terminal(lease)
    assert (await problem_of(begin(world, quiet))).code == "recording_forbidden"
    await recordings.choose(world.me, world.owner, world.connection.id, None)
    await recordings.choose(world.me, world.owner, None, Policy.ALWAYS)
    again = await world.open_terminal(lease)
    assert await eventually(lambda: only_or_none(world, again), what="a recording by the default")
    assert quiet.taps == []


async def only_or_none(world: World, live: LiveTerminal) -> Recording | None:
    every = {"connection_id": None, "terminal_id": live.id, "state": None, "words": None}
    page = await world.box.recordings.page(world.owner, **every, limit=10, offset=0)
    return page.recordings[0] if page.recordings else None


async def test_a_full_disk_ends_the_recording_and_not_the_terminal(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    recording = await begin(world, live)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, before[1]))
    try:
        await live.type("a", 1, b"head -c 9000000 /dev/urandom | base64; echo d''one\n")
        broken = await ended(world, recording)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (broken.state, broken.end_reason) == (RecordingState.BROKEN, "disk_full")
    await type_and_see(live, 2, "echo go''es on", "goes on")
    assert live.taps == []
    header, events = parsed(await cast_of(world.box, broken))
    assert header["version"] == 2
    assert len(shown(events)) > 1_000_000
    (event,) = await world.rows("SELECT payload FROM events WHERE type = 'recording.ended'")
    assert json.loads(event["payload"])["end_reason"] == "disk_full"


@pytest.mark.parametrize(
    "settings, reason, state",
    [
        ({"recording_max_bytes": 100_000}, "too_long", RecordingState.DONE),
        ({"recordings_total_bytes": 100_000}, "recordings_full", RecordingState.BROKEN),
        ({"recordings_keep_free_bytes": 1 << 50}, "disk_full", RecordingState.BROKEN),
    ],
    ids=str,
)
async def test_a_recording_that_takes_too_much_room_ends_and_says_why_in_itself(
    tmp_path: Path,
    clock: HandClock,
    server: Sshd,
    settings: dict[str, int],
    reason: str,
    state: RecordingState,
) -> None:
    box = Box(tmp_path / "box", Settings(allow_loopback=True, **settings), clock)  # type: ignore[arg-type]
    await box.start()
    try:
        world = await World.meet(box, clock, server)
        live = await world.open_terminal(await world.ready())
        recording = await begin(world, live)
        await live.type("a", 1, b"seq 1 60000; echo d''one\n")
        done = await ended(world, recording)
        await says(live, b"done")
        assert (done.state, done.end_reason) == (state, reason)
        _, events = parsed(await cast_of(box, done))
        assert events[-1][1] == "m"
        if reason == "recordings_full":
            assert (await problem_of(begin(world, live))).code == "recordings_full"
    finally:
        await box.stop()


class Synced(CastFile):
    """Knows how much of it would survive a power cut."""

    safe = 0

    def sync(self) -> None:
        super().sync()
        self.safe = self.size


async def test_what_was_written_reaches_the_disk_though_nothing_follows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_S", 0.5)
    recorder = Recorder(HandClock(), 80, 24)
    file = Synced.create(tmp_path / "it.cast", new_stream_key(), "it", b"{}\n")
    writing = asyncio.ensure_future(recorder.write(lambda: file, lambda: None))
    for _ in range(3):
        recorder.output(b"x" * recorder_module.FLUSH_BYTES)
        before = file.size
        await eventually(lambda before=before: file.size > before, what="a write")  # type: ignore[misc]
    await eventually(lambda: file.safe == file.size, what="a file that is safe")
    recorder.stop("asked")
    assert await writing == "asked"


async def refused_for(world: World, lease: Lease, *, keep_alive: bool = False) -> str:
    opening = world.box.terminals.open(world.me, world.owner, lease.id, 80, 24, keep_alive=keep_alive)
    problem = await problem_of(opening)
    assert problem.code == "recording_required"
    return str(problem.detail["reason"])


@pytest.mark.parametrize("reason", ["recordings_full", "disk_full", "disk_failed"])
async def test_a_terminal_that_must_be_recorded_and_cannot_be_does_not_open(
    tmp_path: Path, clock: HandClock, server: Sshd, reason: str
) -> None:
    settings = {
        "recordings_full": Settings(allow_loopback=True, recordings_total_bytes=1),
        "disk_full": Settings(allow_loopback=True, recordings_keep_free_bytes=1 << 50),
        "disk_failed": Settings(allow_loopback=True),
    }
    box = Box(tmp_path / "box", settings[reason], clock)
    await box.start()
    try:
        world = await World.meet(box, clock, server)
        lease = await world.ready()
        if reason == "recordings_full":
            await end(world, await begin(world, await world.open_terminal(lease)))
        if reason == "disk_failed":
            (box.data_dir / "recordings").rmdir()
            (box.data_dir / "recordings").write_text("")
        await box.recordings.choose(world.me, world.owner, world.connection.id, Policy.ALWAYS)
        assert await refused_for(world, lease) == reason
        (row,) = await world.rows("SELECT state, end_reason FROM terminals ORDER BY id DESC LIMIT 1")
        assert row == {"state": "ended", "end_reason": "refused"}
        (event,) = await world.rows("SELECT payload FROM events WHERE type = 'recording.impossible'")
        assert json.loads(event["payload"])["reason"] == reason
        assert len(await world.audit("recording.impossible")) == 1
        await box.recordings.choose(world.me, world.owner, world.connection.id, Policy.ASK)
        await type_and_see(await world.open_terminal(lease), 1, "echo op''en", "open")
    finally:
        await box.stop()


async def test_one_that_is_to_be_kept_alive_and_recorded_leaves_nothing_on_the_server_when_it_cannot_be(
    tmp_path: Path, clock: HandClock
) -> None:
    home, sockets = tmp_path / "home", tmp_path / "tmux"
    home.mkdir()
    sockets.mkdir()
    box = Box(tmp_path / "box", Settings(allow_loopback=True, recordings_keep_free_bytes=1 << 50), clock)
    with Sshd(tmp_path / "keeps", options={"SetEnv": f"HOME={home} TMUX_TMPDIR={sockets}"}) as server:
        await box.start()
        try:
            world = await World.meet(box, clock, server)
            lease = await world.ready()
            await box.recordings.choose(world.me, world.owner, None, Policy.ALWAYS)
            assert await refused_for(world, lease, keep_alive=True) == "disk_full"
            assert sessions(world) == []
            assert await box.kept_terminals.waiting(world.owner, world.connection.id) == []
        finally:
            await box.stop()


async def test_a_file_that_was_changed_cut_or_swapped_is_not_played(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    made = []
    for number in (1, 2):
        recording = await begin(world, live)
        await type_and_see(live, number, f"echo number-''{number}", f"number-{number}")
        made.append(await end(world, recording))
    one, two = made
    path = file_of(world.box, one)
    whole = path.read_bytes()
    for bad in (
        whole[:-1],
        whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:],
        whole[:200],
        b"",
        file_of(world.box, two).read_bytes(),
    ):
        path.write_bytes(bad)
        assert (await problem_of(cast_of(world.box, one))).code == "recording_damaged"
    path.unlink()
    assert (await problem_of(cast_of(world.box, one))).code == "recording_damaged"
    path.write_bytes(whole)
    assert "number-1" in (await cast_of(world.box, one)).decode()


async def test_deleting_takes_the_key_and_the_file_and_a_running_one_is_stopped_first(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    recording = await begin(world, live)
    delete = world.box.recordings.delete
    assert (await problem_of(delete(world.me, world.owner, recording.id))).code == "recording_running"
    await end(world, recording)
    used = world.box.recordings.used_bytes
    assert used == file_of(world.box, recording).stat().st_size
    await delete(world.me, world.owner, recording.id)
    assert not file_of(world.box, recording).exists()
    assert world.box.recordings.used_bytes == 0
    (row,) = await world.rows("SELECT state, key_enc, title FROM recordings")
    assert row == {"state": "deleted", "key_enc": None, "title": ""}
    assert isinstance(await problem_of(world.box.recordings.get(world.owner, recording.id)), NotFound)
    assert await world.chain_is_whole()
    actions = [row["action"] for row in await world.rows("SELECT action FROM audit_log ORDER BY id")]
    assert [action for action in actions if action.startswith("recording.")] == [
        "recording.start",
        "recording.stop",
        "recording.end",
        "recording.delete",
    ]


async def test_what_is_older_than_the_box_keeps_recordings_goes(world: World) -> None:
    live = await world.open_terminal(await world.ready())
    recording = await end(world, await begin(world, live))
    world.clock.turn(364 * 86400)
    assert await world.box.recordings.sweep() == 0
    world.clock.turn(2 * 86400)
    assert await world.box.recordings.sweep() == 1
    assert not file_of(world.box, recording).exists()
    (row,) = await world.audit("recording.delete")
    assert json.loads(row["detail"])["reason"] == "too_old"


# kill -9

BOX = """
import asyncio, sys
from pathlib import Path
from clawdbox.app import Box
from clawdbox.clock import Clock
from clawdbox.events import Actor
from clawdbox.settings import Settings

async def main(folder, connection_id):
    box = Box(Path(folder), Settings(allow_loopback=True), Clock())
    await box.start()
    me, owner = Actor(box.owner.id), box.owner.id
    lease = await box.leases.start(me, owner, connection_id)
    terminal = await box.terminals.open(me, owner, lease.id, 80, 24)
    live = await box.terminals.live(owner, lease.id, terminal.id)
    recording = await box.recordings.begin(me, owner, lease.id, terminal.id)
    path = box.data_dir / "recordings" / (recording.id + ".cast")
    await live.type("a", 1, b"seq 1 30000; echo sa''fe\\n")
    while b"safe" not in live.ring.recent(live.ring.start, 10_000_000):
        await asyncio.sleep(0.02)
    size = 0
    while path.stat().st_size > size or not size:  # two rounds of the writer
        size = path.stat().st_size
        await asyncio.sleep(2.5)
    await live.type("a", 2, b"yes | head -c 20000000\\n")
    print("HELD " + recording.id, flush=True)
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_box_killed_in_the_middle_leaves_what_was_flushed_and_says_that_it_was_cut(
    tmp_path: Path, clock: HandClock, server: Sshd
) -> None:
    folder = tmp_path / "box"
    box = Box(folder, Settings(allow_loopback=True), clock)
    await box.start()
    world = await World.meet(box, clock, server)
    await world.pin()
    await box.stop()
    line = await asyncio.to_thread(killed_while_it_records, str(folder), world.connection.id)
    recording_id = line.split()[1]
    stray = folder / "recordings" / "019b9d3c-4a10-7c3e-9d56-0d2f6a1b2c3d.cast"
    stray.write_bytes(b"of a recording that was deleted")
    (folder / "recordings" / "lost+found").mkdir()  # where the folder is a disk of its own
    with (folder / "recordings" / f"{recording_id}.cast").open("ab") as file:
        file.write(b"\x00\x00\x00\x01\x00half a chunk")  # as a power cut leaves it
    again = Box(folder, Settings(allow_loopback=True), HandClock())
    await again.start()
    try:
        found = await again.recordings.get(again.owner.id, recording_id)
        assert (found.state, found.end_reason) == (RecordingState.CUT, "box_crashed")
        header, events = parsed(await cast_of(again, found))
        assert header["version"] == 2
        assert "\r\n30000\r\nsafe" in shown(events)
        assert events[-1][1:] == ["m", "The recording was cut here: the box died."]
        assert found.duration_ms
        assert not stray.exists()
        path = file_of(again, found)
        path.write_bytes(path.read_bytes()[:-30])
        assert (await problem_of(cast_of(again, found))).code == "recording_damaged"
    finally:
        await again.stop()


def killed_while_it_records(*arguments: str) -> str:
    process = subprocess.Popen(
        [sys.executable, "-c", BOX, *arguments],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        line = next((line for line in process.stdout if line.startswith("HELD ")), "")
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    return line


async def test_a_box_that_is_stopped_ends_its_recordings(
    tmp_path: Path, clock: HandClock, server: Sshd
) -> None:
    box = Box(tmp_path / "box", Settings(allow_loopback=True), clock)
    await box.start()
    world = await World.meet(box, clock, server)
    live = await world.open_terminal(await world.ready())
    recording = await begin(world, live)
    await type_and_see(live, 1, "echo la''st", "last")
    await box.stop()
    again = Box(tmp_path / "box", Settings(allow_loopback=True), clock)
    await again.start()
    try:
        found = await again.recordings.get(again.owner.id, recording.id)
        assert (found.state, found.end_reason) == (RecordingState.DONE, "terminal_ended")
        assert "last" in (await cast_of(again, found)).decode()
    finally:
        await again.stop()
