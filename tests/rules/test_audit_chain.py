"""A chain of audit rows: whatever is done to it, the first row that does not follow is named."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.events import AuditEntry
from clawdbox.events.rules import GENESIS, ChainCheck, audit_mac, check_chain

KEY = b"k" * 32
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def chain(length: int, key: bytes = KEY) -> list[AuditEntry]:
    rows, previous = [], GENESIS
    for n in range(1, length + 1):
        row = AuditEntry(
            n, "a", "account:a", f"do.{n}", "thing", str(n), "192.0.2.1", "ok", {"n": n, "b": {"c": None}},
            NOW + timedelta(seconds=n), "",
        )  # fmt: skip
        previous = audit_mac(key, previous, row)
        rows.append(msgspec.structs.replace(row, mac=previous))
    return rows


def check(rows: list[AuditEntry], issued: int, anchor: tuple[int, str] | None = None) -> ChainCheck:
    return check_chain({None: KEY}, rows, issued, anchor)


CHANGES: dict[str, Any] = {
    "account_id": "b", "actor": "system", "action": "other", "target_type": None, "target_id": "9",
    "ip_address": "192.0.2.2", "result": "failed", "detail": {"n": 0}, "created_at": NOW, "mac": "0" * 64,
    "key_id": "9f2c1e0b7a6d5c48",
}  # fmt: skip


@pytest.mark.parametrize("field", CHANGES)
def test_no_field_can_be_edited(field: str) -> None:
    rows = chain(3)
    rows[1] = msgspec.structs.replace(rows[1], **{field: CHANGES[field]})
    assert check(rows, 3).first_bad == 2


def test_every_field_of_a_row_was_tried() -> None:
    assert set(CHANGES) | {"id"} == set(AuditEntry.__struct_fields__)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.permutations(range(n)))))
def test_the_first_row_out_of_order_is_named(drawn: tuple[int, list[int]]) -> None:
    length, order = drawn
    rows = [chain(length)[n] for n in order]
    moved = next((n + 1 for n in range(length) if order[n] != n), None)
    assert check(rows, length).first_bad == moved


@given(st.integers(1, 12), st.data())
def test_the_first_missing_row_is_named(length: int, data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(1, length), min_size=1))
    rows = [row for row in chain(length) if row.id not in gone]
    found = check(rows, length)
    assert (found.first_bad, found.rows) == (min(gone), min(gone) - 1)


def test_a_tail_cut_off_with_its_counter_is_found_by_the_anchor_alone() -> None:
    rows = chain(5)
    assert check(rows[:3], 3) == ChainCheck(3, None, None)
    assert check(rows[:3], 3, (5, rows[4].mac)).first_bad == 4
    assert check(rows, 5, (5, rows[4].mac)).first_bad is None
    assert check(rows, 5, (3, rows[2].mac)).first_bad is None, "the file may be behind, after a crash"


def test_a_chain_of_another_key_is_bad_from_its_first_row() -> None:
    assert check(chain(3, b"x" * 32), 3).first_bad == 1


def test_an_empty_trail_is_whole() -> None:
    assert check([], 0) == ChainCheck(0, None, None)
    assert check([], 1).first_bad == 1


def test_a_row_that_is_repeated_is_named() -> None:
    rows = chain(3)
    assert check([rows[0], rows[1], rows[1], rows[2]], 3).first_bad == 2


# across rotations of the master key


def rotated_chain() -> tuple[list[AuditEntry], dict[str | None, bytes]]:
    """Two rows from before rows named their key, two under that same key by name, two under the next one."""
    keys: dict[str | None, bytes] = {None: KEY, "first": KEY, "second": b"2" * 32}
    rows, previous = [], GENESIS
    for n, key_id in enumerate((None, None, "first", "first", "second", "second"), 1):
        row = AuditEntry(
            n, "a", "account:a", f"do.{n}", None, None, None, "ok", {}, NOW + timedelta(seconds=n), "", key_id
        )
        previous = audit_mac(keys[key_id], previous, row)
        rows.append(msgspec.structs.replace(row, mac=previous))
    return rows, keys


def test_each_row_verifies_with_the_key_it_names() -> None:
    rows, keys = rotated_chain()
    assert check_chain(keys, rows, 6, None) == ChainCheck(6, None, None)


@pytest.mark.parametrize("gone, first_bad", [(None, 1), ("first", 3), ("second", 5)])
def test_rows_whose_key_is_unknown_are_bad(gone: str | None, first_bad: int) -> None:
    rows, keys = rotated_chain()
    del keys[gone]
    assert check_chain(keys, rows, 6, None).first_bad == first_bad


@pytest.mark.parametrize("n, named", [(3, None), (2, "first"), (5, "first"), (4, "second"), (6, None)])
def test_a_row_does_not_verify_under_another_name_of_its_key(n: int, named: str | None) -> None:
    rows, keys = rotated_chain()
    rows[n - 1] = msgspec.structs.replace(rows[n - 1], key_id=named)
    assert check_chain(keys, rows, 6, None).first_bad == n
