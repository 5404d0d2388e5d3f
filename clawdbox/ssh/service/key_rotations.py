"""The exchange of a keypair: installed beside the old one on each server, verified, switched, and a week later revoked.

Each edit of a server is announced in the database before it is made, and looks first whether it was made already, so
that after a crash the rotation goes on where it was.
"""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from clawdbox import logs
from clawdbox.errors import Conflict, NotFound, Problem
from clawdbox.events import Actor, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id
from clawdbox.keys import rules as key_rules
from clawdbox.keys import sql as key_sql
from clawdbox.keys.model import Keypair, KeyState
from clawdbox.keys.service import Keys
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection
from clawdbox.ssh.model.key_rotations import Rotation, RotationState, RotationStep, StepState
from clawdbox.ssh.rules import key_rotations as rules
from clawdbox.ssh.service.connection_tests import echo
from clawdbox.ssh.service.dialling import Dialler
from clawdbox.ssh.service.key_removal import remove_line
from clawdbox.ssh.service.trail import Trail
from clawdbox.ssh.service.ways import pinned_key, way_to
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import key_rotations as sql
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.store import Reader, Store, Tx

log = logs.get("ssh")
_TIMEOUT_S = 15.0
_AT_ONCE = 4
_AGAIN = "Look at the server, then try again."
_UNTESTED = "It was never entered, so nothing was changed there. Install the new key before you test it."

Told = tuple[Rotation, list[RotationStep]]


class _Failure(msgspec.Struct, frozen=True):
    cause: str
    message: str
    next_step: str


class KeyRotations:
    """`is_demo` and `let_in_demo` are handed in by the app: the box's own server takes its key from the box."""

    def __init__(
        self, store: Store, ledger: Ledger, settings: Settings, keys: Keys, dialler: Dialler, trail: Trail
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._keep_days = settings.keypair_keep_days
        self._interval_s = settings.janitor_interval_s
        self._keys = keys
        self._dialler = dialler
        self._trail = trail
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places: weakref.WeakValueDictionary[tuple[str, int, str], asyncio.Lock] = (
            weakref.WeakValueDictionary()
        )
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._sweeping = asyncio.Lock()
        self.is_demo: Callable[[Reader, str], bool] = lambda _r, _connection_id: False
        self.let_in_demo: Callable[[str], None] = lambda _public_key: None

    async def start(self) -> None:
        """Go on with what a stop or a crash interrupted."""
        for rotation in await self._store.read(sql.running):
            self._go(rotation.id, self._run(rotation.id))
        for rotation in await self._store.read(sql.untidy):
            new = await self._keys.get(rotation.account_id, rotation.new_keypair_id)
            self._go(rotation.id, self._take_off(rotation.id, new))
        self._scheduler.add_job(
            self.sweep, "interval", seconds=self._interval_s, max_instances=1, coalesce=True
        )
        self._scheduler.start()

    async def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # the verbs

    async def begin(self, actor: Actor, account_id: str, keypair_id: str) -> Told:
        """Make the new key and begin to install it. Raises Conflict `keypair_rotating` or `keypair_revoked`."""

        def change(tx: Tx) -> Told:
            old = key_sql.get(tx, account_id, keypair_id)
            if old.state is not KeyState.ACTIVE:
                raise Conflict("keypair_revoked", "This key is not in use any more. Rotate its successor.")
            if sql.unfinished_of(tx, keypair_id):
                raise Conflict("keypair_rotating", "This key is being rotated. Look at how far that is.")
            taken = {keypair.label for keypair in key_sql.all_of(tx, account_id)}
            new, _ = self._keys.create_in(tx, actor, account_id, key_rules.next_label(old.label, taken))
            rotation = Rotation(new_id(tx.now), account_id, old.id, new.id, RotationState.RUNNING, tx.now)
            sql.insert(tx, rotation)
            self._add_steps(tx, rotation)
            self._tell(tx, actor, rotation, "keypair.rotation_started", "keypair.rotate")
            return rotation, sql.steps(tx, rotation.id)

        rotation, steps = await self._store.write(change)
        self._go(rotation.id, self._run(rotation.id))
        return rotation, steps

    async def get(self, account_id: str, keypair_id: str) -> Told:
        def found(r: Reader) -> Told:
            rotation = sql.of_keypair(r, account_id, keypair_id)
            return rotation, sql.steps(r, rotation.id)

        return await self._store.read(found)

    async def retry(self, actor: Actor, account_id: str, keypair_id: str) -> Told:
        """Try the failed ones again, and those that came since. Raises Conflict `rotation_over`."""

        def change(tx: Tx) -> Told:
            rotation = sql.of_keypair(tx, account_id, keypair_id)
            if rotation.state is RotationState.RUNNING:
                return rotation, sql.steps(tx, rotation.id)
            rotation = rules.become(rotation, RotationState.RUNNING, tx.now)
            sql.save(tx, rotation)
            for step in sql.steps(tx, rotation.id):
                if step.state is StepState.FAILED:
                    _mark(tx, step, StepState.WAITING)
            self._tell(tx, actor, rotation, "keypair.rotation_started", "keypair.rotate")
            return rotation, sql.steps(tx, rotation.id)

        rotation, steps = await self._store.write(change)
        self._go(rotation.id, self._run(rotation.id))
        return rotation, steps

    async def cancel(self, actor: Actor, account_id: str, keypair_id: str) -> Told:
        """Before any connection was switched: the new key is revoked, and its line goes from where it may stand."""

        def change(tx: Tx) -> Rotation:
            rotation = sql.of_keypair(tx, account_id, keypair_id)
            rules.check_cancel(sql.steps(tx, rotation.id))
            after = rules.become(rotation, RotationState.CANCELLED, tx.now)
            sql.save(tx, after)
            for step in sql.steps(tx, rotation.id):
                _mark(tx, step, StepState.REMOVING if step.is_edited else StepState.SKIPPED)
            self._tell(tx, actor, after, "keypair.rotation_cancelled", "keypair.cancel_rotation")
            return after

        rotation = await self._store.write(change)
        await self._halt(rotation.id)
        new = await self._keys.get(account_id, rotation.new_keypair_id)
        if new.state is not KeyState.REVOKED:
            await self._keys.revoke(actor, account_id, new.id, force=True)
        self._go(rotation.id, self._take_off(rotation.id, new))
        return await self.get(account_id, keypair_id)

    async def sweep(self) -> None:
        """Revoke the rotated keys whose time is over, after their lines were taken off the servers."""
        async with self._sweeping:
            now = self._store.clock.now()
            for rotation in await self._store.read(lambda r: sql.due(r, now)):
                await self._retire(rotation)

    async def settled(self, rotation_id: str) -> None:
        """Wait for what is under way for this rotation."""
        task = self._tasks.get(rotation_id)
        if task:
            await asyncio.wait([task])

    # one rotation

    def _go(self, rotation_id: str, work: Coroutine[Any, Any, None]) -> None:
        if rotation_id in self._tasks:
            work.close()
            return
        task = asyncio.ensure_future(work)
        self._tasks[rotation_id] = task
        task.add_done_callback(lambda done: self._gone(rotation_id, done))

    def _gone(self, rotation_id: str, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(rotation_id, None)
        if not task.cancelled() and task.exception():
            log.error("rotation.failed", keypair_rotation_id=rotation_id, exc_info=task.exception())

    async def _halt(self, rotation_id: str) -> None:
        task = self._tasks.get(rotation_id)
        if task:
            task.cancel()
            await asyncio.wait([task])
            self._tasks.pop(rotation_id, None)

    async def _run(self, rotation_id: str) -> None:
        while True:
            steps = await self._store.read(lambda r: sql.steps(r, rotation_id))
            await _each([step for step in steps if step.state in rules.OPEN], self._exchange)
            if await self._store.write(lambda tx: self._close(tx, rotation_id)):
                return

    def _close(self, tx: Tx, rotation_id: str) -> bool:
        """Whether nothing is left to do: all switched, or some failed. A connection saved meanwhile gets its turn."""
        rotation = sql.get(tx, rotation_id)
        if rotation.state is not RotationState.RUNNING:
            return True
        self._add_steps(tx, rotation)
        steps = sql.steps(tx, rotation_id)
        if any(step.state in rules.OPEN for step in steps):
            return False
        if not rules.is_complete(steps):
            stalled = rules.become(rotation, RotationState.STALLED, tx.now)
            sql.save(tx, stalled)
            self._tell(tx, SYSTEM, stalled, "keypair.rotation_stalled", None)
            return True
        after = rules.rotated(rotation, tx.now, self._keep_days)
        sql.save(tx, after)
        old = key_sql.get(tx, rotation.account_id, rotation.old_keypair_id)
        if old.state is KeyState.ACTIVE:
            key_sql.save_state(tx, key_rules.rotate(old, tx.now))
        if key_sql.living(tx, rotation.account_id, old.label) is None:
            key_sql.relabel(tx, rotation.new_keypair_id, old.label)
        self._tell(tx, SYSTEM, after, "keypair.rotated", "keypair.rotated")
        return True

    def _add_steps(self, tx: Tx, rotation: Rotation) -> None:
        known = {step.connection_id for step in sql.steps(tx, rotation.id)}
        for connection in sql.entered_by(tx, rotation.old_keypair_id):
            if connection.id not in known:
                nothing = (None, None, None)
                step = RotationStep(
                    new_id(tx.now), rotation.id, connection.id, StepState.WAITING, False, *nothing, tx.now
                )
                sql.insert_step(tx, step)

    # one server

    async def _exchange(self, step: RotationStep) -> None:
        rotation, connection, old, new = await self._store.read(lambda r: _facts(r, step))
        if connection.deleted_at or connection.keypair_id != old.id:
            await self._set(step, StepState.SKIPPED)
            return
        if await self._store.read(lambda r: self.is_demo(r, connection.id)):
            self.let_in_demo(new.public_key)
        elif connection.host_key_fingerprint is None and connection.host_authority_id is None:
            await self._switch(step, rotation, _UNTESTED)
            return
        elif not await self._install(step, connection, old, new):
            return
        if await self._reached(step, connection, new, echo):
            await self._switch(step, rotation, None)

    async def _install(self, step: RotationStep, connection: Connection, old: Keypair, new: Keypair) -> bool:
        if step.state is StepState.INSTALLED:
            return True

        async def edit(link: Link) -> DialFailure | _Failure | None:
            if not await self._set(step, StepState.INSTALLING, is_edited=True):
                return _Failure("cancelled", "The rotation was cancelled.", "")
            command = rules.install_command(old.public_key, new.public_key)
            result = await run(link, command, timeout_s=_TIMEOUT_S, max_output_bytes=4096)
            refused = rules.refusal(result.exit_status, result.stdout)
            return _Failure("not_installed", refused, _AGAIN) if refused else None

        place = (connection.host.lower(), connection.port, connection.username)
        async with self._places.setdefault(place, asyncio.Lock()):  # two connections may share one file
            if not await self._reached(step, connection, old, edit):
                return False
        return await self._set(step, StepState.INSTALLED)

    async def _reached(
        self,
        step: RotationStep,
        connection: Connection,
        keypair: Keypair,
        work: Callable[[Link], Awaitable[DialFailure | _Failure | None]],
    ) -> bool:
        """Log in by this key and do something there; what goes wrong is written down as the step's."""
        failure: DialFailure | _Failure | None
        try:
            failure = await self._within(connection, keypair, work)
        except DialFailure as problem:
            failure = problem
        except Problem as problem:
            failure = _Failure(problem.code, problem.message, _AGAIN)
        except (LinkLost, ChannelRefused):
            failure = _Failure("lost", "The link broke in between.", _AGAIN)
        except TimeoutError:
            failure = _Failure("timeout", "The server took too long to answer.", _AGAIN)
        if failure:
            await self._set(step, StepState.FAILED, failure)
        return failure is None

    async def _within(
        self,
        connection: Connection,
        keypair: Keypair,
        work: Callable[[Link], Awaitable[DialFailure | _Failure | None]],
    ) -> DialFailure | _Failure | None:
        if keypair.state is not KeyState.ACTIVE:
            raise Conflict("keypair_revoked", f"The key {keypair.label} was revoked meanwhile.")
        way = await self._store.read(lambda r: way_to(r, connection, keypair, pinned_key(connection)))
        async with asyncio.timeout(2 * _TIMEOUT_S * len(way)):
            link = await self._dialler.dial(way)
            try:
                return await work(link)
            finally:
                await link.close()

    async def _switch(self, step: RotationStep, rotation: Rotation, message: str | None) -> None:
        def change(tx: Tx) -> None:
            now = sql.step(tx, step.id)
            connection = connection_sql.get(tx, rotation.account_id, step.connection_id, deleted=True)
            if sql.get(tx, rotation.id).state is not RotationState.RUNNING:
                return
            if connection.deleted_at or connection.keypair_id != rotation.old_keypair_id:
                _mark(tx, now, StepState.SKIPPED)
                return
            after = msgspec.structs.replace(connection, keypair_id=rotation.new_keypair_id, updated_at=tx.now)
            connection_sql.save(tx, after)
            _mark(tx, now, StepState.SWITCHED, message=message)
            detail = {"keypair_id": rotation.new_keypair_id, "before": rotation.old_keypair_id}
            self._trail.tell(tx, SYSTEM, after, "connection.updated", "connection.switch_key", detail)

        await self._store.write(change)

    async def _set(
        self,
        step: RotationStep,
        state: StepState,
        failure: DialFailure | _Failure | None = None,
        *,
        is_edited: bool = False,
    ) -> bool:
        """False, and nothing is written, when the rotation goes on no more."""

        def change(tx: Tx) -> bool:
            if sql.get(tx, step.keypair_rotation_id).state is not RotationState.RUNNING:
                return False
            _mark(tx, sql.step(tx, step.id), state, failure, is_edited=is_edited)
            return True

        return await self._store.write(change)

    # the end of a key

    async def _retire(self, rotation: Rotation) -> None:
        old = await self._keys.get(rotation.account_id, rotation.old_keypair_id)

        def intend(tx: Tx) -> None:
            for step in sql.steps(tx, rotation.id):
                if step.state is StepState.SWITCHED:
                    _mark(tx, step, StepState.REMOVING)

        await self._store.write(intend)
        await self._take_off(rotation.id, old)
        if old.state is not KeyState.REVOKED:
            await self._keys.revoke(SYSTEM, rotation.account_id, old.id, force=True)

        def end(tx: Tx) -> None:
            after = rules.become(sql.get(tx, rotation.id), RotationState.REVOKED, tx.now)
            sql.save(tx, after)

        await self._store.write(end)

    async def _take_off(self, rotation_id: str, keypair: Keypair) -> None:
        """The line of this key goes from every server of the rotation; where that fails, the step says so."""
        steps = await self._store.read(lambda r: sql.steps(r, rotation_id))

        async def one(step: RotationStep) -> None:
            _, connection, _, _ = await self._store.read(lambda r: _facts(r, step))
            state, message = await self._taken_off(connection, keypair)
            await self._store.write(lambda tx: _mark(tx, sql.step(tx, step.id), state, message=message))

        await _each([step for step in steps if step.state is StepState.REMOVING], one)

    async def _taken_off(self, connection: Connection, keypair: Keypair) -> tuple[StepState, str]:
        if connection.deleted_at:
            return StepState.LEFT, "The connection was removed. Take the line off by hand."
        if connection.host_key_fingerprint is None and connection.host_authority_id is None:
            return StepState.LEFT, "The server was never entered. Take the line off by hand, if it is there."
        try:
            current = await self._keys.get(connection.account_id, connection.keypair_id)
            way = await self._store.read(lambda r: way_to(r, connection, current, pinned_key(connection)))
            async with asyncio.timeout(2 * _TIMEOUT_S * len(way)):
                link = await self._dialler.dial(way)
                try:
                    removal = await remove_line(link, keypair)
                finally:
                    await link.close()
        except (DialFailure, Conflict, NotFound) as failure:
            return StepState.LEFT, f"The key is still on the server: {failure.message}"
        except TimeoutError:
            return StepState.LEFT, "The key is still on the server: it took too long to answer."
        return (StepState.REMOVED if removal.removed else StepState.LEFT), removal.message

    def _tell(self, tx: Tx, actor: Actor, rotation: Rotation, event: str, action: str | None) -> None:
        detail = {
            "keypair_rotation_id": rotation.id,
            "old_keypair_id": rotation.old_keypair_id,
            "new_keypair_id": rotation.new_keypair_id,
            "failed": sum(step.state is StepState.FAILED for step in sql.steps(tx, rotation.id)),
        }
        owner, old = rotation.account_id, rotation.old_keypair_id
        self._ledger.event(tx, owner, event, "keypair", old, detail)
        if action:
            self._ledger.audit(tx, actor, action, "agent_keypair", old, detail=detail, account_id=owner)


def _facts(r: Reader, step: RotationStep) -> tuple[Rotation, Connection, Keypair, Keypair]:
    rotation = sql.get(r, step.keypair_rotation_id)
    account_id = rotation.account_id
    return (
        rotation,
        connection_sql.get(r, account_id, step.connection_id, deleted=True),
        key_sql.get(r, account_id, rotation.old_keypair_id),
        key_sql.get(r, account_id, rotation.new_keypair_id),
    )


def _mark(
    tx: Tx,
    step: RotationStep,
    state: StepState,
    failure: DialFailure | _Failure | None = None,
    *,
    message: str | None = None,
    is_edited: bool = False,
) -> None:
    after = msgspec.structs.replace(
        step,
        state=state,
        is_edited=step.is_edited or is_edited,
        cause=failure.cause if failure else None,
        message=failure.message if failure else message,
        next_step=failure.next_step if failure else None,
        updated_at=tx.now,
    )
    sql.save_step(tx, after)


async def _each(steps: list[RotationStep], work: Callable[[RotationStep], Coroutine[Any, Any, None]]) -> None:
    """All of them, a few at once. Where one breaks, the others are stopped before it is told."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(step: RotationStep) -> None:
        async with turns:
            await work(step)

    async with asyncio.TaskGroup() as group:
        for step in steps:
            group.create_task(one(step))
