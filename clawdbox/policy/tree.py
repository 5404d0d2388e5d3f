"""The second reading: a real parser's syntax tree, to compare with the strict one, and to look into what that refuses."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from clawdbox.policy.model import Redirect, Step, Word, words
from clawdbox.policy.reader import Unclear, decode

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_NODES = 20_000
MAX_STEPS = 200


class Tree(msgspec.Struct, frozen=True):
    """`steps` are all simple commands, wherever they stand; `odd` why a line is more than a list of them.

    `spans` are the words, the names of commands and the targets of redirections, in bytes.
    """

    steps: tuple[Step, ...]
    odd: tuple[str, ...]
    spans: frozenset[tuple[str, int, int]]


@cache
def _parser() -> "Parser":
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


def parse(command: str) -> Tree:
    root = _parser().parse(command.encode(errors="replace")).root_node
    look = _Look()
    if root.has_error:
        look.odd["It is no complete shell command."] = None
    for count, node in enumerate(_walk(root)):
        if count > MAX_NODES or len(look.steps) > MAX_STEPS:
            look.odd["It is too long to be looked through."] = None
            break
        look.at(node)
    return Tree(tuple(look.steps), tuple(look.odd), frozenset(look.spans))


def _walk(root: "Node") -> "Iterator[Node]":
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.named_children))


# Nodes whose commands simply run one after the other.
_PLAIN = words(
    "program list pipeline redirected_statement command command_name word raw_string string string_content "
    "concatenation number file_redirect file_descriptor heredoc_redirect heredoc_start heredoc_body "
    "heredoc_end test_command unary_expression binary_expression parenthesized_expression negation_expression "
    "test_operator variable_assignment variable_name simple_expansion expansion comment"
)
_ODD = {
    "command_substitution": "It runs a command inside of another one.",
    "process_substitution": "It runs a command inside of another one.",
    "function_definition": "It defines a function, whose name can be that of a program.",
    "herestring_redirect": "It uses a here-string, which not every shell knows.",
    "comment": "It has a comment, which not every shell leaves out.",
    "expansion": "It uses a variable, which only the running shell knows.",
    "simple_expansion": "It uses a variable, which only the running shell knows.",
    "arithmetic_expansion": "It computes in the shell.",
    "ansi_c_string": "It uses a string that hides its characters.",
    "translated_string": "It uses a string that hides its characters.",
    "brace_expression": "It uses braces of the shell.",
    "declaration_command": "It sets variables of the shell.",
    "unset_command": "It sets variables of the shell.",
    "ERROR": "It is no complete shell command.",
}
_CONTROL = "It has a control structure of the shell."
_HOMES = frozenset({"$HOME", "${HOME}"})


class _Look:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.odd: dict[str, None] = {}
        self.spans: set[tuple[str, int, int]] = set()
        self._redirects: list[Redirect] = []

    def at(self, node: "Node") -> None:
        kind = node.type
        if kind == "command":
            self._command(node)
        elif kind == "test_command":
            self.steps.append(Step((Word("[", node.start_byte, node.start_byte + 1),)))
            self.spans.add(("test", node.start_byte, node.end_byte))
        elif kind == "file_redirect":
            self._redirect(node)
        elif kind in ("declaration_command", "unset_command"):
            first = node.children[0]
            self.steps.append(Step((Word(_text(first), first.start_byte, first.end_byte),)))
        if kind in ("simple_expansion", "expansion") and _text(node) in _HOMES:
            return
        if kind not in _PLAIN or kind in _ODD:
            self.odd[_ODD.get(kind, _CONTROL)] = None

    def _command(self, node: "Node") -> None:
        name = node.child_by_field_name("name")
        arguments = node.children_by_field_name("argument")
        nodes = ([name] if name else []) + arguments
        for found in nodes:
            self.spans.add(("word", found.start_byte, found.end_byte))
        if name:
            self.spans.add(("name", name.start_byte, name.end_byte))
        for child in node.children:
            if child.type == "variable_assignment":
                self.spans.add(("assignment", child.start_byte, child.end_byte))
        joined = node.parent is not None and node.parent.type == "pipeline"
        self.steps.append(Step(tuple(map(_word, nodes)), (), (), "|" if joined else ";", joined))

    def _redirect(self, node: "Node") -> None:
        targets = node.children_by_field_name("destination")
        op = "".join(_text(child) for child in node.children if child not in targets)
        for number, target in enumerate(targets):
            if number:  # words behind a redirection, which belong to the command
                self.spans.add(("word", target.start_byte, target.end_byte))
            elif not op.endswith("&"):
                self.spans.add(("target", target.start_byte, target.end_byte))
                self.steps.append(Step((), (), (Redirect(op, _word(target)),)))


def _word(node: "Node") -> Word:
    source = _text(node)
    try:
        word = decode(source)
    except Unclear:
        return Word(_rough(source), node.start_byte, node.end_byte, False, False, False)
    return Word(word.text, node.start_byte, node.end_byte, word.bare, word.glob)


def _rough(source: str) -> str:
    """What a word may mean, for looks that only warn: without its quotes and backslashes."""
    return (
        "".join(char for char in source if char not in "'\"\\").replace("${HOME}", "~").replace("$HOME", "~")
    )


def _text(node: "Node") -> str:
    return (node.text or b"").decode(errors="replace")


def spans(steps: list[Step]) -> frozenset[tuple[str, int, int]]:
    """The same, of the strict reading."""
    found: set[tuple[str, int, int]] = set()
    for step in steps:
        words = step.words
        if words and words[0].text == "[" and words[-1].text == "]":
            found.add(("test", words[0].start, words[-1].end))
            words = ()
        for number, word in enumerate(words):
            found.add(("word", word.start, word.end))
            if not number:
                found.add(("name", word.start, word.end))
        for _name, value in step.assigned:
            if words:
                found.add(("assignment", value.start, value.end))
        for redirect in step.redirects:
            if redirect.target and "<<" not in redirect.op:
                found.add(("target", redirect.target.start, redirect.target.end))
    return frozenset(found)
