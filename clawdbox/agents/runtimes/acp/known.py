"""The code agents that are looked for, one row each: what is started, what shows that somebody is signed in, and what
makes the agent ask before it does anything."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Known(msgspec.Struct, frozen=True):
    """`programs` are started, the first that is found; one of `beside` without them lacks the adapter alone.

    `credentials` (below the home) and `variables` are there once somebody has signed in; where `sure`, nothing else is.
    `asks` are the modes in which it asks first; `environment` and `meta` make it ask even for what it takes for harmless,
    so that the policy judges it. `authenticate` are methods that need no person and no browser.
    """

    name: str
    label: str
    programs: tuple[str, ...]
    install: str
    sign_in: str
    arguments: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    sure: bool = True
    asks: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    meta: Mapping[str, Any] = {}
    authenticate: tuple[str, ...] = ()


_CLAUDE_TOOLS = ["Bash", "Read", "Glob", "Grep", "Edit", "Write", "NotebookEdit", "WebFetch", "WebSearch"]
_CLAUDE = {
    "claudeCode": {
        "options": {
            "settings": {"permissions": {"ask": _CLAUDE_TOOLS}},
            "promptSuggestions": False,  # a request to the model for each message, whose answer nobody here would see
        }
    }
}

KNOWN = (
    Known(
        "claude", "Claude Code", ("claude-agent-acp", "claude-code-acp"),
        "npm install -g @agentclientprotocol/claude-agent-acp", "Run `claude` in a terminal there, and /login.",
        beside=("claude",), credentials=(".claude/.credentials.json",),
        variables=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
        asks=("default",), meta=_CLAUDE,
    ),
    Known(
        "codex", "Codex", ("codex-acp",),
        "npm install -g @agentclientprotocol/codex-acp", "Run `codex login` in a terminal there.",
        beside=("codex",), credentials=(".codex/auth.json",), variables=("OPENAI_API_KEY", "CODEX_API_KEY"),
        asks=("read-only",), authenticate=("api-key",),
    ),
    Known(
        "gemini", "Gemini CLI", ("gemini",),
        "npm install -g @google/gemini-cli", "Run `gemini` in a terminal there, and choose how to sign in.",
        arguments=("--acp",), credentials=(".gemini/oauth_creds.json",),
        variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"), asks=("default",),
    ),
    Known(
        "opencode", "OpenCode", ("opencode",),
        "npm install -g opencode-ai", "Run `opencode auth login` in a terminal there.",
        arguments=("acp",), credentials=(".local/share/opencode/auth.json",),
        variables=("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY"), sure=False,
        environment={"OPENCODE_PERMISSION": '{"bash":"ask","edit":"ask","webfetch":"ask"}'},
    ),
    Known(
        "goose", "Goose", ("goose",),
        "See block.github.io/goose for its installer.", "Run `goose configure` in a terminal there.",
        arguments=("acp",), credentials=(".config/goose/config.yaml",), sure=False,
        environment={"GOOSE_MODE": "approve"}, asks=("approve",),
    ),
    Known(
        "qwen", "Qwen Code", ("qwen",),
        "npm install -g @qwen-code/qwen-code", "Run `qwen` in a terminal there, and choose how to sign in.",
        arguments=("--acp",), credentials=(".qwen/oauth_creds.json",), variables=("OPENAI_API_KEY",),
        sure=False, asks=("default",),
    ),
    Known(
        "copilot", "GitHub Copilot", ("copilot",),
        "npm install -g @github/copilot", "Run `copilot` in a terminal there, and /login.",
        arguments=("--acp",), variables=("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"), sure=False,
    ),
    Known(
        "cursor", "Cursor", ("cursor-agent",),
        "See cursor.com/docs/cli for its installer.", "Run `cursor-agent login` in a terminal there.",
        arguments=("acp",), credentials=(".config/cursor/auth.json",), variables=("CURSOR_API_KEY",), sure=False,
    ),
    Known(
        "kimi", "Kimi CLI", ("kimi",),
        "See the documentation of Kimi CLI for its installer.", "Run `kimi` in a terminal there, and /login.",
        arguments=("acp",), sure=False,
    ),
    Known(
        "openclaw", "OpenClaw", ("openclaw",),
        "npm install -g openclaw", "Run `openclaw onboard` in a terminal there.",
        arguments=("acp",), credentials=(".openclaw/openclaw.json",), sure=False,
    ),
)  # fmt: skip

CUSTOM = Known(
    "custom", "A command of your own", (), "", "Sign in on the server, as its documentation says.",
    asks=("default", "ask", "manual", "read-only"),
)  # fmt: skip


def named(name: str) -> Known | None:
    return CUSTOM if name == CUSTOM.name else next((one for one in KNOWN if one.name == name), None)
