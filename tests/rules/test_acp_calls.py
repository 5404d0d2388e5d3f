"""What a person, or the policy, is asked about a code agent's tool call: never less than it could do."""

from typing import Any

import pytest

from clawdbox.agents.runtimes.acp import calls
from clawdbox.agents.runtimes.port import Option, Question

OPTIONS = [
    {"optionId": "y", "name": "Deny", "kind": "allow_once"},
    {"optionId": "n", "name": "No", "kind": "reject_once"},
]


def asked(raw: Any, kind: str = "execute", options: Any = OPTIONS, **more: Any) -> Question:
    call = calls.merged(None, {"kind": kind, "title": "A tool", "rawInput": raw, **more})
    return calls.question(calls.asking(1, call, options), "c", "/srv/ann")


def is_unseen(question: Question) -> bool:
    return (question.command, question.path, question.file) == (None, None, "")


@pytest.mark.parametrize("shell", ["bash", "sh", "/bin/bash", "/usr/bin/zsh"])
def test_what_a_shell_is_given_is_the_command(shell: str) -> None:
    assert asked({"command": [shell, "-lc", "ls"]}).command == "ls"


@pytest.mark.parametrize("program", ["/tmp/evil/bash", "./bash", "bin/sh", "/bin/../tmp/sh", "bash "])
def test_a_program_that_only_has_a_shells_name_is_a_program(program: str) -> None:
    command = asked({"command": [program, "-lc", "ls"]}).command
    assert command != "ls"
    assert "-lc ls" in (command or "")


@pytest.mark.parametrize(
    "raw",
    [
        {"path": "README.md", "command": "rm -rf ~"},
        {"path": "README.md", "filePath": "/etc/shadow"},
        {"command": "ls", "cmd": "rm -rf ~"},
        {"command": "sh", "args": ["-c", "rm -rf ~"]},
        {"command": "ls", "env": {"LD_PRELOAD": "/tmp/a.so"}},
        {"command": "cat x", "cwd": "/srv", "workdir": "/var/keys"},
    ],
)
@pytest.mark.parametrize("kind", ["read", "edit", "execute"])
def test_what_names_two_things_is_asked_about_and_tells_all_of_them(raw: dict[str, Any], kind: str) -> None:
    question = asked(raw, kind)
    assert is_unseen(question)
    for name in raw:
        assert f"{name}: " in question.detail


def test_a_later_word_on_the_call_hides_nothing_of_an_earlier_one() -> None:
    call = calls.merged(None, {"kind": "execute", "rawInput": {"command": "rm -rf ~"}})
    call = calls.merged(call, {"kind": "read", "rawInput": {"path": "README.md"}})
    question = calls.question(calls.asking(1, call, OPTIONS), "c", "/srv")
    assert is_unseen(question)
    assert "rm -rf ~" in question.detail


def test_the_same_file_under_two_names_is_one_file() -> None:
    question = asked({"path": "/etc/hosts", "file_path": "/etc/hosts"}, "read")
    assert (question.path, question.file) == ("/etc/hosts", "read")


@pytest.mark.parametrize(
    "raw, path",
    [
        ({"path": "mykey", "cwd": "/var/keys"}, "/var/keys/mykey"),
        ({"path": "mykey", "cwd": ".ssh"}, "/srv/ann/.ssh/mykey"),
        ({"path": "notes"}, "/srv/ann/notes"),
        ({"path": "~/.ssh/id_rsa"}, "~/.ssh/id_rsa"),
    ],
)
def test_a_files_name_is_read_where_the_agent_stands(raw: dict[str, Any], path: str) -> None:
    assert asked(raw, "read").path == path


def test_a_deletion_is_no_writing() -> None:
    assert asked({"path": "/srv/data"}, "delete").file == "delete"


def test_only_choices_that_the_box_knows_are_there_each_once() -> None:
    strange = [
        {"optionId": "a", "name": "No", "kind": "allowed"},
        {"optionId": "b", "kind": "allow_always"},
        *OPTIONS,
        *OPTIONS,
    ]
    assert asked({}, options=strange).options == (
        Option("y", "Deny", "allow_once"),
        Option("n", "No", "reject_once"),
    )


def test_an_agent_that_offers_no_way_to_say_no_hears_that_it_was_called_off() -> None:
    only = calls.asking(1, calls.merged(None, {}), OPTIONS[:1])
    assert calls.answer(only, False, None) is None
