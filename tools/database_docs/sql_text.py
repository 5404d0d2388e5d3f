"""What SQLite keeps only as text: the checks of a table, the condition of a partial index, the body of a trigger."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\w+|\s+|.""", re.DOTALL)
_OF_THE_TABLE = {"CHECK", "CONSTRAINT", "FOREIGN", "PRIMARY", "UNIQUE"}
_TRIGGER = re.compile(
    r"CREATE TRIGGER \w+ ((?:BEFORE|AFTER|INSTEAD OF) (?:INSERT|DELETE|UPDATE(?: OF [\w, ]+?)?)) ON \w+ (.*)",
    re.IGNORECASE,
)


def checks(create_table: str) -> list[tuple[str | None, str]]:
    """(column, expression) of every CHECK; the column is None for a check of the table."""
    found = []
    for item in _items(_tokens(create_table)):
        first = next(token for token in item if not token.isspace())
        owner = None if first.upper() in _OF_THE_TABLE else first.strip('"')
        found += [(owner, expression) for expression in _expressions(item)]
    return found


def condition(create_index: str) -> str | None:
    """The WHERE of a partial index."""
    tokens = _tokens(create_index)
    words = [token.upper() for token in tokens]
    return plain("".join(tokens[words.index("WHERE") + 1 :])) if "WHERE" in words else None


def trigger(create_trigger: str) -> tuple[str, str]:
    """(when it fires, what it does)"""
    found = _TRIGGER.fullmatch(plain("".join(_tokens(create_trigger))))
    if found is None:
        raise ValueError(f"this trigger cannot be read: {create_trigger}")
    return found[1], found[2]


def plain(sql: str) -> str:
    """On one line."""
    return " ".join(sql.split())


def _tokens(sql: str) -> list[str]:
    return [token for token in _TOKEN.findall(sql) if not token.startswith(("--", "/*"))]


def _items(tokens: list[str]) -> Iterator[list[str]]:
    """What stands between the commas of CREATE TABLE."""
    item: list[str] = []
    for token in _bracketed(tokens, tokens.index("(")):
        if token == "," and _depth(item) == 0:
            yield item
            item = []
        else:
            item.append(token)
    yield item


def _expressions(item: list[str]) -> Iterator[str]:
    for place, token in enumerate(item):
        if token.upper() == "CHECK":
            yield plain("".join(_bracketed(item, item.index("(", place))))


def _bracketed(tokens: list[str], start: int) -> list[str]:
    """What stands between the bracket at `start` and the one that closes it."""
    depth = 0
    for place in range(start, len(tokens)):
        depth += (tokens[place] == "(") - (tokens[place] == ")")
        if depth == 0:
            return tokens[start + 1 : place]
    raise ValueError("a bracket is not closed")


def _depth(tokens: list[str]) -> int:
    return tokens.count("(") - tokens.count(")")
