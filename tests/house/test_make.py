"""The Makefile and the scripts beside it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import tree
from tests.house.tree import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z][a-z0-9-]*):(?!=)", MAKEFILE, re.MULTILINE)


def sh(script: str, *, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": str(path) if path else os.environ["PATH"], "HOME": "/nonexistent", **environment}
    command = ["/bin/sh", str(ROOT / "packaging" / script)]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=110)


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def machine(folder: Path) -> None:
    """A PATH of somebody who isn't root, with all that the tests need but a browser."""
    program(folder, "id", "echo 1000")
    for name in (
        "sshd",
        "dropbear",
        "tinysshd",
        "git",
        "rsync",
        "curl",
        "strace",
        "busybox",
        "strip",
        "objdump",
    ):
        program(folder, name, "exit 0")
    for tool in ("grep", "cat", "dirname"):
        (folder / tool).symlink_to(shutil.which(tool) or tool)


def test_help_is_what_make_says_without_a_target_and_lists_every_one() -> None:
    answer = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  make ([a-z-]+) +\S", answer, re.MULTILINE)
    assert listed == TARGETS


def test_no_target_is_taken_for_a_file_of_its_name() -> None:
    assert re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE) == TARGETS


def test_documents_name_only_targets_that_exist() -> None:
    named = {
        (tree.name(file), target)
        for file in tree.matching("*.md", ".ci/run", ".github/workflows/*.yml")
        for target in re.findall(r"(?:^|`|\$ |run: )make ([a-z][a-z-]*)", file.read_text(), re.MULTILINE)
    }
    assert named
    assert {(file, target) for file, target in named if target not in TARGETS} == set()


@pytest.mark.parametrize("script", sorted((ROOT / "packaging").glob("*.sh")), ids=lambda file: file.name)
def test_scripts_are_read_by_a_plain_shell(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    subprocess.run([shutil.which("dash") or "sh", "-n", str(script)], check=True)


def test_an_old_python_is_refused_by_name_before_anything_is_made(tmp_path: Path) -> None:
    program(tmp_path, "oldpython", 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    answer = sh("setup.sh", PYTHON=str(tmp_path / "oldpython"))
    assert answer.returncode == 1
    assert "3.11 or newer" in answer.stderr
    assert "Python 3.9.2" in answer.stderr


def test_a_missing_browser_is_told_to_who_cannot_install_it(tmp_path: Path) -> None:
    machine(tmp_path)
    answer = sh("test-deps.sh", path=tmp_path, CLAWDBOX_TEST_BROWSER=str(tmp_path / "none"))
    assert answer.returncode == 1
    assert re.search(r"apt-get install.* chromium", answer.stderr)
    assert "snap install chromium" in answer.stderr


def test_a_browser_that_only_asks_for_a_snap_is_none(tmp_path: Path) -> None:
    machine(tmp_path)
    program(tmp_path, "chromium-browser", "echo 'requires the chromium snap' >&2; exit 1")
    assert sh("test-deps.sh", path=tmp_path).returncode == 1
    program(tmp_path, "chromium-browser", "echo Chromium 150")
    answer = sh("test-deps.sh", path=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_tests_of_one_group_share_a_process(tmp_path: Path) -> None:
    """They share a box, too; pytest-xdist has stopped grouping without a word before."""
    (tmp_path / "test_group.py").write_text(
        "import os, pytest\n"
        "@pytest.mark.xdist_group('one')\n"
        "@pytest.mark.parametrize('number', range(8))\n"
        "def test_process(number):\n"
        f"    open(r'{tmp_path}/processes', 'a').write(f'{{os.getpid()}}\\n')\n"
    )
    options = [
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
        "-p",
        "no:cacheprovider",
    ]
    command = [sys.executable, "-m", "pytest", "-q", *options, str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=110)
    processes = (tmp_path / "processes").read_text().split()
    assert len(processes) == 8
    assert len(set(processes)) == 1
