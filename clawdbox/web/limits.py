"""How often is too often. Pure: `now` is an argument, in seconds of a clock that only goes forward."""

import ipaddress
import math
from collections import OrderedDict, deque
from collections.abc import Iterable

from clawdbox.errors import RateLimited
from clawdbox.ids import token_hash
from clawdbox.settings import Settings

_SLICES = 256
_MAX_KEYS = 8192


class Window:
    """At most `count` hits within any `seconds`, by key.

    Hits that fall into one of 256 slices of the window are kept as one, so that a key costs the same however high its
    limit is; of more than 8192 keys the one that was quiet longest is forgotten.
    """

    def __init__(self, count: int, seconds: float) -> None:
        self.count = count
        self.seconds = seconds
        self._slice = seconds / _SLICES
        self._hits: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def hit(self, key: str, now: float) -> float | None:
        """None when this hit is allowed, and counted; else after how many seconds to come back."""
        wait = self.wait(key, now)
        if wait is None:
            self._add(key, now)
        return wait

    def wait(self, key: str, now: float) -> float | None:
        """The same without counting."""
        hits = self._hits.get(key)
        if hits is None:
            return None
        while hits and not now - self.seconds < hits[0][0] <= now:
            hits.popleft()
        if sum(number for _, number in hits) < self.count:
            return None
        return hits[0][0] + self.seconds - now

    def _add(self, key: str, now: float) -> None:
        hits = self._hits.setdefault(key, deque())
        self._hits.move_to_end(key)
        if hits and now - hits[-1][0] < self._slice and self.count > _SLICES:
            started, number = hits.pop()
            hits.append((started, number + 1))
        else:
            hits.append((now, 1))
        while len(self._hits) > _MAX_KEYS:
            self._hits.popitem(last=False)


class Delays:
    """A wait that grows with the failures of a key: none for the first `free`, then 1, 2, 4 … seconds up to 15 minutes.

    What is refused while a key waits does not count, so that nobody is held longer for being asked for; a key that was
    quiet for an hour begins anew.
    """

    LONGEST_S = 900.0
    FORGET_S = 3600.0

    def __init__(self, free: int) -> None:
        self.free = free
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float | None:
        """After how many seconds the key may fail again; None when it may now."""
        failures, last = self._of(key, now)
        until = last + self._delay(failures)
        return until - now if until > now else None

    def fail(self, key: str, now: float) -> None:
        self._failures[key] = (self._of(key, now)[0] + 1, now)
        self._failures.move_to_end(key)
        while len(self._failures) > _MAX_KEYS:
            self._failures.popitem(last=False)

    def _of(self, key: str, now: float) -> tuple[int, float]:
        failures, last = self._failures.get(key, (0, now))
        return (failures, last) if 0 <= now - last < self.FORGET_S else (0, now)

    def _delay(self, failures: int) -> float:
        if failures < self.free:
            return 0
        return min(self.LONGEST_S, 2.0 ** min(failures - self.free, 10))


class Limits:
    """The rates of document 03, each with its own memory, so that strangers cannot push out what an account did."""

    def __init__(self, settings: Settings) -> None:
        self.test = Window(settings.rate_test_per_minute, 60)
        self.session_start = Window(settings.rate_session_start_per_hour, 3600)
        self.fleet = Window(settings.rate_fleet_per_minute, 60)
        self.imports = Window(settings.rate_import_per_minute, 60)
        self.notify_test = Window(settings.rate_notify_test_per_minute, 60)
        self.pair = Window(settings.rate_pair_per_minute, 60)
        # A device that waits to be let in asks every two seconds; its secret cannot be guessed.
        self.claim = Window(settings.rate_pair_per_minute * 12, 60)
        self.oauth_start = Window(settings.rate_oauth_start_per_minute, 60)
        self.oauth_callback = Window(settings.rate_oauth_callback_per_hour, 3600)
        self.failed_login = Window(settings.rate_failed_login_per_minute, 60)
        self.failures = Delays(settings.failed_logins_free)
        self.request = Window(settings.rate_request_per_minute, 60)
        # How many refusals strangers can have written into the audit trail, all of them together.
        self.audited_strangers = Window(120, 60)
        # Being too fast is worth one row in the audit trail a minute, not one for each request.
        self.audited_haste = Window(1, 60)
        # More than five failed logins in ten minutes are an incident (document 04, section 4.5): told once in that time
        # for an address, and of ten addresses an hour at most.
        self.suspicious = Window(5, 600)
        self.told_suspicious = Window(1, 600)
        self.told_at_all = Window(10, 3600)


def check(window: Window, key: str, now: float) -> None:
    """Count a hit. Raises RateLimited."""
    wait = window.hit(key, now)
    if wait is not None:
        raise RateLimited(max(1, math.ceil(wait)))


def check_delay(limits: Limits, keys: Iterable[str], now: float) -> None:
    """Before a credential that could be guessed is looked at, or before a refusal is told. Raises RateLimited."""
    wait = max((limits.failures.wait(key, now) or 0.0 for key in keys), default=0.0)
    if wait:
        raise RateLimited(max(1, math.ceil(wait)))


def count_failure(limits: Limits, keys: Iterable[str], now: float) -> None:
    """A credential was wrong. Raises RateLimited when its keys still had to wait for that."""
    check_delay(limits, keys, now)
    for key in keys:
        limits.failures.fail(key, now)


def failure_keys(ip: str | None, credential: str) -> tuple[str, str]:
    """Who failed: the address, and the credential wherever it is tried from; never an account, which could be locked."""
    return f"address {address_key(ip)}", f"credential {token_hash(credential)}"


def address_key(ip: str | None) -> str:
    """Who shares a limit: an IPv4 address, or the /64 that one IPv6 customer can move about in."""
    try:
        address = ipaddress.ip_address(ip or "")
    except ValueError:
        return ip or "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
