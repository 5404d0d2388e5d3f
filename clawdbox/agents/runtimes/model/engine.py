"""A model behind the libraries: one request, streamed. The one file that knows what the clients are called."""

import ssl
from decimal import Decimal
from types import TracebackType
from typing import Protocol, Self

from anthropic import AsyncAnthropic
from genai_prices import calc_price
from openai import AsyncOpenAI
from pydantic_ai import exceptions
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import (
    InstructionPart,
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from clawdbox.agents.model_providers.model import Endpoint, Kind
from clawdbox.agents.rules.model_providers import speaks_responses
from clawdbox.agents.runtimes.model import dial
from clawdbox.agents.runtimes.model.calls import TOOLS
from clawdbox.agents.runtimes.model.failures import Cause, Failure

_NO_KEY = "unset"  # what the clients hold; the real one is put in on the way
_MAX_TEXT = 1_000_000
_CAUSES: tuple[tuple[type[exceptions.ModelAPIError], Cause], ...] = (
    (exceptions.ModelContextWindowExceededError, Cause.TOO_LONG),
    (exceptions.ModelQuotaExceededError, Cause.QUOTA),
    (exceptions.ModelAuthenticationError, Cause.KEY),
    (exceptions.ModelNotFoundError, Cause.NO_MODEL),
    (exceptions.ModelRateLimitError, Cause.RATE),
    (exceptions.ModelUnavailableError, Cause.BUSY),
    (exceptions.ModelServerError, Cause.BUSY),
    (exceptions.ModelTimeoutError, Cause.STALLED),
    (exceptions.ModelConnectionError, Cause.CONNECTION),
)
# How servers of one's own word it that there is no room; with their status 400 or 500 alone it would be a refusal.
_TOO_LONG = ("context length", "context size", "context window", "too many tokens", "prompt is too long")


class Ear(Protocol):
    """Hears an answer while it comes. `first` says of a text that it begins a paragraph of its own."""

    async def opened(self) -> None: ...
    async def text(self, text: str, *, first: bool) -> None: ...
    async def thought(self, text: str) -> None: ...


class Engine:
    """One endpoint for the length of a turn; a context manager, which closes its connections."""

    def __init__(
        self,
        endpoint: Endpoint,
        own_port: dial.OwnPort,
        trust: ssl.SSLContext,
        quiet_s: float,
        *,
        responses: bool | None = None,
    ) -> None:
        self.http = dial.client(endpoint, own_port, trust, quiet_s)
        self._timeout = dial.timeout(quiet_s)
        self._endpoint = endpoint
        over = speaks_responses(endpoint.base_url) if responses is None else responses
        self._model = self._anthropic() if endpoint.kind is Kind.ANTHROPIC else self._openai(responses=over)
        self._settings: ModelSettings = ModelSettings(cache=True)
        if over:
            self._settings = OpenAIResponsesModelSettings(cache=True, openai_store=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def ask(
        self, history: list[ModelMessage], instructions: str, ear: Ear, *, max_tokens: int | None = None
    ) -> ModelResponse:
        """The whole answer, after all of it was heard. Raises Failure, with what came of it until then."""
        settings = ModelSettings(**self._settings)
        if max_tokens:
            settings["max_tokens"] = max_tokens
        heard = _Heard(ear)
        stream: StreamedResponse | None = None
        try:
            async with model_request_stream(
                self._model,
                history,
                model_settings=settings,
                model_request_parameters=_parameters(instructions),
            ) as stream:
                await ear.opened()
                async for event in stream:
                    await heard.event(event)
        except (exceptions.AgentRunError, Failure) as error:
            raise _failure(error, stream.get() if stream else None) from error
        response = stream.get()
        if response.finish_reason is None:  # it ended without the stream's own end
            raise Failure(Cause.CONNECTION, why="Its answer ended in the middle.", partial=response)
        return response

    def cost_usd(self, response: ModelResponse) -> Decimal | None:
        """By the price list that came with the box, where it knows this address; a model of one's own has no price."""
        try:
            price = calc_price(response.usage, self._endpoint.model, provider_api_url=self._endpoint.base_url)
        except (LookupError, ValueError):
            return None
        return price.total_price

    def _openai(self, *, responses: bool) -> Model:
        client = AsyncOpenAI(
            api_key=_NO_KEY,
            base_url=self._endpoint.base_url,
            http_client=self.http,
            max_retries=0,
            timeout=self._timeout,
        )
        provider = OpenAIProvider(openai_client=client)
        if responses:
            return OpenAIResponsesModel(self._endpoint.model, provider=provider)
        # Else an answer that a proxy gave up in the middle of would count as whole, and its calls would be run.
        whole = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
        return OpenAIChatModel(self._endpoint.model, provider=provider, profile=whole)

    def _anthropic(self) -> Model:
        client = AsyncAnthropic(
            api_key=_NO_KEY,
            base_url=self._endpoint.base_url,
            http_client=self.http,
            max_retries=0,
            timeout=self._timeout,
        )
        return AnthropicModel(self._endpoint.model, provider=AnthropicProvider(anthropic_client=client))


class _Heard:
    """Passes on what is text and what is thought. A tool's arguments are nothing to show yet."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._said = 0

    async def event(self, event: ModelResponseStreamEvent) -> None:
        if isinstance(event, PartStartEvent):
            if isinstance(event.part, TextPart):
                await self._text(event.part.content, first=True)
            elif isinstance(event.part, ThinkingPart):
                await self._thought(event.part.content)
        elif isinstance(event, PartDeltaEvent):
            if isinstance(event.delta, TextPartDelta):
                await self._text(event.delta.content_delta, first=False)
            elif isinstance(event.delta, ThinkingPartDelta):
                await self._thought(event.delta.content_delta or "")

    async def _text(self, text: str, *, first: bool) -> None:
        self._count(text)
        if text or first:
            await self._ear.text(text, first=first)

    async def _thought(self, text: str) -> None:
        self._count(text)
        if text:
            await self._ear.thought(text)

    def _count(self, text: str) -> None:
        self._said += len(text)
        if self._said > _MAX_TEXT:
            raise Failure(Cause.REJECTED, why="The answer was longer than the box takes.")


def _parameters(instructions: str) -> ModelRequestParameters:
    tools = [
        ToolDefinition(
            name=tool.name, description=tool.about, parameters_json_schema=tool.parameters, strict=False
        )
        for tool in TOOLS
    ]
    return ModelRequestParameters(
        function_tools=tools, instruction_parts=[InstructionPart(content=instructions)]
    )


def _failure(error: Exception, partial: ModelResponse | None) -> Failure:
    own = _own(error)
    if own:
        return Failure(own.cause, own.said, why=own.why, partial=partial)
    if not isinstance(error, exceptions.ModelAPIError):
        return Failure(Cause.REJECTED, why="Its answer could not be read.", partial=partial)
    if type(error) is exceptions.ModelAPIError and error.body is None:
        return Failure(Cause.CONNECTION, why="Its answer ended in the middle.", partial=partial)
    said = said_in(error.body)
    cause = next((cause for kind, cause in _CAUSES if isinstance(error, kind)), Cause.REJECTED)
    if cause in (Cause.REJECTED, Cause.BUSY) and any(words in said.lower() for words in _TOO_LONG):
        cause = Cause.TOO_LONG
    status = error.status_code if isinstance(error, exceptions.ModelHTTPError) else None
    if status == 413:
        cause = Cause.TOO_LONG
    return Failure(cause, said, status=status, retry_after=error.retry_after, partial=partial)


def _own(error: BaseException | None) -> Failure | None:
    """Ours, which the libraries wrap into theirs."""
    while error is not None:
        if isinstance(error, Failure):
            return error
        error = error.__cause__ or error.__context__
    return None


def said_in(body: object) -> str:
    """The sentence in an error's body, in the shapes that these services use; a page of HTML says nothing."""
    if not isinstance(body, dict):
        return ""
    error = body.get("error", body)
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return ""
    said = error.get("message") or error.get("detail")
    return said if isinstance(said, str) else ""
