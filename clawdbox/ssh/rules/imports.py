"""From a pasted ssh_config and known_hosts to rows that a person can choose from."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from clawdbox import names
from clawdbox.errors import Conflict, Problem
from clawdbox.ssh.model import Connection, HostKey, ImportRow
from clawdbox.ssh.rules import host_patterns, jumps, known_hosts, ssh_config
from clawdbox.ssh.rules.connections import check_place

_MOST_ROWS = 1000
_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]*)@)?(?P<host>\[[^\]]+\]|[^:/@\[\]]+)(?::(?P<port>\d{1,5}))?/?"
)


class Around(msgspec.Struct, frozen=True):
    """What the box brings along: what is saved already, and which addresses it dials itself."""

    existing: Sequence[Connection]
    default_username: str
    own_port: int | None
    allow_loopback: bool


class Planner:
    """Makes the rows of one import. Pure: everything it looks at was handed in."""

    def __init__(self, config: ssh_config.Config, known: known_hosts.KnownHosts, around: Around) -> None:
        self._config = config
        self._known = known
        self._work = known.work()
        self._work_left = known_hosts.MOST_WORK
        self._around = around
        self._rows: dict[str, ImportRow] = {}
        self._taken = {connection.label for connection in around.existing}
        self._places = {
            _place(c.host, c.port, c.username, c.jump_connection_id): c for c in reversed(around.existing)
        }

    def rows(self) -> list[ImportRow]:
        entries = {alias: ssh_config.resolve(self._config, alias) for alias in self._config.aliases}
        for alias, entry in entries.items():
            self._rows[alias] = self._row(alias, entry)
        for alias, entry in entries.items():
            self._rows[alias] = self._linked(self._rows[alias], entry, entries)
        return [self._without_rings(row) for row in self._rows.values()]

    # one row

    def _row(self, name: str, entry: ssh_config.Entry, *, implied: bool = False) -> ImportRow:
        label, notes = names.printable(name, names.MAX_LABEL).lstrip("-").strip() or "Imported", _said(entry)
        username = entry.username or self._around.default_username
        port = int(entry.port) if entry.port and entry.port.isascii() and entry.port.isdigit() else 22
        row = ImportRow(name, self._free(label, notes), entry.host[:255], port, username, implied=implied)
        if entry.port and str(port) != entry.port.lstrip("0"):
            return _broken(row, notes, f"{entry.port[:20]!r} is no port.")
        if not username:
            return _broken(row, notes, "The file names no user for it. Say above who is meant.")
        behind = "jump" if entry.jumps else None
        try:
            place = check_place(
                row.label,
                row.host,
                port,
                username,
                self._around.own_port,
                self._around.allow_loopback,
                behind,
            )
        except Problem as problem:
            return _broken(row, notes, problem.message)
        row = msgspec.structs.replace(row, label=place.label, host=place.host, username=place.username)
        return self._same(self._pinned(row, entry, notes), behind)

    def _free(self, label: str, notes: list[str]) -> str:
        """A label that neither a saved connection nor an earlier row has."""
        chosen, number = label, 2
        while chosen in self._taken:
            chosen = f"{label[: names.MAX_LABEL - 6]} ({number})"
            number += 1
        if chosen != label:
            notes.append(f"There is a “{label}” already, so this one would be called “{chosen}”.")
        self._taken.add(chosen)
        return chosen

    def _pinned(self, row: ImportRow, entry: ssh_config.Entry, notes: list[str]) -> ImportRow:
        asked = (entry.key_alias,) if entry.key_alias else host_patterns.host_names(row.host, row.port)
        asked = tuple(name[: known_hosts.MOST_NAME] for name in asked)
        self._work_left -= self._work * sum(map(len, asked))
        if self._work_left < 0:
            raise known_hosts.too_wild()
        found = known_hosts.keys_of(self._known, asked)
        if len(found) > 1:
            notes.append(f"known_hosts has {len(found)} keys for it; the one shown here is pinned.")
        if not found and self._known.has_keys:
            notes.append("known_hosts has no key for it: the first test shows it for approval.")
        key = HostKey(found[0].fingerprint, found[0].type) if found else None
        return msgspec.structs.replace(row, host_key=key, notes=tuple(notes))

    def _same(self, row: ImportRow, jump: str | None) -> ImportRow:
        there = self._places.get(_place(row.host, row.port, row.username, jump))
        if there is None:
            return row
        note = f"You have this server already, as “{there.label}”."
        return msgspec.structs.replace(
            row, same_as=there.id, same_as_label=there.label, notes=(note, *row.notes)
        )

    # jump hosts

    def _linked(
        self, row: ImportRow, entry: ssh_config.Entry, entries: Mapping[str, ssh_config.Entry], depth: int = 0
    ) -> ImportRow:
        """The row with its jump host; a pattern that gives a jump host to all hosts leaves it out for itself, as ssh does."""
        if len(entry.jumps) + depth > jumps.MAX_HOPS:
            return _broken(row, list(row.notes), f"It has more than {jumps.MAX_HOPS} jump hosts.")
        if any(_leads_to(spec, row, entry) for spec in entry.jumps[-1:]):
            return row
        before: str | None = None
        for spec in entry.jumps:
            before = self._hop(spec, before, entries, depth + 1)
            if before is None:
                return _broken(row, list(row.notes), f"Its jump host “{spec[:60]}” cannot be understood.")
        return msgspec.structs.replace(row, jump=before)

    def _hop(
        self, spec: str, before: str | None, entries: Mapping[str, ssh_config.Entry], depth: int
    ) -> str | None:
        """The name of the row that a part of ProxyJump means, which is made if there is none."""
        match = _HOP.fullmatch(spec)
        if match is None:
            return None
        alias = match["host"].strip("[]")
        plain = alias in entries and not match["user"] and not match["port"]
        if plain and before in (None, self._only(entries[alias])):
            return alias
        name = f"{spec} via {before}" if before else spec
        if name in self._rows:
            return name
        if len(self._rows) >= _MOST_ROWS:
            return None
        entry = ssh_config.resolve(self._config, alias)
        entry = msgspec.structs.replace(
            entry,
            username=match["user"] or entry.username,
            port=match["port"] or entry.port,
            jumps=entry.jumps if before is None else (before,),
        )
        self._rows[name] = made = self._row(name, entry, implied=True)
        if before is None:
            self._rows[name] = self._linked(made, entry, entries, depth)
        else:
            self._rows[name] = msgspec.structs.replace(made, jump=before)
        return name

    def _only(self, entry: ssh_config.Entry) -> str | None:
        return entry.jumps[0] if len(entry.jumps) == 1 else None

    def _without_rings(self, row: ImportRow) -> ImportRow:
        if row.problem or row.jump is None:
            return row
        links = {name: one.jump for name, one in self._rows.items()}
        try:
            before = jumps.hops(links, row.jump)
        except Problem as problem:
            return _broken(row, list(row.notes), problem.message)
        broken = [name for name in before if self._rows[name].problem]
        if broken:
            return _broken(row, list(row.notes), f"Its jump host “{broken[0][:60]}” cannot be saved.")
        return row


def _place(host: str, port: int, username: str, jump: str | None) -> tuple[str, int, str, bool]:
    """What makes a saved connection the same as a row: the same names behind a jump host may be other machines."""
    return host, port, username, jump is not None


def _leads_to(spec: str, row: ImportRow, entry: ssh_config.Entry) -> bool:
    """Whether a jump host is the very host that would be reached through it."""
    match = _HOP.fullmatch(spec)
    if match is None or (match["user"] or row.username) != row.username:
        return False
    return match["host"].strip("[]") in (row.name, entry.host) and int(match["port"] or row.port) == row.port


def _said(entry: ssh_config.Entry) -> list[str]:
    """What was ignored and why, what has no reason of its own in one sentence."""
    notes = []
    if entry.by_command:
        notes.append(
            "It was reached by a ProxyCommand, so the box may not reach it directly. Choose a jump host."
        )
    reasons: dict[str, list[str]] = {}
    for keyword, reason in entry.ignored[:40]:
        reasons.setdefault(reason or "the box has no use for it", []).append(keyword)
    return notes + [f"Ignored {', '.join(keywords)}: {reason}." for reason, keywords in reasons.items()]


def _broken(row: ImportRow, notes: list[str], problem: str) -> ImportRow:
    return msgspec.structs.replace(row, notes=tuple(notes), problem=problem)


def with_jumps(rows: Sequence[ImportRow], chosen: Sequence[str]) -> list[ImportRow]:
    """The chosen rows and the jump hosts they need, each after its own jump host. What is saved already is not made anew
    for being a jump host alone. Raises Conflict `import_impossible` for a row that is not there or cannot be saved."""
    by_name = {row.name: row for row in rows}
    ordered: dict[str, ImportRow] = {}
    for name in dict.fromkeys(chosen):
        for row in reversed(_line(by_name, name, chosen)):
            ordered.setdefault(row.name, row)
    return list(ordered.values())


def _line(by_name: Mapping[str, ImportRow], name: str, chosen: Sequence[str]) -> list[ImportRow]:
    line: list[ImportRow] = []
    at: str | None = name
    while at is not None:
        row = by_name.get(at)
        if row is None or row.problem:
            said = row.problem if row else "It is not in this file any more. Look at the preview again."
            raise Conflict("import_impossible", f"“{at[:60]}” cannot be imported: {said}")
        if line and row.same_as and at not in chosen:
            break
        line.append(row)
        at = row.jump
    return line
