"""A keyring is made once, opened by the host key or by the words, and tells nothing of its keys."""

import base64
import logging
import os
import pickle
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawdbox.errors import Conflict, Invalid, Problem, StartRefused, Unavailable
from clawdbox.vault import Keyring, RecoveryWords, Secret, read_status
from clawdbox.vault import files as vault_files
from clawdbox.vault.model import KeyState, SlotType

INSTANCE = "01900000-0000-7000-8000-000000000000"
NO_CREDENTIALS: dict[str, str] = {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def create(folder: Path, environ: dict[str, str] = NO_CREDENTIALS) -> tuple[Keyring, str]:
    keyring, words = Keyring.create(folder, INSTANCE, database=folder / "clawdbox.db", environ=environ)
    return keyring, " ".join(words.reveal())


def reopen(folder: Path, environ: dict[str, str] = NO_CREDENTIALS) -> Keyring:
    return Keyring.open(folder, database=folder / "clawdbox.db", environ=environ)


def sealed_by(keyring: Keyring) -> str:
    return keyring.sealer().seal("t", "row", "column", "account", b"secret")


def opens(keyring: Keyring, value: str) -> bool:
    return bytes(keyring.sealer().open("t", "row", "column", "account", value)) == b"secret"


def test_the_first_start_makes_two_private_files_in_a_private_folder(folder: Path) -> None:
    before = os.umask(0)
    try:
        create(folder)
    finally:
        os.umask(before)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "master.keyring": 0o600,
        "host.key": 0o600,
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_one_start_sealed_the_next_one_opens(folder: Path) -> None:
    value = sealed_by(create(folder)[0])
    assert opens(reopen(folder), value)


def test_the_words_alone_open_it_on_another_machine(folder: Path) -> None:
    keyring, words = create(folder)
    value = sealed_by(keyring)
    (folder / "host.key").unlink()
    assert len(words.split()) == 24
    assert opens(Keyring.open_with_words(folder, words.upper()), value)


def test_renewed_words_open_it_and_the_old_ones_no_longer_do(folder: Path) -> None:
    keyring, old = create(folder)
    value = sealed_by(keyring)
    new = " ".join(keyring.renew_recovery().reveal())
    assert new != old
    assert opens(Keyring.open_with_words(folder, new), value)
    assert opens(reopen(folder), value)
    keyring.renew_recovery()
    with pytest.raises(Problem) as caught:
        Keyring.open_with_words(folder, old)
    assert caught.value.code == "words_wrong"
    assert stat.S_IMODE((folder / "master.keyring").stat().st_mode) == 0o600


def test_renewing_words_does_not_overwrite_what_another_process_wrote(folder: Path) -> None:
    keyring, _ = create(folder)
    reopen(folder).renew_recovery()
    before = (folder / "master.keyring").read_bytes()
    with pytest.raises(Conflict) as caught:
        keyring.renew_recovery()
    assert caught.value.code == "keyring_changed"
    assert (folder / "master.keyring").read_bytes() == before


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring, _ = create(folder)
    before = (folder / "master.keyring").read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clawdbox.vault.files.os.fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        keyring.renew_recovery()
    assert (folder / "master.keyring").read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {"master.keyring", "host.key"}


def test_a_write_that_was_killed_halfway_does_not_stop_the_next_one(folder: Path) -> None:
    keyring, _ = create(folder)
    (folder / ".master.keyring.new").write_bytes(b"half a key")
    keyring.renew_recovery()
    assert not (folder / ".master.keyring.new").exists()
    reopen(folder)


def test_a_first_start_that_was_killed_between_its_two_files_is_taken_up_again(folder: Path) -> None:
    create(folder)
    (folder / "master.keyring").unlink()
    host_key = (folder / "host.key").read_bytes()
    create(folder)
    assert (folder / "host.key").read_bytes() == host_key
    reopen(folder)


def test_a_keyring_is_never_made_twice(folder: Path) -> None:
    create(folder)
    before = (folder / "master.keyring").read_bytes()
    with pytest.raises(Conflict) as caught:
        create(folder)
    assert caught.value.code == "keyring_exists"
    assert (folder / "master.keyring").read_bytes() == before


def test_an_instance_id_that_could_not_be_read_back_is_not_written(folder: Path) -> None:
    with pytest.raises(StartRefused):
        Keyring.create(folder, "bad id\n", database=folder / "clawdbox.db", environ={})
    assert not (folder / "master.keyring").exists()


def test_an_empty_folder_is_closed_and_one_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    empty, used = tmp_path / "empty", tmp_path / "used"
    for path in (empty, used):
        path.mkdir()
        path.chmod(0o755)
    (used / "photo.jpg").touch()
    create(empty)
    assert stat.S_IMODE(empty.stat().st_mode) == 0o700
    with pytest.raises(StartRefused) as caught:
        create(used)
    assert caught.value.code == "keyring_directory_permissions"
    assert stat.S_IMODE(used.stat().st_mode) == 0o755
    assert [path.name for path in used.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("path", ["file", "file/below", "/proc/nothing/below"])
def test_a_data_folder_that_cannot_be_is_refused_with_a_code(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartRefused) as caught:
        create(tmp_path / path)
    assert caught.value.code == "keyring_directory"


@pytest.mark.parametrize("encode", [bytes, base64.b64encode, lambda raw: base64.b64encode(raw) + b"\n"])
def test_a_systemd_credential_is_the_host_key_when_there_is_one(folder: Path, tmp_path: Path, encode) -> None:  # type: ignore[no-untyped-def]  # three functions of unlike types
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "clawdbox-host-key").write_bytes(encode(os.urandom(32)))
    (credentials / "clawdbox-host-key").chmod(0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    value = sealed_by(create(folder, environ)[0])
    assert not (folder / "host.key").exists()
    assert opens(reopen(folder, environ), value)
    with pytest.raises(StartRefused) as caught:
        reopen(folder)
    assert caught.value.code == "keyring_host_key_missing"


def test_a_credentials_folder_of_other_services_leaves_the_key_file_in_charge(
    folder: Path, tmp_path: Path
) -> None:
    create(folder)
    reopen(folder, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_credential_that_everyone_may_read_is_refused(folder: Path, tmp_path: Path) -> None:
    credential = tmp_path / "clawdbox-host-key"
    credential.write_bytes(os.urandom(32))
    credential.chmod(0o444)
    with pytest.raises(StartRefused) as caught:
        create(folder, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert caught.value.code == "keyring_permissions"


def test_the_status_names_keys_and_slots_with_or_without_a_host_key(folder: Path) -> None:
    status = create(folder)[0].status()
    (folder / "host.key").unlink()
    assert read_status(folder) == status
    assert status.instance_id == INSTANCE
    assert [(key.id, key.state, key.slots) for key in status.keys] == [
        (status.active, KeyState.ACTIVE, (SlotType.HOST, SlotType.RECOVERY))
    ]


def test_nothing_shows_a_key_or_a_word(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    keyring, text = create(folder)
    words, secret = RecoveryWords(text.split()), Secret(b"\xaa" * 32)
    sealer = keyring.sealer()
    masters = [bytes(master.reveal()) for master in keyring._masters.values()]
    host_key = base64.b64decode((folder / "host.key").read_bytes())
    sealed_by(keyring)  # fills the cache of account keys
    with caplog.at_level(logging.INFO):
        logging.getLogger().info("%s %r %s", words, secret, vars(keyring))
    things = (keyring, sealer, words, secret, keyring.status(), vars(keyring), vars(sealer))
    shown = caplog.text + "".join(f"{thing!r} {thing!s} {thing}" for thing in things)
    shown += msgspec.json.encode(keyring.status()).decode()
    for key in [*masters, host_key, b"\xaa" * 32]:
        assert not any(form in shown for form in (key.hex(), repr(key)[2:-1], base64.b64encode(key).decode()))
    assert not any(f" {word} " in f" {shown} " for word in text.split() if len(word) > 5)


@pytest.mark.parametrize("thing", [Secret(b"k"), RecoveryWords(["word"])])
def test_a_secret_cannot_be_pickled(thing: object) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(thing)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_bit_in_the_file_never_gives_another_key_or_a_traceback(
    folder: Path, data: st.DataObject
) -> None:
    if not folder.exists():
        create(folder)
    path = folder / "master.keyring"
    whole = path.read_bytes()
    masters = {key: secret.reveal() for key, secret in reopen(folder)._masters.items()}
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    spoilt = bytearray(whole)
    spoilt[at // 8] ^= 1 << at % 8
    path.write_bytes(spoilt)
    try:
        opened = {key: secret.reveal() for key, secret in reopen(folder)._masters.items()}
    except StartRefused as refused:
        opened = masters if refused.code in {"keyring_corrupt", "keyring_wrong_key"} else {}
    finally:
        path.write_bytes(whole)
    assert opened == masters


def test_mistyped_words_are_refused_before_the_file_is_touched(folder: Path) -> None:
    with pytest.raises(Problem) as caught:
        Keyring.open_with_words(folder, "not the words")
    assert caught.value.code == "words_unknown"
    assert not isinstance(caught.value, Invalid | StartRefused)


def test_the_names_of_the_files_are_those_of_the_documentation() -> None:
    assert (vault_files.KEYRING, vault_files.HOST_KEY, vault_files.CREDENTIAL) == (
        "master.keyring",
        "host.key",
        "clawdbox-host-key",
    )
