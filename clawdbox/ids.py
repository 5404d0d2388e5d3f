"""Identifiers and bearer tokens."""

import hashlib
import re
import secrets
from datetime import datetime

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id(now: datetime) -> str:
    """A UUIDv7 (RFC 9562, section 5.7): sorts by creation time to the millisecond."""
    millis = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    rand = secrets.randbits(74)
    value = millis << 80 | 0x7 << 76 | (rand >> 62) << 64 | 0b10 << 62 | rand & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_id(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def new_token() -> str:
    """256 bits from the operating system, as 43 characters of base64url."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is stored instead of a token. Plain SHA-256 suffices for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
