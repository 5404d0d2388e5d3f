"""What an agent says, on its way into events: in pieces, and without what looks like a secret."""

from clawdbox.agents.journal import Journal
from clawdbox.agents.rules.output import text_pieces
from clawdbox.policy import ProseRedactor


class Words:
    """Of one turn. What could become a secret is held back until more follows, or `finish`."""

    def __init__(self, journal: Journal, *, judged: bool) -> None:
        self._journal = journal
        self._judged = judged
        self._kind = ""
        self._redactor = ProseRedactor()

    def add(self, kind: str, text: str, shown: int) -> tuple[int, int] | None:
        """How many characters are an unfinished line, and how many of them are put down; None within a private key."""
        if not self._judged:
            self._put(kind, text)
            return (0, 0)
        if kind != self._kind or shown:
            self.finish()
            self._kind, self._redactor = kind, ProseRedactor(shown)
        self._put(kind, self._redactor.feed(text))
        return self._redactor.unfinished

    def finish(self) -> None:
        """What was held back is said: something else follows, or the end."""
        if self._kind:
            kind, self._kind = self._kind, ""
            self._put(kind, self._redactor.finish())

    def _put(self, kind: str, text: str) -> None:
        for piece in text_pieces(text):
            self._journal.add(kind, {"text": piece}, len(piece.encode()))
