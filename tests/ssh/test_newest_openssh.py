"""The newest OpenSSH client that this system's own archive has, over the box's control socket."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.long, pytest.mark.sshd, pytest.mark.timeout(900)]


def archive() -> tuple[str, str]:
    """(address, codename) of the Debian archive that this system is kept up to date from."""
    codename = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    folder = Path("/etc/apt")
    texts = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]
    found = [
        address
        for text in texts
        if text.exists()
        for address in re.findall(
            r"^(?:URIs:|deb(?: \[.*?\])?) +(\S+/debian)/?\s", text.read_text(), re.MULTILINE
        )
    ]
    if not found or codename is None:
        pytest.skip("not a Debian, whose backports have a newer client")
    return found[0], codename[1]


def backport(folder: Path) -> Path:
    """The folder of its programs, unpacked and not installed."""
    address, codename = archive()
    (folder / "sources").write_text(f"deb {address} {codename}-backports main\n")
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "archives" / "partial").mkdir(parents=True)
    options = {
        "Dir::Etc::SourceList": folder / "sources",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder,
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    for verb in (["update"], ["download", f"openssh-client/{codename}-backports"]):
        subprocess.run([*apt, *verb], cwd=folder, check=True, capture_output=True)
    subprocess.run(["dpkg", "-x", next(folder.glob("*.deb")), folder / "root"], check=True)
    return folder / "root" / "usr" / "bin"


def test_the_newest_client_does_with_the_socket_what_this_system_s_own_does(tmp_path: Path) -> None:
    programs = backport(tmp_path)
    version = subprocess.run([programs / "ssh", "-V"], check=True, capture_output=True, text=True).stderr
    print(version.strip())
    matrix = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/ssh/test_control_tools.py", "-k", "box"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert matrix.returncode == 0, matrix.stdout[-3000:]
