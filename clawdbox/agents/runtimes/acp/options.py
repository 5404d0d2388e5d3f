"""Which agent a conversation was given, from its `runtime_options`. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from clawdbox.agents.runtimes.acp import known, scripts
from clawdbox.errors import Invalid

_MOST = 2000


class Chosen(msgspec.Struct, frozen=True):
    """`mode` is one that the owner insists on, else one of `asks` is taken."""

    name: str
    label: str
    row: known.Known
    command: str | None
    directory: str | None
    mode: str | None

    @property
    def digest(self) -> str:
        """The same for the same process and session: with another one, the agent is started anew."""
        parts = "\0".join((self.name, self.command or "", self.directory or ""))
        return hashlib.sha256(parts.encode()).hexdigest()[:24]

    @property
    def command_sha256(self) -> str | None:
        return hashlib.sha256(self.command.encode()).hexdigest() if self.command else None

    @property
    def meta(self) -> Mapping[str, Any]:
        return self.row.meta

    @property
    def asks(self) -> tuple[str, ...]:
        return self.row.asks

    @property
    def authenticate(self) -> tuple[str, ...]:
        return self.row.authenticate

    @property
    def install(self) -> str:
        return self.row.install

    @property
    def sign_in(self) -> str:
        return self.row.sign_in

    def start(self, conversation_id: str, gen: str, idle_s: float) -> str:
        return scripts.start(
            conversation_id,
            gen,
            programs=self.row.programs,
            arguments=self.row.arguments,
            command=self.command,
            directory=self.directory,
            environment=self.row.environment,
            idle_s=idle_s,
        )


def chosen(options: Mapping[str, Any]) -> Chosen:
    """Raises Invalid."""
    name = options.get("agent")
    row = known.named(name) if isinstance(name, str) else None
    if row is None:
        names = ", ".join(one.name for one in (*known.KNOWN, known.CUSTOM))
        raise Invalid("agent", f"Choose which code agent this is about: {names}.")
    command = _text(options, "command") if row is known.CUSTOM else None
    if row is known.CUSTOM and not command:
        raise Invalid("command", "Write the command that starts the agent on the server.")
    directory = _text(options, "directory")
    if directory and not directory.startswith("/"):
        raise Invalid("directory", "Write the whole path of the directory, from / on.")
    return Chosen(row.name, row.label, row, command, directory, _text(options, "mode"))


def _text(options: Mapping[str, Any], name: str) -> str | None:
    found = options.get(name)
    if found is None or found == "":
        return None
    if (
        not isinstance(found, str)
        or len(found) > _MOST
        or any(ord(char) < 32 or ord(char) == 127 for char in found)
    ):
        raise Invalid(name, "Use one line of at most 2000 characters.")
    return found
