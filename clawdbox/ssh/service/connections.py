"""The verbs of saved connections."""

from collections.abc import Callable
from typing import Any

import msgspec

from clawdbox.errors import Conflict
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.policy import Tier
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection, KeyRemoval, TestOutcome
from clawdbox.ssh.rules import connections as rules
from clawdbox.ssh.rules import jumps as jump_rules
from clawdbox.ssh.service.connection_tests import ConnectionTests
from clawdbox.ssh.service.dialling import Addresses, Dialler
from clawdbox.ssh.service.key_removal import NOT_ASKED, take_key_off
from clawdbox.ssh.service.trail import Trail
from clawdbox.ssh.service.ways import living_keypair
from clawdbox.ssh.sql import connections as sql
from clawdbox.ssh.sql import kept_terminals as kept_sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Reader, Store, Tx

_DEMO = "demo_connection"


class Connections:
    """Every verb takes the account whose connections it may touch; another account's are NotFound.

    `on_removed` runs within the transaction of a removal.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        settings: Settings,
        addresses: Addresses,
        dialler: Dialler,
        trail: Trail,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._addresses = addresses
        self._dialler = dialler
        self._trail = trail
        self._tests = ConnectionTests(store, settings, dialler, trail)
        self.on_removed: Callable[[Tx, Connection], None] = lambda _tx, _connection: None

    async def list(self, account_id: str) -> list[Connection]:
        return await self._store.read(lambda r: sql.all_of(r, account_id))

    async def active_sessions(self, account_id: str) -> dict[str, str]:
        """connection id → its newest open lease"""
        return await self._store.read(lambda r: lease_sql.newest_open(r, account_id))

    async def get(self, account_id: str, connection_id: str, *, deleted: bool = False) -> Connection:
        return await self._store.read(lambda r: sql.get(r, account_id, connection_id, deleted=deleted))

    async def create(
        self,
        actor: Actor,
        account_id: str,
        *,
        label: str,
        host: str,
        port: int,
        username: str,
        keypair_id: str | None,
        jump_connection_id: str | None = None,
    ) -> Connection:
        place = self._place(label, host, port, username, jump_connection_id)

        def change(tx: Tx) -> Connection:
            _refuse_label(tx, account_id, place.label, None)
            keypair = living_keypair(tx, account_id, keypair_id)
            connection = draft(new_id(tx.now), account_id, keypair.id, place, tx)
            _check_jump(tx, connection)
            sql.insert(tx, connection)
            self._trail.tell(
                tx, actor, connection, "connection.created", "connection.create", where_of(connection)
            )
            return connection

        return await self._store.write(change)

    async def change(
        self,
        actor: Actor,
        account_id: str,
        connection_id: str,
        *,
        label: str | None = None,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        keypair_id: str | None = None,
        jump_connection_id: str | msgspec.UnsetType | None = msgspec.UNSET,
        tier: str | None = None,
        judge_people: bool | None = None,
    ) -> Connection:
        """What is None or unset stays as it is; a `jump_connection_id` of None means a direct way."""

        def change(tx: Tx) -> Connection:
            before = sql.get(tx, account_id, connection_id)
            place = self._place(
                before.label if label is None else label,
                before.host if host is None else host,
                before.port if port is None else port,
                before.username if username is None else username,
                before.jump_connection_id if jump_connection_id is msgspec.UNSET else jump_connection_id,
                unless=before,
            )
            _refuse_label(tx, account_id, place.label, connection_id)
            keypair = living_keypair(tx, account_id, keypair_id) if keypair_id else None
            sessions = lease_sql.open_on_connection(tx, connection_id)
            after = rules.edited(
                before, place, keypair.id if keypair else before.keypair_id, sessions, tx.now
            )
            if after.jump_connection_id != before.jump_connection_id:
                _check_jump(tx, after)
            after = msgspec.structs.replace(
                after,
                tier=before.tier if tier is None else tier,
                judge_people=before.judge_people if judge_people is None else judge_people,
            )
            sql.save(tx, after)
            detail = {"before": _told(before), "after": _told(after)}
            self._trail.tell(tx, actor, after, "connection.updated", "connection.update", detail)
            return after

        return await self._store.write(change)

    async def remove(
        self, actor: Actor, account_id: str, connection_id: str, *, remove_key: bool
    ) -> tuple[Connection, KeyRemoval]:
        """Soft-delete; before it, on request, take the key off the server and tell whether that worked."""
        connection = await self.get(account_id, connection_id)
        await self._store.read(lambda r: _refuse_in_use(r, connection))
        removal = await take_key_off(self._store, self._dialler, connection) if remove_key else NOT_ASKED

        def change(tx: Tx) -> Connection:
            now = sql.get(tx, account_id, connection_id)
            _refuse_in_use(tx, now)
            after = msgspec.structs.replace(now, deleted_at=tx.now, updated_at=tx.now)
            sql.save(tx, after)
            kept_sql.end_of_connection(tx, connection_id, "connection_removed")
            self.on_removed(tx, after)
            detail = {**where_of(after), "key_removed": removal.removed}
            self._trail.tell(tx, actor, after, "connection.deleted", "connection.delete", detail)
            return after

        return await self._store.write(change), removal

    async def test(
        self,
        actor: Actor,
        account_id: str,
        connection_id: str,
        *,
        accept_host_key: bool,
        fingerprint: str | None,
    ) -> TestOutcome:
        """See `ConnectionTests.run`."""
        return await self._tests.run(
            actor, account_id, connection_id, accept_host_key=accept_host_key, fingerprint=fingerprint
        )

    # the owner's choice about loopback

    async def loopback_allowed(self) -> bool:
        return self._addresses.loopback

    @property
    def loopback_fixed(self) -> bool:
        return self._addresses.fixed

    async def allow_loopback(self, actor: Actor, allowed: bool) -> None:
        def change(tx: Tx) -> None:
            tx.run("INSERT OR REPLACE INTO box_meta VALUES ('allow_loopback', ?)", ("1" if allowed else "0",))
            self._ledger.audit(tx, actor, "settings.allow_loopback", detail={"allowed": allowed})

        await self._store.write(change)
        self._addresses.by_setting = allowed

    async def load_loopback(self) -> None:
        value = await self._store.read(
            lambda r: r.value("SELECT value FROM box_meta WHERE key = 'allow_loopback'")
        )
        self._addresses.by_setting = value == "1"

    # the demo server

    async def save_demo(self, account_id: str, label: str, host: str, port: int, username: str) -> None:
        """Save the box's own demo server, or follow it to the port it got this time; its pin stays, and its key is the one
        that the demo lets in."""
        self._addresses.demo_port = port

        def change(tx: Tx) -> None:
            keypair = living_keypair(tx, account_id, None)
            known = tx.value("SELECT value FROM box_meta WHERE key = ?", (_DEMO,))
            existing = sql.find(tx, account_id, known) if known else None
            if existing:
                where = {"host": host, "port": port, "username": username, "keypair_id": keypair.id}
                sql.save(tx, msgspec.structs.replace(existing, **where, updated_at=tx.now))
                return
            free = label if sql.by_label(tx, account_id, label) is None else f"{label} of this box"
            place = rules.Place(free, host, port, username)
            connection = draft(new_id(tx.now), account_id, keypair.id, place, tx)
            sql.insert(tx, connection)
            tx.run("INSERT OR REPLACE INTO box_meta VALUES (?, ?)", (_DEMO, connection.id))
            self._trail.tell(
                tx, Actor(), connection, "connection.created", "connection.create", where_of(connection)
            )

        await self._store.write(change)

    def _place(
        self,
        label: str,
        host: str,
        port: int,
        username: str,
        jump: str | None,
        unless: Connection | None = None,
    ) -> rules.Place:
        same = unless is not None and (host, port, jump) == (
            unless.host,
            unless.port,
            unless.jump_connection_id,
        )
        allowed = same or self._addresses.loopback_for(port)
        return rules.check_place(label, host, port, username, self._addresses.own_port, allowed, jump)


def demo_is(r: Reader, connection_id: str) -> bool:
    """Whether this connection is the box's own demo server."""
    return bool(r.value("SELECT value FROM box_meta WHERE key = ?", (_DEMO,)) == connection_id)


def _refuse_label(r: Reader, account_id: str, label: str, unless: str | None) -> None:
    taken = sql.by_label(r, account_id, label)
    if taken and taken.id != unless:
        raise Conflict(
            "label_taken",
            f"You already have a connection called {label!r}. Choose another name.",
            field="label",
        )


def _refuse_in_use(r: Reader, connection: Connection) -> None:
    jump_rules.check_removal(connection, sql.jumping(r, connection.id))
    sessions = lease_sql.open_on_connection(r, connection.id)
    if sessions:
        raise rules.in_use(sessions, "Close it before you remove the connection.")


def _check_jump(r: Reader, connection: Connection) -> None:
    """Raises NotFound for a jump host that is not this account's, and Conflict for a chain that cannot be."""
    if connection.jump_connection_id:
        sql.get(r, connection.account_id, connection.jump_connection_id)
        jumps = sql.jumps(r, connection.account_id)
        jump_rules.check_jump(jumps, connection.id, connection.jump_connection_id)


def draft(connection_id: str, account_id: str, keypair_id: str, place: rules.Place, tx: Tx) -> Connection:
    never = dict.fromkeys(Connection.__struct_fields__)
    known = {"id": connection_id, "account_id": account_id, "keypair_id": keypair_id}
    times = {"created_at": tx.now, "updated_at": tx.now}
    agents = {"tier": Tier.PRODUCTION.value, "judge_people": False}
    return Connection(**{**never, **known, **msgspec.structs.asdict(place), **times, **agents})


def where_of(connection: Connection) -> dict[str, Any]:
    return {
        "label": connection.label,
        "host": connection.host,
        "port": connection.port,
        "username": connection.username,
        "jump_connection_id": connection.jump_connection_id,
    }


def _told(connection: Connection) -> dict[str, Any]:
    return {**where_of(connection), "tier": connection.tier, "judge_people": connection.judge_people}
