"""Rows of `fleet_runs` and `fleet_answers`."""

from typing import Any

import msgspec

from clawdbox.errors import NotFound
from clawdbox.ssh.model.fleet import SHORT_BYTES, AnswerState, FleetAnswer, FleetRun, Outcome, RunState
from clawdbox.store import Reader, Tx
from clawdbox.store.rows import to_struct

RUN = ", ".join(FleetRun.__struct_fields__)
_OUTCOME = Outcome.__struct_fields__
_ANSWER = (
    "a.id, a.fleet_run_id, a.connection_id, c.label, a.session_lease_id, a.started_at, a.ended_at, "
    + ", ".join(f"a.{name}" for name in _OUTCOME)
)
# One byte more than is shown, which tells that there is more: all that was kept of 200 servers is 25 MiB.
# SQLite makes NULL of a part of nothing.
_SHORT = _ANSWER.replace(
    "a.stdout, a.stderr",
    ", ".join(
        f"coalesce(substr(a.{name}, 1, {SHORT_BYTES + 1}), x'') AS {name}" for name in ("stdout", "stderr")
    ),
)


def get_run(r: Reader, account_id: str, run_id: str) -> FleetRun:
    """Raises NotFound."""
    found = r.struct(
        FleetRun, f"SELECT {RUN} FROM fleet_runs WHERE id = ? AND account_id = ?", (run_id, account_id)
    )
    if found is None:
        raise NotFound
    return found


def runs(r: Reader, account_id: str, limit: int, offset: int) -> tuple[list[FleetRun], int]:
    """(runs, newest first; how many there are in all)"""
    found = r.structs(
        FleetRun,
        f"SELECT {RUN} FROM fleet_runs WHERE account_id = ? ORDER BY id DESC LIMIT ? OFFSET ?",
        (account_id, limit, offset),
    )
    return found, int(r.value("SELECT count(*) FROM fleet_runs WHERE account_id = ?", (account_id,)))


def counts(r: Reader, run_ids: list[str]) -> dict[str, dict[str, int]]:
    """run id → state → how many answers are in it"""
    rows = r.all(
        "SELECT fleet_run_id, state, count(*) AS n FROM fleet_answers"
        " WHERE fleet_run_id IN (SELECT value FROM json_each(?)) GROUP BY fleet_run_id, state",
        (run_ids,),
    )
    found: dict[str, dict[str, int]] = {run_id: {} for run_id in run_ids}
    for row in rows:
        found[row["fleet_run_id"]][row["state"]] = row["n"]
    return found


def running(r: Reader, account_id: str) -> int:
    return int(
        r.value(
            "SELECT count(*) FROM fleet_runs WHERE state = 'running' AND account_id = ?",
            (account_id,),
        )
    )


def insert_run(tx: Tx, run: FleetRun) -> None:
    tx.insert("fleet_runs", msgspec.structs.asdict(run))


def end_run(tx: Tx, run_id: str, state: RunState) -> bool:
    changed = tx.run(
        "UPDATE fleet_runs SET state = ?, ended_at = ? WHERE id = ? AND state = 'running'",
        (state, tx.now, run_id),
    )
    return changed == 1


def insert_answer(tx: Tx, answer_id: str, run_id: str, connection_id: str) -> None:
    tx.insert("fleet_answers", {"id": answer_id, "fleet_run_id": run_id, "connection_id": connection_id})


def answers(r: Reader, run_id: str) -> list[FleetAnswer]:
    """Of each stream a little more than `SHORT_BYTES`, if there is more."""
    rows = r.all(
        f"SELECT {_SHORT} FROM fleet_answers a JOIN ssh_connections c ON c.id = a.connection_id"
        " WHERE a.fleet_run_id = ? ORDER BY c.label COLLATE NOCASE, a.id",
        (run_id,),
    )
    return [_answer(row) for row in rows]


def answer(r: Reader, run_id: str, answer_id: str) -> FleetAnswer:
    """Raises NotFound."""
    row = r.one(
        f"SELECT {_ANSWER} FROM fleet_answers a JOIN ssh_connections c ON c.id = a.connection_id"
        " WHERE a.fleet_run_id = ? AND a.id = ?",
        (run_id, answer_id),
    )
    if row is None:
        raise NotFound
    return _answer(row)


def start_answer(tx: Tx, answer_id: str, lease_id: str) -> bool:
    """False when it has been cancelled meanwhile: then nothing may be sent."""
    changed = tx.run(
        "UPDATE fleet_answers SET state = 'running', session_lease_id = ?, started_at = ?"
        " WHERE id = ? AND state = 'waiting'",
        (lease_id, tx.now, answer_id),
    )
    return changed == 1


def end_answer(tx: Tx, answer_id: str, outcome: Outcome) -> bool:
    """The first outcome stands."""
    values = msgspec.structs.asdict(outcome)
    columns = ", ".join(f"{name} = :{name}" for name in values)
    changed = tx.run(
        f"UPDATE fleet_answers SET {columns}, ended_at = :now WHERE id = :id AND state IN ('waiting', 'running')",
        {**values, "now": tx.now, "id": answer_id},
    )
    return changed == 1


def unfinished(r: Reader) -> list[FleetRun]:
    """What the end of the box left behind."""
    return r.structs(FleetRun, f"SELECT {RUN} FROM fleet_runs WHERE state = 'running' ORDER BY id")


def open_answers(r: Reader, run_id: str) -> list[tuple[str, AnswerState]]:
    rows = r.all(
        "SELECT id, state FROM fleet_answers WHERE fleet_run_id = ? AND state IN ('waiting', 'running')",
        (run_id,),
    )
    return [(row["id"], AnswerState(row["state"])) for row in rows]


def delete_old(tx: Tx, account_id: str, keep: int) -> int:
    """Drop an account's oldest ended runs with their answers; returns how many runs that were."""
    return tx.run(
        "DELETE FROM fleet_runs WHERE account_id = :account AND state <> 'running' AND id NOT IN"
        " (SELECT id FROM fleet_runs WHERE account_id = :account ORDER BY id DESC LIMIT :keep)",
        {"account": account_id, "keep": keep},
    )


def _answer(row: dict[str, Any]) -> FleetAnswer:
    values = {name: row.pop(name) for name in _OUTCOME}
    stdout, stderr = values.pop("stdout"), values.pop("stderr")
    outcome = msgspec.structs.replace(to_struct(Outcome, values), stdout=stdout, stderr=stderr)
    return msgspec.structs.replace(
        to_struct(FleetAnswer, {**row, "outcome": {"state": outcome.state}}), outcome=outcome
    )
