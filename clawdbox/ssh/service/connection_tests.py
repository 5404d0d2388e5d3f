"""The test of a connection: one login, one echo, one outcome. The host key is that of the login itself."""

import asyncio

from clawdbox import logs
from clawdbox.errors import Problem
from clawdbox.events import Actor
from clawdbox.keys.model import Keypair
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection, HostKey, TestOutcome, TestResult
from clawdbox.ssh.rules import connections as rules
from clawdbox.ssh.rules import host_authorities as authority_rules
from clawdbox.ssh.service.dialling import Dialler
from clawdbox.ssh.service.trail import Trail
from clawdbox.ssh.service.ways import HopUntested, Way, hop_of, living_keypair, offered_key, way_to
from clawdbox.ssh.sql import connections as sql
from clawdbox.ssh.sql import host_authorities as authority_sql
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.store import Reader, Store, Tx

log = logs.get("ssh")
_ECHO = "clawdbox-test"


class ConnectionTests:
    def __init__(self, store: Store, settings: Settings, dialler: Dialler, trail: Trail) -> None:
        self._store = store
        self._settings = settings
        self._dialler = dialler
        self._trail = trail
        self._running: set[asyncio.Task[TestOutcome]] = set()

    async def run(
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
        connection, keypair = await self._store.read(lambda r: _with_key(r, account_id, connection_id))
        trusted = rules.acceptable_key(connection, accept_host_key, fingerprint)
        way = await self._store.read(lambda r: _way(r, connection, keypair, trusted))
        task = asyncio.ensure_future(self._test(actor, connection, way, trusted, accept_host_key))
        self._running.add(task)
        task.add_done_callback(self._tested)
        return await asyncio.shield(task)

    def _tested(self, task: "asyncio.Task[TestOutcome]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may have gone; what came of it is written down

    async def _test(
        self,
        actor: Actor,
        connection: Connection,
        way: Way | HopUntested,
        trusted: HostKey | None,
        accepted: bool,
    ) -> TestOutcome:
        link: Link | None = None
        if isinstance(way, HopUntested):
            return await self._record(actor, connection, None, accepted, way, None)
        patience = self._patience(len(way))
        try:
            async with asyncio.timeout(patience):
                link = await self._dialler.dial(way)
                failure = await echo(link)
        except TimeoutError:
            failure = _too_slow(connection, patience)
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

    def _patience(self, steps: int) -> float:
        """Each jump host gets the time of a test, too, as far as the request lasts."""
        once, request = self._settings.test_timeout_s, self._settings.request_timeout_s
        return max(once, min(once * steps, request - 2))

    async def _show_key(self, actor: Actor, connection: Connection, offered: HostKey) -> Problem:
        """Keep what the server showed, and give the error that shows it to the person."""
        return await self._store.write(
            lambda tx: self._trail.note_key(tx, actor, connection, offered, "connection.test")
        )

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
                after = self._trail.pin(tx, actor, after, key)
            if link and not failure:
                after = rules.vouched(after, _authority_id(tx, after, link))
            sql.save(tx, after)
            hop = self._trail.note_hop(tx, actor, failure, "connection.test") if failure else None
            self._trail.tell(
                tx,
                actor,
                after,
                "connection.tested",
                "connection.test",
                {"result": result, **({"jump_connection_id": hop.id} if hop else {})},
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
            failed_hop=hop_of(failure) if failure else None,
        )


def _way(r: Reader, connection: Connection, keypair: Keypair, trusted: HostKey | None) -> Way | HopUntested:
    try:
        return way_to(r, connection, keypair, trusted)
    except HopUntested as failure:
        return failure


def _with_key(r: Reader, account_id: str, connection_id: str) -> tuple[Connection, Keypair]:
    connection = sql.get(r, account_id, connection_id)
    return connection, living_keypair(r, account_id, connection.keypair_id)


def _authority_id(r: Reader, connection: Connection, link: Link) -> str | None:
    """Which authority spoke for the server, if it was trusted by a certificate."""
    if link.authority is None:
        return None
    living = authority_rules.trusted(
        authority_sql.living(r, connection.account_id), connection.host, connection.port
    )
    return next((one.id for one in living if one.fingerprint == link.authority), None)


async def echo(link: Link) -> DialFailure | None:
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
