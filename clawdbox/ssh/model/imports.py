"""What a pasted ssh_config and known_hosts would become."""

import msgspec

from clawdbox.ssh.model.connections import HostKey


class ImportRow(msgspec.Struct, frozen=True):
    """A connection that could be saved. `name` says which row is meant: the alias, or the jump host as it was written.

    `jump` is another row's name. `same_as` is a saved connection with the same host, port and user. `problem` says why the
    row cannot be saved.
    """

    name: str
    label: str
    host: str
    port: int
    username: str
    jump: str | None = None
    host_key: HostKey | None = None
    same_as: str | None = None
    same_as_label: str | None = None
    implied: bool = False
    notes: tuple[str, ...] = ()
    problem: str | None = None


class ImportMark(msgspec.Struct, frozen=True):
    """A `@cert-authority` or `@revoked` line. `there` when the same is in force already."""

    kind: str
    label: str
    patterns: str
    key_type: str
    fingerprint: str
    there: bool


class ImportPlan(msgspec.Struct, frozen=True):
    rows: list[ImportRow]
    marks: list[ImportMark]
    notes: list[str]
