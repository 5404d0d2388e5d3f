"""A sealed column opens in its own place, and says so with a code when it does not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.errors import Problem
from clawdbox.vault import BOX, Keyring, Label, Sealer
from clawdbox.vault.seal import _CACHED_KEYS
from clawdbox.vault.secret import Secret

PLACE = ("agent_keypairs", "row-1", "private_key", "account-1")
KEYS = {"00000000000000aa": Secret(b"a" * 32), "00000000000000bb": Secret(b"b" * 32)}
OLD = Sealer("instance-1", "00000000000000aa", KEYS)
NEW = Sealer("instance-1", "00000000000000bb", KEYS)


def broken(sealer: Sealer, value: str, place: tuple[str, str, str, str] = PLACE) -> Problem:
    with pytest.raises(Problem) as caught:
        sealer.open(*place, value)
    assert caught.value.code == "sealed_value_broken"
    return caught.value


@given(st.binary(max_size=2000), st.text(max_size=20))
def test_what_is_sealed_opens_again(plaintext: bytes, account: str) -> None:
    value = NEW.seal("t", "r", "c", account, bytearray(plaintext))
    opened = NEW.open("t", "r", "c", account, value)
    assert isinstance(opened, bytearray)
    assert opened == bytearray(plaintext)


def test_the_same_value_sealed_twice_looks_different() -> None:
    assert NEW.seal(*PLACE, b"secret") != NEW.seal(*PLACE, b"secret")


@pytest.mark.parametrize("index", range(4))
def test_a_value_in_another_table_row_column_or_account_does_not_open(index: int) -> None:
    moved = list(PLACE)
    moved[index] = "elsewhere"
    broken(NEW, NEW.seal(*PLACE, b"secret"), (moved[0], moved[1], moved[2], moved[3]))


def test_a_value_of_another_box_does_not_open() -> None:
    broken(Sealer("instance-2", "00000000000000bb", KEYS), NEW.seal(*PLACE, b"secret"))


def test_after_a_rotation_old_values_open_and_new_ones_use_the_new_key() -> None:
    assert NEW.open(*PLACE, OLD.seal(*PLACE, b"secret")) == bytearray(b"secret")
    only_new = Sealer("instance-1", "00000000000000bb", {NEW.active_key_id: KEYS[NEW.active_key_id]})
    broken(only_new, OLD.seal(*PLACE, b"secret"))
    assert only_new.open(*PLACE, NEW.seal(*PLACE, b"secret")) == bytearray(b"secret")


@pytest.mark.parametrize("value", ["", "x", "AAAA", "ключ", "-----BEGIN OPENSSH PRIVATE KEY-----"])
def test_a_value_that_was_never_sealed_does_not_open_and_is_not_repeated_in_the_error(value: str) -> None:
    problem = broken(NEW, value)
    assert problem.detail == {"table": "agent_keypairs", "column": "private_key", "row_id": "row-1"}
    assert len(value) < 2 or value not in problem.message


def test_the_cache_of_account_keys_is_bounded() -> None:
    sealer = Sealer("instance-1", "00000000000000aa", KEYS)
    values = {
        who: sealer.seal("t", "r", "c", who, who.encode()) for who in map(str, range(_CACHED_KEYS + 50))
    }
    assert sealer._kek.cache_info().currsize == _CACHED_KEYS
    assert all(
        sealer.open("t", "r", "c", who, value) == bytearray(who.encode()) for who, value in values.items()
    )


def test_mac_keys_differ_by_purpose_and_key_and_stay_the_same_over_a_restart() -> None:
    keys = {OLD.mac_key(label) for label in (Label.AUDIT, Label.COOKIE, Label.CSRF)} | {
        NEW.mac_key(Label.AUDIT)
    }
    assert len(keys) == 4
    assert NEW.mac_key(Label.AUDIT, OLD.active_key_id) == OLD.mac_key(Label.AUDIT)
    again = Sealer("instance-1", "00000000000000aa", {OLD.active_key_id: Secret(b"a" * 32)})
    assert again.mac_key(Label.AUDIT) == OLD.mac_key(Label.AUDIT)


def test_a_mac_key_of_a_key_that_is_gone_is_refused_with_a_code() -> None:
    with pytest.raises(Problem) as caught:
        NEW.mac_key(Label.AUDIT, "00000000000000cc")
    assert caught.value.code == "key_unknown"


def test_the_sealer_of_a_keyring_is_bound_to_its_box(tmp_path: Path) -> None:
    keyring, _ = Keyring.create(tmp_path / "a", "instance-1", database=tmp_path / "a/clawdbox.db", environ={})
    other, _ = Keyring.create(tmp_path / "b", "instance-1", database=tmp_path / "b/clawdbox.db", environ={})
    value = keyring.sealer().seal(*PLACE[:3], BOX, b"secret")
    assert keyring.sealer().open(*PLACE[:3], BOX, value) == bytearray(b"secret")
    broken(other.sealer(), value, (*PLACE[:3], BOX))
