"""Snippets: what a variable's value may be, and how it gets into a command. A value is quoted, never spliced."""

import re
from collections.abc import Mapping

import msgspec

from clawdbox.errors import Invalid
from clawdbox.names import label as name_of
from clawdbox.ssh.model.fleet import Kind, Snippet, Variable
from clawdbox.ssh.rules.places import GO_WORDS, Place, places

MAX_COMMAND = 20_000  # characters
MAX_VALUE = 4_096
MAX_VARIABLES = 20
MAX_CHOICES = 50
MAX_DESCRIPTION = 500
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_KINDS: dict[Kind, tuple[re.Pattern[str], str]] = {
    Kind.NAME: (re.compile(r"[\w][\w.@:+-]*"), "Letters, digits and . _ @ : + - only, and no dash at the beginning."),
    Kind.PATH: (re.compile(r"[^~-].*"), "Write a path in full: the shell does not expand ~ in a value, and no path begins with a dash."),
    Kind.NUMBER: (re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?"), "Write a number, such as 8080."),
}  # fmt: skip


class Written(msgspec.Struct, frozen=True):
    """What a person wrote of a snippet, checked."""

    label: str
    description: str
    command: str
    variables: list[Variable]


def check(label: str, description: str, command: str, variables: list[Variable]) -> Written:
    """The snippet as it is kept. Raises Invalid naming the field, and the place in the command that cannot be."""
    text = check_command(command)
    if len(description) > MAX_DESCRIPTION:
        raise Invalid("description", f"Use at most {MAX_DESCRIPTION} characters.")
    return Written(name_of(label), description.strip(), text, declared(text, variables))


def check_command(command: str) -> str:
    text = command.replace("\r\n", "\n").strip()
    if not text:
        raise Invalid("command", "Write a command to run.")
    if len(text) > MAX_COMMAND:
        raise Invalid("command", f"Use at most {MAX_COMMAND} characters.")
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise Invalid("command", "A command is text without NUL characters.")
    return text


def declared(command: str, variables: list[Variable]) -> list[Variable]:
    """The variables, in the order of the command's places. Raises Invalid unless each place has one, and each its place."""
    used = list(dict.fromkeys(place.name for place in places(command)))
    known = {variable.name: _check_variable(variable) for variable in variables}
    if len(known) < len(variables):
        raise Invalid("variables", "Two variables have the same name.")
    if len(used) > MAX_VARIABLES:
        raise Invalid("variables", f"Use at most {MAX_VARIABLES} variables.")
    for name in used:
        if name not in known:
            raise Invalid("variables", f"The command uses {{{{{name}}}}}, which is not described.")
    for name in known:
        if name not in used:
            raise Invalid(
                "variables",
                f"The command does not use {{{{{name}}}}}. Put it there, or take the variable out.",
            )
    return [known[name] for name in used]  # fmt: skip


def _check_variable(variable: Variable) -> Variable:
    if not _NAME.fullmatch(variable.name) or variable.name in GO_WORDS:
        raise Invalid(
            "variables", "A variable's name has small letters, digits and _, and begins with a letter."
        )
    if variable.kind is Kind.CHOICE:
        if not 1 <= len(variable.choices) <= MAX_CHOICES or len(set(variable.choices)) < len(
            variable.choices
        ):
            raise Invalid("variables", f"Give {variable.name} 1 to {MAX_CHOICES} different choices.")
        for choice in variable.choices:
            _check_text(variable.name, choice)
    elif variable.choices:
        raise Invalid("variables", f"{variable.name} has choices, but is not of the kind “choice”.")
    if variable.default is not None:
        check_value(variable, variable.default)
    return variable  # fmt: skip


def check_value(variable: Variable, value: str) -> None:
    """Raises Invalid; the field is the variable's name."""
    _check_text(variable.name, value)
    if variable.kind is Kind.CHOICE and value not in variable.choices:
        raise Invalid(variable.name, f"Choose one of: {', '.join(variable.choices)}.")
    if variable.kind in _KINDS:
        pattern, advice = _KINDS[variable.kind]
        if not pattern.fullmatch(value) or _CONTROLS.search(value):
            raise Invalid(variable.name, advice)


def _check_text(name: str, value: str) -> None:
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise Invalid(name, "A value is text without NUL characters.")
    if len(value) > MAX_VALUE:
        raise Invalid(name, f"Use at most {MAX_VALUE} characters.")


def render(command: str, variables: list[Variable], values: Mapping[str, str]) -> str:
    """The command with every value in its place, each quoted as one word. Raises Invalid naming the variable."""
    by_name = {variable.name: variable for variable in variables}
    for name in values:
        if name not in by_name:
            raise Invalid(name, "The snippet has no such variable.")
    text, last = "", 0
    for place in places(command):
        text += command[last : place.start] + quote(_value(by_name, place, values))
        last = place.end
    return text + command[last:]


def _value(by_name: Mapping[str, Variable], place: Place, values: Mapping[str, str]) -> str:
    variable = by_name.get(place.name)
    if variable is None:
        raise Invalid("variables", f"The command uses {{{{{place.name}}}}}, which is not described.")
    value = values.get(place.name, variable.default)
    if value is None:
        raise Invalid(place.name, "Give this a value.")
    check_value(variable, value)
    if value.startswith("-") and not place.may_dash:
        raise Invalid(
            place.name,
            "A value that begins with a dash would be taken for an option. If the command knows “--”, put it"
            f" before {{{{{place.name}}}}} in the snippet.",
        )
    return value


def quote(value: str) -> str:
    """One word for any shell that a login may have: sh, bash, zsh, and fish, where a backslash in quotes has a meaning.

    Always in quotes, even where `shlex.quote` would leave them out: a bare `2` before `>` is no argument.
    """
    marks = {"'": '"\'"', "\\": "\\\\"}
    parts = (marks.get(part) or f"'{part}'" for part in re.split(r"(['\\])", value) if part)
    return "".join(parts) or "''"


def rendered(snippet: Snippet, values: Mapping[str, str]) -> str:
    return render(snippet.command, snippet.variables, values)
