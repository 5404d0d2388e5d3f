"""The keyring file is read strictly: one keyring has one text, and any other is refused with a code."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.errors import StartRefused
from clawdbox.vault.model import (
    Argon2idParams,
    HostSlot,
    KeyEntry,
    KeyringFile,
    KeyState,
    PassphraseSlot,
    RecoverySlot,
    SlotType,
)
from clawdbox.vault.rules import keyfile, slots

INSTANCE = "01900000-0000-7000-8000-000000000000"
OLD, NEW = "00000000000000aa", "00000000000000bb"
MASTER, SECRET, SALT, NONCE = b"m" * 32, b"s" * 32, b"a" * 32, b"n" * 12


def entry(key_id: str, state: KeyState) -> KeyEntry:
    passphrase = PassphraseSlot(kdf=Argon2idParams(SALT, 65536, 3, 4), nonce=NONCE, ct=b"c" * 48)
    host = slots.wrap(HostSlot, INSTANCE, key_id, SECRET, MASTER, SALT, NONCE)
    recovery = slots.wrap(RecoverySlot, INSTANCE, key_id, SECRET, MASTER, SALT, NONCE)
    return KeyEntry(id=key_id, state=state, slots=(host, passphrase, recovery))


FILE = KeyringFile(
    magic="clawdbox-keyring",
    v=1,
    instance_id=INSTANCE,
    active=NEW,
    keys=(entry(OLD, KeyState.DECRYPT_ONLY), entry(NEW, KeyState.ACTIVE)),
)
TEXT = keyfile.encode(FILE)


def refused(raw: bytes) -> str:
    with pytest.raises(StartRefused) as caught:
        keyfile.decode(raw)
    assert caught.value.exit_code == 78
    return caught.value.code


def test_a_file_with_two_keys_and_every_slot_comes_back() -> None:
    assert keyfile.decode(TEXT) == FILE


def test_blanks_do_not_matter() -> None:
    assert keyfile.decode(b"\n " + msgspec.json.format(TEXT, indent=-1) + b"\n\n") == FILE


def test_a_file_that_was_cut_anywhere_is_refused() -> None:
    whole = TEXT.rstrip()  # the newline after the last brace is a blank
    for length in range(len(whole)):
        assert refused(whole[:length]) == "keyring_corrupt", length


def spoil(change: Callable[[dict[str, Any]], object]) -> bytes:
    tree = json.loads(TEXT)
    change(tree)
    return json.dumps(tree).encode()


SPOILT = {
    "unknown field": lambda t: t.update(note="x"),
    "unknown field of a key": lambda t: t["keys"][0].update(note="x"),
    "unknown field of a slot": lambda t: t["keys"][0]["slots"][0].update(note="x"),
    "unknown field of a kdf": lambda t: t["keys"][0]["slots"][0]["kdf"].update(note="x"),
    "unknown type of slot": lambda t: t["keys"][0]["slots"][0].update(type="tpm"),
    "unknown kdf": lambda t: t["keys"][0]["slots"][0]["kdf"].update(name="md5"),
    "kdf of another slot": lambda t: t["keys"][0]["slots"][0].update(kdf=t["keys"][0]["slots"][1]["kdf"]),
    "greedy kdf": lambda t: t["keys"][0]["slots"][1]["kdf"].update(memory_kib=1 << 30),
    "other magic": lambda t: t.update(magic="keyring"),
    "later version": lambda t: t.update(v=2),
    "version as text": lambda t: t.update(v="1"),
    "no instance": lambda t: t.pop("instance_id"),
    "instance with a newline": lambda t: t.update(instance_id="01900000\n"),
    "no key": lambda t: t.update(keys=[]),
    "too many keys": lambda t: t.update(keys=t["keys"] * 20),
    "active names nothing": lambda t: t.update(active="00000000000000cc"),
    "active is decrypt_only": lambda t: t.update(active=OLD),
    "two active": lambda t: t["keys"][0].update(state="active"),
    "none active": lambda t: t["keys"][1].update(state="decrypt_only"),
    "same id twice": lambda t: t["keys"][0].update(id=NEW, state="decrypt_only"),
    "no recovery slot": lambda t: t["keys"][0]["slots"].pop(),
    "same slot twice": lambda t: t["keys"][0]["slots"].__setitem__(1, t["keys"][0]["slots"][0]),
    "short nonce": lambda t: t["keys"][0]["slots"][0].update(nonce="AAAA"),
    "short ciphertext": lambda t: t["keys"][0]["slots"][0].update(ct="AAAA"),
    "not base64": lambda t: t["keys"][0]["slots"][0].update(ct="*" * 64),
}


@pytest.mark.parametrize("change", SPOILT.values(), ids=SPOILT.keys())
def test_a_file_that_says_anything_else_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    assert refused(spoil(change)) == "keyring_corrupt"


def test_rewriting_without_a_change_is_not_what_refuses_it() -> None:
    assert keyfile.decode(spoil(lambda tree: None)) == FILE


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 60_000,
        TEXT.replace(b'"v": 1', b'"v": 1, "v": 1'),
        TEXT + b" " * keyfile.MAX_BYTES,
        TEXT + b"{}",
        b"\xef\xbb\xbf" + TEXT,
    ],
    ids=["empty", "null", "list", "not utf-8", "deep", "repeated field", "too large", "two documents", "bom"],
)
def test_what_is_no_keyring_is_refused(raw: bytes) -> None:
    assert refused(raw) == "keyring_corrupt"


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_code(raw: bytes) -> None:
    assert refused(raw) == "keyring_corrupt"


@given(st.integers(0, len(TEXT) * 8 - 1))
def test_a_flipped_bit_is_refused_or_stays_visible_in_the_file(at: int) -> None:
    raw = bytearray(TEXT)
    raw[at // 8] ^= 1 << at % 8
    try:
        assert keyfile.decode(bytes(raw)) != FILE
    except StartRefused:
        assert refused(bytes(raw)) == "keyring_corrupt"


@pytest.mark.parametrize("kind", [HostSlot, RecoverySlot])
def test_a_slot_opens_with_its_secret_key_and_box_only(kind: type[HostSlot] | type[RecoverySlot]) -> None:
    slot = slots.find(FILE.keys[0], kind)
    assert slot is not None
    assert slots.unwrap(slot, INSTANCE, OLD, SECRET) == bytearray(MASTER)
    assert slots.unwrap(slot, INSTANCE, OLD, b"x" * 32) is None
    assert slots.unwrap(slot, INSTANCE, NEW, SECRET) is None
    assert slots.unwrap(slot, "another-box", OLD, SECRET) is None


def test_version_1_of_a_slot_is_what_it_has_always_been() -> None:
    """Built here without the vault's own joins: a box must open the keyrings of its older releases."""

    def field(part: bytes) -> bytes:
        return len(part).to_bytes(4, "big") + part

    info = b"".join(map(field, (b"clawdbox/slot/v1", INSTANCE.encode(), OLD.encode(), b"recovery")))
    key = hmac.digest(hmac.digest(SALT, SECRET, "sha256"), info + b"\x01", "sha256")
    header = b"".join(map(field, (b"clawdbox-keyring", b"1", INSTANCE.encode(), OLD.encode())))
    kdf = b'{"name":"hkdf-sha256","salt":"' + base64.b64encode(SALT) + b'"}'
    bound = b"".join(map(field, (header, b"recovery", kdf, NONCE)))
    made = slots.wrap(RecoverySlot, INSTANCE, OLD, SECRET, MASTER, SALT, NONCE)
    assert made.ct == AESGCM(key).encrypt(NONCE, MASTER, bound)


def test_a_slot_that_is_passed_off_as_another_type_does_not_open() -> None:
    host = slots.wrap(HostSlot, INSTANCE, OLD, SECRET, MASTER, SALT, NONCE)
    posing = RecoverySlot(kdf=host.kdf, nonce=host.nonce, ct=host.ct)
    assert slots.unwrap(posing, INSTANCE, OLD, SECRET) is None


@given(st.integers(0, (48 + 12 + 32) * 8 - 1))
def test_a_flipped_bit_in_a_slot_never_opens(at: int) -> None:
    host = slots.wrap(HostSlot, INSTANCE, OLD, SECRET, MASTER, SALT, NONCE)
    raw = bytearray(host.ct + host.nonce + host.kdf.salt)
    raw[at // 8] ^= 1 << at % 8
    kdf = msgspec.structs.replace(host.kdf, salt=bytes(raw[60:]))
    spoilt = HostSlot(kdf=kdf, nonce=bytes(raw[48:60]), ct=bytes(raw[:48]))
    assert slots.unwrap(spoilt, INSTANCE, OLD, SECRET) is None


def test_the_types_of_slots_are_the_three_of_the_design() -> None:
    assert [slots.slot_type(slot) for slot in FILE.keys[0].slots] == list(SlotType)
