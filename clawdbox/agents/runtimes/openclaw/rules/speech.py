"""How much of a run's answer has been passed on: it arrives piece by piece, whole, again, or from the history."""

import msgspec

_KEPT = 4096
_MARK = 120


class Said(msgspec.Struct, frozen=True):
    """What was passed on of the answer of `run`: so many characters that are no white space, and the last of them.

    White space does not count, since a gateway trims it in one place and keeps it in another; `spaced` says whether
    some came last.
    """

    run: str
    count: int = 0
    tail: str = ""
    spaced: bool = False


def append(said: Said, delta: str) -> Said:
    """What has been said once `delta` has, which follows upon the last."""
    bare = "".join(delta.split())
    spaced = delta[-1:].isspace() if delta else said.spaced
    return Said(said.run, said.count + len(bare), (said.tail + bare)[-_KEPT:], spaced)


def more(said: Said, answer: str) -> tuple[str, Said]:
    """What of the whole `answer` so far is new, and what has been said then."""
    places = [index for index, char in enumerate(answer) if not char.isspace()]
    bare = "".join(answer[index] for index in places)
    begin = _begin(said, bare)
    new = answer[places[begin - 1] + 1 :] if begin else answer.lstrip()
    text = (new.lstrip(" ") if said.spaced else new).rstrip()
    if not text:
        return "", said
    if begin is None:  # it says something else by now, which stands beside what was said
        text = f"\n\n{text}"
    return text, Said(said.run, len(bare), bare[-_KEPT:])


def _begin(said: Said, bare: str) -> int | None:
    """Where in the bare answer the new part begins; None when what was said is nowhere in it."""
    if said.count <= len(bare) and bare[: said.count].endswith(said.tail):
        return said.count
    if len(bare) < said.count and bare[-_MARK:] in said.tail:
        return len(bare)  # as it was some time ago
    mark = said.tail[-_MARK:]
    found = bare.rfind(mark)
    return found + len(mark) if found >= 0 else None


def was_said(said: Said, text: str) -> bool:
    """Whether a text is among the last that was said."""
    return "".join(text.split()) in said.tail


def length(text: str) -> int:
    """Without white space."""
    return sum(not char.isspace() for char in text)


def after(text: str, count: int) -> str:
    """What comes after so many characters that are no white space."""
    for index, char in enumerate(text):
        if count <= 0:
            return text[index:]
        count -= not char.isspace()
    return ""
