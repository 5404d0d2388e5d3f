"""A login is granted anew, to one, and never to what somebody brought along (cases 12 and 14)."""

import asyncio

from clawdbox.events.model import SYSTEM
from tests.web.served import Client, Served


async def test_case_12_a_cookie_that_was_there_before_does_not_become_the_login(
    served: Served, stranger: Client
) -> None:
    planted = "chosen-by-somebody-else-" * 2
    stranger.http.cookies.set("clawdbox_login", planted)
    code = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)

    answer = await stranger.post("/auth/pair", {"code": code.code})

    granted = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert granted != planted
    intruder = await served.stranger()
    for cookie, status in ((planted, 401), (granted, 200)):
        told = await intruder.get("/auth/me", headers={"cookie": f"clawdbox_login={cookie}"})
        assert told.status_code == status


async def test_case_14_of_many_phones_that_race_for_a_code_one_wins(served: Served) -> None:
    code = await served.box.accounts.make_pairing_code(SYSTEM, served.box.owner.id)
    phones = [await served.stranger() for _ in range(8)]

    answers = await asyncio.gather(*(phone.post("/auth/pair", {"code": code.code}) for phone in phones))

    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 7
    signed_in = [phone for phone in phones if (await phone.get("/auth/me")).status_code == 200]
    assert len(signed_in) == 1
