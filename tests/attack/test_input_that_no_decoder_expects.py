"""Input at the edges of what Python and its decoders can hold is refused as input, and no fault of the box."""

import pytest

from clawdbox.clock import iso, parse
from tests.web.served import API, Client, code_of

EARLY, LATE = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"


@pytest.mark.parametrize("moment", [EARLY, LATE])
async def test_a_moment_in_no_year_there_is_is_a_bad_field(phone: Client, moment: str) -> None:
    answer = await phone.get("/audit", params={"before": moment})
    assert (answer.status_code, answer.json()["field"]) == (422, "before")


async def test_nothing_is_older_than_the_middle_ages(phone: Client) -> None:
    assert (await phone.get("/audit", params={"before": "0999-01-01T00:00:00Z"})).json()["entries"] == []


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00.000000Z", "0999-12-31T23:59:59.999999Z"])
def test_every_moment_is_written_in_the_same_width(text: str) -> None:
    assert iso(parse(text)) == text


BAD_TEXT = b'{"label": "\xff", "code": "\xff", "text": "\xff"}'


@pytest.mark.parametrize("path", ["/keys", "/connections", "/auth/pair"])
async def test_bytes_that_are_no_text_are_no_json(phone: Client, path: str) -> None:
    headers = {"content-type": "application/json"}
    answer = await phone.ask("POST", API + path, content=BAD_TEXT, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


async def test_a_form_pairs_nobody(stranger: Client) -> None:
    headers = {"content-type": "text/plain"}
    answer = await stranger.ask("POST", f"{API}/auth/pair", content=b'{"code": "x"}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_frame_nested_without_end_is_malformed(phone: Client) -> None:
    async with phone.socket("/api/v1/events/live") as socket:
        await socket.send('{"type": "ping", "more": ' + "[" * 30_000 + "]" * 30_000 + "}")
        assert await code_of(socket) == 4400
