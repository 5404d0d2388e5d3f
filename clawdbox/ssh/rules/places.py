"""Where in a command a quoted value may stand: found with a real shell parser, so that quoting is never undone.

Each place is filled with a harmless word, the command is parsed as bash, and the word must come back as a word of its
own: an argument, the value of an assignment, the target of a redirection. In every other place (inside quotes, here-
documents, comments, arithmetic, as the name of a command, as code for another program) a quoted value would be no value
any more, and the place is refused. What is refused can always be written as `x={{name}}` and then `"$x"`.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from clawdbox.errors import Invalid

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
# Words of Go templates (`docker ps --format '{{range}}…{{end}}'`), which are therefore no names of variables.
GO_WORDS = frozenset({"end", "else", "break", "continue", "nil"})
_ADVICE = 'Keep it in a shell variable instead: begin with x={{%s}}; and use "$x" here.'

# What may stand around a word without changing what quoting means.
_OUTSIDE = frozenset({
    "program", "list", "pipeline", "subshell", "compound_statement", "if_statement", "elif_clause", "else_clause",
    "while_statement", "do_group", "negated_command", "redirected_statement", "command_substitution", "string", "case_item",
    "function_definition", "c_style_for_statement", "case_statement", "for_statement", "command", "variable_assignment",
    "variable_assignments", "file_redirect", "herestring_redirect", "concatenation", "array",
})  # fmt: skip
# What looking at a command may cost: its time grows with each of these, and nothing else goes on meanwhile.
MAX_PLACES = 100
_MAX_DEPTH = 100
_MAX_WORDS = 200
_GLUE = re.compile(r"[\w./:@,+%=-]*")
_LITERAL = re.compile(r"[\w./+-]+")

_SHELLS = frozenset(["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "rbash", "fish", "csh", "tcsh"])
_CODE = frozenset(
    [
        "awk",
        "gawk",
        "mawk",
        "nawk",
        "sed",
        "perl",
        "python",
        "python2",
        "python3",
        "ruby",
        "node",
        "php",
        "lua",
        "tclsh",
        "jq",
    ]
)
_CODE_OPTIONS = frozenset(
    [
        "-e",
        "-c",
        "-E",
        "-f",
        "-r",
        "-n",
        "-p",
        "-ne",
        "-pe",
        "-le",
        "--eval",
        "--expression",
        "--file",
        "--command",
    ]
)
# Every argument of these may be read as code, or as a name with code in it (`a[$(id)]`).
_EVALUATE = frozenset(
    [
        "eval",
        "exec",
        "source",
        ".",
        "trap",
        "alias",
        "let",
        "declare",
        "typeset",
        "local",
        "export",
        "readonly",
        "unset",
        "read",
        "test",
        "[",
        "mapfile",
        "readarray",
        "getopts",
        "wait",
        "bind",
        "complete",
        "enable",
        "set",
        "shopt",
        "history",
        "fc",
        "hash",
        "builtin",
        "command",
        "coproc",
        "ssh",
        "su",
        "runuser",
        "watch",
        "script",
        "parallel",
        "tmux",
        "screen",
        "flock",
        "at",
        "batch",
        "crontab",
        "vi",
        "vim",
        "nvim",
        "emacs",
        "gdb",
        "expect",
        "lxc",
        "nsenter",
        "systemd-run",
        "socat",
        "make",
    ]
)
# Programs that run another one, and their options that take a value. The other one must be a plain word.
_RUNNERS = {
    "sudo": "ugpChDRTrtU", "doas": "uC", "env": "uC", "nice": "n", "ionice": "cnp", "timeout": "sk", "time": "fo",
    "nohup": "", "busybox": "", "setsid": "", "stdbuf": "ioe", "xargs": "IinPdaELs", "chroot": "", "taskset": "", "chrt": "", "unshare": "",
}  # fmt: skip
_OPERANDS_FIRST = {"timeout": 1, "chroot": 1, "taskset": 1, "chrt": 1}
_CONTAINERS = frozenset(["docker", "podman", "kubectl", "nerdctl"])


class Place(msgspec.Struct, frozen=True):
    """`start` and `end` in characters of the command. Where `may_dash` is False, `-x` would be taken for an option."""

    name: str
    start: int
    end: int
    may_dash: bool


def places(command: str) -> list[Place]:
    """Every place of a command. Raises Invalid (`command`) for one where a value cannot be quoted safely."""
    found = [match for match in PLACE.finditer(command) if match[1] not in GO_WORDS]
    if not found:
        return []
    if len(found) > MAX_PLACES:
        raise Invalid("command", f"Values stand in {len(found)} places here. Use at most {MAX_PLACES}.")
    words, text, spans, last = _stand_ins(command, len(found)), "", [], 0
    for match, word in zip(found, words, strict=True):
        text += command[last : match.start()]
        begin = len(text.encode())
        text += word
        spans.append((begin, begin + len(word)))
        last = match.end()
    text += command[last:]
    root = _parser().parse(text.encode()).root_node
    if root.has_error:
        raise Invalid(
            "command", "This is no complete shell command: look for a quote or a bracket that is not closed."
        )
    commands: _Commands = {}
    return [
        Place(match[1], match.start(), match.end(), _Look(root, match[1], word, span, commands).may_dash())
        for match, word, span in zip(found, words, spans, strict=True)
    ]


def _stand_ins(command: str, count: int) -> list[str]:
    stem = "cbx"
    while stem in command:
        stem += "x"
    return [f"{stem}{number}z" for number in range(count)]


@cache
def _parser() -> "Parser":
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


# A command's node id → its words, and node id of an argument → which of them it is.
_Commands = dict[int, tuple[list[str], dict[int, int]]]


class _Look:
    """One place in the syntax tree. Raises Invalid while it is looked at, unless a quoted value is safe there."""

    def __init__(
        self, root: "Node", name: str, word: str, span: tuple[int, int], commands: _Commands
    ) -> None:
        self._commands = commands
        self._name = name
        self._word = word
        self._span = span
        leaf = root.descendant_for_byte_range(*span)
        assert leaf is not None
        self._leaf = leaf

    def may_dash(self) -> bool:
        leaf = self._leaf
        self._check_surroundings()
        whole = leaf.parent if leaf.parent is not None and leaf.parent.type == "concatenation" else leaf
        text = _text(whole)
        self._check_glue(whole)
        parent = whole.parent
        kind = parent.type if parent else ""
        if parent is None or kind == "command_name":
            raise self._refused("it would be the name of a command")
        if kind == "command":
            return self._argument(parent, whole) or not text.startswith(self._word)
        if kind == "file_redirect" and len(parent.children_by_field_name("destination")) > 1:
            raise self._refused("words follow a redirection: put the redirection last")
        if kind in ("file_redirect", "herestring_redirect", "variable_assignment", "array", "for_statement"):
            return True
        if kind == "case_statement" and parent.child_by_field_name("value") == whole:
            return True
        raise self._refused("the shell would not read it as one argument")

    def _check_surroundings(self) -> None:
        if self._leaf.type != "word":
            raise self._refused(_WHERE.get(self._leaf.type, "the shell would not read it as one argument"))
        node, depth = self._leaf.parent, 0
        while node is not None:
            depth += 1
            if depth > _MAX_DEPTH:
                raise self._refused("it is nested too deep")
            if node.type not in _OUTSIDE and node.type != "command_name":
                raise self._refused(_WHERE.get(node.type, "the shell would not read it as one argument"))
            if node.type == "command_substitution" and not _text(node).startswith("$("):
                raise self._refused("it is inside backticks, where quotes mean something else: write $(…)")
            node = node.parent

    def _check_glue(self, whole: "Node") -> None:
        parts = whole.children if whole.type == "concatenation" else [whole]
        if not all(_GLUE.fullmatch(_text(part)) for part in parts if part.type == "word"):
            raise self._refused("it is joined to a character that has a meaning of its own")
        if any(part.type not in _JOINS for part in parts) or _text(whole).startswith("="):
            raise self._refused("it is joined to something whose end the shell would not see")

    def _argument(self, command: "Node", whole: "Node") -> bool:
        """Whether `--` stands before it."""
        words, numbers = self._words(command)
        here = numbers.get(whole.id)
        if here is None:
            raise self._refused("the shell would not read it as one argument")
        if here > _MAX_WORDS:
            raise self._refused("too many words stand before it")
        if not _LITERAL.fullmatch(words[0]) and words[0] != "[":
            raise self._refused("the name of the command is not a plain word")
        reason = _as_code(words, here)
        if reason:
            raise self._refused(reason)
        return "--" in words[1:here]

    def _words(self, command: "Node") -> tuple[list[str], dict[int, int]]:
        if command.id not in self._commands:
            name = command.child_by_field_name("name")
            arguments = command.children_by_field_name("argument")
            words = [_text(name) if name else "", *map(_text, arguments)]
            self._commands[command.id] = words, {node.id: at for at, node in enumerate(arguments, 1)}
        return self._commands[command.id]

    def _refused(self, why: str) -> Invalid:
        return Invalid("command", f"{{{{{self._name}}}}} cannot stand there: {why}. {_ADVICE % self._name}")


_JOINS = frozenset(
    {"word", "number", "string", "raw_string", "simple_expansion", "expansion", "command_substitution"}
)
_WHERE = {
    "string_content": "it is inside quotes, which the value would end. Leave the quotes out: the box adds its own",
    "raw_string": "it is inside quotes, which the value would end. Leave the quotes out: the box adds its own",
    "ansi_c_string": "it is inside quotes, which the value would end. Leave the quotes out: the box adds its own",
    "string": "it is inside quotes, which the value would end. Leave the quotes out: the box adds its own",
    "heredoc_body": "it is inside a here-document, where quotes are no quotes",
    "heredoc_content": "it is inside a here-document, where quotes are no quotes",
    "heredoc_start": "it would be the end mark of a here-document",
    "comment": "it is inside a comment",
    "arithmetic_expansion": "it is inside arithmetic, where a value can be code",
    "test_command": "it is inside a test, where a value can be an operator or code",
    "variable_name": "it would be part of a variable's name",
    "regex": "it would be a pattern",
    "expansion": "it is inside ${…}",
    "subscript": "it would be an index, which can be code",
    "process_substitution": "not every shell knows <(…)",
    "declaration_command": "the value could be read as code: assign first, then export",
}  # fmt: skip


def _as_code(words: list[str], here: int) -> str | None:
    """Why the word at `here` could be run rather than passed on, or None."""
    program_at = _program(words, here)
    if program_at >= here:
        return "it would say which program to run"
    program = _base(words[program_at])
    if program in _EVALUATE or (program == "printf" and "-v" in words[:here]):
        return f"“{program}” can run it, or read it as code"
    if program in _CONTAINERS and {"exec", "run"} & set(words[1:here]):
        return f"“{program}” would run it"
    for at in range(here):
        reason = _run_by(_base(words[at]), words, at, here)
        if reason or _base(words[at]) in _SHELLS:
            return reason  # what stands behind a shell's script are the script's own $1, $2 …
    return None


def _run_by(program: str, words: list[str], at: int, here: int) -> str | None:
    if program in _SHELLS and here <= _script(words, at):
        return f"“{program}” would run it. Give it to the script as $1: sh -c 'echo \"$1\"' sh {{{{…}}}}"
    if program in ("eval", "ssh") or (program in _CODE and _is_code(words, at, here)):
        return f"“{program}” would run it as code"
    if program == "find" and any(word.startswith(("-exec", "-ok")) for word in words[at:here]):
        return "“find -exec” would run it"
    return None


def _script(words: list[str], at: int) -> int:
    """Where the first word stands that a shell does not take for an option."""
    index = at + 1
    while index < len(words) and words[index].startswith(("-", "+")):
        index += 2 if words[index] in ("-o", "+o", "-O", "+O") else 1
    return index


def _is_code(words: list[str], at: int, here: int) -> bool:
    if words[here].startswith("-") or words[here - 1] in _CODE_OPTIONS:
        return True
    if words[here - 1] == "-v" and "=" in words[here]:
        return False  # awk's own way to take a value
    before = words[at + 1 : here]
    given = sum(not word.startswith("-") for word in before)
    return given == 0 or (given == 1 and "-v" in before)


def _program(words: list[str], here: int) -> int:
    """Where the program stands that is really run, behind such as `sudo -u bob`; `here` or later if it is not said."""
    at = 0
    while at < here and (runner := _base(words[at])) in _RUNNERS:
        operands = _OPERANDS_FIRST.get(runner, 0)
        at += 1
        while at < here:
            if words[at].startswith("-"):
                if runner == "env" and words[at].startswith(("-S", "--split")):
                    return here
                # Which of these take the next word (`--user bob`) differs from system to system.
                if words[at].startswith("--") and len(words[at]) > 2 and "=" not in words[at]:
                    return here
                at += 2 if len(words[at]) == 2 and words[at][1] in _RUNNERS[runner] else 1
            elif operands or (runner == "env" and "=" in words[at]):
                operands = max(0, operands - 1)
                at += 1
            else:
                break
    return at


def _base(word: str) -> str:
    return word.rpartition("/")[2]


def _text(node: "Node") -> str:
    return (node.text or b"").decode(errors="replace")
