"""The quickened connection says and hears the same bytes as asyncssh's own, also while keys are exchanged anew."""

import asyncio
import hashlib
from pathlib import Path

import asyncssh
import pytest

from clawdbox.ssh.wire import client, fast
from clawdbox.ssh.wire.dial import dial
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.fast import FastConnection, FastGcm
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import Pin
from tests.ssh.keys import Keypair, local, pin_of, target_of
from tests.ssh.odd_server import OddServer, OddSession
from tests.ssh.sshd import Sshd
from tests.waiting import eventually

_SIZE = 40_000_000


def test_the_installed_asyncssh_is_the_one_whose_inside_is_known() -> None:
    assert fast.KNOWN, "read SSHConnection._recv_packet, .send_packet and .send_newkeys, then move the pin"


async def sum_of_output(link: Link, command: str) -> tuple[int, str]:
    channel = await link.open_exec(command)
    digest, size = hashlib.sha256(), 0
    while piece := await channel.next():
        digest.update(piece[1])
        size += len(piece[1])
    return size, digest.hexdigest()


@pytest.fixture
def noise(tmp_path: Path) -> tuple[Path, str]:
    """A file that does not compress and repeats nowhere, and its digest."""
    data = hashlib.shake_256(b"noise").digest(_SIZE)
    file = tmp_path / "noise"
    file.write_bytes(data)
    return file, hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("known", [True, False])
async def test_a_large_output_is_whole_over_many_rekeys_of_the_server(
    tmp_path: Path, key: Keypair, noise: tuple[Path, str], known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "KNOWN", known)
    with Sshd(tmp_path / "sshd", options={"RekeyLimit": "1M"}) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        assert isinstance(link.connection, FastConnection) is known
        assert await sum_of_output(link, f"cat {noise[0]}") == (_SIZE, noise[1])
        assert link.is_up
        await link.close()


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "aes128-ctr", "chacha20-poly1305@openssh.com"])
async def test_every_cipher_gives_the_same_bytes(
    tmp_path: Path, key: Keypair, noise: tuple[Path, str], cipher: str
) -> None:
    with Sshd(tmp_path / "sshd", options={"Ciphers": cipher, "RekeyLimit": "10M"}) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        assert link.connection.get_extra_info("recv_cipher") == cipher
        assert await sum_of_output(link, f"cat {noise[0]}") == (_SIZE, noise[1])
        await link.close()


async def test_what_we_send_is_whole_over_many_rekeys_of_ours(
    sshd: Sshd, key: Keypair, noise: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd.authorize(key.public)
    link = await dial(target_of(sshd), pin_of(sshd), key.private)
    monkeypatch.setattr(link.connection, "_rekey_bytes", 1_000_000)
    process: asyncssh.SSHClientProcess[bytes] = await link.connection.create_process(
        "sha256sum", encoding=None
    )
    data = noise[0].read_bytes()
    ciphers: list[object] = []
    for start in range(0, _SIZE, 500_000):
        process.stdin.write(data[start : start + 500_000])
        await process.stdin.drain()
        now = link.connection._send_encryption
        assert type(now) is FastGcm
        if now not in ciphers:
            ciphers.append(now)
    process.stdin.write_eof()
    assert (await process.stdout.read()).split()[0].decode() == noise[1]
    assert len(ciphers) > 5
    await link.close()


async def test_a_changed_byte_ends_the_connection(link: Link) -> None:
    told: list[str] = []
    link.on_lost(told.append)
    link.connection.data_received(b"\0\0\0\x10" + b"x" * 32)
    await eventually(lambda: told)
    assert "MAC" in told[0]


async def test_a_packet_too_large_ends_the_connection(link: Link) -> None:
    told: list[str] = []
    link.on_lost(told.append)
    link.connection.data_received(b"\x7f\xff\xff\xf0" + b"x" * 12)
    await eventually(lambda: told)
    assert "packet size" in told[0].lower()


class PastTheWindow(OddSession):
    """Sends more than the window allows, or to a channel that there is not."""

    wrong_channel = False

    def session_started(self) -> None:
        assert self.chan is not None
        self.chan._send_window = 1 << 40
        if self.wrong_channel:
            self.chan._send_chan = 77
        for _ in range(640):
            self.chan.write(b"x" * 32768)


class WrongChannel(PastTheWindow):
    wrong_channel = True


@pytest.mark.parametrize("session", [PastTheWindow, WrongChannel])
async def test_channel_data_out_of_order_is_still_an_error(key: Keypair, session: type[OddSession]) -> None:
    server = OddServer(session)
    async with server.link(key) as link:
        await link.open_exec("flood")  # and nobody reads what it says
        await eventually(lambda: not link.is_up)


async def test_a_storm_of_rekeys_ends_the_connection_with_its_reason(
    key: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_REKEYS_AT_ONCE", 20)
    server = OddServer()
    async with server.link(key) as link:
        told: list[str] = []
        link.on_lost(told.append)
        assert server.conn is not None
        server.conn._rekey_bytes = 1
        while not told and link.is_up:
            server.conn.send_debug("more keys")
            await asyncio.sleep(0)
        await eventually(lambda: told)
        assert told == ["The connection ended: the server asked for new keys without end."]


async def test_a_storm_of_rekeys_by_a_server_with_a_certificate_ends_too(
    key: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_REKEYS_AT_ONCE", 20)
    server = OddServer()
    authority, host_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in "ab")
    certificate = authority.generate_host_certificate(host_key, "a server", principals=["127.0.0.1"])
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: server,
        server_host_keys=[(host_key, certificate)],
        encoding=None,
    )
    pin = Pin(authorities=(authority.get_fingerprint("sha256"),))
    link = await dial(local(acceptor.get_port()), pin, key.private)
    told: list[str] = []
    link.on_lost(told.append)
    assert server.conn is not None
    server.conn._rekey_bytes = 1
    for _ in range(2000):
        if told:
            break
        server.conn.send_debug("more keys")
        await asyncio.sleep(0)
    await eventually(lambda: told)
    assert told == ["The connection ended: the server asked for new keys without end."]
    await link.close()
    acceptor.close()
    await acceptor.wait_closed()


async def test_a_few_rekeys_are_ordinary(tmp_path: Path, key: Keypair) -> None:
    with Sshd(tmp_path / "sshd", options={"RekeyLimit": "16K"}) as server:
        server.authorize(key.public)
        link = await dial(target_of(server), pin_of(server), key.private)
        answer = await run(link, "head -c 1000000 /dev/zero", timeout_s=30, max_output_bytes=2_000_000)
        assert (len(answer.stdout), answer.exit_status) == (1_000_000, 0)
        await link.close()
