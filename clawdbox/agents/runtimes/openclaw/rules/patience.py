"""How long a turn waits for its gateway, and what it says when it waits no more."""

from clawdbox.agents.runtimes.openclaw.model import Look, State
from clawdbox.agents.runtimes.port import TurnLost
from clawdbox.errors import Conflict, Upstream

PAIRING_S = 300.0  # as long as a gateway keeps a request
UNSENT_S = 20.0
SENT_S = 600.0
CUT_OFF_S = 120.0  # for a gateway that was started again to take up what its end cut off
_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_PAIRING_DELAYS_S = (1.0, 2.0, 3.0)

GONE = (
    "The gateway was lost in the middle of the turn and did not come back. What it has done meanwhile is not known;"
    " its history shows it."
)
NOT_TAKEN_UP = (
    "The gateway was started again in the middle of the turn and did not go on with it. What it had begun is not known;"
    " look at its history before you send it again."
)


def delay_s(attempt: int, look: Look | None = None) -> float:
    """Before the next attempt; `attempt` counts from 0."""
    delays = _PAIRING_DELAYS_S if look is not None and look.state is State.PAIRING else _DELAYS_S
    return delays[min(attempt, len(delays) - 1)]


def check(look: Look, waited_s: float, *, sent: bool) -> None:
    """Whether it is worth another attempt. Raises Conflict, Upstream or TurnLost when it is not."""
    if look.state is State.REFUSED:
        if sent:
            raise TurnLost(f"{GONE} ({look.problem})")
        raise Conflict("gateway_refused", look.problem or "The gateway refused.")
    if look.state is State.PAIRING and waited_s >= PAIRING_S:
        raise Conflict(
            "gateway_pairing_required",
            "Nobody has let this box in at the gateway. Settings → OpenClaw shows the command for it.",
        )
    if look.state is State.UNREACHABLE:
        if sent and waited_s >= SENT_S:
            raise TurnLost(GONE)
        if not sent and waited_s >= UNSENT_S:
            raise Upstream("gateway_unreachable", look.problem or "The gateway cannot be reached.")
