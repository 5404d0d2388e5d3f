"""Jump hosts: which chains may be saved, and what a failure at a hop is called."""

from collections.abc import Iterable, Mapping

from clawdbox.errors import Conflict
from clawdbox.ssh.model import Connection
from clawdbox.ssh.rules.connections import HOST_KEY_CAUSES

# How many jump hosts may stand before a server. Each costs several round trips through all before it.
MAX_HOPS = 8

# connection id → the id of its jump host, or None
Jumps = Mapping[str, str | None]


def hops(jumps: Jumps, first: str | None) -> list[str]:
    """The jump hosts from `first` on, the nearest to the server first. Raises Conflict `jump_cycle` and `jump_too_long`."""
    found: list[str] = []
    at = first
    while at is not None:
        if at in found:
            raise _cycle()
        found.append(at)
        if len(found) > MAX_HOPS:
            raise _too_long()
        at = jumps.get(at)
    return found


def check_jump(jumps: Jumps, connection_id: str, jump_id: str | None) -> None:
    """Whether `connection_id` may be reached through `jump_id`, together with all that is reached through itself.

    Raises Conflict `jump_cycle` and `jump_too_long`.
    """
    if jump_id is None:
        return
    before = hops(jumps, jump_id)
    if connection_id in before:
        raise _cycle()
    if len(before) + _longest_behind(jumps, connection_id) > MAX_HOPS:
        raise _too_long()


def reached_through(jumps: Jumps, connection_id: str) -> set[str]:
    """Every connection that has `connection_id` somewhere on its way."""
    found: set[str] = set()
    edge = {connection_id}
    while edge:
        edge = {one for one, jump in jumps.items() if jump in edge and one not in found}
        found |= edge
    return found


def _longest_behind(jumps: Jumps, connection_id: str) -> int:
    """How many more connections stand one behind the other after this one."""
    seen, edge, length = {connection_id}, {connection_id}, 0
    while edge := {one for one, jump in jumps.items() if jump in edge and one not in seen}:
        seen |= edge
        length += 1
    return length


def check_removal(connection: Connection, users: Iterable[Connection]) -> None:
    """Raises Conflict `connection_is_jump` naming the connections that are reached through this one."""
    reached = [{"id": one.id, "label": one.label} for one in users]
    if not reached:
        return
    names = ", ".join(f"“{one['label']}”" for one in reached[:5]) + (
        " and others" if len(reached) > 5 else ""
    )
    raise Conflict(
        "connection_is_jump",
        f"“{connection.label}” is the jump host of {names}. Choose another way for them first, or remove them.",
        connections=reached,
    )


def untested(hop: Connection) -> tuple[str, str] | None:
    """What is said, and what to do, when a jump host was never entered; None when it may be dialled."""
    if hop.state == "tested":
        return None
    if hop.deleted_at is not None:
        return f"The jump host “{hop.label}” was removed.", "Choose another way to this server."
    return (
        f"The jump host “{hop.label}” has not been tested yet.",
        f"Test “{hop.label}” first: its host key is accepted there, before anything goes through it.",
    )


def at_hop(hop: Connection, cause: str, message: str) -> str:
    """The sentence of a dial that failed at a jump host."""
    if cause in HOST_KEY_CAUSES:
        return (
            f"The jump host “{hop.label}” shows another host key than the one you accepted."
            " The box stopped before logging in to it."
        )
    if cause == "authentication":
        return f"The jump host “{hop.label}” refused the login: {message}"
    if cause == "forwarding":
        return f"The jump host “{hop.label}” does not let the box through: {message}"
    return f"The jump host “{hop.label}” could not be entered: {message}"


def _cycle() -> Conflict:
    return Conflict(
        "jump_cycle",
        "This way leads back to the server itself. Choose a jump host that is not reached through it.",
        field="jump_connection_id",
    )


def _too_long() -> Conflict:
    return Conflict(
        "jump_too_long",
        f"This way has more than {MAX_HOPS} jump hosts. Choose a jump host that is nearer to the box.",
        field="jump_connection_id",
    )
