"""SFTP against servers that are mean or broken: every request ends, in bounded time and memory, with a reason."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.sftp import SFTPAttrs, SFTPName, SFTPServer

from clawdbox.ssh.model.files import FileKind
from clawdbox.ssh.wire import sftp as wire
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.sftp import Sftp, SftpFailure
from tests.ssh.sftp_server import linked, raw, serving
from tests.ssh.sshd import Sshd

FILE = SFTPAttrs(permissions=stat.S_IFREG | 0o644, size=10, mtime=1)


@asynccontextmanager
async def opened(sftp: Any, root: Path | None = None) -> AsyncIterator[Sftp]:
    async with serving(sftp, root) as port, linked(port) as link:
        channel = await Sftp.open(link)
        try:
            yield channel
        finally:
            await channel.close()


async def reason(work: Awaitable[object]) -> str:
    with pytest.raises(SftpFailure) as caught:
        await work
    return caught.value.reason


async def names(channel: Sftp, most: int = 10**9) -> list[bytes]:
    found: list[bytes] = []
    async with aclosing(channel.scan(b"/")) as pieces:
        async for piece in pieces:
            found += [entry.name for entry in piece]
            if len(found) >= most:
                break
    return found


class Listing(SFTPServer):
    """Tells whatever names it was given."""

    told: tuple[bytes, ...] = ()

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        for name in self.told:
            yield SFTPName(name, b"", FILE)


async def test_names_come_as_they_are_told_and_dots_are_left_out() -> None:
    class Hostile(Listing):
        told = (
            b".",
            b"..",
            b"../../etc/passwd",
            b"/etc/passwd",
            b"a\0b",
            b"line\nfeed",
            b"",
            b"\xff\xfe",
            b"x" * 60_000,
        )

    async with opened(Hostile) as channel:
        assert await names(channel) == list(Hostile.told[2:])


async def test_a_listing_without_end_is_left_when_it_is_enough() -> None:
    class Endless(SFTPServer):
        async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
            number = 0
            while True:
                yield SFTPName(str(number).encode(), b"", FILE)
                number += 1

    async with opened(Endless) as channel:
        assert len(await names(channel, 5_000)) < 6_000
        assert (await channel.lstat(b"/")).kind is FileKind.FOLDER


@pytest.mark.parametrize("name", [b".", b".."])
async def test_a_folder_that_says_nothing_but_dots_is_not_read_for_ever(name: bytes) -> None:
    class Dots(SFTPServer):
        async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
            while True:
                yield SFTPName(name, b"", FILE)

    async with opened(Dots) as channel:
        assert await reason(names(channel)) == "nonsense"


async def test_a_name_of_ten_megabytes_ends_the_channel_and_not_the_link() -> None:
    class Long(Listing):
        told = (b"x" * 10_000_000,)

    async with serving(Long) as port, linked(port) as link:
        channel = await Sftp.open(link)
        assert await reason(names(channel)) in ("nonsense", "lost")
        assert not channel.is_open
        assert link.is_up
        await channel.close()
        again = await Sftp.open(link)
        assert (await again.lstat(b"/")).kind is FileKind.FOLDER
        await again.close()


@pytest.mark.parametrize(
    "error, told",
    [
        (asyncssh.SFTPPermissionDenied("no"), "denied"),
        (asyncssh.SFTPNoSuchFile("no"), "missing"),
        (asyncssh.SFTPFailure("no"), "failed"),
        (asyncssh.SFTPOpUnsupported("no"), "unsupported"),
    ],
)
async def test_refusals_have_their_reason(error: asyncssh.SFTPError, told: str) -> None:
    class Refusing(SFTPServer):
        def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
            raise error

    async with opened(Refusing) as channel:
        assert await reason(channel.mkdir(b"/a")) == told
        assert channel.is_open


class Reading(SFTPServer):
    """A file that is read as the test says: `answer(offset, size)`."""

    answer: Callable[[int, int], Any] = staticmethod(lambda _offset, size: bytes(size))

    def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        return object()

    def read(self, file_obj: object, offset: int, size: int) -> Any:
        return type(self).answer(offset, size)

    def fstat(self, file_obj: object) -> SFTPAttrs:
        return FILE

    def close(self, file_obj: object) -> None:
        pass


async def read(channel: Sftp, end: int, most: int = 10**9) -> int:
    count = 0
    async with channel.opened(b"/f") as file, aclosing(file.read(0, end)) as pieces:
        async for piece in pieces:
            count += len(piece)
            if count >= most:
                break
    return count


async def test_short_answers_are_put_together_in_order() -> None:
    class Short(Reading):
        answer = staticmethod(lambda offset, size: bytes((offset + i) % 251 for i in range(min(size, 1000))))

    async with (
        opened(Short) as channel,
        channel.opened(b"/f") as file,
        aclosing(file.read(0, 300_000)) as pieces,
    ):
        data = b"".join([piece async for piece in pieces])
    assert data == bytes(i % 251 for i in range(300_000))


async def test_an_answer_with_more_than_was_asked_for_is_nonsense() -> None:
    class More(Reading):
        answer = staticmethod(lambda _offset, size: bytes(size + 1))

    async with opened(More) as channel:
        assert await reason(read(channel, 100_000)) == "nonsense"


async def test_a_file_without_end_is_read_only_as_far_as_it_was_asked_for() -> None:
    async with opened(Reading) as channel:
        assert await read(channel, 3_000_000) == 3_000_000
        async with channel.opened(b"/f") as file:
            assert len(await file.read_all(1_048_577)) == 1_048_577


async def test_a_file_that_is_shorter_than_told_ends_early() -> None:
    class Shorter(Reading):
        answer = staticmethod(lambda offset, size: bytes(max(0, min(size, 150_000 - offset))))

    async with opened(Shorter) as channel:
        assert await read(channel, 10_000_000) == 150_000


async def test_a_server_that_stalls_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_S", 0.3)

    class Stalling(SFTPServer):
        async def lstat(self, path: bytes) -> SFTPAttrs:
            await asyncio.Event().wait()
            raise AssertionError

    async with serving(Stalling) as port, linked(port) as link:
        channel = await Sftp.open(link)
        assert await reason(channel.lstat(b"/f")) == "timeout"
        assert not channel.is_open
        assert link.is_up
        await channel.close()


async def hello(reader: Any, writer: Any) -> None:
    await reader.readexactly(9)
    writer.write(b"\0\0\0\5\2\0\0\0\3")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="ends at once"),
        pytest.param(b"Welcome to Bob's server!\r\n", id="prints text"),
        pytest.param(b"\xff\xff\xff\xff" + bytes(100), id="4 GiB"),
        pytest.param(b"\0\0\0\0" * 100, id="empty packets"),
        pytest.param(b"\0\0\0\5\2\0\0\0\1", id="version 1"),
        pytest.param(b"\0\0\0\x09\2\0\0\0\3\x7f\xff\xff\xff", id="broken extensions"),
    ],
)
async def test_what_does_not_speak_sftp_is_told_apart(answer: bytes) -> None:
    async def play(reader: Any, writer: Any) -> None:
        writer.write(answer)
        if answer:
            await reader.read()

    async with raw(play) as port, linked(port) as link:
        said = await reason(Sftp.open(link))
        assert said == ("nonsense" if answer else "no_subsystem")
        assert link.is_up


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"\0\0\0\x05\x65\xff\xff\xff\xff", id="another's id"),
        pytest.param(b"\0\0\0\x09\x68\0\0\0\0\xff\xff\xff\xff", id="names without end"),
        pytest.param(b"\0\0\0\x09\x68\0\0\0\0\0\0\0\0", id="no name"),
        pytest.param(b"\0\0\0\x05\x69\0\0\0\0", id="no attributes"),
        pytest.param(b"\x7f\xff\xff\xff\x68", id="2 GiB"),
        pytest.param(b"\0\0\0\x01\x68", id="cut"),
    ],
)
async def test_packets_that_are_none_end_the_channel(packet: bytes) -> None:
    async def play(reader: Any, writer: Any) -> None:
        await hello(reader, writer)
        await reader.read(1)
        writer.write(packet)
        await reader.read()

    async with raw(play) as port, linked(port) as link:
        channel = await Sftp.open(link)
        assert await reason(channel.realpath(b".")) in ("nonsense", "lost")
        assert not channel.is_open
        await channel.close()
        assert link.is_up


async def test_a_server_without_posix_rename_and_statvfs_says_unsupported() -> None:
    async def play(reader: Any, writer: Any) -> None:
        await hello(reader, writer)
        await reader.read()

    async with raw(play) as port, linked(port) as link:
        channel = await Sftp.open(link)
        assert await reason(channel.replace(b"/a", b"/b")) == "unsupported"
        assert not await channel.is_full(b"/")
        await channel.close()


async def test_who_waits_hears_of_the_end_of_the_channel() -> None:
    async def play(reader: Any, writer: Any) -> None:
        await hello(reader, writer)
        await reader.read(1)

    async with raw(play) as port, linked(port) as link:
        channel = await Sftp.open(link)
        assert await reason(channel.lstat(b"/f")) == "lost"
        await channel.close()


@pytest.mark.sshd
async def test_many_may_open_and_cancel_without_keeping_the_servers_sessions(
    sshd: Sshd, link: Link, tmp_path: Path
) -> None:
    for after in (0, 1, 2, 5, 10, 20, 50):
        opening = asyncio.ensure_future(Sftp.open(link))
        for _ in range(after):
            await asyncio.sleep(0)
        opening.cancel()
        outcome = (await asyncio.gather(opening, return_exceptions=True))[0]
        if isinstance(outcome, Sftp):
            await outcome.close()
    channels = [await Sftp.open(link) for _ in range(10)]  # all that MaxSessions allows
    (tmp_path / "f").write_bytes(os.urandom(1000))
    assert {(await channel.stat(str(tmp_path / "f").encode())).size for channel in channels} == {1000}
    for channel in channels:
        await channel.close()
