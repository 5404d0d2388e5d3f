"""A script's token must not become a browser's login, which slides for ever and sees the recovery words (case 10)."""

import pytest

from tests.web.served import Client, Served


def in_a_cookie(script: Client) -> dict[str, str]:
    return {"cookie": "clawdbox_login=" + script.headers["authorization"].removeprefix("Bearer ")}


async def test_a_token_in_the_cookie_signs_nobody_in(stranger: Client, script: Client) -> None:
    answer = await stranger.get("/auth/me", headers=in_a_cookie(script))
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)


async def test_a_token_does_not_reach_the_recovery_words_as_a_cookie(
    stranger: Client, script: Client
) -> None:
    csrf = (await script.get("/auth/me")).json()["csrf_token"]
    headers = {**in_a_cookie(script), "x-csrf-token": csrf}
    assert (await stranger.post("/recovery-words", headers=headers)).status_code == 401


async def test_a_token_in_the_cookie_opens_no_socket(stranger: Client, script: Client) -> None:
    async with stranger.socket(
        "/api/v1/events/live", origin=stranger.origin, **in_a_cookie(script)
    ) as socket:
        await socket.wait_closed()
    assert socket.close_code == 4401


async def test_a_token_makes_no_pairing_link(served: Served, script: Client) -> None:
    answer = await script.post("/pairing-codes")
    assert (answer.status_code, answer.json()["code"]) == (403, "browser_only")
    assert await served.box.store.read(lambda r: r.value("SELECT count(*) FROM pairing_codes")) == 0


@pytest.mark.parametrize("role", ["owner", "operator", "viewer"])
async def test_every_browser_may_pair_another_one(served: Served, role: str) -> None:
    browser = await served.browser(await served.account("Anna", role))
    assert (await browser.post("/pairing-codes")).status_code == 201
