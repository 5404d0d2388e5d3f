"""What opens a keyring can be added, changed and taken away; whatever is killed in between, it still opens."""

import os
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring as os_keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from clawdbox.errors import Conflict, Invalid, Problem, StartRefused
from clawdbox.vault import Keyring, SlotType, read_status, recover
from tests.rooms.test_vault_start import INSTANCE, database, files, make_box

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_box(tmp_path / "data")
    return tmp_path / "data"


def opened(folder: Path, environ: dict[str, str] | None = None) -> Keyring:
    return Keyring.open(folder, database=database(folder), environ=environ or {})


def refused(folder: Path) -> str:
    with pytest.raises(StartRefused) as caught:
        opened(folder)
    assert caught.value.exit_code == 78
    return caught.value.code


# passphrase


def test_a_passphrase_opens_what_the_host_key_opened(folder: Path) -> None:
    keyring = opened(folder)
    sealed = keyring.check_row()
    keyring.set_passphrase(PASSPHRASE)
    Keyring.open_with_passphrase(folder, PASSPHRASE).verify_check_row(sealed)
    opened(folder).verify_check_row(sealed)


def test_another_passphrase_opens_nothing_and_changes_nothing(folder: Path) -> None:
    opened(folder).set_passphrase(PASSPHRASE)
    before = files(folder)
    with pytest.raises(Problem) as caught:
        Keyring.open_with_passphrase(folder, PASSPHRASE + ".")
    assert caught.value.code == "passphrase_wrong"
    assert files(folder) == before


def test_a_passphrase_is_the_same_however_its_accents_are_typed(folder: Path) -> None:
    text = "une clé très longue"
    opened(folder).set_passphrase(unicodedata.normalize("NFD", text))
    Keyring.open_with_passphrase(folder, unicodedata.normalize("NFC", text))


def test_a_new_passphrase_replaces_the_old_one(folder: Path) -> None:
    keyring = opened(folder)
    keyring.set_passphrase(PASSPHRASE)
    keyring.set_passphrase("another one, as long")
    Keyring.open_with_passphrase(folder, "another one, as long")
    with pytest.raises(Problem, match="does not open"):
        Keyring.open_with_passphrase(folder, PASSPHRASE)


@pytest.mark.parametrize("text", ["", "eleven char", "x" * 1025])
def test_a_passphrase_that_is_too_short_or_too_long_is_not_taken(folder: Path, text: str) -> None:
    before = files(folder)
    with pytest.raises(Invalid):
        opened(folder).set_passphrase(text)
    assert files(folder) == before


def test_without_a_host_slot_a_start_says_that_it_waits_for_the_passphrase(folder: Path) -> None:
    keyring = opened(folder)
    keyring.set_passphrase(PASSPHRASE)
    keyring.remove_slot(SlotType.HOST)
    assert not (folder / "host.key").exists()
    before = files(folder)
    assert refused(folder) == "keyring_locked"
    assert files(folder) == before
    assert Keyring.open_with_passphrase(folder, PASSPHRASE).slots == (SlotType.RECOVERY, SlotType.PASSPHRASE)


def test_the_passphrase_stands_in_for_a_lost_host_key_but_not_for_a_wrong_one(folder: Path) -> None:
    opened(folder).set_passphrase(PASSPHRASE)
    host_key = (folder / "host.key").read_bytes()
    (folder / "host.key").unlink()
    assert refused(folder) == "keyring_locked"
    (folder / "host.key").write_bytes(host_key[::-1].strip() + b"\n")
    (folder / "host.key").chmod(0o600)
    assert refused(folder) == "keyring_wrong_key"


# taking away


def test_the_words_always_stay(folder: Path) -> None:
    before = files(folder)
    with pytest.raises(Conflict) as caught:
        opened(folder).remove_slot(SlotType.RECOVERY)
    assert caught.value.code == "slot_recovery"
    with pytest.raises(Conflict) as caught:
        opened(folder).remove_slot(SlotType.PASSPHRASE)
    assert caught.value.code == "slot_missing"
    assert files(folder) == before


def test_with_the_words_alone_a_start_names_the_command_that_takes_them(folder: Path) -> None:
    opened(folder).remove_slot(SlotType.HOST)
    before = files(folder)
    assert refused(folder) == "keyring_no_slot"
    assert files(folder) == before


# the host key


def test_the_words_make_a_new_host_key(folder: Path) -> None:
    keyring = opened(folder)
    sealed, words = keyring.check_row(), " ".join(keyring.renew_recovery().reveal())
    (folder / "host.key").unlink()
    recover(folder, words, database=database(folder), environ={})
    opened(folder).verify_check_row(sealed)
    assert sorted(path.name for path in folder.iterdir()) == ["clawdbox.db", "host.key", "master.keyring"]


def test_wrong_words_or_a_foreign_database_make_none(folder: Path) -> None:
    words = " ".join(opened(folder).renew_recovery().reveal())
    other = folder.with_name("other")
    make_box(other, INSTANCE[:-1] + "9")
    (folder / "host.key").unlink()
    shutil.copy(other / "clawdbox.db", folder / "clawdbox.db")
    before = files(folder)
    with pytest.raises(StartRefused) as refusal:
        recover(folder, words, database=database(folder), environ={})
    assert refusal.value.code == "keyring_foreign_database"
    with pytest.raises(Problem) as caught:
        recover(folder, "abandon " * 23 + "art", database=database(folder), environ={})
    assert caught.value.code == "words_wrong"
    assert files(folder) == before


@pytest.mark.parametrize("keyring_is_new", [False, True])
def test_a_change_of_the_host_key_that_is_killed_leaves_a_box_that_opens(
    folder: Path, keyring_is_new: bool
) -> None:
    """Before the keyring is wrapped for the new key, and after: in both cases old and new lie side by side."""
    old = {name: (folder / name).read_bytes() for name in ("host.key", "master.keyring")}
    keyring = opened(folder)
    sealed = keyring.check_row()
    keyring.renew_host_key(environ={})
    (folder / "host.key").rename(folder / "host.key.next")
    (folder / "host.key").write_bytes(old["host.key"])
    (folder / "host.key").chmod(0o600)
    if not keyring_is_new:
        (folder / "master.keyring").write_bytes(old["master.keyring"])
    again = opened(folder)
    again.verify_check_row(sealed)
    again.settle_host_key({})
    assert not (folder / "host.key.next").exists()
    assert ((folder / "host.key").read_bytes() == old["host.key"]) is not keyring_is_new
    opened(folder).verify_check_row(sealed)


def test_the_credential_of_systemd_takes_the_place_of_the_file_and_gives_it_back(
    folder: Path, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "clawdbox-host-key").write_bytes(os.urandom(32))
    (credentials / "clawdbox-host-key").chmod(0o400)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    opened(folder, environ).adopt_credential(environ)
    assert not (folder / "host.key").exists()
    assert refused(folder) == "keyring_host_key_missing"
    opened(folder, environ).renew_host_key(environ=environ)
    opened(folder)
    opened(folder, environ)  # a credential that is out of date does not hide the file


def test_without_a_credential_there_is_none_to_adopt(folder: Path) -> None:
    before = files(folder)
    with pytest.raises(Conflict) as caught:
        opened(folder).adopt_credential({})
    assert caught.value.code == "credential_missing"
    assert files(folder) == before


# the keyring of the operating system


class Desktop(KeyringBackend):
    """A keyring of an operating system, in memory, behind the interface that all of them have."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    before, backend = os_keyring.get_keyring(), Desktop()
    os_keyring.set_keyring(backend)
    yield backend
    os_keyring.set_keyring(before)


@pytest.fixture
def headless() -> Iterator[None]:
    before = os_keyring.get_keyring()
    os_keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]
    yield
    os_keyring.set_keyring(before)


def test_the_host_key_can_lie_in_the_os_keyring(folder: Path, desktop: Desktop) -> None:
    keyring = opened(folder)
    sealed = keyring.check_row()
    keyring.renew_host_key(in_os=True, environ={})
    [secret] = desktop.kept.values()
    line = (folder / "host.key").read_text()
    assert line.startswith("os-keyring ")
    assert secret not in line
    opened(folder).verify_check_row(sealed)
    keyring.renew_host_key(in_os=True, environ={})
    assert len(desktop.kept) == 1, "the one before is forgotten"
    opened(folder).renew_host_key(environ={})
    assert not desktop.kept
    opened(folder).verify_check_row(sealed)


def test_an_os_keyring_that_lost_the_key_refuses_the_start(folder: Path, desktop: Desktop) -> None:
    opened(folder).renew_host_key(in_os=True, environ={})
    desktop.kept.clear()
    before = files(folder)
    assert refused(folder) == "keyring_wrong_key"
    assert files(folder) == before


@pytest.mark.usefixtures("headless")
def test_a_machine_without_an_os_keyring_says_so_and_changes_nothing(folder: Path) -> None:
    before = files(folder)
    with pytest.raises(StartRefused, match="there is none here") as caught:
        opened(folder).renew_host_key(in_os=True, environ={})
    assert caught.value.code == "keyring_os_unavailable"
    assert files(folder) == before


def test_a_start_where_the_os_keyring_is_gone_says_so(folder: Path, desktop: Desktop) -> None:
    keyring = opened(folder)
    words = " ".join(keyring.renew_recovery().reveal())
    keyring.renew_host_key(in_os=True, environ={})
    os_keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]
    before = files(folder)
    assert refused(folder) == "keyring_os_unavailable"
    assert files(folder) == before
    recover(folder, words, database=database(folder), environ={})
    opened(folder)


def test_the_os_keyring_is_not_asked_unless_somebody_chose_it(folder: Path, desktop: Desktop) -> None:
    desktop.get_password = None  # type: ignore[assignment,method-assign]  # whoever calls it fails
    opened(folder)


# rotation of the file


def test_a_rotated_keyring_opens_in_every_way_and_holds_both_keys(folder: Path) -> None:
    keyring = opened(folder)
    keyring.set_passphrase(PASSPHRASE)
    sealed = keyring.check_row()
    words = " ".join(keyring.rotate(PASSPHRASE, {}).reveal())
    fresh = keyring.check_row()
    ways: list[Callable[[], Keyring]] = [
        lambda: opened(folder),
        lambda: Keyring.open_with_passphrase(folder, PASSPHRASE),
        lambda: Keyring.open_with_words(folder, words),
    ]
    for way in ways:
        for value in (sealed, fresh):
            way().verify_check_row(value)
    assert [(key.state, len(key.slots)) for key in read_status(folder).keys] == [
        ("decrypt_only", 3),
        ("active", 3),
    ]
    [old] = keyring.old_keys
    keyring.drop_key(old)
    opened(folder).verify_check_row(fresh)
    with pytest.raises(StartRefused):
        opened(folder).verify_check_row(sealed)


@pytest.mark.parametrize(
    "text, code", [(None, "passphrase_needed"), ("another passphrase", "passphrase_wrong")]
)
def test_a_rotation_without_the_passphrase_is_refused_before_anything_changes(
    folder: Path, text: str | None, code: str
) -> None:
    keyring = opened(folder)
    keyring.set_passphrase(PASSPHRASE)
    before = files(folder)
    with pytest.raises(Problem) as caught:
        keyring.rotate(text, {})
    assert caught.value.code == code
    assert files(folder) == before


def test_the_key_in_use_is_never_dropped(folder: Path) -> None:
    keyring = opened(folder)
    with pytest.raises(ValueError, match="in use"):
        keyring.drop_key(keyring.status().active)
