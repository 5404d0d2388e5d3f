"""Files on bad days: a network that breaks, a full disk, a user who may not, a server that can do less."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.cut import Cable
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.served import Client, Make
from tests.web.servers import start_session
from tests.web.test_files import Desk, desk

__all__ = ["desk"]
pytestmark = pytest.mark.sshd

PIECE = 4_000_000
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
PASSING = ("session_reconnecting", "file_timeout")


async def desk_of(make: Make, server: Sshd) -> Desk:
    served = await make(allow_loopback=True)
    phone = await served.browser()
    return Desk(phone, await start_session(phone, server), server.home)


def program(folder: Path, *lines: str) -> str:
    """A file transfer program of the server's that does something first."""
    file = folder / "sftp"
    file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    file.chmod(0o755)
    return f"sftp {file}"


async def pushed(desk: Desk, upload_id: str, data: bytes, offset: int) -> None:
    """Sends the rest as the page does: it goes on where it is told to, until the file has its place."""

    async def step() -> bool:
        nonlocal offset
        if offset < len(data):
            answer = await desk.send({"id": upload_id}, offset, data[offset : offset + PIECE])
        else:
            answer = await desk.post(f"uploads/{upload_id}/finish", existing="replace")
        told = answer.json()
        if answer.is_success:
            offset = told["upload"]["offset"] if "upload" in told else -1
            return offset == -1
        if told["code"] in ("upload_offset", "upload_incomplete"):
            offset = told["offset"]
        else:
            assert told["code"] in PASSING, told
        return False

    assert await eventually(step, timeout=60)


class TestANetworkThatBreaks:
    @pytest.fixture
    async def cut(self, sshd: Sshd) -> AsyncIterator[Cable]:
        with Cable(sshd.port) as cut:
            sshd.port = cut.port
            yield cut

    async def test_an_upload_goes_on_where_it_was_and_is_whole(
        self, cut: Cable, phone: Client, sshd: Sshd
    ) -> None:
        desk = Desk(phone, await start_session(phone, sshd), sshd.home)
        data = os.urandom(30_000_000)
        upload = await desk.begin(sshd.home / "big", len(data))
        assert (await desk.send(upload, 0, data[:PIECE])).is_success
        sending = asyncio.ensure_future(desk.send(upload, PIECE, data[PIECE : 2 * PIECE]))
        await asyncio.to_thread(cut.pull)
        await asyncio.to_thread(cut.plug)
        await sending
        await pushed(desk, upload["id"], data, 2 * PIECE)
        assert (sshd.home / "big").read_bytes() == data
        assert await desk.names(hidden=True) == ["big"]

    async def test_a_download_is_cut_and_resumed_to_the_same_bytes(
        self, cut: Cable, phone: Client, sshd: Sshd
    ) -> None:
        desk = Desk(phone, await start_session(phone, sshd), sshd.home)
        data = os.urandom(40_000_000)
        (sshd.home / "big").write_bytes(data)
        got, etag, whole = await fetched(desk, b"", "", cut)
        assert not whole, "it passed for whole though the network broke"
        assert got == data[: len(got)]

        async def again() -> bool:
            nonlocal got
            got, _, whole = await fetched(desk, got, etag, None)
            return whole

        assert await eventually(again, timeout=60)
        assert got == data


async def fetched(desk: Desk, got: bytes, etag: str, cut: Cable | None) -> tuple[bytes, str, bool]:
    """More of the file, as a browser resumes it; with `cut` the network breaks once something has come."""
    headers = {**desk.client.headers}
    if got:
        headers |= {"range": f"bytes={len(got)}-", "if-range": etag}
    parts = [got]
    params = {"path": str(desk.home / "big")}
    place = f"/api/v1{desk.at}/content"
    try:
        async with desk.client.http.stream("GET", place, params=params, headers=headers) as answer:
            if answer.status_code == 409:
                return got, etag, False
            assert answer.status_code == (206 if got else 200), await answer.aread()
            etag = answer.headers["etag"]
            async for part in answer.aiter_raw():
                parts.append(part)
                if cut is not None:
                    await asyncio.to_thread(cut.pull)
                    await asyncio.to_thread(cut.plug)
                    cut = None
    except httpx.RemoteProtocolError:
        return b"".join(parts), etag, False
    return b"".join(parts), etag, True


class TestADiskThatIsFull:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Path]:
        """A disk of 6 MB."""
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", disk], check=False)
        if mounted.returncode:
            pytest.skip("only root can mount a small disk")
        yield disk
        subprocess.run(["umount", "-l", disk], check=True)

    async def test_an_upload_says_so_and_goes_on_once_there_is_room(self, desk: Desk, small: Path) -> None:
        (small / "old").write_bytes(bytes(1_000_000))
        data = os.urandom(5_800_000)
        upload = await desk.begin(small / "new", len(data))
        first = await desk.send(upload, 0, data[:PIECE])
        assert first.is_success
        await desk.send(upload, PIECE, data[PIECE:])
        refused = await desk.post(f"uploads/{upload['id']}/finish")
        assert (refused.status_code, refused.json()["code"]) == (409, "file_disk_full")
        assert not (small / "new").exists()
        (small / "old").unlink()
        await pushed(desk, upload["id"], data, len(data))
        assert (small / "new").read_bytes() == data

    async def test_a_text_that_does_not_fit_leaves_the_old_one(self, desk: Desk, small: Path) -> None:
        (small / "notes").write_text("old")
        opened = await desk.text(small / "notes")
        (small / "filler").write_bytes(bytes(6 * 1024 * 1024 - 4096 * 2))
        body = {"path": small / "notes", "text": "x" * 900_000, "version": opened["version"]}
        assert await desk.refused("text", **body) == "file_disk_full"
        assert (small / "notes").read_text() == "old"

    async def test_a_file_that_may_grow_no_further_is_refused_and_never_half_there(
        self, make: Make, tmp_path: Path
    ) -> None:
        limited = program(tmp_path, "trap '' XFSZ", "ulimit -f 2048", f"exec {SFTP_SERVER}")
        with Sshd(tmp_path / "limited", options={"Subsystem": limited}) as server:
            desk = await desk_of(make, server)
            upload = await desk.begin(server.home / "f", 3_000_000)
            await desk.send(upload, 0, bytes(3_000_000))
            assert await desk.refused(f"uploads/{upload['id']}/finish") == "file_failed"
            told = (await desk.client.get(f"{desk.at}/uploads")).json()["uploads"]
            assert [each["offset"] for each in told] == [0]
            assert not (server.home / "f").exists()


class TestAServerThatDoesLess:
    async def test_a_user_who_may_not_is_told_so_each_time(self, make: Make, tmp_path: Path) -> None:
        """Also where the tests are run by root, whom no server refuses anything."""
        drop = "setpriv --reuid=65534 --regid=65534 --clear-groups " if os.geteuid() == 0 else ""
        other = program(tmp_path, f"exec {drop}{SFTP_SERVER}")
        for folder in [tmp_path, *tmp_path.parents][:3]:
            if folder.stat().st_uid == os.geteuid():
                folder.chmod(0o755)
        with Sshd(tmp_path / "other", options={"Subsystem": other}) as server:
            desk = await desk_of(make, server)
            server.folder.chmod(0o755)
            closed = server.home / "closed"
            (closed / "inner").mkdir(parents=True)
            (closed / "inner" / "file").write_text("secret")
            secret = closed / "secret"
            secret.write_text("secret")
            secret.chmod(0)
            closed.chmod(0o555)
            (closed / "inner").chmod(0)
            try:
                await every_refusal(desk, closed, secret)
            finally:
                (closed / "inner").chmod(0o755)
                closed.chmod(0o755)
            assert (closed / "inner" / "file").read_text() == "secret"

    async def test_without_posix_rename_a_file_is_still_replaced_and_nothing_is_left(
        self, make: Make, tmp_path: Path
    ) -> None:
        plain = program(tmp_path, f"exec {SFTP_SERVER} -P posix-rename")
        with Sshd(tmp_path / "plain", options={"Subsystem": plain}) as server:
            desk = await desk_of(make, server)
            target = server.home / "notes"
            target.write_text("old")
            target.chmod(0o640)
            await desk.upload(target, b"new", existing="replace")
            assert target.read_text() == "new"
            assert target.stat().st_mode & 0o777 == 0o640
            opened = await desk.text(target)
            await desk.done("text", path=target, text="edited", version=opened["version"])
            assert target.read_text() == "edited"
            (server.home / "other").write_text("in the way")
            assert await desk.refused("move", path=target, to=server.home / "other") == "file_exists"
            await desk.done("move", path=target, to=server.home / "other", replace=True)
            assert (server.home / "other").read_text() == "edited"
            assert await desk.names(hidden=True) == ["other"]


async def every_refusal(desk: Desk, closed: Path, secret: Path) -> None:
    listed = await desk.client.get(desk.at, params={"path": str(closed / "inner")})
    assert (listed.status_code, listed.json()["code"]) == (403, "file_denied")
    read = await desk.download(secret)
    assert (read.status_code, read.json()["code"]) == (403, "file_denied")
    text = await desk.client.get(f"{desk.at}/text", params={"path": str(secret)})
    assert (text.status_code, text.json()["code"]) == (403, "file_denied")
    assert await desk.refused("folders", path=closed / "new") == "file_denied"
    assert await desk.refused("uploads", path=closed / "new", size=1) == "file_denied"
    assert await desk.refused("move", path=secret, to=closed / "moved") == "file_denied"
    gone = await desk.remove(closed / "inner") if os.geteuid() else None
    assert gone is None or gone["state"] == "failed"


def test_the_programs_of_the_server_are_there() -> None:
    assert shutil.which("setpriv")
    assert Path(SFTP_SERVER).exists()
