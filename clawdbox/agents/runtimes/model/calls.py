"""The tools a model is offered, and what it meant by a call of one."""

from typing import Annotated, Any

import msgspec

_MAX_COMMAND = 20_000
_MAX_PATH = 4_096
_MAX_TEXT = 262_144

Reason = Annotated[str, msgspec.Meta(max_length=2_000)]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_PATH)]


class Run(msgspec.Struct, frozen=True):
    command: Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_COMMAND)]
    reason: Reason = ""


class ReadFile(msgspec.Struct, frozen=True):
    path: Path
    reason: Reason = ""


class WriteFile(msgspec.Struct, frozen=True):
    path: Path
    text: Annotated[str, msgspec.Meta(max_length=_MAX_TEXT)]
    reason: Reason = ""


Call = Run | ReadFile | WriteFile
_KINDS: dict[str, type[Call]] = {"run": Run, "read_file": ReadFile, "write_file": WriteFile}


class Offered(msgspec.Struct, frozen=True):
    """A tool as a model sees it."""

    name: str
    about: str
    parameters: dict[str, Any]


def _offered(name: str, about: str, **parameters: str) -> Offered:
    properties = {key: {"type": "string", "description": text} for key, text in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return Offered(name, about, {**schema, "additionalProperties": False})


_WHY = "One sentence to the owner: what this is for."
TOOLS = (
    _offered(
        "run",
        "Run one shell command on the server, in a fresh non-interactive shell. You get its exit status and output.",
        command="The command, exactly as it is to be run.",
        reason=_WHY,
    ),
    _offered(
        "read_file",
        "Read a text file of the server, up to 256 KiB.",
        path="Where it is, best from the root on.",
        reason=_WHY,
    ),
    _offered(
        "write_file",
        "Replace a text file of the server, or make one in a folder that exists.",
        path="Where it is, best from the root on.",
        text="All that is to stand in it.",
        reason=_WHY,
    ),
)


class Misread(Exception):
    """A call that cannot be carried out as it was written; the text is for the model."""


def meant(name: str, arguments: str | dict[str, Any] | None) -> Call:
    """Raises Misread."""
    kind = _KINDS.get(name)
    if kind is None:
        raise Misread(f"There is no tool called {name[:80]!r}. There are: {', '.join(_KINDS)}.")
    try:
        if isinstance(arguments, str):
            return msgspec.json.decode(arguments or "{}", type=kind)
        return msgspec.convert(arguments or {}, kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Misread(f"The arguments of {name} could not be read: {error}.") from None
