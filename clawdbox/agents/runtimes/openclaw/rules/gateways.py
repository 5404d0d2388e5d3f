"""Decisions about saved gateways, and what a refusal of one means."""

from collections.abc import Iterable

from clawdbox.agents.runtimes.openclaw.frames import Failure
from clawdbox.agents.runtimes.openclaw.model import Gateway, Look, State, Way
from clawdbox.agents.runtimes.openclaw.rules import addresses
from clawdbox.agents.runtimes.port import Choice
from clawdbox.errors import Conflict, Invalid

MAX_LIVING = 20
MAX_SECRET = 512
_STALE_TOKEN = frozenset(
    {"AUTH_DEVICE_TOKEN_MISMATCH", "AUTH_TOKEN_MISMATCH", "AUTH_SCOPE_MISMATCH", "AUTH_TOKEN_MISSING"}
)
_PROBLEMS = {
    "AUTH_TOKEN_MISMATCH": "The gateway does not know this token. Put in the one of `gateway.auth.token` there.",
    "AUTH_TOKEN_MISSING": "The gateway wants a token. Put in the one of `gateway.auth.token` there.",
    "AUTH_REQUIRED": "The gateway wants a token or a password. Put it in.",
    "AUTH_UNAUTHORIZED": "The gateway does not know this token or password. Put in the one that is set there.",
    "AUTH_PASSWORD_MISMATCH": "The gateway does not know this password. Put in the one of `gateway.auth.password` there.",
    "AUTH_PASSWORD_MISSING": "The gateway wants a password. Put in the one of `gateway.auth.password` there.",
    "AUTH_RATE_LIMITED": "The gateway has seen too many wrong tokens. Wait a few minutes, then test again.",
    "PROTOCOL_MISMATCH": "The gateway speaks another version of its protocol. Update OpenClaw there, or this box.",
    "DEVICE_AUTH_SIGNATURE_EXPIRED": "The clocks of the box and of the gateway differ by more than two minutes.",
}


def check_room(living: Iterable[Gateway], label: str) -> None:
    """Raises Conflict."""
    known = list(living)
    if any(one.label == label for one in known):
        raise Conflict("label_taken", "A gateway of that name is there already.")
    if len(known) >= MAX_LIVING:
        raise Conflict("gateway_limit_reached", f"You have {len(known)} gateways. Remove one first.")


def check_secret(secret: str, field: str) -> str:
    """Raises Invalid."""
    if not secret or len(secret) > MAX_SECRET or not secret.isprintable() or secret != secret.strip():
        raise Invalid(field, "Give it without spaces around it, 512 characters at most.")
    return secret


def may_execute(gateway: Gateway) -> bool:
    """Whether its own commands can reach a control socket of this box: only from this machine."""
    return gateway.way is Way.DIRECT and addresses.is_beside(addresses.parse(gateway.url).host)


def why_not_execute(gateway: Gateway) -> str | None:
    if may_execute(gateway):
        return None
    where = "on a server" if gateway.way is Way.FORWARD else "on another machine"
    return f"This gateway runs {where}, where the box cannot judge what it does: it may chat here, but not run commands."


def pairing_command(request_id: str | None) -> str | None:
    """What a person runs on the gateway's machine, exactly."""
    return f"openclaw devices approve {request_id}" if request_id else None


def is_usable(gateway: Gateway, connection_id: str) -> bool:
    """Whether a conversation on that connection can be held with it."""
    return gateway.way is Way.DIRECT or gateway.connection_id == connection_id


def choice(gateway: Gateway) -> Choice:
    """How it is offered for a new conversation. One that is not ready can be chosen all the same: a turn waits for it."""
    ready = gateway.state in (State.READY, State.UNTESTED)
    command = pairing_command(gateway.pairing_request_id)
    hint = "" if ready else gateway.problem or ""
    return Choice(
        id=gateway.id,
        label=gateway.label,
        detail=why_not_execute(gateway)
        or "Its commands reach this server one by one, each judged before it runs.",
        ready=ready,
        hint=f"{hint} Run `{command}` on its machine." if command else hint,
        options={"gateway_id": gateway.id},
    )


def check_usable(gateway: Gateway, connection_id: str) -> None:
    """Raises Conflict `gateway_elsewhere`."""
    if not is_usable(gateway, connection_id):
        raise Conflict(
            "gateway_elsewhere",
            f"The gateway {gateway.label} is reached through another server. Choose it for a conversation there.",
        )


def is_stale_token(failure: Failure) -> bool:
    """Whether the token that the gateway gave this device is of no use any more."""
    return failure.reason in _STALE_TOKEN


def look_at(failure: Failure) -> Look:
    """What an answer to `connect` means."""
    details = failure.details or {}
    if failure.reason == "PAIRING_REQUIRED":
        request_id = str(details.get("requestId") or "")
        known = request_id if is_request_id(request_id) else None
        return Look(State.PAIRING, "Somebody has to let this box in at the gateway.", known)
    if failure.code == "UNAVAILABLE":
        return Look(State.UNREACHABLE, "The gateway is starting. Try again in a moment.")
    said = _PROBLEMS.get(failure.reason)
    return Look(State.REFUSED, said or f"The gateway refused: {shown(failure.message or failure.reason)}")


def is_request_id(text: str) -> bool:
    """What may stand in a command that a person copies into a shell."""
    return (
        0 < len(text) <= 64
        and text.isascii()
        and all(char.isalnum() or char in "-_" for char in text)
        and text[0] != "-"
    )


def shown(text: str) -> str:
    """Foreign words on one line, and not too many."""
    return " ".join("".join(char if char.isprintable() else " " for char in text[:600]).split())[:300]
