"""The UI's files: compressed as they were built, cached as their names allow, and pages for every other address."""

import gzip
from pathlib import Path

import pytest

from clawdbox.web.static import load
from tests.web.served import Client, Make

INDEX = b"<!doctype html><title>clawdbox</title>"
SCRIPT = b"console.log(1);" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    files = {
        "index.html": INDEX,
        "icon.svg": b"<svg/>",
        "manifest.webmanifest": b"{}",
        "assets/app-Bx1.js": SCRIPT,
        "assets/app-Bx1.js.gz": gzip.compress(SCRIPT),
        "assets/app-Bx1.js.br": b"brotli of it",
        "schema/index.html": b"<title>API</title>",
        "schema/swagger-ui.css": b"a{}",
    }
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture
async def visitor(make: Make, folder: Path) -> Client:
    return await (await make(static=folder)).stranger()


@pytest.mark.parametrize(
    "path", ["/", "/pair", "/connections/x", "/sessions/019b9d3c-4a10-7c3e-9d56-0d2f6a1b2c3d", "/audit"]
)
async def test_every_place_in_the_ui_is_its_page(visitor: Client, path: str) -> None:
    answer = await visitor.ask("GET", path)
    assert (answer.status_code, answer.content) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/assets/gone-Cy2.js", "/assets/x", "/favicon.ico", "/schema/nothing", "/schema/x.js"]
)
async def test_a_file_that_is_not_there_is_no_page(visitor: Client, path: str) -> None:
    answer = await visitor.ask("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "accepted, encoding, size",
    [
        ("gzip, deflate, br", "br", 12),
        ("gzip", "gzip", len(gzip.compress(SCRIPT))),
        ("br;q=0, gzip;q=0.5", "gzip", len(gzip.compress(SCRIPT))),
        ("identity", None, len(SCRIPT)),
        ("", None, len(SCRIPT)),
        ("gzip;q=0.000", None, len(SCRIPT)),
    ],
)
async def test_the_smallest_encoding_that_is_taken_is_sent(
    visitor: Client, accepted: str, encoding: str | None, size: int
) -> None:
    asked = visitor.http.build_request("GET", "/assets/app-Bx1.js", headers={"accept-encoding": accepted})
    answer = await visitor.http.send(asked, stream=True)
    raw = b"".join([part async for part in answer.aiter_raw()])
    await answer.aclose()
    assert answer.headers.get("content-encoding") == encoding
    assert int(answer.headers["content-length"]) == len(raw) == size
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


async def test_hashed_names_are_kept_for_good_and_others_asked_after(visitor: Client) -> None:
    asset = await visitor.ask("GET", "/assets/app-Bx1.js", headers={"accept-encoding": "identity"})
    icon = await visitor.ask("GET", "/icon.svg")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert icon.headers["cache-control"] == "no-cache"
    assert icon.headers["content-type"] == "image/svg+xml"
    fresh = await visitor.ask("GET", "/icon.svg", headers={"if-none-match": icon.headers["etag"]})
    assert (fresh.status_code, fresh.content, fresh.headers["etag"]) == (304, b"", icon.headers["etag"])
    assert (await visitor.ask("GET", "/icon.svg", headers={"if-none-match": '"other"'})).status_code == 200


async def test_a_build_made_meanwhile_does_not_mix_with_the_one_being_served(
    visitor: Client, folder: Path
) -> None:
    before = (await visitor.ask("GET", "/")).text
    (folder / "index.html").write_bytes(b"another build")
    assert (await visitor.ask("GET", "/keys")).text == before


async def test_the_head_alone_can_be_asked_for(visitor: Client) -> None:
    answer = await visitor.ask("HEAD", "/icon.svg")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "6")


async def test_the_description_has_its_own_page_and_files(visitor: Client) -> None:
    for path in ("/schema", "/schema/"):
        assert (await visitor.ask("GET", path)).content == b"<title>API</title>"
    assert (await visitor.ask("GET", "/schema/swagger-ui.css")).headers[
        "content-type"
    ] == "text/css; charset=utf-8"
    assert "paths" in (await visitor.ask("GET", "/schema/openapi.json")).json()


async def test_without_a_built_ui_the_page_says_how_to_get_one(make: Make, tmp_path: Path) -> None:
    visitor = await (await make(static=tmp_path / "nothing")).stranger()
    answer = await visitor.ask("GET", "/")
    assert answer.status_code == 503
    assert "make ui" in answer.text
    assert (await visitor.ask("GET", "/health")).status_code == 200


def test_compressed_siblings_have_no_address_of_their_own(folder: Path) -> None:
    assert not [name for name in load(folder) if name.endswith((".gz", ".br"))]
