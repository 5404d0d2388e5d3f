"""What may be written into a place where models are asked, and what is offered to begin with."""

import re
from urllib.parse import urlsplit

import msgspec

from clawdbox import names, net
from clawdbox.agents.model_providers.model import Kind, ModelProvider, Preset
from clawdbox.errors import Conflict, Invalid

MAX_PROVIDERS = 50
_MAX_MODEL = 200
_MAX_KEY = 4096
_MAX_URL = 500
_MODEL = re.compile(r"[^\s\x00-\x1f\x7f]+( [^\s\x00-\x1f\x7f]+)*")

PRESETS = (
    Preset(
        "Ollama",
        Kind.OPENAI,
        "http://127.0.0.1:11434/v1",
        needs_key=False,
        model_example="qwen3:14b",
        about="Its window is small by default, and what does not fit is cut off without a word: start it with "
        "OLLAMA_CONTEXT_LENGTH=32768 or more.",
    ),
    Preset(
        "llama.cpp",
        Kind.OPENAI,
        "http://127.0.0.1:8080/v1",
        needs_key=False,
        model_example="default",
        about="Start llama-server with --jinja, so that the model can call tools.",
    ),
    Preset(
        "vLLM",
        Kind.OPENAI,
        "http://127.0.0.1:8000/v1",
        needs_key=False,
        model_example="Qwen/Qwen3-32B",
        about="Start it with --enable-auto-tool-choice and the --tool-call-parser of the model.",
    ),
    Preset(
        "OpenRouter",
        Kind.OPENAI,
        "https://openrouter.ai/api/v1",
        needs_key=True,
        model_example="anthropic/claude-sonnet-4.5",
        about="Choose a model that can call tools.",
    ),
    Preset(
        "OpenAI",
        Kind.OPENAI,
        "https://api.openai.com/v1",
        needs_key=True,
        model_example="gpt-5-mini",
        about="What servers say goes to OpenAI, which is told to keep nothing of it.",
    ),
    Preset(
        "Anthropic",
        Kind.ANTHROPIC,
        "https://api.anthropic.com",
        needs_key=True,
        model_example="claude-sonnet-4-5",
        about="A key of the API; the login of a subscription is none.",
    ),
)


class Written(msgspec.Struct, frozen=True):
    """The parts of a provider that a person writes, checked."""

    label: str
    kind: Kind
    base_url: str
    model: str


def check(label: str, kind: str, base_url: str, model: str, own_port: int | None) -> Written:
    """Raises Invalid."""
    try:
        known = Kind(kind)
    except ValueError:
        raise Invalid("kind", "Choose openai or anthropic: the protocol that is spoken there.") from None
    return Written(names.label(label), known, canonical_url(base_url, own_port), check_model(model))


def canonical_url(text: str, own_port: int | None) -> str:
    """`https://api.example/v1`: scheme, host and port in one form, no slash at the end. Raises Invalid."""
    url = text.strip()
    if len(url) > _MAX_URL or not url.isprintable() or " " in url:
        raise _no_url()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _no_url() from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _no_url()
    if "@" in parts.netloc:
        raise Invalid(
            "base_url", "Leave user and password out of the address: the key has a field of its own."
        )
    if parts.query or parts.fragment:
        raise Invalid("base_url", "Leave out everything from ? or # on.")
    host = net.canonical_host(parts.hostname, "base_url")
    encrypted = parts.scheme == "https"
    refused = net.model_host_verdict(host, port or (443 if encrypted else 80), own_port, encrypted=encrypted)
    if refused:
        raise Invalid("base_url", f"The box does not ask there: {refused}.", "address_refused")
    shown = f"[{host}]" if ":" in host else host
    at = f":{port}" if port is not None else ""
    return f"{parts.scheme}://{shown}{at}{parts.path.rstrip('/')}"


def check_model(text: str, field: str = "model") -> str:
    """The name of a model, as its provider writes it. Raises Invalid."""
    name = text.strip()
    if not name:
        raise Invalid(field, "Name the model that is to answer, as its provider writes it.")
    if len(name) > _MAX_MODEL or not _MODEL.fullmatch(name):
        raise Invalid(field, f"A model's name is one line of at most {_MAX_MODEL} characters.")
    return name


def check_key(text: str) -> str:
    """A key as it can stand in a header. Raises Invalid."""
    key = text.strip()
    if not key:
        raise Invalid("api_key", "Paste the key, or leave it out where none is wanted.")
    if len(key) > _MAX_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise Invalid("api_key", "This is no key: a key is one word of letters, digits and signs.")
    return key


def check_room(count: int) -> None:
    if count >= MAX_PROVIDERS:
        raise Conflict(
            "model_provider_limit_reached", f"You have {MAX_PROVIDERS} of them. Remove one you do not use."
        )


def check_key_moves(now: ModelProvider, after: Written, *, key_given: bool) -> None:
    """A key is only ever sent where it was meant for: another place needs it anew. Raises Invalid."""
    if now.has_key and not key_given and place(now.base_url) != place(after.base_url):
        raise Invalid(
            "api_key",
            "This is another address, and the key was given for the old one. Give the key for it, too.",
        )


def place(base_url: str) -> tuple[str, str, int]:
    """Scheme, host and port."""
    parts = urlsplit(base_url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def speaks_responses(base_url: str) -> bool:
    """Whether it is OpenAI itself, whose newer models think between tool calls over Responses alone."""
    return place(base_url)[1] == "api.openai.com"


def _no_url() -> Invalid:
    return Invalid(
        "base_url", "Give an address such as http://127.0.0.1:11434/v1 or https://api.example.com/v1."
    )
