"""The systemd unit, judged by systemd itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.frozen import ROOT

UNIT = ROOT / "packaging" / "clawdbox.service"
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="this machine has no systemd-analyze"
)


def analyze(unit: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *arguments, str(unit)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists here."""
    file = tmp_path / "clawdbox.service"
    file.write_text(UNIT.read_text().replace("/usr/local/bin/clawdbox", "/bin/true"))
    return file


@needs_systemd
def test_systemd_understands_every_line(unit: Path) -> None:
    answer = analyze(unit, "verify")
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


@needs_systemd
def test_systemd_finds_a_line_that_it_does_not_understand(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("NoNewPrivileges=", "NoNewPrivilege="))
    assert "NoNewPrivilege" in analyze(unit, "verify").stderr


@needs_systemd
def test_little_of_the_system_is_exposed(unit: Path) -> None:
    """1.5 of 10 at most, as systemd counts."""
    answer = analyze(unit, "security", "--offline=true", "--threshold=15")
    assert answer.returncode == 0, answer.stdout
    unit.write_text(re.sub(r"^Restrict.*\n", "", unit.read_text(), flags=re.MULTILINE))
    assert analyze(unit, "security", "--offline=true", "--threshold=15").returncode == 1
