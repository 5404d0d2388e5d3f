"""A line made to be hard to look at is looked at quickly, and asks: nothing else goes on meanwhile."""

import time

import pytest

from clawdbox.policy import Class, judge

LENGTH = 16_000
HOSTILE = {
    "pipes": "a|" * 8000,
    "redirections": ">" * LENGTH,
    "brackets": "(" * LENGTH,
    "substitutions": "$(" * 8000,
    "here-documents": "<<a " * 4000,
    "quotes": "\"'" * 8000,
    "words": "a " * 8000,
    "options": "ls " + "-a " * 5000,
    "structures": "if a; then " * 1400,
    "wildcards": "cat " + "*" * LENGTH,
    "folders of wildcards": "cat " + "*/" * 7900,
    "any folders": "cat " + "**/" * 5200,
    "sets": "cat " + "[a]" * 5200,
    "patterns": "cat " + "[a-z]*x?y* " * 1000,
    "points": "$(x) " + "." * LENGTH,
    "steps of a path": "$(x) " + "./a" * 5200,
    "folders": "cd a;" * 90 + "cat b",
    "sed": "sed 's/" + "a" * LENGTH + "'",
    "addresses": "sed '" + "1,2p;" * 3000 + "'",
    "awk": "awk '" + "a/b/" * 3900 + "'",
    "query": "psql -c '" + "select a(" * 1700 + "'",
    "wrappers": "env " * 3900 + "ls",
    "shells": "sh -c " * 2500 + "ls",
}


@pytest.mark.parametrize("command", HOSTILE.values(), ids=HOSTILE)
def test_no_line_takes_long(command: str) -> None:
    begin = time.process_time()
    judgement = judge(command)
    assert time.process_time() - begin < 2
    assert judgement.klass is Class.UNKNOWN


def test_a_line_that_is_too_long_is_not_looked_at() -> None:
    assert judge("ls " + "a" * 20_000).klass is Class.UNKNOWN
    assert judge("ls\n" * 200).klass is Class.UNKNOWN


def test_nested_commands_are_looked_into_and_end() -> None:
    command = "rm x"
    for _ in range(3):
        command = "sh -c '" + command.replace("'", "'\\''") + "'"
    assert judge(command).programs[0] == "sh"
    assert judge("sudo " * 40 + "ls").klass is Class.UNKNOWN
