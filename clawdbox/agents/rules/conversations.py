"""What a conversation may be called and given."""

import unicodedata
from datetime import datetime
from typing import Any

import msgspec

from clawdbox.agents.model import Conversation
from clawdbox.errors import Invalid

MAX_TITLE = 120
_MAX_OPTIONS = 8 * 1024


def made(
    conversation_id: str,
    account_id: str,
    connection_id: str,
    runtime: str,
    options: dict[str, Any],
    title: str | None,
    now: datetime,
) -> Conversation:
    return Conversation(
        id=conversation_id,
        account_id=account_id,
        connection_id=connection_id,
        title=title,
        runtime=runtime,
        runtime_options=options,
        agent_session_id=f"{runtime}:{conversation_id}",
        created_at=now,
        last_used_at=now,
        archived_at=None,
    )


def check_title(title: str | None) -> None:
    """Raises Invalid."""
    if title is None:
        return
    if not title.strip() or len(title) > MAX_TITLE:
        raise Invalid("title", f"Give it a name of at most {MAX_TITLE} characters.")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Cf") for char in title):
        raise Invalid("title", "Leave out control characters.")


def check_options(options: dict[str, Any]) -> None:
    """Raises Invalid."""
    if len(msgspec.json.encode(options)) > _MAX_OPTIONS:
        raise Invalid("runtime_options", "These options are too long.")
