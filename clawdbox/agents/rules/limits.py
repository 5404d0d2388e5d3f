"""How much one turn of an agent may do before a person sends it on."""

import msgspec

from clawdbox.agents.model import TurnUsage
from clawdbox.errors import Conflict


class TurnLimits(msgspec.Struct, frozen=True):
    """`seconds` counts work, not the time in which it waits for an answer."""

    commands: int
    tokens: int
    cost_usd: float
    seconds: float


class Spent(msgspec.Struct, frozen=True):
    """What a turn had used before its lease or its box ended: a turn that goes on has no more than it would have had."""

    commands: int = 0
    unasked: int = 0


def check_commands(limits: TurnLimits, ran: int) -> None:
    """Raises Conflict `turn_limit` before the command that would be one too many."""
    if ran >= limits.commands:
        raise reached(f"{limits.commands} commands")


def check_usage(limits: TurnLimits, usage: TurnUsage) -> None:
    """Raises Conflict `turn_limit` once more was used than a turn may."""
    tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    if tokens > limits.tokens:
        raise reached(f"{limits.tokens:,} tokens")
    if (usage.cost_usd or 0) > limits.cost_usd:
        raise reached(f"${limits.cost_usd:.2f}")


def reached(what: str) -> Conflict:
    return Conflict(
        "turn_limit",
        f"It has reached what one message may use: {what}. Send “go on” to let it continue, or raise the limit in the"
        " settings.",
    )
