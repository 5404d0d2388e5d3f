"""The verbs of saved connections."""

import asyncio
from typing import Any

import msgspec
import structlog

from clawdbox.errors import Conflict
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.keys import rules as key_rules
from clawdbox.keys import sql as key_sql
from clawdbox.keys.model import Keypair
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection, HostKey, KeyRemoval, TestOutcome, TestResult
from clawdbox.ssh.rules import connections as rules
from clawdbox.ssh.service.dialling import Addresses, Dialler, offered_key
from clawdbox.ssh.sql import connections as sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.store import Reader, Store, Tx

log = structlog.get_logger("clawdbox.ssh")
_ECHO = "clawdbox-test"
_REMOVAL_TIMEOUT_S = 15.0


class Connections:
    """Every verb takes the account whose connections it may touch; another account's are NotFound."""

    def __init__(
        self, store: Store, ledger: Ledger, settings: Settings, addresses: Addresses, dialler: Dialler
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._settings = settings
        self._addresses = addresses
        self._dialler = dialler
        self._tests: set[asyncio.Task[TestOutcome]] = set()

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
    ) -> Connection:
        place = self._place(label, host, port, username)

        def change(tx: Tx) -> Connection:
            _refuse_label(tx, account_id, place.label, None)
            keypair = _keypair(tx, account_id, keypair_id)
            connection = _draft(new_id(tx.now), account_id, keypair.id, place, tx)
            sql.insert(tx, connection)
            self._tell(tx, actor, connection, "connection.created", "connection.create", _where(connection))
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
    ) -> Connection:
        def change(tx: Tx) -> Connection:
            before = sql.get(tx, account_id, connection_id)
            place = self._place(
                before.label if label is None else label,
                before.host if host is None else host,
                before.port if port is None else port,
                before.username if username is None else username,
                unless=before,
            )
            _refuse_label(tx, account_id, place.label, connection_id)
            keypair = _keypair(tx, account_id, keypair_id) if keypair_id else None
            sessions = lease_sql.open_on_connection(tx, connection_id)
            after = rules.edited(
                before, place, keypair.id if keypair else before.keypair_id, sessions, tx.now
            )
            sql.save(tx, after)
            detail = {"before": _where(before), "after": _where(after)}
            self._tell(tx, actor, after, "connection.updated", "connection.update", detail)
            return after

        return await self._store.write(change)

    async def remove(
        self, actor: Actor, account_id: str, connection_id: str, *, remove_key: bool
    ) -> tuple[Connection, KeyRemoval]:
        """Soft-delete; before it, on request, take the key off the server and tell whether that worked."""
        connection = await self.get(account_id, connection_id)
        await self._store.read(lambda r: _refuse_in_use(r, connection_id))
        removal = await self._take_key_off(connection) if remove_key else _NOT_ASKED

        def change(tx: Tx) -> Connection:
            now = sql.get(tx, account_id, connection_id)
            _refuse_in_use(tx, connection_id)
            after = msgspec.structs.replace(now, deleted_at=tx.now, updated_at=tx.now)
            sql.save(tx, after)
            detail = {**_where(after), "key_removed": removal.removed}
            self._tell(tx, actor, after, "connection.deleted", "connection.delete", detail)
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
        """Log in and run an echo, within `test_timeout_s`. The outcome is written down whatever becomes of the caller.

        Raises Conflict `host_key_unknown` or `host_key_changed`; nothing was sent to that server but the key exchange.
        """
        connection, keypair = await self._store.read(lambda r: _with_living_key(r, account_id, connection_id))
        trusted = rules.acceptable_key(connection, accept_host_key, fingerprint)
        task = asyncio.ensure_future(self._test(actor, connection, keypair, trusted, accept_host_key))
        self._tests.add(task)
        task.add_done_callback(self._tested)
        return await asyncio.shield(task)

    def _tested(self, task: "asyncio.Task[TestOutcome]") -> None:
        self._tests.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may have gone; what came of it is written down

    async def _test(
        self, actor: Actor, connection: Connection, keypair: Keypair, trusted: HostKey | None, accepted: bool
    ) -> TestOutcome:
        link: Link | None = None
        try:
            async with asyncio.timeout(self._settings.test_timeout_s):
                link = await self._dialler.dial(connection, keypair, trusted)
                failure = await _echo(link)
        except TimeoutError:
            failure = _too_slow(connection, self._settings.test_timeout_s)
        except DialFailure as problem:
            failure = problem
        finally:
            if link:
                await link.close()
        seen = _seen(link, failure)
        if seen and failure and failure.cause in rules.HOST_KEY_CAUSES:
            raise await self._show_key(actor, connection, seen)
        key = seen if _same(seen, trusted) else None
        return await self._record(actor, connection, key, accepted, failure, link)

    async def _show_key(self, actor: Actor, connection: Connection, offered: HostKey) -> Exception:
        """Keep what the server showed, and give the error that shows it to the person."""
        return await self._store.write(
            lambda tx: self.note_key(tx, actor, connection, offered, "connection.test")
        )

    def note_key(
        self, tx: Tx, actor: Actor, connection: Connection, offered: HostKey, action: str
    ) -> Exception:
        """Within a transaction: another key than the pin was seen on this connection, by whatever path."""
        now = sql.get(tx, connection.account_id, connection.id, deleted=True)
        rules.check_same_server(connection, now)
        if now.host_key_fingerprint == offered.fingerprint:
            raise rules.changed_meanwhile()
        sql.save(tx, rules.shown(now, offered, tx.now))
        problem = rules.host_key_problem(now, offered, tx.now)
        kind = problem.code.replace("host_key_", "host_key.")
        detail = {
            "code": problem.code,
            "old_fingerprint": now.host_key_fingerprint,
            "new_fingerprint": offered.fingerprint,
            "new_type": offered.type,
        }
        self._ledger.event(tx, now.account_id, kind, "connection", now.id, detail)
        self._ledger.audit(
            tx,
            actor,
            action,
            "ssh_connection",
            now.id,
            result="failed",
            detail=detail,
            account_id=now.account_id,
        )
        log.warning(kind, connection_id=now.id, account_id=now.account_id)
        return problem

    async def _record(
        self,
        actor: Actor,
        tested: Connection,
        key: HostKey | None,
        accepted: bool,
        failure: DialFailure | None,
        link: Link | None,
    ) -> TestOutcome:
        result = rules.result_of(failure.cause) if failure else TestResult.OK
        latency = round(link.latency_ms, 2) if link and not failure else None
        message = failure.message if failure else f"Logged in to {tested.host} as {tested.username}."

        def change(tx: Tx) -> Connection:
            now = sql.get(tx, tested.account_id, tested.id)
            rules.check_same_server(tested, now)
            if key and not accepted and now.host_key_fingerprint != key.fingerprint:
                raise rules.changed_meanwhile()
            after = rules.tested(now, result, message, latency, tx.now)
            if key:
                after = self._pin(tx, actor, after, key)
            sql.save(tx, after)
            self._tell(
                tx,
                actor,
                after,
                "connection.tested",
                "connection.test",
                {"result": result},
                ok=failure is None,
            )
            return after

        connection = await self._store.write(change)
        log.info(
            "ssh.test", result=str(result), connection_id=connection.id, account_id=connection.account_id
        )
        return TestOutcome(
            result=result,
            latency_ms=latency,
            message=message,
            cause=failure.cause if failure else None,
            next_step=failure.next_step if failure else None,
            host_key=key,
            server_version=link.server_version if link else None,
            connection=connection,
        )

    def _pin(self, tx: Tx, actor: Actor, connection: Connection, key: HostKey) -> Connection:
        if connection.host_key_fingerprint != key.fingerprint:
            detail = {"old_fingerprint": connection.host_key_fingerprint, "new_fingerprint": key.fingerprint}
            self._tell(tx, actor, connection, "host_key.pinned", "host_key.pin", {**detail, "type": key.type})
        return rules.pinned(connection, key, tx.now)

    async def _take_key_off(self, connection: Connection) -> KeyRemoval:
        keypair, twins = await self._store.read(
            lambda r: (key_sql.get(r, connection.account_id, connection.keypair_id), sql.twins(r, connection))
        )
        if twins:
            return KeyRemoval(
                False, None, "The key stays on the server: another saved connection enters by it."
            )
        if connection.host_key_fingerprint is None:
            return KeyRemoval(
                False, None, "The server's host key was never accepted, so the box did not log in to it."
            )
        trusted = HostKey(connection.host_key_fingerprint, connection.host_key_type or "")
        try:
            async with asyncio.timeout(_REMOVAL_TIMEOUT_S):
                link = await self._dialler.dial(connection, keypair, trusted)
                try:
                    return await _remove(link, keypair)
                finally:
                    await link.close()
        except DialFailure as failure:
            return KeyRemoval(True, False, f"The key is still on the server: {failure.message} {_BY_HAND}")
        except TimeoutError:
            return KeyRemoval(
                True, False, f"The key is still on the server: it took too long to answer. {_BY_HAND}"
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
        """Save the box's own demo server, or follow it to the port it got this time; its pin stays, its key does."""
        self._addresses.demo_port = port

        def change(tx: Tx) -> None:
            existing = sql.by_label(tx, account_id, label)
            if existing:
                moved = msgspec.structs.replace(
                    existing, host=host, port=port, username=username, updated_at=tx.now
                )
                sql.save(tx, moved)
                return
            keypair = _keypair(tx, account_id, None)
            place = rules.Place(label, host, port, username)
            connection = _draft(new_id(tx.now), account_id, keypair.id, place, tx)
            sql.insert(tx, connection)
            self._tell(tx, Actor(), connection, "connection.created", "connection.create", _where(connection))

        await self._store.write(change)

    def _place(
        self, label: str, host: str, port: int, username: str, unless: Connection | None = None
    ) -> rules.Place:
        same = unless is not None and (host, port) == (unless.host, unless.port)
        allowed = same or self._addresses.loopback_for(port)
        return rules.check_place(label, host, port, username, self._addresses.own_port, allowed)

    def _tell(
        self,
        tx: Tx,
        actor: Actor,
        connection: Connection,
        event: str,
        action: str,
        detail: dict[str, Any],
        *,
        ok: bool = True,
    ) -> None:
        owner = connection.account_id
        self._ledger.event(tx, owner, event, "connection", connection.id, detail)
        result = "ok" if ok else "failed"
        self._ledger.audit(
            tx, actor, action, "ssh_connection", connection.id, result=result, detail=detail, account_id=owner
        )


_NOT_ASKED = KeyRemoval(False, None, "The key stays on the server.")
_BY_HAND = "Remove its line from ~/.ssh/authorized_keys there by hand, or revoke the key."


async def _echo(link: Link) -> DialFailure | None:
    try:
        result = await run(link, f"echo {_ECHO}", timeout_s=10, max_output_bytes=4096)
    except (LinkLost, ChannelRefused):
        return DialFailure(
            "dropped",
            "The login works, but the server closed the connection when the box asked for a command.",
            "Look at the server's log (journalctl -u ssh), and try again.",
        )
    if result.exit_status == 0 and _ECHO.encode() in result.stdout:
        return None
    return DialFailure(
        "authentication",
        "The login works, but the server did not run a command for this user.",
        "Give the user a login shell there (not nologin), and look for a forced command in its authorized_keys.",
    )


async def _remove(link: Link, keypair: Keypair) -> KeyRemoval:
    command = key_rules.remove_command(keypair.public_key)
    try:
        result = await run(link, command, timeout_s=_REMOVAL_TIMEOUT_S, max_output_bytes=4096)
    except (LinkLost, ChannelRefused):
        return KeyRemoval(
            True, None, f"The link broke in between, so nobody knows whether the key is gone. {_BY_HAND}"
        )
    if result.exit_status == 0 and b"removed" in result.stdout:
        return KeyRemoval(True, True, "The key was taken off the server.")
    if result.exit_status == 0 and b"absent" in result.stdout:
        return KeyRemoval(True, False, f"The key was not found in ~/.ssh/authorized_keys there. {_BY_HAND}")
    return KeyRemoval(True, False, f"The server refused the change. {_BY_HAND}")


def _too_slow(connection: Connection, seconds: float) -> DialFailure:
    return DialFailure(
        "timeout",
        f"{connection.host} did not finish within {seconds:g} seconds.",
        "The server may be overloaded or behind a slow link. Try again in a moment.",
    )


def _seen(link: Link | None, failure: DialFailure | None) -> HostKey | None:
    if link:
        return HostKey(link.offered.fingerprint, link.offered.key_type)
    return offered_key(failure) if failure else None


def _same(offered: HostKey | None, trusted: HostKey | None) -> bool:
    return bool(offered and trusted and offered.fingerprint == trusted.fingerprint)


def _refuse_label(r: Reader, account_id: str, label: str, unless: str | None) -> None:
    taken = sql.by_label(r, account_id, label)
    if taken and taken.id != unless:
        raise Conflict(
            "label_taken",
            f"You already have a connection called {label!r}. Choose another name.",
            field="label",
        )


def _refuse_in_use(r: Reader, connection_id: str) -> None:
    sessions = lease_sql.open_on_connection(r, connection_id)
    if sessions:
        raise rules.in_use(sessions, "Close it before you remove the connection.")


def _keypair(r: Reader, account_id: str, keypair_id: str | None) -> Keypair:
    keypair = key_sql.get(r, account_id, keypair_id) if keypair_id else key_sql.default_living(r, account_id)
    if keypair is None:
        raise Conflict("no_keypair", "There is no living key. Make one on the Keys page first.")
    if not keypair.is_active:
        raise Conflict("keypair_revoked", "This key is revoked. Choose another one.", field="keypair_id")
    return keypair


def _with_living_key(r: Reader, account_id: str, connection_id: str) -> tuple[Connection, Keypair]:
    connection = sql.get(r, account_id, connection_id)
    return connection, _keypair(r, account_id, connection.keypair_id)


def _draft(connection_id: str, account_id: str, keypair_id: str, place: rules.Place, tx: Tx) -> Connection:
    never = dict.fromkeys(Connection.__struct_fields__)
    known = {"id": connection_id, "account_id": account_id, "keypair_id": keypair_id}
    times = {"created_at": tx.now, "updated_at": tx.now}
    return Connection(**{**never, **known, **msgspec.structs.asdict(place), **times})


def _where(connection: Connection) -> dict[str, Any]:
    return {
        "label": connection.label,
        "host": connection.host,
        "port": connection.port,
        "username": connection.username,
    }
