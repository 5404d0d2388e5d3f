"""The hand-written table of commands."""

from pathlib import Path

import msgspec

TABLE = Path(__file__).with_name("policy_commands.txt")
_SIGNS = {"⏎": "\n", "␛": "\x1b", "␍": "\r", "␠": "\u00a0"}


class Row(msgspec.Struct, frozen=True):
    command: str
    section: str

    def __str__(self) -> str:
        return self.command[:80]


def rows() -> list[Row]:
    found: list[Row] = []
    section = ""
    for line in TABLE.read_text().splitlines():
        if line.startswith("== "):
            section = line.removeprefix("== ")
        elif line and not line.startswith("#"):
            command = "".join(_SIGNS.get(char, char) for char in line)
            found.append(Row(command, section))
    return found
