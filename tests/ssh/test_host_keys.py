"""The host key is compared on the very connection that would log in, and nothing is tried before it matches."""

from pathlib import Path

import pytest

from clawdbox.ssh.wire.client import host_key_algs, judge_host_key
from clawdbox.ssh.wire.dial import DialFailure, OfferedKey, Pin, dial
from tests.ssh.keys import Keypair, pin_of, target_of
from tests.ssh.sshd import KEY_TYPES, Sshd


async def refused(server: Sshd, pin: Pin, key: Keypair) -> DialFailure:
    before = server.login_attempts()
    with pytest.raises(DialFailure) as caught:
        await dial(target_of(server), pin, key.private)
    assert server.login_attempts() == before
    return caught.value


async def test_an_unknown_host_key_is_shown_and_nobody_logs_in(sshd: Sshd, key: Keypair) -> None:
    sshd.authorize(key.public)
    found = await refused(sshd, Pin(), key)
    assert found.cause == "host_key_unknown"
    assert found.offered == OfferedKey(sshd.fingerprint(), "ssh-ed25519")


async def test_the_pinned_key_lets_the_box_log_in(sshd: Sshd, key: Keypair) -> None:
    sshd.authorize(key.public)
    link = await dial(target_of(sshd), pin_of(sshd), key.private)
    assert link.offered == OfferedKey(sshd.fingerprint(), "ssh-ed25519")
    assert sshd.login_attempts() > 0  # so that the counter, too, is proved
    await link.close()


async def test_a_changed_host_key_stops_before_any_login(sshd: Sshd, key: Keypair) -> None:
    sshd.authorize(key.public)
    old = pin_of(sshd)
    sshd.restart(new_host_keys=("ed25519",))
    found = await refused(sshd, old, key)
    assert found.cause == "host_key_changed"
    assert found.offered == OfferedKey(sshd.fingerprint(), "ssh-ed25519")
    assert found.offered.fingerprint != old.fingerprint


@pytest.mark.parametrize("pinned, now", [("rsa", "ed25519"), ("ed25519", "rsa"), ("ecdsa", "ed25519")])
async def test_a_host_that_lost_its_pinned_type_is_a_mismatch_not_an_unknown_host(
    tmp_path: Path, key: Keypair, pinned: str, now: str
) -> None:
    with Sshd(tmp_path / "sshd", host_keys=(pinned,)) as server:
        server.authorize(key.public)
        old = pin_of(server, pinned)
        server.restart(new_host_keys=(now,))
        found = await refused(server, old, key)
        assert found.cause == "key_type_changed"
        assert found.offered == OfferedKey(server.fingerprint(now), KEY_TYPES[now])


@pytest.mark.parametrize("pinned", ["rsa", "ecdsa", "ed25519"])
async def test_a_host_with_several_keys_shows_the_pinned_type(
    tmp_path: Path, key: Keypair, pinned: str
) -> None:
    with Sshd(tmp_path / "sshd", host_keys=("ed25519", "rsa", "ecdsa")) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server, pinned), key.private)
        assert link.offered.key_type == KEY_TYPES[pinned]
        await link.close()


def test_the_pinned_type_comes_first_and_every_type_once() -> None:
    for kind in (None, "ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "something-new"):
        algs = host_key_algs(kind)
        assert sorted(algs) == sorted(set(algs)) == sorted(host_key_algs(None))
    assert host_key_algs("ssh-rsa")[:3] == ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]
    assert host_key_algs(None)[0] == "ssh-ed25519"


@pytest.mark.parametrize(
    "pin, verdict",
    [
        (Pin(None, None), "host_key_unknown"),
        (Pin("SHA256:here", "ssh-ed25519"), None),
        (Pin("SHA256:here", None), None),
        (Pin("SHA256:there", "ssh-ed25519"), "host_key_changed"),
        (Pin("SHA256:there", None), "host_key_changed"),
        (Pin("SHA256:there", "ssh-rsa"), "key_type_changed"),
        (Pin("", "ssh-ed25519"), "host_key_changed"),
    ],
)
def test_only_the_very_fingerprint_is_accepted(pin: Pin, verdict: str | None) -> None:
    assert judge_host_key(pin, OfferedKey("SHA256:here", "ssh-ed25519")) == verdict
