"""The life of a keypair, and commands that put it on a server and take it off again, run by real shells."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clawdbox.errors import Conflict
from clawdbox.keys import rules
from clawdbox.keys.model import Keypair, KeyState

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIA/j22GhtWT1l1VbXAYmiHJH08cjblU2Xh7j45kEDrm7"
KEY = f"ssh-ed25519 {BLOB} clawdbox-default"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBsomebodyelsesomebodyelsesomebodyelse00 bob"
ACTIVE, ROTATED, REVOKED = KeyState
STEPS = {(ACTIVE, ROTATED), (ACTIVE, REVOKED), (ROTATED, REVOKED)}
STATES: dict[KeyState, dict[str, Any]] = {
    ACTIVE: {}, ROTATED: {"rotated_at": NOW}, REVOKED: {"revoked_at": NOW, "is_active": False},
}  # fmt: skip


def keypair(state: KeyState) -> Keypair:
    values: dict[str, Any] = {
        "id": "k", "account_id": "a", "label": "default", "algorithm": "ed25519", "public_key": KEY,
        "fingerprint": rules.fingerprint(KEY), "created_at": NOW, "rotated_at": None, "revoked_at": None,
        "is_active": True,
    }  # fmt: skip
    return Keypair(**{**values, **STATES[state]})


@pytest.mark.parametrize("before", KeyState)
@pytest.mark.parametrize("after", KeyState)
def test_every_pair_of_states(before: KeyState, after: KeyState) -> None:
    assert (after in rules.TRANSITIONS[before]) == ((before, after) in STEPS)
    assert keypair(before).state is before


@pytest.mark.parametrize("state", KeyState)
@pytest.mark.parametrize("leases", [[], ["s1", "s2"]])
@pytest.mark.parametrize("force", [False, True])
def test_when_a_key_is_revoked(state: KeyState, leases: list[str], force: bool) -> None:
    code = "keypair_revoked" if state is REVOKED else "keypair_in_use" if leases and not force else None
    if code is None:
        after = rules.revoke(keypair(state), leases, force, NOW)
        assert (after.state, after.revoked_at, after.is_active) == (REVOKED, NOW, False)
        return
    with pytest.raises(Conflict) as refused:
        rules.revoke(keypair(state), leases, force, NOW)
    assert refused.value.code == code
    if code == "keypair_in_use":
        assert refused.value.detail == {"session_ids": leases}


def test_a_fingerprint_is_openssh_s(tmp_path: Path) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("there is no ssh-keygen")
    (tmp_path / "key.pub").write_text(KEY)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key.pub"], check=True, capture_output=True, text=True
    )
    assert shown.stdout.split()[1] == rules.fingerprint(KEY)


SHELLS = [name for name in ("sh", "bash", "dash", "zsh", "busybox") if shutil.which(name)]


def run(shell: str, home: Path, command: str) -> str:
    """As sshd does: the login shell gets the command as one argument."""
    words = [shell, "sh", "-c", command] if shell == "busybox" else [shell, "-c", command]
    done = subprocess.run(
        words, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "before", [None, "", OTHER, f"{OTHER}\n"], ids=["none", "empty", "no newline", "one"]
)
def test_the_install_command_adds_the_key_and_keeps_the_others(
    shell: str, before: str | None, tmp_path: Path
) -> None:
    file = tmp_path / ".ssh" / "authorized_keys"
    if before is not None:
        file.parent.mkdir()
        file.write_text(before)
    run(shell, tmp_path, rules.install_command(KEY))
    lines = [line for line in file.read_text().splitlines() if line]
    assert lines == [*([OTHER] if before else []), KEY]
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_comment_with_quotes_is_data() -> None:
    assert "'\"'\"'" in rules.install_command(f"ssh-ed25519 {BLOB} it's")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "before, answer, after",
    [
        (None, "absent", None),
        ("", "absent", ""),
        (f"{OTHER}\n", "absent", f"{OTHER}\n"),
        (f"{KEY}\n", "removed", ""),
        (f"{OTHER}\n{KEY}\n# end\n", "removed", f"{OTHER}\n# end\n"),
        (f'from="10.0.0.1",restrict ssh-ed25519 {BLOB} renamed\n{OTHER}\n', "removed", f"{OTHER}\n"),
        (f"{KEY}\n{KEY}\n", "removed", ""),
    ],
    ids=["none", "empty", "other", "alone", "between", "options", "twice"],
)
def test_the_remove_command_takes_this_key_alone(
    shell: str, before: str | None, answer: str, after: str | None, tmp_path: Path
) -> None:
    file = tmp_path / ".ssh" / "authorized_keys"
    if before is not None:
        file.parent.mkdir()
        file.write_text(before)
        file.chmod(0o640)
    assert run(shell, tmp_path, rules.remove_command(KEY)).strip() == answer
    if after is None:
        assert not file.exists()
        return
    assert file.read_text() == after
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["authorized_keys"]


def test_a_key_too_many_is_refused() -> None:
    rules.check_room(rules.MAX_LIVING - 1)
    with pytest.raises(Conflict) as refused:
        rules.check_room(rules.MAX_LIVING)
    assert refused.value.code == "keypair_limit_reached"
