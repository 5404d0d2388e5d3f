"""`ssh -S` over a lease: what comes through, what is written down, and what is refused. Real ssh, real sshd."""

import asyncio
import os
import pty
import signal
import stat
import tempfile
import termios
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from clawdbox.app import Box
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease, LeaseStatus, MasterState
from clawdbox.ssh.rules.control import Policy, Request, Use, Verdict
from tests.clocks import HandClock
from tests.ssh.riding import Ride, begin, executions, ride, run, stopped
from tests.ssh.sshd import Sshd
from tests.ssh.world import World
from tests.waiting import eventually

BINARY = bytes(range(256)) * 4096


@pytest.fixture
async def there(world: World, tmp_path: Path) -> Ride:
    await world.ready()
    return await ride(world, tmp_path)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Short enough for the address of a socket, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


class TestCommands:
    async def test_both_streams_come_apart_and_the_exit_status_is_the_commands(self, there: Ride) -> None:
        assert await there("echo out; echo err >&2; exit 7") == (7, b"out\n", b"err\n")

    @pytest.mark.parametrize("code", [0, 1, 127, 254, 255])
    async def test_every_exit_status_comes_through(self, there: Ride, code: int) -> None:
        assert (await there(f"exit {code}")).code == code

    async def test_a_death_by_signal_is_255_for_ssh_and_128_and_its_number_in_the_row(
        self, there: Ride, world: World
    ) -> None:
        assert (await there("kill -TERM $$")).code == 255
        (row,) = await executions(world, 1)
        assert (row["state"], row["exit_status"]) == ("done", 143)

    async def test_any_byte_goes_through_a_pipe_in_both_directions(self, there: Ride) -> None:
        assert await there("cat; cat /dev/null >&2", stdin=BINARY) == (0, BINARY, b"")

    async def test_a_command_that_is_no_utf_8_reaches_the_server_as_it_is(self, there: Ride) -> None:
        said = await run(*there.ssh, there.host, os.fsdecode(b"printf %s \xff\xfe | od -An -tx1"))
        assert said.out.split() == [b"ff", b"fe"]

    async def test_where_people_are_judged_a_command_that_would_be_asked_about_does_not_run(
        self, there: Ride, world: World, tmp_path: Path
    ) -> None:
        changed = await world.box.connections.change(
            world.me, world.owner, world.connection.id, judge_people=True
        )
        assert changed.judge_people
        assert (await there("uptime")).code == 0
        refused = await there(f"touch {tmp_path}/made")
        assert refused.code == 255
        assert b"asked about first" in refused.err
        assert not (tmp_path / "made").exists()

    async def test_stdin_may_be_a_file_and_stdout_one_that_is_appended_to(
        self, there: Ride, tmp_path: Path
    ) -> None:
        (tmp_path / "in").write_bytes(BINARY)
        (tmp_path / "out").write_bytes(b"before\n")
        with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("ab") as sink:
            process = await begin(*there.ssh, there.host, "cat", stdin=source, stdout=sink)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        assert (tmp_path / "out").read_bytes() == b"before\n" + BINARY

    async def test_stdin_may_be_dev_null_or_closed_at_once(self, there: Ride) -> None:
        assert await there("cat; echo end") == (0, b"end\n", b"")
        assert await there("cat; echo end", stdin=b"") == (0, b"end\n", b"")
        assert await there("cat; echo end", options=("-n",), stdin=b"not read") == (0, b"end\n", b"")

    async def test_a_substitution_does_not_hang_and_has_every_byte(self, there: Ride) -> None:
        script = 'x=$("$@" "printf %0300000d 0"); echo ${#x}'
        said = await run("sh", "-c", script, "sh", *there.ssh, there.host)
        assert said == (0, b"300000\n", b"")

    async def test_a_loop_keeps_its_input_from_a_command_that_does_not_want_it(self, there: Ride) -> None:
        script = 'while read line; do "$@" "echo $line"; done'
        said = await run("sh", "-c", script, "sh", *there.ssh, "-n", there.host, stdin=b"1\n2\n3\n")
        assert said.out == b"1\n2\n3\n"

    async def test_a_shell_without_a_terminal_reads_its_commands_from_stdin(
        self, there: Ride, world: World
    ) -> None:
        assert await there(stdin=b"echo shell; exit 3\n", options=("-T",)) == (3, b"shell\n", b"")
        (row,) = await executions(world, 1)
        assert (row["kind"], row["command"], row["exit_status"]) == ("shell", "", 3)

    async def test_the_environment_that_the_server_accepts_arrives(self, there: Ride) -> None:
        said = await there("echo $LC_COLOUR", options=("-o", "SetEnv LC_COLOUR=blue"))
        assert said.out == b"blue\n"

    async def test_more_commands_than_the_server_allows_wait_in_line(self, there: Ride) -> None:
        said = await asyncio.gather(*(there(f"sleep 0.2; echo {number}") for number in range(16)))
        assert [int(one.out) for one in said] == list(range(16))

    async def test_a_flood_stops_when_its_reader_has_seen_enough(self, there: Ride) -> None:
        said = await run("sh", "-c", '"$@" | head -c 5', "sh", *there.ssh, there.host, "yes", timeout=20)
        assert said.out == b"y\ny\ny"

    async def test_a_slow_reader_gets_every_byte_of_a_big_transfer(self, there: Ride) -> None:
        size = 30_000_000
        process = await begin(*there.ssh, there.host, f"head -c {size} /dev/zero; echo end >&2")
        assert process.stdout is not None
        got = 0
        while data := await process.stdout.read(50_000):
            got += len(data)
        assert (got, await process.wait()) == (size, 0)

    async def test_a_slow_server_gets_every_byte_of_a_big_transfer(self, there: Ride) -> None:
        said = await there("sleep 0.5; wc -c", stdin=bytes(30_000_000))
        assert int(said.out) == 30_000_000

    async def test_one_stream_nobody_reads_does_not_hold_up_the_other(self, there: Ride) -> None:
        process = await begin(
            *there.ssh, there.host, "head -c 500000 /dev/zero >&2; echo out; exec >&-; sleep 1"
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"out\n"
        assert len(await process.stderr.read()) == 500_000
        assert await process.wait() == 0


class TestTheRowAndTheTrail:
    async def test_a_command_is_a_row_and_an_audit_row_that_does_not_hold_it(
        self, there: Ride, world: World
    ) -> None:
        await there("echo s3cret-word; exit 2")
        (row,) = await executions(world, 1)
        assert (row["command"], row["kind"], row["state"], row["exit_status"]) == (
            "echo s3cret-word; exit 2", "command", "done", 2,
        )  # fmt: skip
        (told,) = await world.audit("control.command")
        assert (told["result"], told["target_id"]) == ("ok", row["id"])
        assert "s3cret" not in str(told)
        assert await world.chain_is_whole()

    async def test_the_row_is_there_before_the_command_runs(
        self, there: Ride, world: World, tmp_path: Path
    ) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        process = await begin(*there.ssh, there.host, f"echo begun; cat {fifo}")
        assert process.stdout is not None
        assert await process.stdout.readline() == b"begun\n"
        assert [row["state"] for row in await world.rows("SELECT state FROM executions")] == ["started"]
        await asyncio.to_thread(fifo.write_text, "go on\n")
        assert await process.wait() == 0

    async def test_a_command_keeps_the_session_from_being_idle(
        self, there: Ride, world: World, clock: HandClock
    ) -> None:
        process = await begin(*there.ssh, there.host, "echo begun; sleep 600")
        assert process.stdout is not None
        await process.stdout.readline()
        clock.turn(7200)
        assert await world.janitor.sweep() == 0
        await stopped(process, signal.SIGTERM)
        await executions(world, 1)
        clock.turn(7200)
        assert await world.janitor.sweep() == 1


class TestEnds:
    async def test_a_client_that_is_killed_hangs_up_and_the_row_says_cancelled(
        self, there: Ride, world: World
    ) -> None:
        process = await begin(*there.ssh, there.host, "echo begun; sleep 600")
        assert process.stdout is not None
        await process.stdout.readline()
        await stopped(process, signal.SIGKILL)
        (row,) = await executions(world, 1)
        assert (row["state"], row["exit_status"]) == ("cancelled", None)
        assert (await there("echo on")).out == b"on\n"

    async def test_a_link_lost_in_mid_command_is_255_with_a_sentence_and_lost(
        self, there: Ride, world: World, server: Sshd
    ) -> None:
        process = await begin(*there.ssh, there.host, "echo begun; sleep 600")
        assert process.stdout is not None
        await process.stdout.readline()
        server.kill_connections()
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 255
        assert b"The link to the server was lost" in err
        (row,) = await executions(world, 1)
        assert (row["state"], row["exit_status"]) == ("lost", None)

    async def test_while_the_link_is_down_commands_are_refused_and_the_socket_survives_the_redial(
        self, there: Ride, world: World, server: Sshd
    ) -> None:
        lease = await the_lease(world)
        server.stop()
        await world.master_is(lease, MasterState.LOST)
        said = await there("echo never")
        assert said.code == 255
        assert b"the box is dialling again" in said.err
        assert await world.rows("SELECT id FROM executions") == []
        server.start()
        await world.master_is(lease, MasterState.UP)
        assert (await there("echo back")).out == b"back\n"

    async def test_closing_the_session_ends_what_runs_and_says_so(self, there: Ride, world: World) -> None:
        process = await begin(*there.ssh, there.host, "echo begun; sleep 600")
        assert process.stdout is not None
        await process.stdout.readline()
        lease = await the_lease(world)
        await world.close(lease)
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, err) == (255, b"clawdbox: The session was closed.\n")
        assert [row["state"] for row in await executions(world, 1)] == ["cancelled"]

    async def test_after_the_session_ssh_ends_with_255_and_dials_nothing(
        self, there: Ride, world: World, server: Sshd
    ) -> None:
        lease = await the_lease(world)
        await world.close(lease)
        before = server.log().count("Connection from")
        assert (await there("echo never")).code == 255
        assert server.log().count("Connection from") == before


class TestTerminals:
    async def test_a_terminal_has_its_size_and_modes_is_resized_and_ends_with_its_status(
        self, there: Ride
    ) -> None:
        screen, tty = pty.openpty()
        try:
            set_size(tty, 40, 100)
            process = await begin(*there.ssh, "-tt", there.host, stdin=tty, stdout=tty, stderr=tty)
            os.write(screen, b"stty size; echo ready\r")
            assert b"40 100" in await heard(screen, b"\r\nready")
            set_size(tty, 50, 120)

            async def has_the_new_size() -> bool:
                os.write(screen, b"stty size; echo again\r")
                return b"50 120" in await heard(screen, b"\r\nagain")

            await eventually(has_the_new_size, timeout=20)
            os.write(screen, b"exit 9\r")
            assert await asyncio.wait_for(process.wait(), 20) == 9
        finally:
            os.close(screen)
            os.close(tty)

    async def test_tilde_dot_ends_it(self, there: Ride, world: World) -> None:
        screen, tty = pty.openpty()
        try:
            process = await begin(*there.ssh, "-tt", there.host, stdin=tty, stdout=tty, stderr=tty)
            os.write(screen, b"echo re''ady\r")
            await heard(screen, b"ready")
            os.write(screen, b"\r~.")
            assert await asyncio.wait_for(process.wait(), 20) == 255
        finally:
            os.close(screen)
            os.close(tty)
        assert [row["state"] for row in await executions(world, 1)] == ["cancelled"]

    async def test_the_clients_own_terminal_is_never_made_non_blocking(self, there: Ride) -> None:
        screen, tty = pty.openpty()
        try:
            process = await begin(
                *there.ssh, "-tt", there.host, "echo ready; cat", stdin=tty, stdout=tty, stderr=tty
            )
            await heard(screen, b"ready")
            assert os.get_blocking(tty)
            os.write(screen, b"\x03")
            await asyncio.wait_for(process.wait(), 20)
            assert os.get_blocking(tty)
        finally:
            os.close(screen)
            os.close(tty)


class TestThePolicy:
    async def test_a_switched_off_command_is_refused_with_words_and_255(
        self, there: Ride, world: World, tmp_path: Path
    ) -> None:
        await ride(world, tmp_path, exec=False)
        said = await there("echo never")
        assert (said.code, said.out) == (255, b"")
        assert said.err.startswith(b"clawdbox: This control socket lets nobody run commands.")
        (told,) = await world.audit("control.command")
        assert told["result"] == "failed"
        assert await world.rows("SELECT id FROM executions") == []
        await ride(world, tmp_path, exec=True)
        assert (await there("echo now")).out == b"now\n"

    async def test_no_refusal_makes_ssh_dial(self, world: World, tmp_path: Path, server: Sshd) -> None:
        """Without `ProxyCommand /bin/false`, and with a server that would let it try."""
        await world.ready()
        over = await ride(world, tmp_path, exec=False, pty=False)
        config = tmp_path / "dials"
        config.write_text(
            over.config.read_text().replace(
                "ProxyCommand /bin/false", f"HostName 127.0.0.1\n Port {server.port}"
            )
        )
        bold = Ride(config, "there")
        before = server.log().count("Connection from")
        for options in (
            (),
            ("-tt",),
            ("-W", "127.0.0.1:9"),
            ("-L", "0:127.0.0.1:9"),
            ("-L", "8099:127.0.0.1:9"),
            ("-R", "0:127.0.0.1:9"),
            ("-D", "8098"),
        ):
            assert (
                await bold("true", options=options)
                if "-W" not in options
                else await run(*bold.ssh, *options, bold.host)
            ).code == 255
        for verb in ("exit", "stop", "proxy"):
            assert (await bold.control(verb)).code == 255
        assert (await bold.control("forward", "-L", "8099:127.0.0.1:9")).code == 255
        assert server.log().count("Connection from") == before
        assert all(
            row["result"] == "failed"
            for row in await world.rows(
                "SELECT result FROM audit_log WHERE action LIKE 'control.%' AND action <> 'control.policy'"
            )
        )

    async def test_exit_ends_the_session_only_where_it_may(
        self, there: Ride, world: World, tmp_path: Path
    ) -> None:
        said = await there.control("exit")
        assert (said.code, b"does not end the session" in said.err) == (255, True)
        lease = await the_lease(world)
        assert lease.status is LeaseStatus.ACTIVE
        await ride(world, tmp_path, exit=True)
        assert await there.control("exit") == (0, b"", b"Exit request sent.\r\n")
        assert (await world.ended(lease)).close_reason == "user"

    async def test_stop_closes_the_socket_and_leaves_the_session(self, world: World, tmp_path: Path) -> None:
        lease = await world.ready()
        there = await ride(world, tmp_path, exit=True)
        process = await begin(*there.ssh, there.host, "echo begun; cat", stdin=PIPE)
        assert process.stdout is not None
        await process.stdout.readline()
        assert (await there.control("stop")).code == 0
        assert (await there("echo never")).code == 255
        out, _ = await process.communicate(b"still here")
        assert out == b"still here"
        assert (await world.run(lease, "echo on")).stdout == b"on\n"


class TestAHook:
    async def test_it_is_asked_before_each_command_and_may_say_no(self, world: World, tmp_path: Path) -> None:
        lease = await world.ready()
        asked: list[Request] = []

        async def ask(request: Request) -> Verdict:
            asked.append(request)
            return Verdict("good" in (request.command or ""), "Not that one.")

        socket = await world.box.control_sockets.open_for(lease, name="agent", ask=ask)
        assert socket is not None
        there = Ride.over(socket.path, tmp_path)
        assert (await there("echo good")).out == b"good\n"
        assert await there("echo bad") == (255, b"", b"clawdbox: Not that one.\n")
        assert [(one.use, one.command) for one in asked] == [
            (Use.COMMAND, "echo good"),
            (Use.COMMAND, "echo bad"),
        ]
        assert [row["command"] for row in await executions(world, 1)] == ["echo good"]
        assert (await there.control("proxy")).code == 255
        assert (await there.control("forward", "-L", "8097:127.0.0.1:9")).code == 255
        assert len(asked) == 2
        await world.box.control_sockets.close(socket)
        assert (await there("echo good")).code == 255
        assert (await (await ride(world, tmp_path))("echo own")).out == b"own\n"

    async def test_one_that_takes_long_holds_up_its_command_alone(self, world: World, tmp_path: Path) -> None:
        lease = await world.ready()
        go = asyncio.Event()

        async def ask(request: Request) -> Verdict:
            if "slow" in (request.command or ""):
                await go.wait()
            return Verdict(True)

        socket = await world.box.control_sockets.open_for(lease, name="agent", ask=ask)
        assert socket is not None
        there = Ride.over(socket.path, tmp_path)
        slow = asyncio.ensure_future(there("echo slow"))
        assert (await there("echo quick")).out == b"quick\n"
        assert not slow.done()
        go.set()
        assert (await slow).out == b"slow\n"

    async def test_a_client_that_does_not_wait_is_forgotten_and_its_command_never_runs(
        self, world: World, tmp_path: Path
    ) -> None:
        lease = await world.ready()
        asked, cancelled = asyncio.Event(), asyncio.Event()

        async def ask(_request: Request) -> Verdict:
            asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            raise AssertionError

        socket = await world.box.control_sockets.open_for(lease, name="agent", ask=ask)
        assert socket is not None
        there = Ride.over(socket.path, tmp_path)
        process = await begin(*there.ssh, there.host, f"touch {tmp_path}/ran")
        await asyncio.wait_for(asked.wait(), 10)
        await stopped(process, signal.SIGTERM)
        await asyncio.wait_for(cancelled.wait(), 10)
        assert await world.rows("SELECT id FROM executions") == []
        assert not (tmp_path / "ran").exists()

    async def test_one_that_breaks_is_a_no(self, world: World, tmp_path: Path) -> None:
        lease = await world.ready()

        async def ask(_request: Request) -> Verdict:
            raise RuntimeError("nobody home")

        socket = await world.box.control_sockets.open_for(lease, name="agent", ask=ask)
        assert socket is not None
        said = await Ride.over(socket.path, tmp_path)("echo never")
        assert said == (255, b"", b"clawdbox: Nobody could be asked whether this is allowed.\n")

    async def test_a_session_that_ends_meanwhile_is_a_no(self, world: World, tmp_path: Path) -> None:
        lease = await world.ready()
        asked = asyncio.Event()

        async def ask(_request: Request) -> Verdict:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        socket = await world.box.control_sockets.open_for(lease, name="agent", ask=ask)
        assert socket is not None
        waiting = asyncio.ensure_future(Ride.over(socket.path, tmp_path)("echo never"))
        await asyncio.wait_for(asked.wait(), 10)
        await world.close(lease)
        assert await waiting == (255, b"", b"clawdbox: The session was closed.\n")

    async def test_a_bare_one_hands_on_the_command_and_nothing_else(
        self, world: World, tmp_path: Path
    ) -> None:
        lease = await world.ready()
        socket = await world.box.control_sockets.open_for(lease, name="agent", bare=True)
        assert socket is not None
        there = Ride.over(socket.path, tmp_path)
        said = await there(
            "cat; echo [$LC_COLOUR]", stdin=b"rm -rf /\n", options=("-o", "SetEnv LC_COLOUR=blue")
        )
        assert said == (0, b"[]\n", b"")
        (tmp_path / "in").write_bytes(b"unseen")
        with (tmp_path / "in").open("rb") as source:
            process = await begin(*there.ssh, there.host, "cat; echo end >&2; exit 4", stdin=source)
            assert await asyncio.wait_for(process.communicate(), 30) == (b"", b"end\n")
        assert process.returncode == 4

    async def test_it_hears_when_a_command_is_more_than_its_text(self, world: World, tmp_path: Path) -> None:
        lease = await world.ready()
        asked: list[bool] = []

        async def ask(request: Request) -> Verdict:
            asked.append(request.exact)
            return Verdict(True)

        socket = await world.box.control_sockets.open_for(lease, name="agent", ask=ask)
        assert socket is not None
        there = Ride.over(socket.path, tmp_path)
        for command in (b"echo \xff", rb"echo '\xff'", "echo ü".encode()):
            await run(*there.ssh, there.host, os.fsdecode(command))
        assert asked == [False, True, True]

    async def test_its_stable_path_leads_to_whichever_of_its_sockets_is_open(
        self, world: World, tmp_path: Path
    ) -> None:
        sockets = world.box.control_sockets
        first = await sockets.open_for(await world.ready(), name="agent", link="talk")
        path = sockets.stable_path("talk")
        assert first is not None
        assert path is not None
        there = Ride.over(path, tmp_path)
        assert (await there("echo one")).out == b"one\n"
        second = await sockets.open_for(await world.start(), name="agent", link="talk")
        assert second is not None
        await sockets.close(first)
        assert (await there("echo two")).out == b"two\n"
        await world.close(second.lease)
        assert not path.is_symlink()
        assert (await there("echo three")).code == 255

    async def test_inside_proxy_mode_each_command_is_asked_about_too(
        self, world: World, tmp_path: Path
    ) -> None:
        lease = await world.ready()

        async def ask(request: Request) -> Verdict:
            return Verdict(request.use is Use.PROXY or "good" in (request.command or ""), "Not that one.")

        socket = await world.box.control_sockets.open_for(
            lease, name="agent", ask=ask, policy=Policy(proxy=True)
        )
        assert socket is not None
        there = Ride.over(socket.path, tmp_path)
        assert await run(*there.ssh, "-O", "proxy", there.host, "echo good") == (0, b"good\n", b"")
        said = await run(*there.ssh, "-O", "proxy", there.host, "echo bad")
        assert (said.code, said.out) == (255, b"")
        assert b"Not that one." in said.err
        assert [row["command"] for row in await executions(world, 1)] == ["echo good"]


class TestTheSocket:
    async def test_it_is_this_users_alone_and_short_enough(self, there: Ride, world: World) -> None:
        view = await world.box.control_sockets.view(world.owner, world.connection.id)
        assert view.path is not None
        path = Path(view.path)
        assert (mode_of(path), mode_of(path.parent)) == (0o600, 0o700)
        assert len(os.fsencode(path)) <= 107

    async def test_of_several_sessions_the_newest_is_used_and_then_the_one_before(
        self, world: World, tmp_path: Path
    ) -> None:
        first = await world.ready()
        second = await world.start()
        there = await ride(world, tmp_path)
        await there("echo 1")
        await world.close(second)
        await there("echo 2")
        await world.close(first)
        assert (await there("echo 3")).code == 255
        rows = await executions(world, 2)
        assert [row["session_lease_id"] for row in rows] == [second.id, first.id]

    async def test_what_a_crash_left_is_swept_and_a_long_data_folder_has_its_sockets_elsewhere(
        self,
        short_folder: Path,
        tmp_path: Path,
        clock: HandClock,
        server: Sshd,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        runtime = short_folder
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        folder = tmp_path / ("long" * 25)
        box = Box(folder, Settings(allow_loopback=True), clock)
        await box.start()
        try:
            world = await World.meet(box, clock, server)
            await world.ready()
            over = await ride(world, tmp_path)
            assert str(runtime) in over.config.read_text()
            assert (await over("echo hello")).out == b"hello\n"
            (place,) = runtime.iterdir()
            left = place / "s-0123456789abcdef"
            left.touch()
        finally:
            await box.stop()
        again = Box(folder, Settings(allow_loopback=True), clock)
        await again.start()
        assert not left.exists()
        await again.stop()
        assert list(place.iterdir()) == []

    async def test_the_setting_switches_them_off(
        self, tmp_path: Path, clock: HandClock, server: Sshd
    ) -> None:
        box = Box(tmp_path / "off", Settings(allow_loopback=True, control_sockets=False), clock)
        await box.start()
        try:
            world = await World.meet(box, clock, server)
            await world.ready()
            view = await box.control_sockets.view(world.owner, world.connection.id)
            assert (view.path, view.listening) == (None, False)
            assert not (tmp_path / "off" / "ctl").exists()
        finally:
            await box.stop()

    async def test_another_users_process_is_sent_away(self, there: Ride, world: World) -> None:
        view = await world.box.control_sockets.view(world.owner, world.connection.id)
        assert view.path is not None
        if os.geteuid() != 0:
            pytest.skip("only root can become somebody else")
        path = opened_to_all(Path(view.path))
        script = (
            "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9))"
        )
        said = await run(
            "/usr/bin/python3",
            "-c",
            script,
            path,
            user=65534,
            group=65534,
            extra_groups=[],
        )
        assert said == (0, b"b''\n", b"")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def opened_to_all(path: Path) -> Path:
    """The socket behind a path, as if its modes and those of the folders above were no hindrance."""
    path.resolve().chmod(0o666)
    for folder in path.parents:
        if folder != Path("/") and folder.owner() == "root":
            folder.chmod(folder.stat().st_mode | 0o011)
    return path.resolve()


async def the_lease(world: World) -> Lease:
    (lease,), _ = await world.box.leases.list(world.owner, status=None, connection_id=None, limit=9, offset=0)
    return lease


def set_size(tty: int, rows: int, cols: int) -> None:
    termios.tcsetwinsize(tty, (rows, cols))


async def heard(screen: int, wanted: bytes) -> bytes:
    """What the terminal shows, until `wanted` was among it."""
    got = b""
    os.set_blocking(screen, False)

    def come() -> bool:
        nonlocal got
        with suppress(BlockingIOError):
            got += os.read(screen, 65536)
        return wanted in got

    await eventually(come, timeout=20, what=f"{wanted!r}")
    return got
