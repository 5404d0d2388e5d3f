"""`/recovery-words`: shown to the first paired browser, once."""

import msgspec
from litestar import post

from clawdbox.web.gate import check_browser, role_forbidden
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at, visit_of


class RecoveryWordsView(msgspec.Struct, frozen=True):
    words: list[str]


class RecoveryWordsShown(msgspec.Struct, frozen=True):
    shown: bool


@post(
    "/recovery-words",
    status_code=200,
    opt={"action": "recovery_words.reveal", "once": False, "fresh": True},
    summary="Show the recovery words",
    responses=usual(s409="They were shown and confirmed before (`recovery_words_shown`)."),
)
async def reveal_recovery_words(request: Req) -> RecoveryWordsView:
    """The 24 words that open a backup on another machine. For the owner in a browser, until they are confirmed."""
    box, who = at(request)
    _only_owner_in_browser(request)
    words = await box.recovery.reveal()
    await box.store.write(lambda tx: box.ledger.audit(tx, who.actor, "recovery_words.reveal"))
    return RecoveryWordsView(list(words))


@post(
    "/recovery-words/confirm",
    status_code=200,
    opt={"action": "recovery_words.confirm", "once": False},
    summary="The recovery words were written down",
    responses=usual(),
)
async def confirm_recovery_words(request: Req) -> RecoveryWordsShown:
    """From now on nobody can see them again."""
    box, who = at(request)
    _only_owner_in_browser(request)
    await box.recovery.confirm(who.actor)
    return RecoveryWordsShown(True)


def _only_owner_in_browser(request: Req) -> None:
    _, who = at(request)
    if who.account.role != "owner":
        raise role_forbidden()
    check_browser(
        visit_of(request.scope), "The recovery words are shown to a paired browser only, not to a token."
    )
