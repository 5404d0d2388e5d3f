"""The wheel carries everything that runs, the UI ready-made among it."""

import shutil
import subprocess
import sys
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tests.packaging.frozen import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


@pytest.fixture
def build_ui() -> ModuleType:
    spec = spec_from_file_location("build_ui", ROOT / "packaging" / "build_ui.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wheel_carries_code_ui_and_migrations_and_nothing_else(wheel: set[str]) -> None:
    sources = {str(file.relative_to(ROOT)) for file in (ROOT / "clawdbox").rglob("*.py")}
    sql = {str(file.relative_to(ROOT)) for file in (ROOT / "clawdbox").rglob("*.sql")}
    assert sources
    assert sql
    assert sources | sql | {"clawdbox/web/static/index.html", "clawdbox/py.typed"} <= wheel
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"clawdbox"}
    assert [
        name for name in wheel if name.endswith(".pyc") or "node_modules" in name or "/store/notes/" in name
    ] == []


def test_node_comes_from_pypi_only_where_none_is_new_enough(
    build_ui: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = build_ui.UIBuildHook.__new__(build_ui.UIBuildHook)
    asked: dict[str | None, list[str]] = {}
    for version in (None, "v18.20.4", "v20.18.1", "v20.19.0", "v24.1.0"):
        folder = tmp_path / str(version)
        folder.mkdir()
        for name in ("node", "npm") if version else ():
            (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        asked[version] = hook.dependencies()
    new_enough = [version for version, packages in asked.items() if packages == []]
    assert new_enough == ["v20.19.0", "v24.1.0"]
    assert asked[None] == [build_ui.NODE_PACKAGE]


def test_the_node_that_the_hook_asks_for_is_the_one_that_is_locked(build_ui: ModuleType) -> None:
    assert f'node = ["{build_ui.NODE_PACKAGE}"]' in (ROOT / "pyproject.toml").read_text()


def test_a_ui_whose_sources_did_not_change_is_not_built_again(
    build_ui: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui, static = tmp_path / "ui", tmp_path / "static"
    (ui / "node_modules").mkdir(parents=True)
    (ui / "package.json").write_text("{}")
    (ui / "package-lock.json").write_text("{}")
    calls: list[str] = []

    def npm(*arguments: str) -> None:
        calls.append(arguments[0])
        static.mkdir(exist_ok=True)
        (static / "index.html").touch()

    for name, value in {"UI": ui, "STATIC": static, "MODULES": ui / "node_modules", "npm": npm}.items():
        monkeypatch.setattr(build_ui, name, value)
    build_ui.build()
    build_ui.build()
    assert calls == ["ci", "run"]
    (ui / "main.ts").write_text("new")
    build_ui.build()
    assert calls == ["ci", "run", "run"]
    shutil.rmtree(static)
    build_ui.build()
    assert calls == ["ci", "run", "run", "run"]
