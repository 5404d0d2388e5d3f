"""What is installed is exactly what was looked at: pinned, hashed, and free of addresses."""

import json
import re
import tomllib

import pytest

from tests.house.tree import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^[a-z0-9][a-z0-9._-]*(?:\[[a-z0-9,-]+\])?==[\w.!+]+(?: ; .+)?$")
HASHES = re.compile(r"^(?: --hash=sha256:[0-9a-f]{64})+$")


def requirements(text: str) -> list[tuple[str, str]]:
    """(pin, hashes) of each logical line, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    logical = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()
    parts = [line.partition(" --hash") for line in logical if line.strip()]
    return [(pin.strip(), separator + rest) for pin, separator, rest in parts]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_requirements_file_holds_only_pins_with_hashes(lock: object) -> None:
    """No option line, address, path or loose version can hide among them."""
    found = requirements((ROOT / str(lock)).read_text())
    assert found
    assert [pin for pin, hashes in found if not PIN.match(pin) or not HASHES.match(hashes)] == []


@pytest.mark.parametrize(
    "line", ["six", "six==1.0", "-e .", "--index-url x", "six @ file:///x --hash=sha256:" + "0" * 64]
)
def test_what_is_no_pin_with_a_hash_would_be_found(line: str) -> None:
    ((pin, hashes),) = requirements(line)
    assert not (PIN.match(pin) and HASHES.match(hashes))


def test_every_dependency_of_the_project_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = {re.split(r"[<>=\[ ]", entry)[0] for entry in project["project"]["dependencies"]}
    run, dev = (locked(name) for name in ("run.txt", "dev.txt"))
    assert named <= run.keys()
    assert {name: version for name, version in run.items() if dev.get(name) != version} == {}


def locked(name: str) -> dict[str, str]:
    pins = (pin.split(" ;")[0] for pin, _ in requirements((ROOT / "requirements" / name).read_text()))
    return dict(pin.split("==") for pin in pins)


def test_the_npm_lock_has_hashes_and_no_addresses() -> None:
    lock = json.loads((ROOT / "ui" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [
        name for name, entry in packages.items() if not entry.get("integrity", "").startswith("sha512-")
    ] == []
