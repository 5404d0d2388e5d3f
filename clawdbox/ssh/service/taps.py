"""What listens in on a terminal without being one of its devices, such as a recording."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from clawdbox import logs
from clawdbox.errors import Problem

log = logs.get("ssh")
T = TypeVar("T")


class Tap(Protocol):
    """`output` and `resized` are called between two reads of the PTY: they take what they are given and return at once."""

    def output(self, data: bytes) -> None: ...

    def resized(self, cols: int, rows: int) -> None: ...

    async def ended(self) -> None: ...


async def ask(
    tappers: list[Callable[[T], Awaitable[Tap | None]]], terminal: T, terminal_id: str
) -> list[Tap]:
    """Who wants to listen to a terminal that nobody has read from yet.

    A Problem that one raises forbids the terminal; one that raises anything else does not listen.
    """
    found: list[Tap] = []
    for wanted in tappers:
        try:
            tap = await wanted(terminal)
        except Problem:
            raise
        except Exception:
            log.exception("terminal.tapper_failed", terminal_id=terminal_id)
            continue
        if tap is not None:
            found.append(tap)
    return found


def tell(taps: list[Tap], terminal_id: str, what: Callable[[Tap], None]) -> None:
    """Each tap hears of it; one that raises is dropped, and the terminal goes on."""
    for tap in tuple(taps):
        try:
            what(tap)
        except Exception:
            log.exception("terminal.tap_dropped", terminal_id=terminal_id)
            taps.remove(tap)


async def end(taps: list[Tap], terminal_id: str) -> None:
    """The terminal has ended; nothing is told to its taps after this."""
    while taps:
        tap = taps.pop()
        try:
            await tap.ended()
        except Exception:
            log.exception("terminal.tap_not_ended", terminal_id=terminal_id)
