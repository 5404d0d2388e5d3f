"""Files over a real OpenSSH server, as the API tells of them."""

import asyncio
import hashlib
import os
import pwd
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from clawdbox.ssh.rules import files as rules
from tests.ssh.sshd import Sshd
from tests.waiting import eventually
from tests.web.routes import ABSENT, http_routes
from tests.web.served import Client, Json, Make, Served
from tests.web.servers import start_session

pytestmark = pytest.mark.sshd


class Desk:
    """A session and its files, in short words."""

    def __init__(self, client: Client, session: Json, home: Path) -> None:
        self.client = client
        self.session = session
        self.at = f"/sessions/{session['id']}/files"
        self.home = home

    async def show(self, path: Path | str | None = None, **more: Any) -> Json:
        params = {"path": str(path or self.home), **more}
        answer = await self.client.get(self.at, params=params, timeout=60)
        assert answer.status_code == 200, answer.text
        listing: Json = answer.json()
        return listing

    async def names(self, **more: Any) -> list[str]:
        return [entry["name"] for entry in (await self.show(**more))["entries"]]

    async def post(self, what: str, **body: object) -> httpx.Response:
        return await self.client.post(
            f"{self.at}/{what}",
            {name: str(value) if isinstance(value, Path) else value for name, value in body.items()},
        )

    async def done(self, what: str, **body: object) -> Json:
        answer = await self.post(what, **body)
        assert answer.status_code in (200, 201), answer.text
        found: Json = answer.json()
        return found

    async def refused(self, what: str, **body: object) -> str:
        answer = await self.post(what, **body)
        assert answer.status_code >= 400, answer.text
        return str(answer.json()["code"])

    async def download(self, path: Path | str, **headers: str) -> httpx.Response:
        return await self.client.get(f"{self.at}/content", params={"path": str(path)}, headers=headers)

    async def begin(self, path: Path | str, size: int, **more: object) -> Json:
        begun = await self.done("uploads", path=str(path), size=size, **more)
        upload: Json = begun["upload"]
        return upload

    async def send(self, upload: Json, offset: int, data: bytes) -> httpx.Response:
        return await self.client.ask(
            "PATCH",
            f"/api/v1{self.at}/uploads/{upload['id']}?offset={offset}",
            content=data,
            headers={"content-type": "application/octet-stream"},
        )

    async def upload(self, path: Path | str, data: bytes, piece: int = 1_000_000, **finish: object) -> Json:
        upload = await self.begin(path, len(data), existing=finish.get("existing", "ask"))
        for start in range(0, len(data), piece):
            answer = await self.send(upload, start, data[start : start + piece])
            assert answer.status_code == 200, answer.text
        return await self.done(f"uploads/{upload['id']}/finish", **finish)

    async def text(self, path: Path | str) -> Json:
        answer = await self.client.get(f"{self.at}/text", params={"path": str(path)})
        assert answer.status_code == 200, answer.text
        file: Json = answer.json()["file"]
        return file

    async def remove(self, path: Path | str) -> Json:
        """Count, confirm and wait, as the page does."""
        begun = (await self.done("removals", path=str(path)))["removal"]
        counted = await self.settled(begun["id"])
        assert counted["state"] == "counted", counted
        await self.done(f"removals/{begun['id']}/confirm")
        return await self.settled(begun["id"])

    async def settled(self, removal_id: str) -> Json:
        async def look() -> Json | None:
            removal = (await self.client.get(f"{self.at}/removals/{removal_id}")).json()["removal"]
            return None if removal["state"] in ("counting", "removing") else removal

        found = await eventually(look, timeout=30)
        assert found is not None
        return found


@pytest.fixture
async def desk(phone: Client, sshd: Sshd) -> Desk:
    return Desk(phone, await start_session(phone, sshd), sshd.home)


class TestFolders:
    async def test_a_folder_is_shown_with_kinds_sizes_and_times(self, desk: Desk) -> None:
        (desk.home / "b.txt").write_bytes(b"x" * 5_000)
        (desk.home / "A folder").mkdir()
        (desk.home / ".hidden").touch()
        (desk.home / "link").symlink_to("b.txt")
        (desk.home / "broken").symlink_to("/nowhere/at/all")
        (desk.home / "loop").symlink_to("loop")
        os.mkfifo(desk.home / "pipe")
        os.utime(desk.home / "b.txt", (1_700_000_000, 1_700_000_000))

        shown = await desk.show()

        assert shown["path"] == str(desk.home)
        assert shown["parent"] == str(desk.home.parent)
        entries = {entry["name"]: entry for entry in shown["entries"]}
        assert list(entries) == ["A folder", "b.txt", "broken", "link", "loop", "pipe"]
        assert (shown["total"], shown["hidden"], shown["skipped"], shown["cut"]) == (6, 1, 0, False)
        file = entries["b.txt"]
        assert (file["kind"], file["size"], file["modified_at"]) == ("file", 5000, "2023-11-14T22:13:20Z")
        assert entries["A folder"]["kind"] == "folder"
        assert entries["pipe"]["kind"] == "special"
        targets = {name: (entry["target"], entry["target_kind"]) for name, entry in entries.items()}
        assert targets["link"] == ("b.txt", "file")
        assert targets["broken"] == ("/nowhere/at/all", None)
        assert targets["loop"] == ("loop", None)
        assert ".hidden" in await desk.names(hidden=True)
        assert await desk.names(wanted="LI") == ["link"]
        assert (await desk.names(sort="size", descending=True))[:2] == ["A folder", "b.txt"]

    async def test_a_long_folder_comes_in_pages_of_one_reading(self, desk: Desk) -> None:
        for number in range(450):
            (desk.home / f"{number:04}").touch()
        first = await desk.show(limit=200)
        (desk.home / "0000a").touch()
        more = {"limit": 200, "listing": first["listing"]}
        second = await desk.show(desk.home, offset=200, **more)
        third = await desk.show(desk.home, offset=400, **more)

        names = [entry["name"] for page in (first, second, third) for entry in page["entries"]]
        assert names == [f"{number:04}" for number in range(450)]
        assert {page["total"] for page in (first, second, third)} == {450}
        assert (await desk.show())["total"] == 451

    async def test_names_that_are_no_text_can_be_sent_back(self, desk: Desk) -> None:
        hostile = [
            b"caf\xe9",
            b"line\nfeed",
            "\u202egpj.exe".encode(),
            b"100%",
            b"%2e%2e",
            b"\x1b[2J",
            "ünï".encode(),
        ]
        for name in hostile:
            (desk.home / os.fsdecode(name)).write_bytes(name)

        entries = (await desk.show())["entries"]

        assert len(entries) == len(hostile)
        for entry in entries:
            content = (await desk.download(entry["path"])).content
            assert content in hostile
            assert not any(ord(char) < 32 or char == "\u202e" for char in entry["name"] + entry["path"])
        shown = {entry["name"] for entry in entries}
        assert {"caf\\xe9", "line\\x0afeed", "\\u{202e}gpj.exe", "100%", "ünï"} <= shown

    async def test_without_a_path_it_is_the_home_of_that_user(self, desk: Desk) -> None:
        answer = (await desk.client.get(desk.at)).json()
        assert answer["path"] == pwd.getpwuid(os.getuid()).pw_dir

    @pytest.mark.parametrize("path", ["relative", "/a/../etc", "/nul%00", "/" + "x" * 5000, ""])
    async def test_paths_that_are_none_are_refused(self, desk: Desk, path: str) -> None:
        answer = await desk.client.get(f"{desk.at}/entry", params={"path": path})
        assert (answer.status_code, answer.json()["field"]) == (422, "path")

    async def test_what_is_not_there_says_so(self, desk: Desk) -> None:
        answer = await desk.client.get(desk.at, params={"path": "/nowhere"})
        assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")
        (desk.home / "file").touch()
        answer = await desk.client.get(desk.at, params={"path": str(desk.home / "file")})
        assert answer.status_code in (404, 409)


class TestChanges:
    async def test_folders_are_made_renamed_and_given_permissions(self, desk: Desk, served: Served) -> None:
        made = await desk.done("folders", path=desk.home / "new")
        assert made["entry"]["kind"] == "folder"
        assert await desk.refused("folders", path=desk.home / "new") == "file_exists"
        moved = await desk.done("move", path=desk.home / "new", to=desk.home / "old")
        assert moved["entry"]["name"] == "old"
        changed = await desk.done("permissions", path=desk.home / "old", mode="0700")
        assert changed["entry"]["mode"] == "0700"
        assert (desk.home / "old").stat().st_mode & 0o7777 == 0o700
        rows = [row for row in await served.audit() if row["action"].startswith("file.")]
        told = [(row["action"], row["detail"].get("phase"), row["result"]) for row in rows]
        assert ("file.make_folder", "outcome", "failed") in told
        assert told[-2:] == [("file.set_mode", "intent", "ok"), ("file.set_mode", "outcome", "ok")]
        assert rows[-1]["detail"]["path"] == str(desk.home / "old")

    async def test_a_move_replaces_nothing_unless_told_and_never_a_folder(self, desk: Desk) -> None:
        one, other, folder = desk.home / "one", desk.home / "other", desk.home / "folder"
        one.write_text("one")
        other.write_text("other")
        folder.mkdir()

        assert await desk.refused("move", path=one, to=other) == "file_exists"
        assert other.read_text() == "other"
        assert await desk.refused("move", path=one, to=folder, replace=True) == "file_is_folder"
        assert await desk.refused("move", path=folder, to=folder / "in" / "itself") == "invalid_input"
        await desk.done("move", path=one, to=other, replace=True)
        assert (other.read_text(), one.exists()) == ("one", False)
        await desk.done("move", path=other, to=folder / "other")
        assert (folder / "other").read_text() == "one"

    async def test_a_links_permissions_are_not_its_targets(self, desk: Desk) -> None:
        target, link = desk.home / "target", desk.home / "link"
        target.touch(0o600)
        link.symlink_to(target)
        assert await desk.refused("permissions", path=link, mode="0777") == "file_is_link"
        assert target.stat().st_mode & 0o777 == 0o600
        await desk.done("move", path=link, to=desk.home / "moved")
        assert (desk.home / "moved").is_symlink()
        assert target.exists()


class TestRemovals:
    async def test_a_folder_is_counted_then_removed_and_links_are_not_followed(self, desk: Desk) -> None:
        outside, tree = desk.home / "outside", desk.home / "tree"
        outside.mkdir()
        (outside / "precious").write_text("stays")
        (tree / "deep" / "deeper").mkdir(parents=True)
        for number in range(40):
            (tree / "deep" / f"file{number}").write_bytes(b"x" * 100)
        (tree / "link").symlink_to(outside)
        (tree / "deep" / "deeper" / "up").symlink_to("../../..")
        os.mkfifo(tree / "pipe")

        begun = (await desk.done("removals", path=tree))["removal"]
        counted = await desk.settled(begun["id"])
        assert (counted["state"], counted["folders"], counted["files"]) == ("counted", 3, 43)
        assert tree.exists()
        await desk.done(f"removals/{begun['id']}/confirm")
        done = await desk.settled(begun["id"])

        assert (done["state"], done["removed"], done["left_count"]) == ("done", 46, 0)
        assert not tree.exists()
        assert (outside / "precious").read_text() == "stays"
        again = await desk.post(f"removals/{begun['id']}/confirm")
        assert (again.status_code, again.json()["code"]) == (409, "removal_not_counted")

    async def test_a_file_and_a_link_go_alone(self, desk: Desk) -> None:
        target, link = desk.home / "target", desk.home / "link"
        target.touch()
        link.symlink_to(target)
        assert (await desk.remove(link))["removed"] == 1
        assert target.exists()
        assert not link.is_symlink()
        assert (await desk.remove(target))["state"] == "done"
        assert not target.exists()

    async def test_a_removal_that_is_cancelled_removes_nothing_more(self, desk: Desk) -> None:
        (desk.home / "tree").mkdir()
        begun = (await desk.done("removals", path=desk.home / "tree"))["removal"]
        await desk.settled(begun["id"])
        answer = await desk.client.delete(f"{desk.at}/removals/{begun['id']}")
        assert answer.json()["removal"]["state"] == "cancelled"
        assert await desk.refused(f"removals/{begun['id']}/confirm") == "removal_not_counted"
        assert (desk.home / "tree").exists()
        assert await desk.refused("removals", path="/") == "invalid_input"


class TestDownloads:
    async def test_a_file_comes_whole_as_an_attachment_that_nothing_renders(
        self, desk: Desk, served: Served
    ) -> None:
        data = os.urandom(3_000_000)
        (desk.home / 'a "b".svg').write_bytes(data)
        answer = await desk.download(desk.home / 'a "b".svg')
        assert answer.status_code == 200
        assert answer.content == data
        headers = answer.headers
        assert headers["content-type"] == "application/octet-stream"
        assert (
            headers["content-disposition"]
            == "attachment; filename=\"a _b_.svg\"; filename*=UTF-8''a%20%22b%22.svg"
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in headers["content-security-policy"]
        row = await download_outcome(served)
        assert (row["result"], row["detail"]["bytes"]) == ("ok", 3_000_000)

    async def test_ranges_resume_what_is_still_the_same_file(self, desk: Desk) -> None:
        file = desk.home / "f"
        file.write_bytes(bytes(range(256)) * 1000)
        whole = await desk.download(file)
        tag = whole.headers["etag"]
        assert whole.headers["accept-ranges"] == "bytes"
        part = await desk.download(file, range="bytes=1000-")
        assert (part.status_code, part.headers["content-range"]) == (206, "bytes 1000-255999/256000")
        assert part.content == whole.content[1000:]
        assert (await desk.download(file, range="bytes=5-9")).content == whole.content[5:10]
        assert (await desk.download(file, range="bytes=-7")).content == whole.content[-7:]
        assert (await desk.download(file, range="bytes=0-1,5-6")).content == whole.content
        beyond = await desk.download(file, range="bytes=256000-")
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */256000")
        resumed = await desk.download(file, **{"range": "bytes=10-", "if-range": tag})
        assert resumed.status_code == 206
        file.write_bytes(b"another")
        fresh = await desk.download(file, **{"range": "bytes=3-", "if-range": tag})
        assert (fresh.status_code, fresh.content) == (200, b"another")

    async def test_what_is_no_file_is_not_opened(self, desk: Desk) -> None:
        os.mkfifo(desk.home / "pipe")
        (desk.home / "to-pipe").symlink_to("pipe")
        codes = [
            (await desk.download(path)).json()["code"]
            for path in (desk.home / "pipe", desk.home / "to-pipe", desk.home, "/dev/zero", "/nowhere")
        ]
        assert codes == [
            "file_not_regular",
            "file_not_regular",
            "file_is_folder",
            "file_not_regular",
            "file_not_found",
        ]

    async def test_an_empty_file_and_one_without_a_size_come_as_they_are(self, desk: Desk) -> None:
        (desk.home / "empty").touch()
        assert (await desk.download(desk.home / "empty")).content == b""
        assert (await desk.download("/proc/self/status")).status_code == 200

    async def test_another_sites_page_starts_no_download(self, desk: Desk) -> None:
        (desk.home / "f").touch()
        for site in ("cross-site", "same-site"):
            answer = await desk.download(desk.home / "f", **{"sec-fetch-site": site})
            assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
        assert (await desk.download(desk.home / "f", **{"sec-fetch-site": "same-origin"})).status_code == 200

    async def test_a_browser_that_goes_away_frees_the_servers_file(self, desk: Desk, served: Served) -> None:
        with (desk.home / "huge").open("wb") as file:
            file.truncate(5 * 2**30)  # sparse, and beyond 4 GiB
        params = {"path": str(desk.home / "huge")}
        async with desk.client.http.stream("GET", f"/api/v1{desk.at}/content", params=params) as answer:
            assert answer.headers["content-length"] == str(5 * 2**30)
            async for _ in answer.aiter_bytes(1_000_000):
                break

        row = await download_outcome(served)
        assert row["result"] == "failed"
        assert row["detail"]["bytes"] < 2**30
        beyond = await desk.download(desk.home / "huge", range=f"bytes={5 * 2**30 - 3}-")
        assert beyond.content == b"\0\0\0"

    async def test_a_file_that_shrinks_on_the_way_never_passes_for_a_whole_one(self, desk: Desk) -> None:
        file = desk.home / "f"
        with file.open("wb") as open_file:
            open_file.truncate(200_000_000)
        with pytest.raises(httpx.RemoteProtocolError):
            await shrink_while_reading(desk, file)


async def download_outcome(served: Served) -> Json:
    """The row that is written after the last byte has gone."""

    async def look() -> Json | None:
        rows = await served.audit(action="file.download")
        return rows[-1] if rows and rows[-1]["detail"]["phase"] == "outcome" else None

    row = await eventually(look)
    assert row is not None
    return row


async def shrink_while_reading(desk: Desk, file: Path) -> None:
    params = {"path": str(file)}
    async with desk.client.http.stream("GET", f"/api/v1{desk.at}/content", params=params) as answer:
        async for _ in answer.aiter_bytes(100_000):
            os.truncate(file, 5)


class TestUploads:
    async def test_pieces_become_the_file_in_one_step(self, desk: Desk, served: Served) -> None:
        data = os.urandom(2_500_000)
        target = desk.home / "disk.img"
        upload = await desk.begin(target, len(data))
        assert (upload["offset"], upload["size"], upload["name"]) == (0, 2_500_000, "disk.img")
        for start in range(0, len(data), 1_000_000):
            assert not target.exists()
            sent = await desk.send(upload, start, data[start : start + 1_000_000])
            assert sent.status_code == 200, sent.text
        parts = [entry for entry in (await desk.show(hidden=True))["entries"] if entry["unfinished"]]
        assert len(parts) == 1
        early = await desk.client.get(f"{desk.at}/uploads")
        assert [each["offset"] for each in early.json()["uploads"]] == [2_500_000]
        done = await desk.done(f"uploads/{upload['id']}/finish")
        assert done["entry"]["path"] == str(target)
        assert target.read_bytes() == data
        assert await desk.names(hidden=True) == ["disk.img"]
        assert (await served.audit(action="file.upload_finish"))[-1]["result"] == "ok"
        assert b"\\" not in b"".join(row["mac"].encode() for row in await served.audit())

    async def test_a_piece_at_the_wrong_place_is_told_the_right_one(self, desk: Desk) -> None:
        upload = await desk.begin(desk.home / "f", 10)
        assert (await desk.send(upload, 0, b"01234")).json()["upload"]["offset"] == 5
        wrong = await desk.send(upload, 0, b"01234")
        assert (wrong.status_code, wrong.json()["code"], wrong.json()["offset"]) == (409, "upload_offset", 5)
        assert (await desk.send(upload, 5, b"5678910")).status_code == 422
        assert await desk.refused(f"uploads/{upload['id']}/finish") == "upload_incomplete"
        await desk.send(upload, 5, b"56789")
        await desk.done(f"uploads/{upload['id']}/finish")
        assert (desk.home / "f").read_bytes() == b"0123456789"

    async def test_what_is_there_is_asked_about_replaced_or_kept_beside(self, desk: Desk) -> None:
        target = desk.home / "report.pdf"
        target.write_text("old")
        target.chmod(0o640)
        assert await desk.refused("uploads", path=target, size=3) == "file_exists"
        kept = await desk.upload(target, b"new", existing="keep_both")
        assert kept["entry"]["name"] == "report (2).pdf"
        assert target.read_text() == "old"
        await desk.upload(target, b"replaced", existing="replace")
        assert target.read_text() == "replaced"
        assert target.stat().st_mode & 0o777 == 0o640

    async def test_a_target_that_appears_meanwhile_loses_nothing(self, desk: Desk) -> None:
        target = desk.home / "f"
        upload = await desk.begin(target, 3)
        await desk.send(upload, 0, b"new")
        target.write_text("somebody else's")
        assert await desk.refused(f"uploads/{upload['id']}/finish") == "file_exists"
        assert target.read_text() == "somebody else's"
        done = await desk.done(f"uploads/{upload['id']}/finish", existing="keep_both")
        assert done["entry"]["name"] == "f (2)"

    async def test_links_and_folders_are_not_replaced(self, desk: Desk) -> None:
        (desk.home / "real").write_text("real")
        (desk.home / "link").symlink_to("real")
        (desk.home / "folder").mkdir()
        for existing in ("ask", "replace"):
            assert (
                await desk.refused("uploads", path=desk.home / "link", size=1, existing=existing)
                == "file_is_link"
            )
            assert (
                await desk.refused("uploads", path=desk.home / "folder", size=1, existing=existing)
                == "file_is_folder"
            )
        assert (desk.home / "real").read_text() == "real"

    async def test_a_cancelled_upload_leaves_nothing(self, desk: Desk) -> None:
        upload = await desk.begin(desk.home / "f", 10)
        await desk.send(upload, 0, b"01234")
        left = await desk.client.delete(f"{desk.at}/uploads/{upload['id']}")
        assert left.json() == {"uploads": []}
        assert await desk.names(hidden=True) == []
        assert (await desk.send(upload, 5, b"5")).status_code == 404

    async def test_a_later_session_goes_on_with_the_part_of_an_earlier_one(
        self, desk: Desk, phone: Client
    ) -> None:
        data = os.urandom(14_000_000)
        upload = await desk.begin(desk.home / "f", len(data), fingerprint="yesterday")
        for start in range(0, 12_000_000, 4_000_000):
            assert (await desk.send(upload, start, data[start : start + 4_000_000])).status_code == 200
        assert await desk.refused(f"uploads/{upload['id']}/finish") == "upload_incomplete"
        await phone.delete(f"/sessions/{desk.session['id']}")
        assert (await desk.send(upload, 12_000_000, data[12_000_000:])).status_code in (404, 409)

        answer = await phone.post("/sessions", {"connection_id": desk.session["connection_id"]})
        later = Desk(phone, answer.json()["session"], desk.home)
        other = await later.begin(desk.home / "f", len(data), fingerprint="another file")
        assert other["offset"] == 0
        again = await later.begin(desk.home / "f", len(data), fingerprint="yesterday")
        at = again["offset"]
        assert 0 < at <= 12_000_000 - 8_388_608, "all that may have been on its way is sent once more"
        while at < len(data):
            at = (await later.send(again, at, data[at : at + 4_000_000])).json()["upload"]["offset"]
        await later.done(f"uploads/{again['id']}/finish")
        assert (desk.home / "f").read_bytes() == data

    async def test_a_piece_must_be_bytes_and_not_too_many(self, desk: Desk) -> None:
        upload = await desk.begin(desk.home / "f", 10_000_000)
        path = f"/api/v1{desk.at}/uploads/{upload['id']}"
        form = await desk.client.ask("PATCH", path, content=b"x", headers={"content-type": "text/plain"})
        assert (form.status_code, form.json()["code"]) == (415, "unsupported_media_type")
        large = await desk.send(upload, 0, bytes(4_194_305))
        assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
        assert (await desk.send(upload, 0, bytes(range(256)))).json()["upload"]["offset"] == 256


class TestTexts:
    async def test_a_text_is_opened_changed_and_saved_with_its_mode(self, desk: Desk) -> None:
        file = desk.home / "notes.txt"
        file.write_text("first\n")
        file.chmod(0o4751)
        opened = await desk.text(file)
        assert (opened["text"], opened["mode"]) == ("first\n", "4751")
        saved = await desk.done("text", path=file, text="zweite Zeile: äöü\n", version=opened["version"])
        assert file.read_text() == "zweite Zeile: äöü\n"
        assert file.stat().st_mode & 0o7777 == 0o4751
        assert (await desk.text(file))["version"] == saved["file"]["version"]
        assert await desk.names(hidden=True) == ["notes.txt"]

    async def test_somebody_elses_change_is_never_lost(self, desk: Desk) -> None:
        file = desk.home / "conf"
        file.write_text("a")
        opened = await desk.text(file)
        os.utime(file)  # touched only: no conflict
        opened = (await desk.done("text", path=file, text="b", version=opened["version"]))["file"]
        file.write_text("theirs")
        conflict = await desk.post("text", path=file, text="mine", version=opened["version"])
        assert (conflict.status_code, conflict.json()["code"]) == (409, "file_changed")
        assert file.read_text() == "theirs"
        assert conflict.json()["version"] == (await desk.text(file))["version"]
        await desk.done("text", path=file, text="mine", version=conflict.json()["version"])
        assert file.read_text() == "mine"

    async def test_a_link_is_edited_where_it_leads_and_stays_a_link(self, desk: Desk) -> None:
        (desk.home / "real").write_text("old")
        (desk.home / "link").symlink_to("real")
        opened = await desk.text(desk.home / "link")
        assert opened["path"] == str(desk.home / "real")
        await desk.done("text", path=desk.home / "link", text="new", version=opened["version"])
        assert (desk.home / "link").is_symlink()
        assert (desk.home / "real").read_text() == "new"

    async def test_a_new_text_replaces_nothing(self, desk: Desk) -> None:
        await desk.done("text", path=desk.home / "new", text="hello", version="")
        assert (desk.home / "new").read_text() == "hello"
        assert await desk.refused("text", path=desk.home / "new", text="again", version="") == "file_exists"
        assert (desk.home / "new").read_text() == "hello"

    async def test_saving_in_place_keeps_the_very_file(self, desk: Desk) -> None:
        file = desk.home / "f"
        file.write_text("a longer text")
        inode = file.stat().st_ino
        opened = await desk.text(file)
        await desk.done("text", path=file, text="short", version=opened["version"], in_place=True)
        assert (file.read_text(), file.stat().st_ino) == ("short", inode)

    async def test_what_is_no_text_or_too_large_is_not_opened(self, desk: Desk) -> None:
        (desk.home / "binary").write_bytes(b"\x7fELF\x00\xff")
        (desk.home / "nul").write_bytes(b"a\0b")
        (desk.home / "large").write_bytes(b"x" * 1_048_577)
        os.mkfifo(desk.home / "pipe")
        answers = {
            name: (await desk.client.get(f"{desk.at}/text", params={"path": str(desk.home / name)})).json()[
                "code"
            ]
            for name in ("binary", "nul", "large", "pipe")
        }
        assert answers == {
            "binary": "file_not_text", "nul": "file_not_text", "large": "file_too_large_to_edit",
            "pipe": "file_not_regular",
        }  # fmt: skip
        (desk.home / "exactly").write_bytes(b"\n" * 1_048_576)
        opened = await desk.text(desk.home / "exactly")
        await desk.done("text", path=desk.home / "exactly", text="\n" * 1_048_576, version=opened["version"])

    async def test_contents_stand_in_no_row_of_the_box(self, desk: Desk, served: Served) -> None:
        canary = "canary-7f3a9b"
        await desk.done("text", path=desk.home / "secret", text=canary, version="")
        await desk.text(desk.home / "secret")
        await desk.upload(desk.home / "up", canary.encode())
        await desk.download(desk.home / "up")
        for table in ("audit_log", "events", "idempotency_keys"):
            assert canary not in repr(await rows_of(served, table))


async def rows_of(served: Served, table: str) -> list[Json]:
    return await served.box.store.read(lambda r: r.all(f"SELECT * FROM {table}"))


class TestWho:
    async def test_another_account_finds_nothing(self, desk: Desk, served: Served) -> None:
        (desk.home / "f").write_text("x")
        upload = await desk.begin(desk.home / "u", 1)
        removal = (await desk.done("removals", path=desk.home / "f"))["removal"]
        other = await served.browser(await served.account())
        bodies = set()
        routes = [route for route in http_routes() if "/files" in route.path]
        assert len(routes) == 17
        for route in routes:
            path = route.at(session_id=desk.session["id"], upload_id=upload["id"], removal_id=removal["id"])
            answer = await other.ask(
                route.method, f"{path}?path={quote(str(desk.home / 'f'))}", json=route.body
            )
            assert answer.status_code == 404, (route, answer.text)
            bodies.add(answer.text)
        assert len(bodies) == 1
        assert (desk.home / "f").exists()

    async def test_a_closed_session_says_so(self, desk: Desk) -> None:
        await desk.client.delete(f"/sessions/{desk.session['id']}")
        answer = await desk.client.get(desk.at)
        assert (answer.status_code, answer.json()["code"]) == (409, "session_not_active")
        assert (await desk.client.get(f"/sessions/{ABSENT}/files")).status_code == 404


class TestServers:
    async def test_a_server_without_sftp_says_what_to_do(self, make: Make, tmp_path: Path) -> None:
        served = await make(allow_loopback=True)
        phone = await served.browser()
        with Sshd(tmp_path / "bare", options={"Subsystem": "nosftp internal-sftp"}) as server:
            desk = Desk(phone, await start_session(phone, server), server.home)
            answer = await phone.get(desk.at)
            assert (answer.status_code, answer.json()["code"]) == (409, "sftp_missing")
            assert "Subsystem sftp" in answer.json()["detail"]
            assert (await phone.post(f"/sessions/{desk.session['id']}/exec", {"command": "true"})).is_success

    @pytest.mark.parametrize(
        "program", ["/usr/lib/openssh/sftp-server", "/nowhere/sftp-server", "/bin/echo hi"]
    )
    async def test_other_programs_for_sftp(self, make: Make, tmp_path: Path, program: str) -> None:
        served = await make(allow_loopback=True)
        phone = await served.browser()
        with Sshd(tmp_path / "other", options={"Subsystem": f"sftp {program}"}) as server:
            desk = Desk(phone, await start_session(phone, server), server.home)
            answer = await phone.get(desk.at, params={"path": str(server.home)})
            if program.startswith("/usr/lib"):
                await desk.upload(server.home / "f", b"hello" * 1000)
                assert (await desk.download(server.home / "f")).content == b"hello" * 1000
            else:
                assert answer.json()["code"] in ("sftp_missing", "file_server_failed")
                assert answer.status_code in (409, 502)

    async def test_it_takes_one_session_of_the_server_and_gives_it_back(
        self, make: Make, tmp_path: Path
    ) -> None:
        served = await make(allow_loopback=True)
        phone = await served.browser()
        with Sshd(tmp_path / "small", max_sessions=1) as server:
            desk = Desk(phone, await start_session(phone, server), server.home)
            await asyncio.gather(*(desk.show() for _ in range(20)))
            await phone.delete(f"/sessions/{desk.session['id']}")
            assert served.box.files.open_channels() == []

    async def test_an_idle_channel_gives_way_to_a_command_and_comes_back(
        self, make: Make, tmp_path: Path
    ) -> None:
        served = await make(allow_loopback=True)
        phone = await served.browser()
        with Sshd(tmp_path / "narrow", max_sessions=1) as server:
            desk = Desk(phone, await start_session(phone, server), server.home)
            for number in range(3):
                await desk.show()
                body = {"command": f"touch {server.home}/{number}", "timeout_s": 20}
                ran = await phone.post(f"/sessions/{desk.session['id']}/exec", body)
                assert ran.is_success, ran.text
            assert await desk.names() == ["0", "1", "2"]

    @pytest.mark.long
    async def test_a_hundred_megabytes_go_there_and_back_byte_for_byte(self, desk: Desk) -> None:
        data = os.urandom(1_000_000) * 110
        await desk.upload(desk.home / "big", data, piece=4_194_304)
        there = hashlib.sha256((desk.home / "big").read_bytes()).hexdigest()
        back = hashlib.sha256((await desk.download(desk.home / "big")).content).hexdigest()
        assert there == back == hashlib.sha256(data).hexdigest()

    async def test_names_of_more_bytes_than_are_sorted_in_a_moment_are_cut(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(300):
            (desk.home / f"{number:03}{'x' * 200}").touch()
        monkeypatch.setattr(rules, "MAX_NAMES", 2_000)
        listing = await desk.show()
        assert listing["cut"]
        assert 0 < listing["total"] < 300

    @pytest.mark.long
    async def test_a_hundred_thousand_names_do_not_hold_up_the_box(self, desk: Desk, phone: Client) -> None:
        folder = desk.home / "many"
        folder.mkdir()
        for number in range(100_050):
            (folder / f"{number}").touch()
        waits = []
        task = asyncio.ensure_future(desk.show(folder))
        loop = asyncio.get_running_loop()
        while not task.done():
            begun = loop.time()
            assert (await phone.ask("GET", "/health")).is_success
            waits.append(loop.time() - begun)
        listing = await task
        assert (listing["total"], listing["cut"], len(listing["entries"])) == (100_000, True, 200)
        assert max(waits) < 2
