"""A clock that tests turn by hand."""

from clawdbox.clock import Clock


class HandClock(Clock):
    """Runs like the real one, and `turn` moves it forward: nothing sleeps to wait for a deadline."""

    def __init__(self) -> None:
        super().__init__()
        self.turned = 0.0

    def turn(self, seconds: float) -> None:
        self.turned += seconds

    def _offset(self) -> float:
        return self.turned
