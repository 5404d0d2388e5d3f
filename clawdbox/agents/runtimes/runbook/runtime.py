"""One turn of the runbook: a command as it stands, a recipe, or help."""

from clawdbox.agents.model import CommandState, Context
from clawdbox.agents.runtimes.port import Answer, Choice, Hands, Offer, Suggestion, TurnLost
from clawdbox.agents.runtimes.runbook import help as guide
from clawdbox.agents.runtimes.runbook.recipe import Recipe, card_of
from clawdbox.agents.runtimes.runbook.registry import choose, offered

PROMPT = "$ "
_MAX_SUGGESTIONS = 6
_LOST = (
    "The link to the server was lost meanwhile: whether this finished, nobody knows. It was not run again."
)


class Runbook:
    """Deterministic, and always there: the same words run the same commands."""

    @property
    def name(self) -> str:
        return "runbook"

    @property
    def resumes(self) -> bool:
        return False

    @property
    def judged(self) -> bool:
        return False

    async def offer(self, account_id: str, connection_id: str) -> Offer:
        detail = "Reads the server and tells how it is; `$ ` runs a command. No model, nothing to set up."
        return Offer((Choice("runbook", "Runbook", detail),))

    async def stop(self, context: Context, hands: Hands) -> None:
        """It has nothing that runs elsewhere."""

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None:
        if turn_text.startswith(PROMPT) and turn_text.removeprefix(PROMPT).strip():
            await _command(turn_text.removeprefix(PROMPT), hands)
        elif guide.asks_for_help(turn_text):
            await hands.card(guide.card(asked=True))
            await hands.suggest(offered())
        elif recipe := choose(turn_text):
            await _recipe(recipe, hands)
        else:
            await hands.card(guide.card(asked=False))
            await hands.suggest(offered())


async def _command(command: str, hands: Hands) -> None:
    answer = await hands.run(command, typed=True)
    if answer.refused is not None:
        await hands.say(f"It was not run. {answer.refused}")
        return
    if answer.state is CommandState.TIMED_OUT:
        await hands.say(
            f"It was stopped after {answer.duration_ms / 1000:.0f} s, the longest a command may take in a conversation."
            " For what takes longer, use the terminal."
        )
    await hands.suggest(offered())
    _check_lost(answer)


async def _recipe(recipe: Recipe, hands: Hands) -> None:
    answer = await hands.run(recipe.command, recipe.title, recipe.timeout_s)
    card = card_of(recipe, answer)
    await hands.card(card)
    items: tuple[Suggestion, ...] = (*recipe.further(card), *offered(recipe))
    await hands.suggest(tuple(dict.fromkeys(items))[:_MAX_SUGGESTIONS])
    _check_lost(answer)


def _check_lost(answer: Answer) -> None:
    if answer.state is CommandState.LOST:
        raise TurnLost(_LOST)
