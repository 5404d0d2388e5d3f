"""Which answer a request gets."""

import threading
from collections.abc import Callable

from tests.agents.model_server.asked import Asked
from tests.agents.model_server.parts import Refusal, Reply, reply

Given = Reply | Refusal
Answers = Callable[[Asked], Given]


class Script:
    """One answer a request, in their order; a request beyond the last is refused, and stands in `beyond`.

    Programs ask things on the side, such as for a title: those for which `when` says no get `aside`, and use up none.
    """

    def __init__(
        self, *answers: Given | str, when: Callable[[Asked], bool] | None = None, aside: Given | None = None
    ) -> None:
        self._left = [reply(answer) if isinstance(answer, str) else answer for answer in answers]
        self._when = when
        self._aside = aside or reply("Fine.")
        self._lock = threading.Lock()
        self.beyond: list[Asked] = []

    @property
    def left(self) -> int:
        return len(self._left)

    def __call__(self, asked: Asked) -> Given:
        if self._when and not self._when(asked):
            return self._aside
        with self._lock:
            if self._left:
                return self._left.pop(0)
            self.beyond.append(asked)
        return Refusal(400, "The script has no further answer.")


def with_tools(asked: Asked) -> bool:
    """For `when`: the requests of an agent's own loop offer tools, the ones on the side do not."""
    return bool(asked.tools)
