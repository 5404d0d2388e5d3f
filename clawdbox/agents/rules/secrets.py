"""What looks like a secret never reaches a model, the log or a push: bytes and texts without it."""

import codecs

from clawdbox.policy import Redactor, redact


def redacted(text: str) -> str:
    return redact(text) if text else text


class RedactedBytes:
    """A stream of bytes without its secrets; what is no UTF-8 comes through as it was."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._redactor = Redactor()

    def feed(self, data: bytes) -> bytes:
        return _bytes(self._redactor.feed(self._decoder.decode(data)))

    def finish(self) -> bytes:
        last = self._redactor.feed(self._decoder.decode(b"", final=True))
        return _bytes(last + self._redactor.finish())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
