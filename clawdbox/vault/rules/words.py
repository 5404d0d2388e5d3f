"""24 words ↔ the 32 bytes of the recovery slot (BIP-39, English list; its checksum, not its seed derivation)."""

import difflib
import re
import unicodedata
from functools import cache

from mnemonic import Mnemonic

from clawdbox.errors import Problem
from clawdbox.vault.rules.derive import KeyMaterial

COUNT = 24
_NUMBERING = re.compile(r"^\d{1,2}[.):]?")


@cache
def _list() -> Mnemonic:
    """Reads `mnemonic/wordlist/english.txt`, package data that a frozen build must collect."""
    return Mnemonic("english")


def to_words(entropy: KeyMaterial) -> list[str]:
    return _list().to_mnemonic(bytes(entropy)).split(" ")


def to_entropy(text: str) -> bytearray:
    """Takes any case, any blanks, commas, "1." before a word, and the first four letters of a word.

    Four letters name a word in the English list (BIP-39, "Wordlist").
    """
    typed = _split(text)
    words = [_known(word, position) for position, word in enumerate(typed[: 2 * COUNT], 1)]
    if len(words) != COUNT:
        raise Problem(
            "words_count", f"There are {len(typed)} words; the recovery words are {COUNT}.", count=len(typed)
        )
    try:
        return _list().to_entropy(words)
    except ValueError:
        raise Problem(
            "words_checksum",
            "Each of these is a word of the list, but together they are not what was written down: "
            "one is another word, or two have changed places.",
        ) from None


def _split(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", text).lower()
    tokens = (_NUMBERING.sub("", token) for token in re.split(r"[\s,;]+", folded))
    return [token for token in tokens if token]


def _known(word: str, position: int) -> str:
    full = _list().expand_word(word) if len(word) >= 4 else word
    if full in _list().wordlist:
        return full
    near = difflib.get_close_matches(word[:40], _list().wordlist, n=1)
    hint = f" Is it “{near[0]}”?" if near else ""
    raise Problem(
        "words_unknown",
        f"Word {position}, “{word[:40]}”, is not in the list.{hint}",
        word=word[:40],
        position=position,
    )
