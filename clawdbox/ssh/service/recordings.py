"""The verbs of recordings: begun on request or by policy, ended, played, renamed, deleted."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from clawdbox import logs, names
from clawdbox.errors import Conflict, Problem
from clawdbox.events import Actor, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.ssh.model import Terminal
from clawdbox.ssh.model.recordings import Policies, Policy, Recording, RecordingPage, RecordingState
from clawdbox.ssh.rules import cast
from clawdbox.ssh.rules import recordings as rules
from clawdbox.ssh.service.cast_file import CastFile, rescue
from clawdbox.ssh.service.recorder import Recorder
from clawdbox.ssh.service.terminals import LiveTerminal, Terminals
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import recordings as sql
from clawdbox.store import Reader, Store, Tx
from clawdbox.vault import Sealer, Secret, StreamReader, new_stream_key

log = logs.get("ssh")
SWEEP_S = 3600


class Recordings:
    """`folder` holds one sealed file a recording, named by its id. `start` settles what a crash left."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        settings: Settings,
        sealer: Sealer,
        terminals: Terminals,
        folder: Path,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._settings = settings
        self._sealer = sealer
        self._terminals = terminals
        self._folder = folder
        self._running: dict[str, tuple[Recording, Recorder, LiveTerminal]] = {}
        self._untold: dict[str, tuple[Recording, str, int, int]] = {}
        self._kept = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        terminals.tappers.append(self._tap)

    # running

    async def start(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        await self._recover()
        await self.sweep()
        self._scheduler.add_job(self._tidy, "interval", seconds=SWEEP_S, max_instances=1, coalesce=True)
        self._scheduler.start()

    async def stop(self) -> None:
        """The terminals have ended by now; what still runs is ended all the same."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for _, recorder, _ in list(self._running.values()):
            recorder.stop("terminal_ended")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)

    async def sweep(self) -> int:
        """Write down the ends that a full disk refused, and delete what is too old; returns how many those were."""
        for recording, reason, duration_ms, size in list(self._untold.values()):
            await self._write_end(SYSTEM, recording, reason, duration_ms, size)
        oldest = self._store.clock.now() - timedelta(days=self._settings.recordings_keep_days)
        old = await self._store.read(lambda r: sql.ended_before(r, oldest))
        for recording in old:
            await self._delete(SYSTEM, recording, "too_old")
        return len(old)

    async def _tidy(self) -> None:
        try:
            await self.sweep()
        except Exception:
            log.exception("recording.sweep_failed")

    @property
    def used_bytes(self) -> int:
        return self._kept + sum(recorder.size for _, recorder, _ in self._running.values())

    # begin

    async def begin(self, actor: Actor, account_id: str, lease_id: str, terminal_id: str) -> Recording:
        """Record a living terminal from now on. Raises Conflict."""
        live = await self._terminals.live(account_id, lease_id, terminal_id)
        if isinstance(live, Terminal) or not live.is_open:
            raise Conflict("terminal_ended", "This terminal has ended. Open another one to record it.")
        recorder = Recorder(self._store.clock, live.view.cols, live.view.rows)
        live.taps.append(recorder)
        try:
            # Whoever asked may give up while it is being written down: a row that is there has its recorder.
            return await asyncio.shield(asyncio.ensure_future(self._begin(actor, live, recorder, "asked")))
        except asyncio.CancelledError:
            raise
        except BaseException:
            _let_go(live, recorder)
            recorder.forget()
            raise

    async def _tap(self, live: LiveTerminal) -> Recorder | None:
        """What listens to a terminal from its first byte. Raises Conflict `recording_required` when it must, and cannot."""
        owner, connection_id = live.lease.account_id, live.lease.connection_id
        policy = await self._store.read(lambda r: sql.policy(r, owner, connection_id))
        if policy is not Policy.ALWAYS:
            return None
        recorder = Recorder(self._store.clock, live.view.cols, live.view.rows)
        try:
            reason = await self._by_policy(live, recorder)
        except BaseException:
            recorder.stop("terminal_ended")
            raise
        if reason:
            await self._tell_refused(live, reason)
            raise rules.required(reason)
        return recorder

    async def _by_policy(self, live: LiveTerminal, recorder: Recorder) -> str | None:
        """Why it could not begin; None when its file is there."""
        try:
            if short := self._short_of(recorder):
                return short
            await asyncio.shield(asyncio.ensure_future(self._begin(SYSTEM, live, recorder, "policy")))
        except Problem as problem:
            log.warning("recording.not_begun", terminal_id=live.id, problem=problem.code)
            return "disk_full" if problem.code == "storage_full" else "disk_failed"
        except Exception:
            log.exception("recording.begin_failed", terminal_id=live.id)
            return "disk_failed"
        await recorder.begun.wait()
        return recorder.reason

    async def _tell_refused(self, live: LiveTerminal, reason: str) -> None:
        """A full disk may keep even this from being written; the log says it all the same."""
        log.warning("recording.required", terminal_id=live.id, reason=reason)
        lease = live.lease
        detail = {"connection_id": lease.connection_id, "session_id": lease.id, "reason": reason}

        def change(tx: Tx) -> None:
            owner = lease.account_id
            self._ledger.event(tx, owner, "recording.impossible", "terminal", live.id, detail)
            self._ledger.audit(
                tx, SYSTEM, "recording.impossible", "terminal", live.id, detail=detail, account_id=owner
            )

        with suppress(Problem):
            await self._store.write(change)

    async def _begin(self, actor: Actor, live: LiveTerminal, recorder: Recorder, why: str) -> Recording:
        key = new_stream_key()
        used, allowed = self.used_bytes, self._settings.recordings_total_bytes

        def change(tx: Tx) -> Recording:
            if why == "asked":
                policy = sql.policy(tx, live.lease.account_id, live.lease.connection_id)
                rules.check_start(policy, sql.running_on(tx, live.id), used, allowed)
            return self._intend(tx, actor, live, recorder, why, key)

        recording = await self._store.write(change)
        if not live.is_open:
            recorder.stop("terminal_ended")
        self._running[recording.id] = (recording, recorder, live)
        self._later(self._record(recording, recorder, live, key))
        return recording

    def _intend(
        self, tx: Tx, actor: Actor, live: LiveTerminal, recorder: Recorder, why: str, key: Secret
    ) -> Recording:
        lease = live.lease
        recording_id = new_id(tx.now)
        connection = connection_sql.get(tx, lease.account_id, lease.connection_id, deleted=True)
        row = {
            "id": recording_id,
            "account_id": lease.account_id,
            "connection_id": lease.connection_id,
            "session_lease_id": lease.id,
            "terminal_id": live.id,
            "title": connection.label,
            "why": why,
            "cols": recorder.cols,
            "rows": recorder.rows,
            "key_enc": self._sealer.seal(
                "recordings", recording_id, "key_enc", lease.account_id, key.reveal()
            ),
            "started_at": tx.now,
        }
        sql.insert(tx, row)
        recording = sql.get(tx, lease.account_id, recording_id)
        self._tell(tx, actor, recording, "recording.started", "recording.start", {"why": why})
        return recording

    # write

    async def _record(
        self, recording: Recording, recorder: Recorder, live: LiveTerminal, key: Secret
    ) -> None:
        def create() -> CastFile:
            header = cast.header(recorder.cols, recorder.rows, recording.started_at)
            return CastFile.create(self._path(recording), key, recording.id, header)

        try:
            reason = await recorder.write(create, lambda: self._short_of(recorder))
        except Exception:
            log.exception("recording.failed", recording_id=recording.id)
            reason = "disk_failed"
            recorder.stop(reason)
        _let_go(live, recorder)
        del self._running[recording.id]
        self._kept += recorder.size
        try:
            await self._write_end(SYSTEM, recording, reason, int(recorder.seconds * 1000), recorder.size)
        finally:
            recorder.over.set()
            live.notify()

    def _short_of(self, recorder: Recorder) -> str | None:
        if recorder.size >= self._settings.recording_max_bytes:
            return "too_long"
        if self.used_bytes >= self._settings.recordings_total_bytes:
            return "recordings_full"
        found = os.statvfs(self._folder)
        return (
            "disk_full"
            if found.f_bavail * found.f_frsize < self._settings.recordings_keep_free_bytes
            else None
        )

    async def _write_end(
        self, actor: Actor, recording: Recording, reason: str, duration_ms: int, size: int
    ) -> None:
        """One that the disk refuses is told at the next sweep."""
        state = rules.ENDS[reason]

        def change(tx: Tx) -> None:
            if sql.end(tx, recording.id, state, reason, duration_ms, size):
                detail = {"state": state, "end_reason": reason, "size_bytes": size}
                self._tell(tx, actor, recording, "recording.ended", "recording.end", detail)

        try:
            await self._store.write(change)
            self._untold.pop(recording.id, None)
        except Problem as problem:
            log.warning("recording.end_not_written", recording_id=recording.id, problem=problem.code)
            self._untold[recording.id] = (recording, reason, duration_ms, size)

    # the verbs

    async def end(self, actor: Actor, account_id: str, recording_id: str) -> Recording:
        """Stop it; the terminal goes on. Raises Conflict."""

        def check(tx: Tx) -> None:
            recording = sql.get(tx, account_id, recording_id)
            rules.check_stop(recording, sql.policy(tx, account_id, recording.connection_id))
            self._ledger.audit(tx, actor, "recording.stop", "recording", recording_id, account_id=account_id)

        await self._store.write(check)
        if running := self._running.get(recording_id):
            _, recorder, live = running
            _let_go(live, recorder)
            recorder.stop("asked")
            await recorder.over.wait()
        return await self.get(account_id, recording_id)

    async def get(self, account_id: str, recording_id: str) -> Recording:
        return self._present(await self._store.read(lambda r: sql.get(r, account_id, recording_id)))

    async def page(self, account_id: str, **wanted: Any) -> RecordingPage:
        """See `sql.recordings.page`."""
        found, total = await self._store.read(lambda r: sql.page(r, account_id, **wanted))
        allowed = self._settings.recordings_total_bytes
        return RecordingPage([self._present(each) for each in found], total, self.used_bytes, allowed)

    async def rename(self, actor: Actor, account_id: str, recording_id: str, title: str) -> Recording:
        name = names.label(title, "title")

        def change(tx: Tx) -> Recording:
            before = sql.get(tx, account_id, recording_id)
            sql.rename(tx, recording_id, name)
            detail = {"before": before.title, "after": name}
            self._tell(tx, actor, before, "recording.renamed", "recording.rename", detail)
            return sql.get(tx, account_id, recording_id)

        return self._present(await self._store.write(change))

    async def delete(self, actor: Actor, account_id: str, recording_id: str) -> Recording:
        """The key first, the file after it: what is left of it anywhere opens no more. Raises Conflict."""
        recording = await self.get(account_id, recording_id)
        await self._delete(actor, recording, "asked")
        return recording

    async def _delete(self, actor: Actor, recording: Recording, reason: str) -> None:
        def change(tx: Tx) -> Recording:
            present = sql.get(tx, recording.account_id, recording.id)
            rules.check_delete(present)
            sql.delete(tx, recording.id)
            detail = {"reason": reason, "title": present.title}
            self._tell(tx, actor, present, "recording.deleted", "recording.delete", detail)
            return present

        gone = await self._store.write(change)
        self._kept = max(0, self._kept - (gone.size_bytes or 0))
        await asyncio.to_thread(self._path(gone).unlink, missing_ok=True)

    async def play(
        self, actor: Actor, account_id: str, recording_id: str, *, export: bool
    ) -> AsyncIterator[bytes]:
        """The asciicast, a chunk at a time. All of it is checked before the first: raises Conflict `recording_damaged`."""
        recording = await self.get(account_id, recording_id)
        sealed = await self._store.read(lambda r: sql.sealed_key(r, recording_id))
        key = Secret(self._sealer.open("recordings", recording_id, "key_enc", account_id, sealed))
        count = await asyncio.to_thread(self._whole_chunks, recording, key)
        action = "recording.export" if export else "recording.play"
        await self._store.write(
            lambda tx: self._ledger.audit(tx, actor, action, "recording", recording_id, account_id=account_id)
        )
        return self._stream(recording, key, count)

    def _whole_chunks(self, recording: Recording, key: Secret) -> int:
        try:
            with StreamReader(self._path(recording), key, recording.id) as reader:
                for _ in reader:
                    pass
                if rules.is_whole(
                    recording, finished=reader.is_finished, was_cut=reader.was_cut, size=reader.size
                ):
                    return len(reader.slices)
        except Problem:
            pass
        raise Conflict(
            "recording_damaged",
            "The file of this recording was changed or lost, so it is not played. Restore it from a backup, or delete it.",
        )

    async def _stream(self, recording: Recording, key: Secret, count: int) -> AsyncIterator[bytes]:
        with StreamReader(self._path(recording), key, recording.id) as reader:
            for index in range(count):
                chunk = await asyncio.to_thread(reader.chunk, index)
                yield _titled(chunk, recording.title) if index == 0 else chunk

    # policies

    async def policies(self, account_id: str) -> Policies:
        return await self._store.read(lambda r: sql.policies(r, account_id))

    async def choose(
        self, actor: Actor, account_id: str, connection_id: str | None, record: Policy | None
    ) -> Policies:
        """For one connection, or for all that do not choose; None follows the default again. For terminals to come."""

        def change(tx: Tx) -> Policies:
            if connection_id is not None:
                connection_sql.get(tx, account_id, connection_id)
            sql.choose(tx, account_id, connection_id, record)
            detail = {"connection_id": connection_id, "record": record}
            self._ledger.event(tx, account_id, "recording.policy", "account", account_id, detail)
            self._ledger.audit(
                tx, actor, "recording.policy", "account", account_id, detail=detail, account_id=account_id
            )
            return sql.policies(tx, account_id)

        return await self._store.write(change)

    # what a crash left

    async def _recover(self) -> None:
        for recording in await self._store.read(lambda r: sql.in_state(r, RecordingState.RECORDING)):
            sealed = await self._store.read(lambda r, id_=recording.id: sql.sealed_key(r, id_))  # type: ignore[misc]
            reason, duration_ms, size = await asyncio.to_thread(self._rescue, recording, sealed)
            log.warning("recording.recovered", recording_id=recording.id, end_reason=reason)
            await self._write_end(SYSTEM, recording, reason, duration_ms, size)
        living = await self._store.read(_living_ids)
        self._kept = await asyncio.to_thread(self._take_stock, living)

    def _rescue(self, recording: Recording, sealed: str) -> tuple[str, int, int]:
        try:
            key = Secret(
                self._sealer.open("recordings", recording.id, "key_enc", recording.account_id, sealed)
            )
            found = rescue(self._path(recording), key, recording.id, rules.LAST_WORDS["box_crashed"])
        except (Problem, OSError):
            return "disk_failed", 0, 0
        return ("box_crashed" if found.was_cut else "terminal_ended"), int(found.seconds * 1000), found.size

    def _take_stock(self, living: set[str]) -> int:
        """Bytes of the files there are; those of deleted recordings go, which a crash can have left."""
        size = 0
        for path in self._folder.glob("*.cast"):  # a disk of its own has a lost+found, too
            if path.stem in living:
                size += path.stat(follow_symlinks=False).st_size
            else:
                path.unlink(missing_ok=True)
        return size

    def _present(self, recording: Recording) -> Recording:
        """A running one with its size and length so far; one whose end the disk refused, as it is."""
        if found := self._running.get(recording.id):
            _, recorder, _ = found
            return msgspec.structs.replace(
                recording, duration_ms=int(recorder.seconds * 1000), size_bytes=recorder.size
            )
        if untold := self._untold.get(recording.id):
            _, reason, duration_ms, size = untold
            return msgspec.structs.replace(
                recording,
                state=rules.ENDS[reason],
                end_reason=reason,
                duration_ms=duration_ms,
                size_bytes=size,
            )
        return recording

    def _path(self, recording: Recording) -> Path:
        return self._folder / f"{recording.id}.cast"

    def _tell(
        self, tx: Tx, actor: Actor, recording: Recording, event: str, action: str, detail: dict[str, Any]
    ) -> None:
        owner = recording.account_id
        where = {
            "connection_id": recording.connection_id,
            "session_id": recording.session_lease_id,
            "terminal_id": recording.terminal_id,
        }
        self._ledger.event(tx, owner, event, "recording", recording.id, {**where, **detail})
        self._ledger.audit(
            tx, actor, action, "recording", recording.id, detail={**where, **detail}, account_id=owner
        )

    def _later(self, job: Any) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _let_go(live: LiveTerminal, recorder: Recorder) -> None:
    if recorder in live.taps:
        live.taps.remove(recorder)


def _titled(chunk: bytes, title: str) -> bytes:
    header, newline, rest = chunk.partition(b"\n")
    return cast.titled(header, title) + rest if newline else chunk


def _living_ids(r: Reader) -> set[str]:
    return sql.living_ids(r)
