"""What an answer of the other side means, when a delivery is tried again, and when that ends."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from clawdbox.notify.model import Answer, ChannelKind, Delivery, Outcome, State

MAX_ATTEMPTS = 12
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 3600.0
LONGEST_ASKED_S = 6 * 3600.0  # how long a Retry-After may keep a channel waiting
FLOOD_WINDOW = timedelta(minutes=1)

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.SENT, State.FAILED, State.GAVE_UP}),
    State.SENT: frozenset(),
    State.FAILED: frozenset(),
    State.GAVE_UP: frozenset(),
}

_AGAIN = frozenset({408, 425, 429})
# Nothing that happens by itself changes these.
_FINAL_CODES = frozenset({"address_refused", "plain_http_refused", "no_starttls", "sealed_value_broken"})

_WORDS = {
    "answered": "It was answered before this could be sent.",
    "expired": "It was over before this could be sent.",
    "channel_off": "The channel was turned off or removed before this could be sent.",
    "address_refused": "Its name leads to an address that the box does not dial for notifications. If it is in your own network, say so when you add it.",
    "plain_http_refused": "Its address is public, and there only https is used.",
    "dns_failed": "Its name could not be looked up. Check the spelling.",
    "connect_failed": "Nobody answered there. Check address and port.",
    "tls_failed": "Its certificate is not trusted, or it speaks no TLS there.",
    "timed_out": "It did not answer in time.",
    "protocol_error": "What answered there speaks something else.",
    "no_starttls": "The mail server offers no encryption (STARTTLS) on this port.",
    "sealed_value_broken": "Its settings cannot be opened any more. Remove it and add it anew.",
    "http_401": "It wants another token or login.",
    "http_403": "It does not let the box in. Check the token.",
    "http_404": "There is nothing at this address.",
    "http_410": "There is nothing at this address any more.",
    "http_413": "The message was too large for it.",
    "http_429": "It asked the box to slow down.",
    "smtp_535": "The mail server refused the user name or the password.",
    "smtp_550": "The mail server refused the recipient or the sender.",
}
_CODE = re.compile(r"(http|smtp)_(\d{3})")
GONE_WORDS = "This device no longer takes messages. Turn notifications on again there."


def http_outcome(kind: ChannelKind, answer: Answer, now: datetime) -> Outcome:
    status, code = answer.status, f"http_{answer.status}"
    if 200 <= status < 300:
        return Outcome(State.SENT)
    if kind is ChannelKind.WEBPUSH and status in (404, 410):
        return Outcome(State.FAILED, code, gone=True)
    if status in _AGAIN or status >= 500:
        return Outcome(State.PENDING, code, wait_s=asked_wait(answer.retry_after, now))
    return Outcome(State.FAILED, code)


def smtp_outcome(answer: Answer) -> Outcome:
    """RFC 5321, 4.2.1: 4yz may pass another time, 5yz will not."""
    if 200 <= answer.status < 300:
        return Outcome(State.SENT)
    state = State.FAILED if answer.status >= 500 else State.PENDING
    return Outcome(state, f"smtp_{answer.status}")


def no_answer(code: str) -> Outcome:
    return Outcome(State.FAILED if code in _FINAL_CODES else State.PENDING, code)


def asked_wait(retry_after: str | None, now: datetime) -> float | None:
    """Seconds, from either form of the header (RFC 9110, 10.2.3); None when there is none that can be read."""
    text = (retry_after or "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return min(float(text), LONGEST_ASKED_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_ASKED_S)


def after(delivery: Delivery, outcome: Outcome, now: datetime, deadline: datetime, roll: float) -> Delivery:
    """The delivery after an attempt. `roll` is chance, from 0 to 1: those who failed together do not come back together."""
    attempts = delivery.attempts + 1
    tried = msgspec.structs.replace(delivery, attempts=attempts, last_error=outcome.code)
    if outcome.state is State.SENT:
        return msgspec.structs.replace(tried, state=State.SENT, next_try_at=None, sent_at=now)
    if outcome.state is not State.PENDING:
        return msgspec.structs.replace(tried, state=outcome.state, next_try_at=None)
    next_try_at = now + timedelta(seconds=wait_s(attempts, outcome.wait_s, roll))
    if attempts >= MAX_ATTEMPTS or next_try_at >= deadline:
        return msgspec.structs.replace(tried, state=State.GAVE_UP, next_try_at=None)
    return msgspec.structs.replace(tried, next_try_at=next_try_at)


def wait_s(attempts: int, asked: float | None, roll: float) -> float:
    """Twice as long each time, half of it by chance; never shorter than the other side asked."""
    longest = min(FIRST_WAIT_S * 2.0 ** (attempts - 1), LONGEST_WAIT_S)
    return max(longest * (0.5 + roll / 2), asked or 0.0)


def ended(delivery: Delivery, code: str) -> Delivery:
    """Not tried (again), because it is no longer worth it."""
    return msgspec.structs.replace(delivery, state=State.GAVE_UP, next_try_at=None, last_error=code)


def words(code: str) -> str:
    """What a person reads of a failure; the code may say more to who looks into a log."""
    known = _WORDS.get(code)
    if known:
        return known
    match = _CODE.fullmatch(code)
    if match is None:
        return "It could not be sent."
    if match[1] == "smtp":
        return f"The mail server answered {match[2]}."
    if match[2].startswith("3"):
        return (
            "It wants to lead the box elsewhere, which is not followed. Give the address where it really is."
        )
    return f"It answered with HTTP status {match[2]}."
