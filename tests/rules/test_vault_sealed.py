"""A sealed field opens with its key, in its place, unchanged; and in no other case."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.vault.rules import sealed
from clawdbox.vault.rules.sealed import Place

KEK = bytes(range(32))
KEY_ID = "00112233445566aa"
NONCE = b"twelve bytes"
HERE = Place("instance-1", "agent_keypairs", "row-1", "private_key", "account-1")
texts = st.text(min_size=1, max_size=12)


def opened(value: str, place: Place = HERE, kek: bytes = KEK) -> bytes | None:
    parts = sealed.parse(value)
    plaintext = sealed.unseal(kek, parts, place) if parts else None
    return None if plaintext is None else bytes(plaintext)


@given(st.binary(max_size=500), st.binary(min_size=12, max_size=12), st.builds(Place, *[texts] * 5))
def test_what_was_sealed_opens_in_its_place(plaintext: bytes, nonce: bytes, place: Place) -> None:
    assert opened(sealed.seal(KEK, KEY_ID, nonce, place, plaintext), place) == plaintext


def test_the_layout_is_version_key_id_nonce_ciphertext_tag() -> None:
    raw = base64.b64decode(sealed.seal(KEK, KEY_ID, NONCE, HERE, b"secret"))
    assert raw[:1] == b"\x01"
    assert raw[1:9].hex() == KEY_ID
    assert raw[9:21] == NONCE
    assert len(raw) == 21 + len(b"secret") + 16
    assert b"secret" not in raw


@given(st.integers(min_value=0))
def test_one_flipped_bit_anywhere_never_opens(at: int) -> None:
    raw = bytearray(base64.b64decode(sealed.seal(KEK, KEY_ID, NONCE, HERE, b"a private key")))
    at %= len(raw) * 8
    raw[at // 8] ^= 1 << at % 8
    assert opened(base64.b64encode(raw).decode()) is None


def test_one_flipped_bit_of_the_text_never_opens() -> None:
    """Base64 has spare bits before its padding, which a lenient reader would overlook."""
    for length in range(3):
        value = sealed.seal(KEK, KEY_ID, NONCE, HERE, bytes(length))
        for at in range(len(value) * 7):
            text = list(value)
            text[at // 7] = chr(ord(text[at // 7]) ^ 1 << at % 7)
            assert opened("".join(text)) is None, at


@pytest.mark.parametrize("field", Place._fields)
def test_a_value_that_was_moved_does_not_open(field: str) -> None:
    value = sealed.seal(KEK, KEY_ID, NONCE, HERE, b"secret")
    assert opened(value, HERE._replace(**{field: "elsewhere"})) is None


def test_a_name_cannot_lend_its_letters_to_its_neighbour() -> None:
    value = sealed.seal(KEK, KEY_ID, NONCE, HERE._replace(table="ab", row_id="c"), b"secret")
    assert opened(value, HERE._replace(table="a", row_id="bc")) is None


def test_another_key_does_not_open_it() -> None:
    assert opened(sealed.seal(KEK, KEY_ID, NONCE, HERE, b"secret"), kek=bytes(32)) is None


@given(st.text() | st.binary(max_size=80).map(lambda raw: base64.b64encode(raw).decode()))
def test_any_other_text_is_taken_for_no_sealed_field_and_raises_nothing(text: str) -> None:
    assert opened(text) is None


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_truncated_value_does_not_open(cut: int) -> None:
    assert opened(sealed.seal(KEK, KEY_ID, NONCE, HERE, b"secret")[:-cut]) is None


def test_a_nonce_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        sealed.seal(KEK, KEY_ID, b"short", HERE, b"secret")
