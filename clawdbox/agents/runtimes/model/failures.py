"""What can go wrong with a model's provider, what is tried again, and what a person is told."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from clawdbox.agents.model_providers.model import Endpoint, Kind
from clawdbox.errors import Problem, Upstream
from clawdbox.names import printable

_MAX_SAID = 300
_PAUSES_S = (1.0, 3.0, 8.0, 20.0)
MAX_PAUSE_S = 60.0


class Cause(StrEnum):
    KEY = "key"
    QUOTA = "quota"
    RATE = "rate"
    BUSY = "busy"
    CONNECTION = "connection"
    STALLED = "stalled"
    TOO_LONG = "too_long"
    NO_MODEL = "no_model"
    REJECTED = "rejected"
    ADDRESS = "address"


_PROBLEMS: dict[Cause, Callable[[str], Problem]] = {
    Cause.KEY: lambda text: Upstream("model_key_refused", text),
    Cause.QUOTA: lambda text: Upstream("model_quota_exceeded", text),
    Cause.RATE: lambda text: Upstream("model_rate_limited", text),
    Cause.BUSY: lambda text: Upstream("model_unavailable", text),
    Cause.CONNECTION: lambda text: Upstream("model_unreachable", text),
    Cause.STALLED: lambda text: Upstream("model_stalled", text),
    Cause.TOO_LONG: lambda text: Upstream("model_too_long", text),
    Cause.NO_MODEL: lambda text: Upstream("model_not_found", text),
    Cause.REJECTED: lambda text: Upstream("model_rejected", text),
    Cause.ADDRESS: lambda text: Upstream("model_address_refused", text),
}
_SENTENCES = {
    Cause.KEY: "The key of {label} was refused. Give it a new one under Settings → Models.{said}",
    Cause.QUOTA: "The account at {label} has nothing left to spend. Top it up there, or choose another model.{said}",
    Cause.RATE: "{label} is asked too often, and {quiet}{said}",
    Cause.BUSY: "{label} cannot answer now{status}. Send it again in a while, or choose another model.{said}",
    Cause.CONNECTION: "{label} cannot be reached at {url}. See that it runs and is reachable from the box.{said}",
    Cause.STALLED: "{label} stopped answering. A model of one's own may still be loading: send it again.{said}",
    Cause.TOO_LONG: "This conversation is longer than {model} can take, even without its older parts."
    " Begin a new one.{said}",
    Cause.NO_MODEL: "{label} knows no {model} at {url}. {hint}{said}",
    Cause.REJECTED: "{label} refused the request{status}. Choose a model that can call tools, or change it under"
    " Settings → Models.{said}",
    Cause.ADDRESS: "{url} was not asked; change the address under Settings → Models.{said}",
}
_NO_KEY = "{label} wants a key and has none here. Give it one under Settings → Models.{said}"
_AGAIN = {Cause.RATE, Cause.BUSY, Cause.CONNECTION, Cause.STALLED}


class Failure(Exception):
    """`said` are the provider's own words, `why` are ours. `partial` is what came of the answer before it broke, if anything did."""

    def __init__(
        self,
        cause: Cause,
        said: str = "",
        *,
        why: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        partial: Any = None,
    ) -> None:
        super().__init__(said or why)
        self.cause = cause
        self.said = said
        self.why = why
        self.status = status
        self.retry_after = retry_after
        self.partial = partial


def pause_s(failure: Failure, attempt: int) -> float | None:
    """How long to wait before asking again for the `attempt`th time, counted from 0; None when that is no use.

    What the provider asks for is kept to, unless it asks for more than a person would wait.
    """
    if failure.cause not in _AGAIN or attempt >= len(_PAUSES_S):
        return None
    if failure.retry_after is not None and failure.retry_after > MAX_PAUSE_S:
        return None
    return max(_PAUSES_S[attempt], failure.retry_after or 0.0)


def waiting(failure: Failure, endpoint: Endpoint, seconds: float) -> str:
    """What is shown while it is waited for."""
    why = {
        Cause.RATE: "is asked too often",
        Cause.STALLED: "did not answer",
        Cause.CONNECTION: "cannot be reached",
    }.get(failure.cause, "is busy")
    return f"{endpoint.label} {why}; asking again in {seconds:.0f} s"


def problem(failure: Failure, endpoint: Endpoint) -> Problem:
    """The same for a person, with what to do next."""
    said = quoted(failure.said, endpoint)
    why = f" {failure.why}" if failure.why else ""
    text = _sentence(failure, endpoint, why + (f" It says: “{said}”" if said else ""))
    return _PROBLEMS[failure.cause](text)


def quoted(said: str, endpoint: Endpoint) -> str:
    """A provider's words, short, and without the key, which some of them say back."""
    key = endpoint.key.reveal().decode("ascii", "replace") if endpoint.key else ""
    text = printable(" ".join(said.split()), _MAX_SAID * 2)
    if key:
        text = text.replace(key, "[the key]")
    if len(key) >= 12:  # parts of it, as in sk-ab***yz
        text = re.sub(rf"{re.escape(key[:5])}\S*", "[the key]", text)
    return text if len(text) <= _MAX_SAID else f"{text[:_MAX_SAID]} …"


def _sentence(failure: Failure, at: Endpoint, said: str) -> str:
    text = _NO_KEY if failure.cause is Cause.KEY and at.key is None else _SENTENCES[failure.cause]
    return text.format(
        label=at.label,
        url=at.base_url,
        model=at.model,
        said=said,
        status=f" (HTTP {failure.status})" if failure.status else "",
        quiet=_quiet(failure),
        hint=_no_model_hint(at),
    )


def _quiet(failure: Failure) -> str:
    if failure.retry_after is None:
        return "it stayed so. Send it again in a while."
    return f"it wants {failure.retry_after:.0f} seconds of quiet. Send it again after that."


def _no_model_hint(at: Endpoint) -> str:
    if at.kind is Kind.OPENAI and not at.base_url.endswith("/v1"):
        return "See that the model's name is right, and the address: it mostly ends in /v1."
    return "See that the model's name is right, and for Ollama that it was pulled."
