"""Why a dial fails: each cause is told apart, within its time, with a sentence and a next step."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from clawdbox.ssh.wire.dial import DialFailure, Pin, Target, dial
from tests.ssh.hostile import deaf_port, serving
from tests.ssh.keys import Keypair, local, pin_of, target_of
from tests.ssh.sshd import Sshd

NO_PIN = Pin("SHA256:" + "A" * 43, "ssh-ed25519")


async def failure(target: Target, key: Keypair, pin: Pin = NO_PIN, **options: Any) -> DialFailure:
    with pytest.raises(DialFailure) as caught:
        await dial(target, pin, key.private, **options)
    assert caught.value.message.endswith(".")
    assert caught.value.next_step.endswith(".")
    return caught.value


async def test_a_name_that_does_not_exist_is_named(key: Keypair) -> None:
    found = await failure(Target("no-such-host.invalid", 22, "me"), key)
    assert found.cause == "name"
    assert "no-such-host.invalid" in found.message


async def test_a_look_up_that_takes_too_long_ends_in_time(
    key: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()

    async def never(*_: object, **__: object) -> list[object]:
        await release.wait()
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    found = await failure(Target("slow.example", 22, "me"), key, connect_timeout=0.2)
    assert found.cause == "name"
    assert "too long" in found.message
    release.set()


async def test_a_port_where_nothing_listens_is_told_from_a_firewall(key: Keypair) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = await failure(local(port), key)
    assert found.cause == "port"
    assert str(port) in found.message


async def test_no_answer_at_all_is_the_firewall_within_the_connect_timeout(key: Keypair) -> None:
    with deaf_port() as port:
        begun = time.monotonic()
        found = await failure(local(port), key, connect_timeout=0.6)
    assert found.cause == "firewall"
    assert f"Nothing answered on port {port}" in found.message
    assert time.monotonic() - begun < 8


async def test_a_dead_first_address_does_not_eat_the_time_of_the_second(
    sshd: Sshd, key: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd.authorize(key.public)
    with deaf_port() as dead:
        entries = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)) for port in (dead, sshd.port)]

        async def two(*_: object, **__: object) -> list[object]:
            return list(entries)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
        link = await dial(target_of(sshd), pin_of(sshd), key.private, connect_timeout=4)
    assert link.is_up
    await link.close()


async def test_loopback_is_refused_undialled_and_the_flag_that_allows_it_is_named(key: Keypair) -> None:
    dialled = asyncio.Event()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled.set()

    async with serving(note) as port:
        found = await failure(Target("127.0.0.1", port, "me"), key)
    assert found.cause == "address_refused"
    assert "--allow-loopback" in found.next_step
    assert not dialled.is_set()


@pytest.mark.parametrize("host", ["169.254.1.1", "0.0.0.0", "fe80::1", "224.0.0.1"])
async def test_addresses_that_are_no_servers_are_refused_without_a_way_around(
    key: Keypair, host: str
) -> None:
    found = await failure(Target(host, 22, "me"), key)
    assert found.cause == "address_refused"
    assert "--allow-loopback" not in found.next_step


async def test_the_boxs_own_port_is_refused_even_where_loopback_is_allowed(key: Keypair) -> None:
    found = await failure(Target("127.0.0.1", 8022, "me", allow_loopback=True, own_port=8022), key)
    assert found.cause == "address_refused"


async def test_a_name_that_resolves_to_a_refused_address_is_judged_after_resolution(
    key: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rebound(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 22)), (socket.AF_INET6, 1, 6, "", ("::1", 22, 0, 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebound)
    found = await failure(Target("nas.example", 22, "me"), key)
    assert found.cause == "address_refused"
    assert "::1" in found.message


async def test_a_key_that_is_not_installed_is_an_authentication_failure(sshd: Sshd, key: Keypair) -> None:
    found = await failure(target_of(sshd), key, pin_of(sshd))
    assert found.cause == "authentication"
    assert sshd.username in found.message
    assert found.offered is not None


async def test_a_server_that_hangs_up_after_one_try_is_an_authentication_failure_too(
    key: Keypair, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "sshd", max_auth_tries=1) as server:
        found = await failure(target_of(server), key, pin_of(server))
    assert found.cause == "authentication"


@pytest.mark.parametrize(
    "option, only", [("Ciphers", "aes128-cbc"), ("KexAlgorithms", "sntrup761x25519-sha512@openssh.com")]
)
async def test_a_server_without_any_algorithm_in_common_is_told_with_what_it_offers(
    key: Keypair, tmp_path: Path, option: str, only: str
) -> None:
    with Sshd(tmp_path / "sshd", options={option: only}) as server:
        server.authorize(key.public)
        found = await failure(target_of(server), key, pin_of(server))
    assert found.cause == "algorithms"
    assert only in found.message


async def test_chacha20_is_used_with_strict_key_exchange(key: Keypair, tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd", options={"Ciphers": "chacha20-poly1305@openssh.com"}) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        assert link.is_up
        await link.close()


async def test_chacha20_is_refused_without_strict_key_exchange_before_any_login(
    key: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncssh.SSHServerConnection, "_get_extra_kex_algs", lambda self: [])
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[host_key], encryption_algs=["chacha20-poly1305@openssh.com"]
    )
    found = await failure(local(acceptor.get_port()), key, Pin(host_key.get_fingerprint(), "ssh-ed25519"))
    assert found.cause == "algorithms"
    assert "strict key exchange" in found.message
    acceptor.close()
    await acceptor.wait_closed()


async def test_nothing_of_this_machines_ssh_configuration_is_used(
    sshd: Sshd, key: Keypair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "me"
    home.mkdir()
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text(f"Match exec 'touch {home}/ran'\nProxyCommand touch {home}/ran\n")
    (home / ".ssh" / "known_hosts").write_text("@revoked * ssh-ed25519 AAAA\n")
    (home / ".ssh" / "id_ed25519").write_bytes(key.private)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    sshd.authorize(key.public)
    other = Keypair.make()
    found = await failure(target_of(sshd), other, pin_of(sshd))
    assert found.cause == "authentication"
    assert not (home / "ran").exists()


async def test_a_private_key_that_cannot_be_read_is_said_so_without_dialling(sshd: Sshd) -> None:
    found = await failure(target_of(sshd), Keypair(b"no key", ""), pin_of(sshd))
    assert found.cause == "authentication"
    assert "no key" not in found.message + found.detail


async def test_a_banner_is_shown_without_its_escape_codes(key: Keypair, tmp_path: Path) -> None:
    folder = tmp_path / "sshd"
    folder.mkdir()
    (folder / "banner").write_bytes(b"\x1b]0;owned\x07Welcome\nto \xff the \x1b[31mlab\n")
    with Sshd(folder, options={"Banner": str(folder / "banner")}) as server:
        server.authorize(key.public)
        heard: list[str] = []
        link = await dial(target_of(server), pin_of(server), key.private, on_banner=heard.append)
        await link.close()
    assert "Welcome\nto" in heard[0]
    assert "\x1b" not in heard[0]
    assert "\x07" not in heard[0]


async def test_a_cancelled_dial_leaves_no_connection_behind(key: Keypair) -> None:
    gone = asyncio.Event()

    async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1000):
                connected.set()
        finally:
            gone.set()

    connected = asyncio.Event()
    async with serving(watch) as port:
        task = asyncio.ensure_future(dial(local(port), NO_PIN, key.private))
        await asyncio.wait_for(connected.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5)
