"""Import of ssh_config and known_hosts, in two steps. Nothing that they name is opened, run or dialled."""

import asyncio
from collections.abc import Sequence

import msgspec

from clawdbox import names
from clawdbox.errors import Conflict
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.ssh.model import Connection, HostAuthority, ImportMark, ImportPlan, ImportRow
from clawdbox.ssh.rules import connections as connection_rules
from clawdbox.ssh.rules import host_authorities as authority_rules
from clawdbox.ssh.rules import imports as rules
from clawdbox.ssh.rules import jumps as jump_rules
from clawdbox.ssh.rules import known_hosts, ssh_config
from clawdbox.ssh.service.connections import draft, where_of
from clawdbox.ssh.service.dialling import Addresses
from clawdbox.ssh.service.host_authorities import HostAuthorities
from clawdbox.ssh.service.trail import Trail
from clawdbox.ssh.service.ways import living_keypair
from clawdbox.ssh.sql import connections as sql
from clawdbox.ssh.sql import host_authorities as authority_sql
from clawdbox.ssh.wire.public_keys import is_public_key
from clawdbox.store import Reader, Store, Tx


class Pasted(msgspec.Struct, frozen=True):
    """The texts, and who is meant where the file names no user."""

    config: str
    known_hosts: str
    default_username: str


class Choice(msgspec.Struct, frozen=True):
    """A row by its name, with another label if the person gave one."""

    name: str
    label: str | None = None


class Imported(msgspec.Struct, frozen=True):
    connections: list[Connection]
    authorities: list[HostAuthority]


class Imports:
    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        addresses: Addresses,
        trail: Trail,
        authorities: HostAuthorities,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._addresses = addresses
        self._trail = trail
        self._authorities = authorities
        self._one_at_a_time = asyncio.Lock()  # a large file takes a second of a core

    async def preview(self, account_id: str, pasted: Pasted) -> ImportPlan:
        """What would be saved. Raises Invalid for texts that are too large."""
        plan, _ = await self._plan(account_id, pasted)
        return plan

    async def run(
        self,
        actor: Actor,
        account_id: str,
        pasted: Pasted,
        choices: Sequence[Choice],
        fingerprints: Sequence[str],
    ) -> Imported:
        """Save the chosen rows with the jump hosts they need, and the marks with these fingerprints, all or nothing.

        Raises Conflict (`label_taken`, `import_impossible`, `authority_limit_reached`). Every connection is a draft; a
        host key from known_hosts is pinned, since the person trusted it before.
        """
        plan, marks = await self._plan(account_id, pasted)
        rows = rules.with_jumps(plan.rows, [choice.name for choice in choices])
        labels = {choice.name: names.label(choice.label) for choice in choices if choice.label is not None}
        wanted = [mark for mark in marks if mark.fingerprint in fingerprints]

        def change(tx: Tx) -> Imported:
            saved: dict[str, Connection] = {}
            for row in rows:
                saved[row.name] = self._save(
                    tx, actor, account_id, row, labels.get(row.name, row.label), saved, plan
                )
            added = [self._authorities.add_in(tx, actor, account_id, mark) for mark in wanted]
            detail = {"connections": len(saved), "host_authorities": len(added)}
            self._ledger.audit(tx, actor, "connection.import", detail=detail, account_id=account_id)
            return Imported(list(saved.values()), added)

        return await self._store.write(change)

    def _save(
        self,
        tx: Tx,
        actor: Actor,
        account_id: str,
        row: ImportRow,
        label: str,
        saved: dict[str, Connection],
        plan: ImportPlan,
    ) -> Connection:
        if sql.by_label(tx, account_id, label):
            raise Conflict(
                "label_taken",
                f"You already have a connection called {label!r}. Choose another name.",
                field=row.name,
            )
        jump = _jump_id(row, saved, plan)
        if jump:
            sql.get(tx, account_id, jump)
        place = connection_rules.Place(label, row.host, row.port, row.username, jump)
        connection = draft(new_id(tx.now), account_id, living_keypair(tx, account_id, None).id, place, tx)
        jump_rules.check_jump(sql.jumps(tx, account_id), connection.id, jump)
        sql.insert(tx, connection)
        detail = {**where_of(connection), "imported": True}
        self._trail.tell(tx, actor, connection, "connection.created", "connection.create", detail)
        if row.host_key:
            connection = self._trail.pin(tx, actor, connection, row.host_key)
            sql.save(tx, connection)
        return connection

    async def _plan(self, account_id: str, pasted: Pasted) -> tuple[ImportPlan, list[authority_rules.Mark]]:
        existing, living = await self._store.read(lambda r: _saved(r, account_id))
        around = rules.Around(
            existing, pasted.default_username.strip(), self._addresses.own_port, self._addresses.loopback
        )
        async with self._one_at_a_time:
            return await asyncio.to_thread(_read, pasted, around, living)


def _saved(r: Reader, account_id: str) -> tuple[list[Connection], list[HostAuthority]]:
    return sql.all_of(r, account_id), authority_sql.living(r, account_id)


def _read(
    pasted: Pasted, around: rules.Around, living: list[HostAuthority]
) -> tuple[ImportPlan, list[authority_rules.Mark]]:
    config = ssh_config.parse(pasted.config)
    known = known_hosts.parse(pasted.known_hosts)
    known_hosts.check_work(known, len(config.aliases))
    rows = rules.Planner(config, known, around).rows()
    there = {(one.kind, one.fingerprint, one.patterns) for one in living}
    unique = {(mark.kind, mark.fingerprint, mark.patterns): mark for mark in known.marks}
    good = [mark for mark in unique.values() if is_public_key(mark.public_key)][: authority_rules.MAX_LIVING]
    marks = [
        ImportMark(
            mark.kind.value,
            mark.label,
            mark.patterns,
            mark.key_type,
            mark.fingerprint,
            (mark.kind, mark.fingerprint, mark.patterns) in there,
        )
        for mark in good
    ]
    new = [mark for mark, shown in zip(good, marks, strict=True) if not shown.there]
    return ImportPlan(rows, marks, [*config.notes, *known.notes]), new


def _jump_id(row: ImportRow, saved: dict[str, Connection], plan: ImportPlan) -> str | None:
    if row.jump is None:
        return None
    if row.jump in saved:
        return saved[row.jump].id
    return next(one.same_as for one in plan.rows if one.name == row.jump)
