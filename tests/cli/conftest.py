"""Boxes that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import Served


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where no box was yet."""
    return tmp_path / "box"


@pytest.fixture
def serve(data_dir: Path) -> Iterator[Callable[..., Served]]:
    """Starts `clawdbox serve`; the test waits for it, or for its refusal."""
    started: list[Served] = []

    def start(*flags: str, folder: Path = data_dir, **how: object) -> Served:
        started.append(Served(folder, *flags, **how))  # type: ignore[arg-type]  # passed on as they are
        return started[-1]

    yield start
    for served in started:
        served.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One running box for the tests of a module that leave it as good as they found it."""
    served = Served(tmp_path_factory.mktemp("shared") / "box")
    yield served.wait()
    served.end()


@pytest.fixture
def box(serve: Callable[..., Served]) -> Served:
    return serve().wait()
