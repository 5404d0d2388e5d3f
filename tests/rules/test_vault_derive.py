"""Joins cannot be confused, and no two purposes share a key."""

import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.vault.rules.derive import MAC_LABELS, Label, account_key, hkdf, join, mac_key

MASTER = bytes(range(32))


@given(st.lists(st.text(max_size=8), max_size=5), st.lists(st.text(max_size=8), max_size=5))
def test_two_different_lists_never_join_to_the_same_bytes(left: list[str], right: list[str]) -> None:
    assert (join(*left) == join(*right)) == (left == right)


def test_a_boundary_that_moves_changes_the_join() -> None:
    assert join("ab", "c") != join("a", "bc")
    assert join("a", b"") == b"\0\0\0\1a\0\0\0\0"


def test_the_derivation_is_the_one_of_rfc_5869() -> None:
    extracted = hmac.digest(b"salt", MASTER, sha256)
    expanded = hmac.digest(extracted, b"info\x01", sha256)
    assert hkdf(MASTER, b"salt", b"info") == expanded


def test_an_account_key_is_what_the_design_says() -> None:
    info = b"".join(
        len(p).to_bytes(4, "big") + p for p in (b"clawdbox/kek/v1", b"00000000000000aa", b"account")
    )
    extracted = hmac.digest(b"instance", MASTER, sha256)
    assert account_key(MASTER, "instance", "00000000000000aa", "account") == hmac.digest(
        extracted, info + b"\x01", sha256
    )


def test_every_purpose_account_key_and_box_has_a_key_of_its_own() -> None:
    keys = [mac_key(MASTER, "instance-1", "k1", label) for label in sorted(MAC_LABELS)]
    keys += [
        account_key(MASTER, box, key, who)
        for box in ("i1", "i2")
        for key in ("k1", "k2")
        for who in ("a", "b")
    ]
    keys += [account_key(bytes(32), "i1", "k1", "a"), mac_key(MASTER, "instance-1", "k2", Label.AUDIT)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("label", [Label.KEK, Label.SLOT])
def test_a_key_that_wraps_others_is_not_handed_out_for_macs(label: Label) -> None:
    with pytest.raises(ValueError, match="names no MAC key"):
        mac_key(MASTER, "instance-1", "k1", label)
