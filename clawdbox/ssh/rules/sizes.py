"""Whose size a terminal has, when devices of several sizes look at it: one shell has one size."""

from collections import Counter

Size = tuple[int, int]


class Sizes:
    """The owner is the device that typed, or took the size, last. Others are shown the terminal in the owner's size."""

    def __init__(self) -> None:
        self.owner: str | None = None
        self._wishes: dict[str, Size] = {}
        self._here: Counter[str] = Counter()

    def came(self, client: str) -> None:
        self._here[client] += 1

    def left(self, client: str) -> bool:
        """A device may have several sockets for a moment; with its last one, which is True, it gives the size up."""
        self._here[client] -= 1
        if self._here[client] > 0:
            return False
        del self._here[client]
        self._wishes.pop(client, None)
        if self.owner == client:
            self.owner = None
        return True

    def wish(self, client: str, size: Size, *, take: bool = False) -> Size | None:
        """What the terminal's size becomes, if this changes it."""
        self._wishes[client] = size
        if take or self.owner in (None, client):
            self.owner = client
            return size
        return None

    def typed(self, client: str) -> Size | None:
        """The same. A device that never named a size has none to give."""
        if client == self.owner or client not in self._wishes:
            return None
        self.owner = client
        return self._wishes[client]
