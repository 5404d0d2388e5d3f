"""Waiting in tests: for a condition, until a deadline, never for a guessed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    predicate: Callable[[], Awaitable[T]], *, timeout: float = 30.0, what: str = ""
) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], *, timeout: float = 30.0, what: str = "") -> T: ...
async def eventually(predicate: Callable[[], Any], *, timeout: float = 30.0, what: str = "") -> Any:
    """The predicate's first truthy value; AssertionError with its last value when `timeout` seconds were not enough."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'the condition'} did not come true in {timeout} s: {value!r}")
        await asyncio.sleep(0.02)


def eventually_sync(predicate: Callable[[], T], *, timeout: float = 30.0, what: str = "") -> T:
    """The same for tests without an event loop."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'the condition'} did not come true in {timeout} s: {value!r}")
        time.sleep(0.02)
    return value
