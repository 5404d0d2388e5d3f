"""What a passphrase may be, and the bytes it stands for."""

import unicodedata

from clawdbox.errors import Invalid

MIN_LENGTH = 12
MAX_LENGTH = 1024


def check_new(text: str) -> None:
    """Raises Invalid. The keyring can be tried at without the box, so short ones are not taken."""
    if len(text) < MIN_LENGTH:
        raise Invalid(
            "passphrase",
            f"A passphrase has at least {MIN_LENGTH} characters: four or five words that do not belong together are good.",
        )
    if len(text) > MAX_LENGTH:
        raise Invalid("passphrase", f"A passphrase has at most {MAX_LENGTH} characters.")


def to_bytes(text: str) -> bytes:
    """The same for an é that one keyboard makes of one character and another of two."""
    return unicodedata.normalize("NFC", text[:MAX_LENGTH]).encode()
