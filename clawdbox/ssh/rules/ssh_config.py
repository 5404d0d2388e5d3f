"""Reading a pasted ssh_config as ssh_config(5) says, without ever running or opening anything it names (ADR 0013)."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from clawdbox.errors import Invalid
from clawdbox.ssh.rules import host_patterns

MOST_HOSTS = 500
_MOST_LINES = 10_000
_MOST_LINE = 4096
_MOST_BLOCKS = 2000
# Steps that matching every host with every wildcard may take: about two seconds.
_MOST_WORK = 5_000_000
_MOST_HOST = 256  # more than any host name has
_USUAL_HOST = 64

_LINE = re.compile(r"([A-Za-z0-9]+)(?:\s*=\s*|\s+|$)(.*)", re.DOTALL)
_USED = frozenset({"hostname", "port", "user", "proxyjump", "hostkeyalias"})
_COMMAND = "commands are never run"
_OWN_KEY = "the box enters with its own key: install that on the server"
_CHECKED = "the box always checks the host key"
_WARM = "the box keeps its own connections warm"
_FORWARD = "forwards are made in a session"
_NEVER_FORWARDED = "neither agent nor screen is ever forwarded"
REASONS: Mapping[str, str] = {
    "include": "other files are never read: paste what they hold, too",
    "proxycommand": f"{_COMMAND}; a jump host (ProxyJump) takes its place",
    "knownhostscommand": _COMMAND,
    "localcommand": _COMMAND,
    "permitlocalcommand": _COMMAND,
    "remotecommand": _COMMAND,
    "identityfile": _OWN_KEY,
    "identityagent": _OWN_KEY,
    "identitiesonly": _OWN_KEY,
    "certificatefile": _OWN_KEY,
    "addkeystoagent": _OWN_KEY,
    "pkcs11provider": _OWN_KEY,
    "securitykeyprovider": _OWN_KEY,
    "preferredauthentications": _OWN_KEY,
    "passwordauthentication": _OWN_KEY,
    "userknownhostsfile": "no file is read: paste the known_hosts file itself",
    "globalknownhostsfile": "no file is read: paste the known_hosts file itself",
    "stricthostkeychecking": _CHECKED,
    "checkhostip": _CHECKED,
    "verifyhostkeydns": _CHECKED,
    "updatehostkeys": _CHECKED,
    "localforward": _FORWARD,
    "remoteforward": _FORWARD,
    "dynamicforward": _FORWARD,
    "forwardagent": _NEVER_FORWARDED,
    "forwardx11": _NEVER_FORWARDED,
    "forwardx11trusted": _NEVER_FORWARDED,
    "controlmaster": _WARM,
    "controlpath": _WARM,
    "controlpersist": _WARM,
}


class Setting(msgspec.Struct, frozen=True):
    """`keyword` as it was written."""

    number: int
    keyword: str
    words: tuple[str, ...]


class Block(msgspec.Struct, frozen=True):
    """What follows a Host or a Match: Host has `patterns`; a Match has `hosts`, which are compared with the HostName."""

    patterns: tuple[str, ...]
    hosts: tuple[str, ...]
    settings: list[Setting]
    ends: list[Setting]


class Config(msgspec.Struct, frozen=True):
    """`aliases` are the names of Host lines without wildcards, in their order; `notes` what was left out as a whole."""

    blocks: list[Block]
    aliases: list[str]
    notes: list[str]


class Entry(msgspec.Struct, frozen=True):
    """What ssh would use for a name. `ignored` has keyword and reason; `by_command`: a ProxyCommand was to reach it."""

    host: str
    port: str | None
    username: str | None
    jumps: tuple[str, ...]
    key_alias: str | None
    ignored: list[tuple[str, str]]
    by_command: bool


def parse(text: str) -> Config:
    """Raises Invalid `config` for what is larger than any person's file."""
    notes: list[str] = []
    blocks = [Block(("*",), (), [], [])]
    for setting in _settings(text, notes):
        if setting.keyword.lower() in ("host", "match"):
            if len(blocks) > _MOST_BLOCKS:
                raise Invalid(
                    "config", f"This has more than {_MOST_BLOCKS} Host blocks. Import a part of it."
                )
            blocks.append(_block(setting, notes))
        elif setting.keyword.lower() == "include":
            notes.append(f"Line {setting.number}: Include was left out: {REASONS['include']}.")
        else:
            blocks[-1].settings.append(setting)
    concrete = [word for block in blocks for word in block.patterns if not set(word) & set("*?!")]
    aliases = list(dict.fromkeys(concrete))
    if len(aliases) > MOST_HOSTS:
        raise Invalid("config", f"This has {len(aliases)} hosts. Import at most {MOST_HOSTS} at once.")
    _check_work(blocks, aliases)
    return Config(blocks, aliases, notes)


def _check_work(blocks: list[Block], aliases: list[str]) -> None:
    by_alias = sum(_wild(word) for block in blocks for word in block.patterns)
    by_host = sum(_wild(word) for block in blocks for word in block.hosts)
    names = sum(map(len, aliases)) + len(aliases)
    if by_alias * names + by_host * _USUAL_HOST * len(aliases) > _MOST_WORK:
        raise Invalid("config", "This has too many patterns for so many hosts. Import a part of it.")


def _wild(pattern: str) -> int:
    return len(pattern) if set(pattern) & set("*?") else 0


def _settings(text: str, notes: list[str]) -> Iterator[Setting]:
    lines = text.splitlines()
    if len(lines) > _MOST_LINES:
        raise Invalid("config", f"This has {len(lines)} lines. Import at most {_MOST_LINES} at once.")
    unread = 0
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped) if len(line) <= _MOST_LINE else None
        found = (
            words(match[2])
            if match and all(char.isprintable() or char == "\t" for char in stripped)
            else None
        )
        if match is None or found is None:
            unread += 1
            if unread <= 5:
                notes.append(f"Line {number} cannot be read and was left out.")
            continue
        yield Setting(number, match[1], tuple(found))
    if unread > 5:
        notes.append(f"{unread - 5} more lines cannot be read and were left out.")


def words(text: str) -> list[str] | None:
    """The arguments of a line: quotes hold together, `#` begins a comment. None when a quote does not end."""
    found: list[str] = []
    part, quote, open_word = "", "", False
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text) and text[at + 1] in "\"'\\":
            part, open_word, at = part + text[at + 1], True, at + 1
        elif quote:
            quote, part = ("", part) if char == quote else (quote, part + char)
        elif char in "\"'":
            quote, open_word = char, True
        elif char in " \t":
            if open_word:
                found.append(part)
            part, open_word = "", False
        elif char == "#" and not open_word:
            break
        else:
            part, open_word = part + char, True
        at += 1
    if quote:
        return None
    return [*found, part] if open_word else found


def _block(setting: Setting, notes: list[str]) -> Block:
    if setting.keyword.lower() == "host":
        return Block(setting.words, (), [], [])
    hosts = _match_hosts([word.lower() for word in setting.words])
    if hosts is None:
        what = " ".join(word for word in setting.words if word.isalpha())[:40]
        reason = (
            _COMMAND
            if "exec" in (word.lower() for word in setting.words)
            else "the box knows no such condition"
        )
        notes.append(f"Line {setting.number}: the block Match {what} was left out: {reason}.")
        return Block((), (), [], [])
    return Block(("*",) if not hosts else (), hosts, [], [])


def _match_hosts(criteria: list[str]) -> tuple[str, ...] | None:
    """The patterns of `Match all` (none) and `Match host …`; None for every other condition."""
    if criteria == ["all"]:
        return ()
    if len(criteria) == 2 and criteria[0] in ("host", "originalhost"):
        return tuple(criteria[1].split(","))
    return None


def resolve(config: Config, alias: str) -> Entry:
    """The first value wins, from the top of the file to its end."""
    values: dict[str, str] = {}
    ignored: dict[str, tuple[str, str]] = {}
    for block in config.blocks:
        if not _applies(block, alias, values):
            continue
        for setting in block.settings:
            name = setting.keyword.lower()
            value = " ".join(setting.words)
            if name in _USED or name == "proxycommand":
                values.setdefault(_way(name, values), value)
            if name not in _USED and value.lower() != "none":
                ignored.setdefault(name, (setting.keyword, REASONS.get(name, "")))
    jump = values.get("proxyjump", "")
    return Entry(
        host=_expanded(values.get("hostname", alias), alias),
        port=values.get("port"),
        username=values.get("user"),
        jumps=() if jump.lower() in ("", "none") else tuple(part.strip() for part in jump.split(",")),
        key_alias=values.get("hostkeyalias"),
        ignored=list(ignored.values()),
        by_command=values.get("proxycommand", "none").lower() != "none",
    )


def _way(name: str, values: Mapping[str, str]) -> str:
    """Of ProxyCommand and ProxyJump, whichever comes first silences the other."""
    if name == "proxyjump" and values.get("proxycommand"):
        return "proxycommand"
    return "proxyjump" if name == "proxycommand" and "proxyjump" in values else name


def _applies(block: Block, alias: str, values: Mapping[str, str]) -> bool:
    if block.hosts:
        return host_patterns.any_of(list(block.hosts), _expanded(values.get("hostname", alias), alias))
    return host_patterns.any_of(list(block.patterns), alias)


def _expanded(host: str, alias: str) -> str:
    """Cut where no name of a host goes on: `%h%h%h…` would grow without end."""
    short = host[: 2 * _MOST_HOST].replace("%%", "\0")
    return short.replace("%h", alias[:_MOST_HOST]).replace("\0", "%")[:_MOST_HOST]
