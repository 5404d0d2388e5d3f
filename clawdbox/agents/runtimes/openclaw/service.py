"""The verbs of gateways: kept, tested, and entered with what each of them knows this box by."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any

import msgspec

from clawdbox import logs, names
from clawdbox.agents.runtimes.openclaw import sql
from clawdbox.agents.runtimes.openclaw.model import Auth, Gateway, Look, State, Way
from clawdbox.agents.runtimes.openclaw.rules import addresses
from clawdbox.agents.runtimes.openclaw.rules import gateways as rules
from clawdbox.agents.runtimes.openclaw.wire import dial
from clawdbox.agents.runtimes.openclaw.wire.client import (
    Client,
    Credentials,
    Lost,
    Refused,
    close_quietly,
    shake_hands,
)
from clawdbox.agents.runtimes.openclaw.wire.device import Device
from clawdbox.errors import Conflict, Invalid, Problem
from clawdbox.events import Actor, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.tunnels import Tunnels
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.store import Store, Tx
from clawdbox.vault import Sealer

log = logs.get("agents")
_TABLE = "openclaw_gateways"
NOTHING: frozenset[str] = frozenset()


class Entered(msgspec.Struct, frozen=True):
    """A gateway that let the box in. `is_beside`: its own commands run on this machine."""

    client: Client
    is_beside: bool


class NotEntered(Exception):
    """What became of the attempt instead."""

    def __init__(self, look: Look) -> None:
        super().__init__(look.problem)
        self.look = look


class Gateways:
    """`own_port` is the box's own, which is never dialled."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        sealer: Sealer,
        leases: Leases,
        tunnels: Tunnels,
        own_port: Callable[[], int | None],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._sealer = sealer
        self._leases = leases
        self._tunnels = tunnels
        self._own_port = own_port

    # kept

    async def list(self, account_id: str) -> list[Gateway]:
        return await self._store.read(lambda r: sql.living(r, account_id))

    async def get(self, account_id: str, gateway_id: str) -> Gateway:
        return await self._store.read(lambda r: sql.get(r, account_id, gateway_id))

    async def add(
        self,
        actor: Actor,
        account_id: str,
        *,
        label: str,
        url: str,
        way: Way = Way.DIRECT,
        connection_id: str | None = None,
        auth: Auth = Auth.NONE,
        secret: str = "",
    ) -> Gateway:
        """With a device key of its own. Raises Invalid, Conflict and NotFound (of the connection)."""
        name, address = names.label(label), self._address(url, way)
        _check_way(way, connection_id)
        if auth is not Auth.NONE:
            rules.check_secret(secret, auth.value)

        def change(tx: Tx) -> Gateway:
            if connection_id is not None:
                connection_sql.get(tx, account_id, connection_id)
            rules.check_room(sql.living(tx, account_id), name)
            gateway_id = new_id(tx.now)
            row = {
                "id": gateway_id,
                "account_id": account_id,
                "label": name,
                "url": address.url,
                "way": way,
                "connection_id": connection_id,
                "created_at": tx.now,
            }
            seal = partial(self._seal, account_id, gateway_id)
            sql.insert(tx, {**row, **_secret(seal, auth, secret), **_device(seal)})
            gateway = sql.get(tx, account_id, gateway_id)
            self._tell(tx, actor, gateway, "added", "add")
            return gateway

        return await self._store.write(change)

    async def change(
        self,
        actor: Actor,
        account_id: str,
        gateway_id: str,
        *,
        label: str | None = None,
        url: str | None = None,
        auth: Auth | None = None,
        secret: str = "",
    ) -> Gateway:
        """Another address is another gateway: it gets no secret and no device of the old one."""
        name = None if label is None else names.label(label)
        if auth not in (None, Auth.NONE):
            rules.check_secret(secret, auth.value)

        def change(tx: Tx) -> Gateway:
            before = sql.get(tx, account_id, gateway_id)
            values: dict[str, Any] = {}
            seal = partial(self._seal, account_id, gateway_id)
            if name is not None and name != before.label:
                rules.check_room((one for one in sql.living(tx, account_id) if one.id != gateway_id), name)
                values["label"] = name
            address = None if url is None else self._address(url, before.way).url
            if address is not None and address != before.url:
                values |= {"url": address, "device_token_enc": None, "version": None}
                values |= {**_secret(seal, Auth.NONE, ""), **_device(seal), **_UNTESTED}
            if auth is not None:
                values |= {**_secret(seal, auth, secret), **_UNTESTED, "device_token_enc": None}
            if not values:
                return before
            sql.change(tx, gateway_id, values)
            after = sql.get(tx, account_id, gateway_id)
            told = sorted(name.removesuffix("_enc") for name in values if name in _TOLD)
            self._tell(tx, actor, after, "changed", "change", changed=told)
            return after

        return await self._store.write(change)

    async def remove(self, actor: Actor, account_id: str, gateway_id: str) -> Gateway:
        """The device stays known to the gateway until somebody removes it there."""

        def change(tx: Tx) -> Gateway:
            gateway = sql.get(tx, account_id, gateway_id)
            sql.remove(tx, gateway_id)
            self._tell(tx, actor, gateway, "removed", "remove")
            return gateway

        return await self._store.write(change)

    # entered

    async def test(self, actor: Actor, account_id: str, gateway_id: str) -> tuple[Gateway, Look]:
        """Connect as a turn would, and say what came of it."""
        gateway = await self.get(account_id, gateway_id)
        begun = perf_counter()
        try:
            entered = await self.enter(gateway, await self._lease_for(gateway))
        except NotEntered as refused:
            look = refused.look
        else:
            latency_ms = (perf_counter() - begun) * 1000
            look = Look(State.READY, version=_version(entered.client), latency_ms=latency_ms)
            await entered.client.close()

        def change(tx: Tx) -> Gateway:
            after = sql.get(tx, account_id, gateway_id)
            detail = {"label": after.label, "state": look.state.value}
            result = "ok" if look.state is State.READY else "failed"
            self._ledger.audit(
                tx, actor, "openclaw_gateway.test", "openclaw_gateway", gateway_id,
                result=result, detail=detail, account_id=account_id,
            )  # fmt: skip
            return after

        return await self._store.write(change), look

    async def enter(
        self, gateway: Gateway, lease_id: str | None, wanted: frozenset[str] = NOTHING
    ) -> Entered:
        """Connect, and be let in as this gateway's device. Raises NotEntered; either way its state is written down."""
        try:
            entered = await self._enter(gateway, lease_id, wanted)
        except NotEntered as refused:
            await self._note(gateway, refused.look)
            raise
        await self._note(gateway, Look(State.READY, version=_version(entered.client)))
        return entered

    async def _enter(self, gateway: Gateway, lease_id: str | None, wanted: frozenset[str]) -> Entered:
        sealed = await self._store.read(lambda r: sql.sealed(r, gateway.id))
        open_ = partial(self._open, gateway.account_id, gateway.id)
        device = Device.read(open_("device_key_enc", sealed.device_key_enc))
        secret = open_("token_enc", sealed.token_enc).decode() if sealed.token_enc else ""
        shared = Credentials(**{sealed.auth: secret}) if secret else Credentials()
        known = open_("device_token_enc", sealed.device_token_enc).decode() if sealed.device_token_enc else ""
        try:
            if known:
                with suppress(_Stale):
                    own = Credentials(device_token=known)
                    return await self._greet(gateway, lease_id, device, own, wanted, known=known)
            return await self._greet(gateway, lease_id, device, shared, wanted, known="")
        except Refused as refused:
            raise NotEntered(rules.look_at(refused.failure)) from None
        except Lost as lost:
            raise NotEntered(_unreachable(str(lost))) from None

    async def _greet(
        self,
        gateway: Gateway,
        lease_id: str | None,
        device: Device,
        credentials: Credentials,
        wanted: frozenset[str],
        *,
        known: str,
    ) -> Entered:
        """Raises Refused, Lost and NotEntered; _Stale when the gateway does not take the token any more that it gave."""
        line = await self._line(gateway, lease_id)
        try:
            client = await shake_hands(line.socket, device, credentials, wanted)
        except BaseException as error:
            await close_quietly(line.socket)
            if isinstance(error, Refused) and known and rules.is_stale_token(error.failure):
                await self._keep_token(gateway, None)
                raise _Stale from None
            raise
        granted = client.hello.auth.device_token
        if granted and granted != known:
            await self._keep_token(gateway, granted)
        return Entered(client, gateway.way is Way.DIRECT and line.is_beside)

    async def _line(self, gateway: Gateway, lease_id: str | None) -> dial.Line:
        address = addresses.parse(gateway.url)
        try:
            if gateway.way is Way.DIRECT:
                return await dial.direct(address, self._own_port())
            if lease_id is None:
                raise NotEntered(
                    _unreachable("there is no session on the server through which it is reached")
                )
            opening = partial(self._tunnels.open, gateway.account_id, lease_id, address.host, address.port)
            return await dial.through(address, opening)
        except dial.NotDialled as forbidden:
            raise NotEntered(
                Look(State.REFUSED, f"The box does not dial this address: {forbidden}.")
            ) from None
        except Problem as problem:
            raise NotEntered(_unreachable(problem.message)) from None

    async def _lease_for(self, gateway: Gateway) -> str | None:
        if gateway.connection_id is None:
            return None
        lease = await self._leases.present(gateway.account_id, gateway.connection_id)
        return lease.id if lease else None

    # written down

    async def _note(self, gateway: Gateway, look: Look) -> None:
        def change(tx: Tx) -> None:
            before = sql.get(tx, gateway.account_id, gateway.id)
            sql.note(tx, gateway.id, look)
            after = sql.get(tx, gateway.account_id, gateway.id)
            if (before.state, before.pairing_request_id) != (after.state, after.pairing_request_id):
                self._event(tx, after, "changed")
                if look.state is State.READY and before.state is State.PAIRING:
                    self._ledger.audit(
                        tx, SYSTEM, "openclaw_gateway.paired", "openclaw_gateway", gateway.id,
                        detail={"label": after.label, "device_id": after.device_id}, account_id=after.account_id,
                    )  # fmt: skip

        try:
            await self._store.write(change)
        except Problem as problem:  # it was removed meanwhile, or the disk is full: what was seen stays true
            log.warning("openclaw.state_not_written", problem=problem.code, gateway_id=gateway.id)

    async def _keep_token(self, gateway: Gateway, token: str | None) -> None:
        sealed = (
            self._seal(gateway.account_id, gateway.id, "device_token_enc", token.encode()) if token else None
        )
        await self._store.write(lambda tx: sql.keep_device_token(tx, gateway.id, sealed))

    def _seal(self, account_id: str, gateway_id: str, column: str, secret: bytes) -> str:
        return self._sealer.seal(_TABLE, gateway_id, column, account_id, secret)

    def _open(self, account_id: str, gateway_id: str, column: str, value: str) -> bytearray:
        return self._sealer.open(_TABLE, gateway_id, column, account_id, value)

    def _address(self, url: str, way: Way) -> addresses.Address:
        address = addresses.parse(url)
        if way is Way.DIRECT:  # what a server reaches is judged there, as for forwards
            addresses.check_dialable(address, self._own_port())
        return address

    def _tell(self, tx: Tx, actor: Actor, gateway: Gateway, event: str, verb: str, **more: Any) -> None:
        self._event(tx, gateway, event)
        detail = {"label": gateway.label, "url": gateway.url, "way": gateway.way.value, **more}
        self._ledger.audit(
            tx, actor, f"openclaw_gateway.{verb}", "openclaw_gateway", gateway.id,
            detail=detail, account_id=gateway.account_id,
        )  # fmt: skip

    def _event(self, tx: Tx, gateway: Gateway, event: str) -> None:
        payload = {"label": gateway.label, "state": gateway.state.value}
        self._ledger.event(
            tx, gateway.account_id, f"openclaw_gateway.{event}", "openclaw_gateway", gateway.id, payload
        )


class _Stale(Exception):
    """The gateway does not take the token any more that it gave this device."""


_UNTESTED = {"state": State.UNTESTED, "problem": None, "pairing_request_id": None, "checked_at": None}
_TOLD = ("label", "url", "auth", "token_enc")
Seal = Callable[[str, bytes], str]


def _secret(seal: Seal, auth: Auth, secret: str) -> dict[str, Any]:
    return {"auth": auth, "token_enc": None if auth is Auth.NONE else seal("token_enc", secret.encode())}


def _device(seal: Seal) -> dict[str, Any]:
    device = Device.make()
    return {"device_id": device.id, "device_key_enc": seal("device_key_enc", device.secret())}


def _check_way(way: Way, connection_id: str | None) -> None:
    if way is Way.FORWARD and connection_id is None:
        raise Invalid("connection_id", "Choose the server through which the gateway is reached.")
    if way is Way.DIRECT and connection_id is not None:
        raise Conflict("gateway_direct", "A gateway that is reached directly belongs to no server.")


def _version(client: Client) -> str:
    return rules.shown(client.hello.server.version)[:64]


def _unreachable(why: str) -> Look:
    said = rules.shown(why).rstrip(".")
    return Look(State.UNREACHABLE, f"The gateway cannot be reached: {said}.")
