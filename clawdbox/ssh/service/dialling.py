"""The one way by which the box reaches a server: key from the vault, pin in hand, addresses judged."""

import asyncio

from clawdbox.errors import Conflict
from clawdbox.keys import sql as key_sql
from clawdbox.keys.model import Keypair
from clawdbox.keys.service import Keys
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection, HostKey
from clawdbox.ssh.wire import openssh
from clawdbox.ssh.wire.dial import DialFailure, Pin, Target, dial
from clawdbox.ssh.wire.link import Link
from clawdbox.store import Reader


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
    """At most `max_dials` at once, so that a restart with many leases does not look like an attack."""

    def __init__(self, settings: Settings, addresses: Addresses, keys: Keys) -> None:
        self._settings = settings
        self._addresses = addresses
        self._keys = keys
        self._slots = asyncio.Semaphore(settings.max_dials)
        self._by = openssh.dial if settings.master == "openssh" else dial

    async def dial(self, connection: Connection, keypair: Keypair, trusted: HostKey | None) -> Link:
        """Raises DialFailure. Only a server that shows the trusted key is sent a login."""
        target = Target(
            host=connection.host,
            port=connection.port,
            username=connection.username,
            allow_loopback=self._addresses.loopback_for(connection.port),
            own_port=self._addresses.own_port,
        )
        pin = Pin(trusted.fingerprint, trusted.type or None) if trusted else Pin()
        async with self._slots:
            private_key = await self._keys.private_key(keypair)
            try:
                return await self._by(
                    target,
                    pin,
                    private_key,
                    connect_timeout=self._settings.connect_timeout_s,
                    login_timeout=self._settings.login_timeout_s,
                    keepalive_interval=self._settings.keepalive_interval_s,
                    keepalive_count=self._settings.keepalive_count,
                )
            finally:
                private_key[:] = bytes(len(private_key))


def offered_key(failure: DialFailure) -> HostKey | None:
    return HostKey(failure.offered.fingerprint, failure.offered.key_type) if failure.offered else None


def living_keypair(r: Reader, account_id: str, keypair_id: str | None) -> Keypair:
    """A keypair that may still log in; without an id the account's default one. Raises Conflict."""
    keypair = key_sql.get(r, account_id, keypair_id) if keypair_id else key_sql.default_living(r, account_id)
    if keypair is None:
        raise Conflict("no_keypair", "There is no living key. Make one on the Keys page first.")
    if not keypair.is_active:
        raise Conflict("keypair_revoked", "This key is revoked. Choose another one.", field="keypair_id")
    return keypair
