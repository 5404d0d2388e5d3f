"""The admin socket: this user's alone, and the same verbs as without a running box."""

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.command import Served, answer, clawdbox, environment
from tests.waiting import eventually_sync

Serve = Callable[..., Served]
pytestmark = pytest.mark.xdist_group("cli-admin")  # they share a box
ASK_AS_NOBODY = """
import os, socket, sys
os.setuid(65534)
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
try:
    peer.sendall(b'{"verb": "status"}\\n')
    print(peer.recv(100))
except ConnectionError:
    print(b"")
"""

# Python itself may lie where nobody may look, so all that is imported late is imported before.
SERVE_AS_NOBODY = """
import asyncio, encodings.idna, importlib.readers, os, pathlib, tempfile
import uvloop, clawdbox.admin, clawdbox.web.server
from clawdbox.app import Box
from clawdbox.cli import main, serve
from clawdbox.settings import Settings

async def warm(folder):
    box = Box(folder, Settings())
    await box.start()
    await box.stop()

with tempfile.TemporaryDirectory() as folder:
    asyncio.run(warm(pathlib.Path(folder, "warm")))
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
main()
"""


def raw(box: Served, *lines: bytes) -> list[Any]:
    """What the socket answers to these lines on one connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(20)
        peer.connect(str(box.data_dir / "admin.sock"))
        file = peer.makefile("rwb")
        answers = []
        for line in lines:
            file.write(line)
            file.flush()
            answered = file.readline()
            answers.append(json.loads(answered) if answered else None)
        return answers


def test_the_socket_is_this_users_alone(shared: Served) -> None:
    info = (shared.data_dir / "admin.sock").stat()
    assert stat.S_ISSOCK(info.st_mode)
    assert stat.S_IMODE(info.st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_not_heard_even_if_the_modes_let_him(serve: Serve) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as public:
        box = serve(folder=Path(public, "box")).wait()
        for path in (Path(public), box.data_dir, box.data_dir / "admin.sock"):
            path.chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-S", "-c", ASK_AS_NOBODY, str(box.data_dir / "admin.sock")],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.stdout == "b''\n", done.stderr
        box.stop()


def test_verbs_are_answered_one_a_line(shared: Served) -> None:
    first, second = raw(shared, b'{"verb": "status"}\n', b'{"verb": "account.list", "args": {}}\n')
    assert first["ok"]
    assert first["result"]["pid"] == shared.process.pid
    assert second["result"]["accounts"][0]["role"] == "owner"


@pytest.mark.parametrize(
    "line, code",
    [
        (b'{"verb": "nothing"}\n', "invalid_input"),
        (b'{"verb": "token.create", "args": {"name": "x"}}\n', "invalid_input"),
        (b'{"verb": "token.create", "args": {"name": "x", "expires_s": 1e99}}\n', "invalid_input"),
        (b'{"verb": "token.list", "args": {"unknown": 1}}\n', "invalid_input"),
        (b'{"verb": "token.revoke", "args": {"id": "x"}}\n', "not_found"),
        (b"no json\n", "invalid_input"),
        (b"[]\n", "invalid_input"),
        (b"\xff\n", "invalid_input"),
    ],
)
def test_what_cannot_be_done_is_a_coded_problem(shared: Served, line: bytes, code: str) -> None:
    refused, after = raw(shared, line, b'{"verb": "status"}\n')
    assert (refused["ok"], refused["problem"]["code"]) == (False, code)
    assert after["ok"], "the connection is still good"


def test_a_line_without_end_is_cut_off(shared: Served) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(20)
        peer.connect(str(shared.data_dir / "admin.sock"))
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            peer.sendall(b"x" * 64 * 1_048_576)
    assert raw(shared, b'{"verb": "status"}\n')[0]["ok"]


def test_commands_speak_to_the_running_box(shared: Served) -> None:
    where = ("--data-dir", shared.data_dir)
    done = clawdbox("token", "create", "--name", "x", *where)
    assert done.returncode == 0
    assert "x" in [token["name"] for token in answer("token", "list", "--json", *where)]
    assert answer("account", "create", "Anna", "--json", *where)["role"] == "operator"
    assert clawdbox("account", "disable", "Anna", *where).returncode == 0
    assert answer("audit", "verify", "--json", *where)["first_bad"] is None
    assert answer("keyring", "status", "--json", *where)["keys"][0]["state"] == "active"
    assert {row["table"] for row in answer("db", "tables", "--json", *where)} >= {"accounts", "events"}


def test_a_token_made_on_the_command_line_works_until_it_is_revoked(shared: Served) -> None:
    where = ("--data-dir", shared.data_dir)
    token = clawdbox("token", "create", "--name", "short", *where).stdout.strip()
    with httpx.Client(base_url=shared.address, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.get("/api/v1/connections").status_code == 200
        [listed] = [row for row in answer("token", "list", "--json", *where) if row["name"] == "short"]
        assert clawdbox("token", "revoke", listed["id"], *where).returncode == 0
        assert client.get("/api/v1/connections").status_code == 401


def test_a_pairing_code_signs_in_once(shared: Served) -> None:
    made = answer("pair", "--json", "--data-dir", shared.data_dir)
    assert made["url"] == f"{shared.address}/pair#{made['code']}"
    with httpx.Client(base_url=shared.address, headers={"Origin": shared.address}) as client:
        paired = client.post("/api/v1/auth/pair", json={"code": made["code"], "device_name": "Test"})
        assert paired.status_code == 201, paired.text
        assert client.get("/api/v1/auth/me").json()["account"]["display_name"] == "Owner"
    with httpx.Client(base_url=shared.address, headers={"Origin": shared.address}) as client:
        again = client.post("/api/v1/auth/pair", json={"code": made["code"]})
        assert (again.status_code, again.json()["code"]) == (401, "pairing_code_invalid")


def test_pair_prints_the_link_and_its_qr_code(shared: Served) -> None:
    done = clawdbox("pair", "--data-dir", shared.data_dir)
    assert done.returncode == 0
    *code, url = done.stdout.splitlines()
    assert url.startswith(f"{shared.address}/pair#")
    assert len({len(line) for line in code}) == 1
    assert "Owner" in done.stderr
    assert "--host 0.0.0.0" in done.stderr


def test_a_data_folder_with_a_long_path_has_its_socket_elsewhere(tmp_path: Path, serve: Serve) -> None:
    folder = tmp_path.joinpath(*["a-rather-long-name"] * 6) / "box"
    folder.parent.mkdir(parents=True)
    box = serve(folder=folder).wait()
    assert box.box is not None
    path = Path(box.box["socket"])
    assert not path.is_relative_to(folder)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert clawdbox("token", "create", "--name", "x", "--data-dir", folder).returncode == 0
    assert answer("pair", "--json", "--data-dir", folder)["url"]
    assert box.stop() == 0
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_may_ask_the_box_of_a_service_user(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as public:
        folder = Path(public, "box")
        Path(public).chmod(0o755)
        folder.mkdir(mode=0o700)
        os.chown(folder, 65534, 65534)
        with (tmp_path / "log").open("w") as log:
            box = subprocess.Popen(
                [sys.executable, "-c", SERVE_AS_NOBODY, "serve", "--data-dir", str(folder), "--port", "0"],
                env=environment(HOME=public),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        try:
            eventually_sync(lambda: box.poll() is not None or (folder / "box.json").exists(), timeout=30)
            assert box.poll() is None, (tmp_path / "log").read_text()
            where = ("--data-dir", folder)
            assert clawdbox("token", "create", "--name", "x", *where).returncode == 0
            assert clawdbox("pair", *where).returncode == 0
            assert answer("keyring", "status", "--json", *where)["recovery_words_pending"] is True
            assert clawdbox("db", "tables", *where).returncode == 0
            assert {file.stat().st_uid for file in folder.iterdir()} == {65534}, (
                "nothing of root's is left there"
            )
        finally:
            box.terminate()
            box.wait(20)
        refused = clawdbox("token", "create", "--name", "x", *where)
        assert (refused.returncode, refused.stdout) == (78, "")
