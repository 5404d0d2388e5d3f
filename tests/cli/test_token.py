"""Tokens for scripts, from a box that never ran."""

import json
import stat
import subprocess
import sys
from pathlib import Path

from tests.cli.command import answer, clawdbox, environment


def test_a_fresh_box_gives_a_token_and_nothing_else(data_dir: Path) -> None:
    done = clawdbox("token", "create", "--name", "backup", "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert len(done.stdout.strip()) == 43
    assert "90" not in done.stdout
    assert "not shown again" in done.stderr


def test_it_makes_owner_key_and_keyring_as_the_first_start_does(data_dir: Path) -> None:
    clawdbox("token", "create", "--name", "backup", "--data-dir", data_dir)
    [owner] = answer("account", "list", "--json", "--data-dir", data_dir)
    assert (owner["role"], owner["is_active"]) == ("owner", True)
    [key] = answer("db", "query", "--format", "json", "SELECT * FROM agent_keypairs", "--data-dir", data_dir)
    assert (key["account_id"], key["private_key_enc"]) == (owner["id"], "[sealed]")
    [status] = answer("keyring", "status", "--json", "--data-dir", data_dir)["keys"]
    assert status["slots"] == ["host", "recovery"]


def test_everything_it_makes_is_its_users_alone(data_dir: Path) -> None:
    clawdbox("token", "create", "--name", "backup", "--data-dir", data_dir)
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    modes = {file.name: (file.is_dir(), stat.S_IMODE(file.stat().st_mode)) for file in data_dir.rglob("*")}
    assert set(modes.values()) <= {(False, 0o600), (True, 0o700)}, modes


def test_a_token_is_listed_without_its_secret_and_ends_when_revoked(data_dir: Path) -> None:
    where = ("--data-dir", data_dir)
    secret = clawdbox(
        "token", "create", "--name", "watch", "--scope", "metrics", "--expires", "12h", *where
    ).stdout
    shown = clawdbox("token", "list", "--json", *where).stdout
    [token] = json.loads(shown)
    assert (token["name"], token["scope"], token["account"]) == ("watch", "metrics", "Owner")
    assert secret.strip() not in shown
    done = clawdbox("token", "revoke", token["id"], *where)
    assert (done.returncode, done.stdout) == (0, f"Token {token['id']} (watch) is revoked.\n")
    assert answer("token", "list", "--json", *where) == []
    again = clawdbox("token", "revoke", token["id"], *where)
    assert again.returncode == 1
    assert "clawdbox token list" in again.stderr


def test_a_bad_name_and_an_unknown_account_are_wrong_usage(data_dir: Path) -> None:
    for arguments in (["--name", "\x1b[2J"], ["--name", "-x"], ["--name", "ok", "--account", "Nobody"]):
        done = clawdbox("token", "create", *arguments, "--data-dir", data_dir)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("clawdbox: ")


def test_many_at_once_wait_for_each_other(data_dir: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "clawdbox",
        "token",
        "create",
        "--name",
        "many",
        "--data-dir",
        str(data_dir),
    ]
    started = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
        )
        for _ in range(4)
    ]
    tokens = {process.communicate(timeout=60)[0] for process in started}
    assert len(tokens) == 4
    assert [process.returncode for process in started] == [0] * 4
    assert len(answer("account", "list", "--json", "--data-dir", data_dir)) == 1


def test_reading_makes_no_box(data_dir: Path) -> None:
    for command in (
        ["token", "list"],
        ["account", "list"],
        ["audit", "verify"],
        ["keyring", "status"],
        ["db", "tables"],
    ):
        done = clawdbox(*command, "--data-dir", data_dir)
        assert done.returncode == 1, command
        assert "There is no box" in done.stderr
    assert not data_dir.exists()


def test_a_folder_that_cannot_be_made_is_73(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = clawdbox("token", "create", "--name", "x", "--data-dir", tmp_path / "file" / "box")
    assert (done.returncode, done.stdout) == (73, "")
    assert "--data-dir" in done.stderr
