"""A box that waits for its passphrase takes it on one page, and answers nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from clawdbox.app import Box
from clawdbox.errors import Problem, StartRefused
from clawdbox.settings import Settings
from clawdbox.web.locked import LockedSite

RIGHT = "correct horse battery staple & more"
ORIGIN = "http://localhost:8022"


class Gate:
    """Opens for one passphrase, and remembers what was tried."""

    def __init__(self) -> None:
        self.tried: list[str] = []

    async def unlock(self, text: str) -> None:
        self.tried.append(text)
        if text == "broken":
            raise StartRefused("keyring_corrupt", "/srv/secret-place is damaged")
        if text != RIGHT:
            raise Problem("passphrase_wrong", "This passphrase does not open the keyring.")


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def page(gate: Gate, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    site = LockedSite(Box(tmp_path / "box", Settings()), gate.unlock)
    transport = httpx.ASGITransport(site.app, client=("192.0.2.7", 1234))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


async def give(page: httpx.AsyncClient, text: str, **headers: str) -> httpx.Response:
    return await page.post("/unlock", data={"passphrase": text}, headers={"Origin": ORIGIN, **headers})


async def test_health_says_that_it_is_locked(page: httpx.AsyncClient) -> None:
    answer = await page.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "locked")


@pytest.mark.parametrize(
    "path", ["/", "/connections", "/index.html", "/metrics", "/assets/app.js", "/unlock"]
)
async def test_every_page_is_the_form_and_needs_nothing_from_elsewhere(
    page: httpx.AsyncClient, path: str
) -> None:
    answer = await page.get(path)
    assert answer.status_code == 503
    assert '<form method="post" action="/unlock"' in answer.text
    assert '<meta name="referrer" content="same-origin">' in answer.text, "else a browser sends Origin: null"
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert (await page.get("/locked.css")).headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "method, path", [("GET", "/api/v1/auth/me"), ("POST", "/api/v1/auth/pair"), ("PUT", "/")]
)
async def test_a_script_is_told_what_to_do(page: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await page.request(method, path, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.json()["code"]) == (503, "locked")
    assert "clawdbox keyring unlock" in answer.json()["detail"]


async def test_the_right_passphrase_opens_it(page: httpx.AsyncClient, gate: Gate) -> None:
    answer = await give(page, RIGHT)
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    assert gate.tried == [RIGHT]


async def test_a_wrong_one_is_told_in_a_sentence_and_not_repeated(page: httpx.AsyncClient) -> None:
    answer = await give(page, "<b>wrong</b>")
    assert answer.status_code == 403
    assert 'role="alert">This passphrase does not open' in answer.text
    assert "wrong</b>" not in answer.text


async def test_what_else_went_wrong_is_for_the_log(page: httpx.AsyncClient) -> None:
    answer = await give(page, "broken")
    assert answer.status_code == 503
    assert "secret-place" not in answer.text
    assert "Its log says why" in answer.text


async def test_five_tries_a_minute_and_then_another_way(page: httpx.AsyncClient, gate: Gate) -> None:
    for _ in range(5):
        assert (await give(page, "wrong")).status_code == 403
    answer = await give(page, RIGHT)
    assert answer.status_code == 429
    assert "clawdbox keyring unlock" in answer.text
    assert len(gate.tried) == 5


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_another_site_cannot_try(page: httpx.AsyncClient, gate: Gate, headers: dict[str, str]) -> None:
    answer = await give(page, RIGHT, **headers)
    assert (answer.status_code, gate.tried) == (403, [])


async def test_a_name_that_is_not_this_boxs_is_refused(page: httpx.AsyncClient, gate: Gate) -> None:
    answer = await give(page, RIGHT, Host="evil.example")
    assert (answer.status_code, gate.tried) == (421, [])


@pytest.mark.parametrize("body", [b"", b"passphrase", b"other=1", b"\xff\xfe", b"a=1&b=2&c=3&d=4&e=5"])
async def test_a_form_that_is_none_opens_nothing(page: httpx.AsyncClient, body: bytes) -> None:
    answer = await page.post("/unlock", content=body, headers={"Origin": ORIGIN})
    assert answer.status_code == 403


async def test_a_body_without_end_is_cut_off(page: httpx.AsyncClient, gate: Gate) -> None:
    assert (await give(page, "x" * 10_000)).status_code == 413
    assert gate.tried == []
