"""Every error a person or a script can meet: a stable code, a sentence that says what to do next, and detail."""

from typing import Any


class Problem(Exception):
    """An expected failure. `web/problems.py` turns the class and code into an HTTP status (RFC 9457)."""

    def __init__(self, code: str, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail


class Invalid(Problem):
    """Input that cannot be taken as it stands; `field` names the part to change."""

    def __init__(self, field: str, message: str, code: str = "invalid_input") -> None:
        super().__init__(code, message, field=field)
        self.field = field


class NotFound(Problem):
    """An object that is not there, or not this account's: the two answer alike (HOUSE rule 10)."""

    def __init__(self) -> None:
        super().__init__(
            "not_found", "There is nothing here. It may have been removed, or the address is mistyped."
        )


class Conflict(Problem):
    """The request is well-formed, but the present state forbids it."""


class Unauthorized(Problem):
    """No login, or one that has ended."""

    def __init__(self, code: str = "login_required", message: str = "") -> None:
        super().__init__(
            code, message or "Sign in first: open a pairing link. `clawdbox pair` prints one on the box."
        )


class Forbidden(Problem):
    """A login that may not do this."""


class RateLimited(Problem):
    """Too many requests of a kind; `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int, message: str = "") -> None:
        super().__init__(
            "rate_limited",
            message or f"That was too often. Try again in {retry_after} seconds.",
            retry_after=retry_after,
        )
        self.retry_after = retry_after


class TooLarge(Problem):
    """More than the box takes in one piece."""


class Upstream(Problem):
    """A server that the box tried to reach failed; `timed_out` tells a time-out (504) from the rest (502)."""

    def __init__(self, code: str, message: str, *, timed_out: bool = False, **detail: Any) -> None:
        super().__init__(code, message, **detail)
        self.timed_out = timed_out


class Unavailable(Problem):
    """The box itself cannot do it now (stopping, disk full); trying again later may help."""


class StartRefused(Problem):
    """The box must not start. Nothing has been written; `exit_code` follows sysexits.h (78 = EX_CONFIG)."""

    def __init__(self, code: str, message: str, exit_code: int = 78, **detail: Any) -> None:
        super().__init__(code, message, **detail)
        self.exit_code = exit_code
