"""How handlers become routes of an application."""

from typing import Any, Self

from litestar import Router


class Routes(Router):
    """One tag's handlers. Each application makes its own, so the deep copy that Litestar takes would cost a start for nothing."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
