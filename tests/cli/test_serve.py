"""The box as a person or a supervisor starts and stops it."""

import os
import re
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.cli.command import STOP_S, Served, answer, clawdbox, environment
from tests.waiting import eventually_sync

Serve = Callable[..., Served]
shared_box = pytest.mark.xdist_group("cli-serve")
LINK = re.compile(r"/pair#[A-Za-z0-9_-]{43}")
WORDS = re.compile(r"(?:\d\. [a-z]+\s+){4}", re.MULTILINE)


@shared_box
def test_it_serves_and_says_where(shared: Served) -> None:
    assert httpx.get(f"{shared.address}/health").json()["status"] == "ok"
    assert f"serves {shared.address}\n" in shared.out


@shared_box
def test_box_json_is_whole_and_this_users_alone(shared: Served) -> None:
    assert shared.box is not None
    assert set(shared.box) == {"pid", "port", "address", "socket"}
    assert stat.S_IMODE((shared.data_dir / "box.json").stat().st_mode) == 0o600


@shared_box
def test_everything_in_the_data_folder_is_this_users_alone(shared: Served) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in shared.data_dir.iterdir()}
    assert not {name: oct(mode) for name, mode in modes.items() if mode & 0o077}


def test_sigterm_and_ctrl_c_end_it_with_0_and_leave_no_box_json(serve: Serve) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        box = serve().wait()
        assert box.stop(number) == 0, box.log
        assert box.box is None
        assert not (box.data_dir / "admin.sock").exists()
        assert "Traceback" not in box.log


def test_after_kill_9_it_starts_again(serve: Serve) -> None:
    killed = serve().wait()
    assert killed.stop(signal.SIGKILL) == -signal.SIGKILL
    assert killed.box is not None
    box = serve().wait()
    assert httpx.get(f"{box.address}/health").status_code == 200
    assert answer("audit", "verify", "--json", "--data-dir", box.data_dir)["first_bad"] is None
    assert box.stop() == 0


def test_commands_find_no_box_after_kill_9_and_do_it_themselves(serve: Serve, data_dir: Path) -> None:
    serve().wait().stop(signal.SIGKILL)
    assert clawdbox("token", "create", "--name", "x", "--data-dir", data_dir).returncode == 0
    assert clawdbox("pair", "--data-dir", data_dir).returncode == 69


def test_a_second_box_on_the_same_folder_is_75(box: Served, serve: Serve) -> None:
    second = serve()
    assert second.process.wait(STOP_S) == 75
    assert f"process {box.process.pid}" in second.log
    assert httpx.get(f"{box.address}/health").status_code == 200, "the first goes on"


def test_a_port_that_is_taken_is_refused(box: Served, serve: Serve, tmp_path: Path) -> None:
    assert box.box is not None
    second = serve("--port", str(box.box["port"]), folder=tmp_path / "other")
    assert second.process.wait(STOP_S) == 75, "a port may be free a moment later"
    assert "--port" in second.log


def test_a_folder_that_others_may_enter_is_refused(data_dir: Path, serve: Serve) -> None:
    data_dir.mkdir()
    (data_dir / "something").touch()
    data_dir.chmod(0o755)
    box = serve()
    assert box.process.wait(STOP_S) == 78
    assert f"chmod 700 '{data_dir}'" in box.log
    assert [file.name for file in data_dir.iterdir()] == ["something"]


def test_a_setting_that_cannot_be_used_is_refused(data_dir: Path, serve: Serve) -> None:
    data_dir.mkdir(mode=0o700)
    (data_dir / "config.toml").write_text("idle_timeout_s = 'soon'\n")
    box = serve()
    assert box.process.wait(STOP_S) == 78
    assert box.log.startswith("clawdbox: ")
    assert "config.toml" in box.log


def test_a_missing_keyring_is_refused_and_the_database_untouched(data_dir: Path, serve: Serve) -> None:
    clawdbox("token", "create", "--name", "x", "--data-dir", data_dir)
    (data_dir / "master.keyring").unlink()
    before = (data_dir / "clawdbox.db").read_bytes()
    box = serve()
    assert box.process.wait(STOP_S) == 78
    assert "master.keyring" in box.log
    assert (data_dir / "clawdbox.db").read_bytes() == before
    assert not (data_dir / "master.keyring").exists()


@shared_box
def test_neither_link_nor_words_reach_what_is_no_terminal(shared: Served) -> None:
    printed = shared.out + shared.log
    assert not LINK.search(printed)
    assert not WORDS.search(printed)
    assert "█" not in printed
    assert f"pair --data-dir {shared.data_dir}" in shared.out


def test_show_pairing_prints_the_link_but_never_the_words(serve: Serve) -> None:
    box = serve("--show-pairing").wait()
    eventually_sync(lambda: LINK.search(box.out), what="the link")
    assert "█" in box.out
    assert not WORDS.search(box.out)


def on_a_terminal(serve: Serve) -> tuple[Served, str]:
    """A box with a terminal for its output, and what it showed there until it was ready and was stopped."""
    master, slave = os.openpty()
    box = serve(stdout=slave)
    os.close(slave)
    shown = b""
    while b"From a phone" not in shown and box.process.poll() is None:
        shown += os.read(master, 65_536)
    box.wait()
    assert box.stop() == 0, box.log
    while True:
        try:
            more = os.read(master, 65_536)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        shown += more
    os.close(master)
    return box, shown.decode().replace("\r\n", "\n")


def test_a_terminal_shows_the_link_each_time_and_the_words_once(serve: Serve) -> None:
    first = on_a_terminal(serve)[1]
    again = on_a_terminal(serve)[1]
    assert LINK.search(first)
    assert LINK.search(again)
    lines = [line for line in first.splitlines() if re.match(r" +\d+\. [a-z]+", line)]
    assert len(lines) == 6
    words = re.findall(r"\d+\. ([a-z]+)", "\n".join(lines))
    assert len(words) == 24
    assert "recovery words" in first
    assert "recovery words" not in again
    assert not WORDS.search(again)


def test_words_wait_for_a_terminal(serve: Serve) -> None:
    serve().wait().stop()
    assert "recovery words" in on_a_terminal(serve)[1]


def test_the_words_open_the_keyring(serve: Serve) -> None:
    from clawdbox.vault import Keyring

    box, shown = on_a_terminal(serve)
    words = re.findall(r" \d+\. ([a-z]+)", shown)
    assert Keyring.open_with_words(box.data_dir, " ".join(words)).instance_id


def test_it_says_how_a_phone_gets_there(serve: Serve) -> None:
    box = serve().wait()
    eventually_sync(lambda: "From a phone" in box.out, what="the hint")
    assert "--host 0.0.0.0" in box.out
    assert "--public-url https://box.example.org" in box.out
    box.stop()
    public = serve("--public-url", "https://box.example.org/").wait()
    eventually_sync(lambda: "From a phone: https://box.example.org\n" in public.out, what="the address")


def test_the_demo_keeps_its_own_folder(tmp_path: Path, serve: Serve) -> None:
    folder = tmp_path / "data" / "clawdbox-demo"
    env = environment(XDG_DATA_HOME=str(tmp_path / "data"))
    box = serve("--demo", folder=folder, env=env).wait()
    rows = answer(
        "db", "query", "SELECT label FROM ssh_connections", "--format", "json", "--data-dir", folder
    )
    assert rows == [{"label": "Demo server"}]
    assert clawdbox("pair", "--demo", env=env).returncode == 0
    assert clawdbox("pair", env=env).returncode == 69
    assert " pair --demo" in box.out


def test_systemd_hears_when_it_serves_and_when_it_stops(tmp_path: Path, serve: Serve) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(path))
        supervisor.settimeout(30)
        box = serve(env=environment(NOTIFY_SOCKET=str(path)))
        assert supervisor.recv(100) == b"READY=1"
        assert box.wait().stop() == 0
        assert supervisor.recv(100) == b"STOPPING=1"


def test_a_second_signal_does_not_wait(serve: Serve) -> None:
    """An open request keeps a graceful stop busy; who asks twice means it."""
    box = serve().wait()
    with socket.create_connection(("127.0.0.1", int(box.address.rpartition(":")[2]))) as peer:
        peer.sendall(b"POST /api/v1/auth/pair HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        box.process.send_signal(signal.SIGTERM)
        eventually_sync(lambda: box.box is None, what="the stop")
        box.process.send_signal(signal.SIGTERM)
        assert box.process.wait(STOP_S) in (0, 128 + signal.SIGTERM)
