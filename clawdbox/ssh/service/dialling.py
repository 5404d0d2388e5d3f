"""The one way by which the box reaches a server: key from the vault, pin in hand, addresses judged, hop by hop."""

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from clawdbox.keys.service import Keys
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection
from clawdbox.ssh.service.ways import HopFailure, Step, Way, check_revoked, to_blame
from clawdbox.ssh.wire import openssh
from clawdbox.ssh.wire.dial import DialFailure, Target, dial
from clawdbox.ssh.wire.link import Link

Reach = Callable[..., Coroutine[Any, Any, Link]]


class Addresses:
    """Which loopback targets are allowed: all of them by the owner's will, or the demo server's port alone."""

    def __init__(self, settings: Settings) -> None:
        self._by_flag = settings.allow_loopback
        self.by_setting = False
        self.demo_port: int | None = None
        self.own_port: int | None = settings.port or None

    @property
    def fixed(self) -> bool:
        """Whether loopback was allowed when the box was started, so that a setting cannot take it back."""
        return self._by_flag

    @property
    def loopback(self) -> bool:
        return self._by_flag or self.by_setting

    def loopback_for(self, port: int) -> bool:
        return self.loopback or (self.demo_port is not None and port == self.demo_port)


class Dialler:
    """At most `max_dials` at once, and `max_dials_per_host` to one host and port, so that a restart with many leases
    does not look like an attack to a firewall, nor meet the server's own MaxStartups."""

    def __init__(self, settings: Settings, addresses: Addresses, keys: Keys) -> None:
        self._settings = settings
        self._addresses = addresses
        self._keys = keys
        self._slots = asyncio.Semaphore(settings.max_dials)
        self._hosts: weakref.WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = (
            weakref.WeakValueDictionary()
        )
        self._by_openssh = settings.master == "openssh"

    async def dial(self, way: Way) -> Link:
        """Log in at each step of the way, the last of which is the server. Raises DialFailure, which is a HopFailure
        when a jump host is to blame. Only a server that shows its trusted key is sent a login.

        The links to the jump hosts belong to the one that is returned, and end with it.
        """
        link: Link | None = None
        reach: Reach
        for number, step in enumerate(way):
            try:
                if number:
                    reach = partial(dial, via=link)
                else:  # the system's ssh carries no jump
                    reach = openssh.dial if self._by_openssh and len(way) == 1 else dial
                link = await self._enter(step, reach, way[number - 1].connection if number else None)
            except BaseException as error:
                if link is not None:
                    await link.close()
                if isinstance(error, DialFailure) and (blamed := to_blame(way, number, error)):
                    raise HopFailure(blamed, error) from None
                raise
        assert link is not None, "a way has at least one step"
        return link

    async def _enter(self, step: Step, reach: Reach, jump: Connection | None) -> Link:
        connection = step.connection
        target = Target(
            host=connection.host,
            port=connection.port,
            username=connection.username,
            allow_loopback=self._addresses.loopback_for(connection.port),
            own_port=self._addresses.own_port,
            via=jump.label if jump else None,
        )
        if reach is openssh.dial:
            check_revoked(step)
        place = (connection.host.lower(), connection.port)
        host = self._hosts.setdefault(place, asyncio.Semaphore(self._settings.max_dials_per_host))
        async with host, self._slots:  # in this order: who waits for a host keeps nobody else waiting
            private_key = await self._keys.private_key(step.keypair)
            try:
                return await reach(
                    target,
                    step.pin,
                    private_key,
                    connect_timeout=self._settings.connect_timeout_s,
                    login_timeout=self._settings.login_timeout_s,
                    keepalive_interval=self._settings.keepalive_interval_s,
                    keepalive_count=self._settings.keepalive_count,
                )
            finally:
                private_key[:] = bytes(len(private_key))
