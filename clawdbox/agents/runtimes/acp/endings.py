"""How a turn with a code agent ends, and why one does not begin, in words for a person. Pure."""

from typing import Any

from clawdbox.agents.runtimes.acp import messages, scripts
from clawdbox.agents.runtimes.acp.memory import Memory, Prompt
from clawdbox.agents.runtimes.acp.options import Chosen
from clawdbox.agents.runtimes.port import TurnLost
from clawdbox.errors import Conflict, Problem, Upstream

GONE = "ended"  # the error of a message whose agent ended before it answered
ENDED = (
    "The agent's program ended on the server in the middle of this, perhaps because the server was restarted. What it"
    " was doing may be half done; nothing was sent again. Send “go on” to let it look."
)
FORGOTTEN = (
    "The agent was started anew and could not go on with what was said before: it does not remember it.\n\n"
)
STOPS = {
    "max_tokens": "Its model reached its longest answer. Send “go on”.",
    "max_turn_requests": "It reached its own limit of steps for one message. Send “go on”.",
    "refusal": "Its model refused to go on with this. Ask in another way.",
    "cancelled": "The agent stopped by itself. Send it again to go on.",
}


def finish(prompt: Prompt) -> None:
    """Return, or raise what a person can do about it."""
    if prompt.error == GONE:
        raise TurnLost(ENDED)
    if prompt.error is not None:
        raise Conflict("code_agent_failed", f"The agent could not answer: {prompt.error}")
    if prompt.stop in STOPS:
        raise Conflict("code_agent_stopped", STOPS[prompt.stop])


def not_started(state: str, chosen: Chosen) -> Problem:
    match state:
        case "not_found":
            return Conflict(
                "code_agent_missing",
                f"{chosen.label} was not found on the server. Install it: {chosen.install}",
            )
        case "no_directory":
            return Conflict(
                "code_agent_directory",
                f"The server has no directory {chosen.directory}. Choose another one for this conversation.",
            )
        case "no_folder":
            return Conflict(
                "code_agent_folder",
                "The agent's folder (~/.local/state/clawdbox) cannot be written on the server. Look at its disk.",
            )
    return silent("The server did not start the agent in time. Try again in a moment.")


def silent(words: str) -> Upstream:
    return Upstream("code_agent_silent", words)


def refused(error: Any, said: str, chosen: Chosen) -> Conflict:
    if messages.number_of(error, "code") == messages.AUTH_REQUIRED:
        return Conflict(
            "code_agent_sign_in", f"Nobody is signed in to {chosen.label} on the server. {chosen.sign_in}"
        )
    return Conflict("code_agent_refused", f"{chosen.label} refused: {said or 'it did not say why.'}")


def calling_off(conversation_id: str, memory: Memory, grace_s: float) -> str | None:
    """The script that calls the open message off, answering what still waits for an answer; None when there is none."""
    prompt = memory.prompt
    if not memory.gen or prompt is None or not prompt.is_open:
        return None
    put = [
        (key, messages.response(asked.to, messages.selected(None))) for key, asked in memory.asking.items()
    ]
    cancel = messages.notification("session/cancel", {"sessionId": memory.session})
    put.append((f"cancel-{prompt.turn_id}", cancel))
    needle = f'"id": *"{prompt.key}"'
    return scripts.call_off(conversation_id, memory.gen, put, needle, memory.offset, grace_s)
