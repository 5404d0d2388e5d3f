"""What the server undoes by itself: the scripts, run for real on a copy of what they save."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdbox.policy.revert import arm_script, disarm_script, revert_plan, status_script
from tests.waiting import eventually_sync

ID = "01a22235-45c4-72a4-aa58-9c4d7d431ed9"

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="the scripts act as root, or by way of sudo")


@pytest.mark.parametrize(
    "command, what",
    [
        (
            "sed -i s/22/2222/ /etc/ssh/sshd_config && systemctl restart sshd",
            "the settings of the SSH server",
        ),
        ("systemctl stop ssh", "the settings of the SSH server"),
        ("ufw --force enable", "the firewall"),
        ("iptables -P INPUT DROP", "the firewall"),
        ("nft flush ruleset", "the firewall"),
        ("ip link set eth0 down", "the network"),
        ("ip -4 addr flush dev eth0", "the network"),
        ("netplan apply", "the network"),
        ("usermod -L ada", "the accounts and who may become root"),
        ("echo x > ~/.ssh/authorized_keys", "the accounts and who may become root"),
        ("ufw enable; passwd -l root", "the firewall and the accounts and who may become root"),
    ],
)
def test_what_is_saved_follows_from_the_command(command: str, what: str) -> None:
    plan = revert_plan(command)
    assert plan
    assert plan.what == what


@pytest.mark.parametrize(
    "command", ["reboot", "systemctl poweroff", "uptime", "rm -rf /srv", "shutdown -h now"]
)
def test_what_no_copy_brings_back_has_no_plan(command: str) -> None:
    assert revert_plan(command) is None


@pytest.mark.parametrize("revert_id", ["", "../../etc", "a b", "$(id)", "x" * 80])
def test_an_id_is_nothing_but_an_id(revert_id: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        disarm_script(revert_id)


class Server:
    """A root of its own for the scripts, and stand-ins for the programs that would touch this machine."""

    def __init__(self, root: Path, timer: str = "systemd-run") -> None:
        self.root = root / "root"
        self.bin = root / "bin"
        self.calls = root / "calls"
        self.home = self.root / "home/ada"
        for folder in (self.root / "etc/ssh", self.root / "var/tmp", self.home / ".ssh", self.bin):
            folder.mkdir(parents=True)
        (self.root / "etc/ssh/sshd_config").write_text("Port 22\n")
        (self.root / "etc/passwd").write_text("root:x:0:0\n")
        for name in (
            "sh",
            "cp",
            "mv",
            "rm",
            "mkdir",
            "cat",
            "id",
            "chmod",
            "grep",
            "sed",
            "awk",
            "test",
            "printf",
        ):
            found = shutil.which(name)
            assert found
            (self.bin / name).symlink_to(found)
        for name in ("systemctl", "service", "iptables-save", "nft", "ufw", "pidof", timer):
            self.program(name)

    def program(self, name: str, more: str = "") -> None:
        file = self.bin / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls}\n{more}\n')
        file.chmod(0o755)

    def run(self, script: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", script.replace("PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; ", "")],
            env={"PATH": str(self.bin), "HOME": "/home/ada"},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        return done.stdout.strip()

    def fire(self) -> None:
        """What the timer does."""
        (script,) = self.root.glob("var/tmp/clawdbox-revert-*/revert.sh")
        text = script.read_text().replace("PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; ", "")
        subprocess.run(["/bin/sh", "-c", text], env={"PATH": str(self.bin)}, check=True, timeout=20)

    def arm(self, command: str) -> str:
        plan = revert_plan(command)
        assert plan
        return self.run(arm_script(plan, ID, 120, str(self.root)))

    @property
    def told(self) -> str:
        return self.calls.read_text() if self.calls.exists() else ""


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@needs_root
def test_a_change_that_nobody_confirms_is_undone(server: Server) -> None:
    assert server.arm("systemctl restart sshd") == "armed"
    assert f"--unit=clawdbox-revert-{ID} --on-active=120" in server.told
    config = server.root / "etc/ssh/sshd_config"
    config.write_text("Port 2222\n")
    (server.root / "etc/ssh/sshd_config.d").mkdir()
    assert server.run(status_script(ID, str(server.root))) == "pending"
    server.fire()
    assert config.read_text() == "Port 22\n"
    assert not (server.root / "etc/ssh/sshd_config.d").exists()
    assert "systemctl restart sshd" in server.told
    assert server.run(disarm_script(ID, str(server.root))) == "reverted"
    assert server.run(status_script(ID, str(server.root))) == "reverted"
    assert list(server.root.glob("var/tmp/*")) == []


@needs_root
def test_a_confirmed_change_stays(server: Server) -> None:
    assert server.arm("systemctl restart sshd") == "armed"
    config = server.root / "etc/ssh/sshd_config"
    config.write_text("Port 2222\n")
    assert server.run(disarm_script(ID, str(server.root))) == "disarmed"
    assert f"systemctl stop clawdbox-revert-{ID}.timer" in server.told
    assert config.read_text() == "Port 2222\n"
    assert server.run(disarm_script(ID, str(server.root))) == "none"
    assert list(server.root.glob("var/tmp/*")) == []


@needs_root
def test_a_file_that_was_not_there_goes_again(server: Server) -> None:
    assert server.arm("echo key > ~/.ssh/authorized_keys") == "armed"
    keys = server.home / ".ssh/authorized_keys"
    keys.write_text("a stranger's\n")
    (server.root / "etc/passwd").write_text("")
    server.fire()
    assert not keys.exists()
    assert (server.root / "etc/passwd").read_text() == "root:x:0:0\n"


@needs_root
def test_without_a_timer_nothing_is_left_behind(tmp_path: Path) -> None:
    server = Server(tmp_path, timer="nothing-like-it")
    assert server.arm("ufw enable") == "unsupported"
    assert list(server.root.glob("var/tmp/*")) == []


@needs_root
def test_at_takes_the_place_of_systemd(tmp_path: Path) -> None:
    server = Server(tmp_path, timer="atrm")
    server.program("at", 'cat >/dev/null; echo "job 17 at Sat Nov 28 13:00:00 2026" >&2')
    assert server.arm("ufw enable") == "armed"
    assert "at now + 2 minutes" in server.told
    assert server.run(disarm_script(ID, str(server.root))) == "disarmed"
    assert "atrm 17" in server.told


@pytest.fixture
def atd() -> Iterator[None]:
    """The real daemon, which this starts only where none runs."""
    if shutil.which("at") is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "at"], check=True)
    if subprocess.run(["pgrep", "-x", "atd"], check=False, capture_output=True).returncode == 0:
        yield
        return
    with subprocess.Popen(["/usr/sbin/atd", "-f"]) as daemon:
        yield
        daemon.kill()


@needs_root
@pytest.mark.long
@pytest.mark.usefixtures("atd")
def test_the_real_at_undoes_what_nobody_confirmed_and_leaves_what_somebody_did(tmp_path: Path) -> None:
    """`at` counts in minutes, so this takes one or two. The programs that would touch this machine are stand-ins still."""
    kept, undone = Server(tmp_path / "kept", timer="-"), Server(tmp_path / "undone", timer="-")
    for server in (kept, undone):
        for name in ("at", "atrm", "pgrep"):
            found = shutil.which(name)
            assert found
            (server.bin / name).symlink_to(found)
        (server.bin / "pidof").unlink()
        plan = revert_plan("systemctl restart sshd")
        assert plan
        assert server.run(arm_script(plan, ID, 60, str(server.root))) == "armed"
        (server.root / "etc/ssh/sshd_config").write_text("Port 2222\n")
    assert kept.run(disarm_script(ID, str(kept.root))) == "disarmed"
    config = undone.root / "etc/ssh/sshd_config"
    eventually_sync(lambda: config.read_text() == "Port 22\n", timeout=150, what="the old settings")
    assert "systemctl restart" in undone.told
    eventually_sync(
        lambda: undone.run(status_script(ID, str(undone.root))) == "reverted", what="that it is done"
    )
    assert (kept.root / "etc/ssh/sshd_config").read_text() == "Port 2222\n"
    assert kept.told.count("restart") == 0


@needs_root
def test_a_folder_that_somebody_else_made_is_not_used(server: Server) -> None:
    (server.root / f"var/tmp/clawdbox-revert-{ID}").mkdir()
    assert server.arm("ufw enable") == "unsupported"
    assert (server.root / f"var/tmp/clawdbox-revert-{ID}").exists()
