"""Bytes that do not show themselves: not in a repr, a log line, a format string or a pickle.

Python cannot promise to wipe memory; this only keeps a key out of what is written down.
"""

from typing import NoReturn


class Secret:
    __slots__ = ("_value",)

    def __init__(self, value: bytes | bytearray) -> None:
        self._value = bytearray(value)

    def reveal(self) -> bytearray:
        return self._value

    def __repr__(self) -> str:
        return "<Secret hidden>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class RecoveryWords:
    """The 24 words. `reveal()` is for the one time they are shown."""

    __slots__ = ("_words",)

    def __init__(self, words: list[str]) -> None:
        self._words = tuple(words)

    def reveal(self) -> tuple[str, ...]:
        return self._words

    def __repr__(self) -> str:
        return "<RecoveryWords hidden>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("recovery words are not pickled")
