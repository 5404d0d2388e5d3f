"""Where a box is looked for."""

from pathlib import Path

import pytest

from clawdbox.cli import paths

HOME = Path.home()


@pytest.mark.parametrize(
    "given, demo, environment, expected",
    [
        (None, False, {}, HOME / ".local/share/clawdbox"),
        (None, True, {}, HOME / ".local/share/clawdbox-demo"),
        (None, False, {"XDG_DATA_HOME": "/data"}, Path("/data/clawdbox")),
        (None, True, {"XDG_DATA_HOME": "/data"}, Path("/data/clawdbox-demo")),
        (None, False, {"XDG_DATA_HOME": "relative"}, HOME / ".local/share/clawdbox"),
        (
            None,
            False,
            {"STATE_DIRECTORY": "/var/lib/clawdbox", "XDG_DATA_HOME": "/data"},
            Path("/var/lib/clawdbox"),
        ),
        (None, False, {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, Path("/var/lib/a")),
        (None, True, {"STATE_DIRECTORY": "/var/lib/clawdbox"}, Path("/var/lib/clawdbox/demo")),
        (Path("/srv/box"), True, {"STATE_DIRECTORY": "/var/lib/clawdbox"}, Path("/srv/box")),
        (Path("~/box"), False, {}, HOME / "box"),
    ],
)
def test_the_data_folder(given: Path | None, demo: bool, environment: dict[str, str], expected: Path) -> None:
    assert paths.folder(given, demo, environment) == expected


def test_a_relative_folder_stays_the_same_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.folder(Path("box"), False, {}) == tmp_path / "box"
