"""A word with a model, to see whether it answers, and which models there are."""

import time

import httpx2
import msgspec
from pydantic_ai.messages import ModelRequest, UserPromptPart

from clawdbox.agents.model_providers.model import Endpoint, Kind, Verdict
from clawdbox.agents.runtimes.model import failures
from clawdbox.agents.runtimes.model.engine import Engine
from clawdbox.agents.runtimes.model.failures import Failure

_MAX_MODELS = 500
_ENOUGH = 32  # tokens; OpenAI wants 16 at least
_ASKED = "This is a test of the connection. Answer with the word yes."
_HEADERS = {
    Kind.OPENAI: {"authorization": "-"},
    Kind.ANTHROPIC: {"authorization": "-", "x-api-key": "-", "anthropic-version": "2023-06-01"},
}


class _First:
    """When its first word came."""

    def __init__(self) -> None:
        self.at: float | None = None

    async def opened(self) -> None:
        return

    async def text(self, text: str, *, first: bool) -> None:
        self.at = self.at or time.perf_counter()

    async def thought(self, text: str) -> None:
        self.at = self.at or time.perf_counter()


async def probe(engine: Engine, endpoint: Endpoint) -> Verdict:
    """With the tools of a conversation, because a model that takes none is no use here."""
    models = await _models(engine.http, endpoint)
    listed = endpoint.model in models if models else None
    first, began = _First(), time.perf_counter()
    try:
        response = await engine.ask(
            [ModelRequest(parts=[UserPromptPart(_ASKED)])], "Answer in one word.", first, max_tokens=_ENOUGH
        )
    except Failure as failure:
        problem = failures.problem(failure, endpoint)
        return Verdict(False, problem.message, problem.code, None, models, listed)
    took = ((first.at or time.perf_counter()) - began) * 1000
    answered = response.model_name or endpoint.model
    return Verdict(True, f"{answered} answered.", None, round(took, 1), models, listed)


async def _models(http: httpx2.AsyncClient, endpoint: Endpoint) -> tuple[str, ...]:
    """The names that it lists; none where it lists none, which is no fault."""
    path = "/v1/models?limit=1000" if endpoint.kind is Kind.ANTHROPIC else "/models"
    try:
        answer = await http.get(endpoint.base_url + path, headers=_HEADERS[endpoint.kind])
        body = msgspec.json.decode(answer.content) if answer.status_code == 200 else {}
    except (httpx2.HTTPError, Failure, msgspec.DecodeError):
        return ()
    data = body.get("data") if isinstance(body, dict) else None
    names = [entry.get("id") for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
    return tuple(
        sorted(name for name in names if isinstance(name, str) and 0 < len(name) <= 200)[:_MAX_MODELS]
    )
