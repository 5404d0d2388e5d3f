"""The import contracts hold for the tree in `make check`; here, that each of them could fail."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import ROOT

LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0][
    "layers"
]
ROOMS = {f"{room}.py": "" for room in LAYERS[-1].split(" : ")} | {
    "store/db.py": "",
    "ssh/rules/leases.py": "",
    "agents/reverts/rules.py": "",
    "policy/judge.py": "",
}


def lint(folder: Path, modules: dict[str, str]) -> str:
    """What import-linter says of a clawdbox with just these modules, under the real contracts."""
    package = folder / "clawdbox"
    for name, source in (ROOMS | modules).items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    for directory in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (directory / "__init__.py").touch()
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    program = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run(
        [str(program), "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode == 0) == (" 0 broken." in answer.stdout), answer.stdout + answer.stderr
    assert "Contracts:" in answer.stdout, answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.parametrize(
    "modules",
    [
        {"keys/service.py": "import clawdbox.web.keys", "web/keys.py": ""},
        {"store/db.py": "import clawdbox.vault.sealed", "vault/sealed.py": ""},
        {"clock.py": "from clawdbox import store"},
        {"helpers.py": ""},
        {"ssh/service/exec.py": "import litestar"},
        {"app.py": "import litestar"},
        {"ssh/service/exec.py": "import asyncssh"},
        {"keys/wire.py": "import asyncssh"},
        {"events/sql.py": "import sqlite3"},
        {"web/db.py": "import sqlite_utils"},
        {"cli/serve.py": "import sqlite3"},
        {"keys/rules.py": "import asyncio"},
        {"ssh/rules/leases.py": "import clawdbox.store.db"},
        {"accounts/rules.py": "def f():\n    import secrets"},
        {"agents/reverts/rules.py": "import time"},
        {"policy/judge.py": "import subprocess"},
        {"agents/runtimes/acp/loop.py": "import pydantic_ai"},
        {"web/models.py": "import openai"},
    ],
    ids=", ".join,
)
def test_an_import_that_breaks_the_house_is_found(tmp_path: Path, modules: dict[str, str]) -> None:
    assert " BROKEN" in lint(tmp_path, modules)


def test_a_house_in_order_passes(tmp_path: Path) -> None:
    allowed = {
        "store/db.py": "import sqlite3, clawdbox.clock",
        "cli/db.py": "import sqlite_utils",
        "ssh/wire/dial.py": "import asyncssh, clawdbox.clock",
        "web/app.py": "import litestar, clawdbox.ssh.wire.dial",
        "app.py": "import clawdbox.web.app, clawdbox.store.db",
        "ssh/rules/leases.py": "import enum, datetime, clawdbox.clock",
        "agents/runtimes/model/engine.py": "import pydantic_ai, openai, anthropic",
        "policy/judge.py": "import re, enum",
    }
    assert " BROKEN" not in lint(tmp_path, allowed)
