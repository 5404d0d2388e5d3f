"""A new phone asks to be let in: it shows six digits, and whoever is signed in lets in the one with the same digits."""

import hmac
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from clawdbox import names
from clawdbox.accounts import sql
from clawdbox.accounts.model import Device, Granted, Principal
from clawdbox.accounts.service import Accounts
from clawdbox.accounts.short_lived import ShortLived
from clawdbox.errors import Conflict, Forbidden, NotFound, Unauthorized
from clawdbox.events import Ledger
from clawdbox.ids import new_id, new_token, token_hash
from clawdbox.store import Store, Tx

_TTL = timedelta(minutes=5)
_MOST = 20
_MOST_WRONG = 3


class Asked(NamedTuple):
    """`secret` is the new phone's own: by it alone it comes back for its login."""

    secret: str
    digits: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "Asked(…)"


class PairingRequest(msgspec.Struct):
    """`account_id` is whose login it becomes, once somebody let it in."""

    id: str
    secret_hash: str
    digits: str
    device: Device
    created_at: datetime
    account_id: str | None = None
    refused: bool = False
    wrong: int = 0


class Waiting(NamedTuple):
    request: PairingRequest
    expires_at: datetime


class PairingRequests:
    """In memory: strangers make them, so they are few and short-lived, and no row is written before somebody says yes."""

    def __init__(self, store: Store, ledger: Ledger, accounts: Accounts) -> None:
        self._store = store
        self._ledger = ledger
        self._accounts = accounts
        self._held: ShortLived[PairingRequest] = ShortLived(store.clock, _TTL, _MOST)

    def ask(self, device: Device) -> Asked:
        taken = {one.request.digits for one in self.waiting()}
        digits = _digits()
        while digits in taken:
            digits = _digits()
        secret, now = new_token(), self._store.clock.now()
        shown = Device(
            names.printable(device.name or "", names.MAX_LABEL) or "Browser",
            device.ip_address,
            names.printable(device.user_agent or "", 256) or None,
        )
        request = PairingRequest(new_id(now), token_hash(secret), digits, shown, now)
        return Asked(secret, digits, self._held.put(request.secret_hash, request))

    def waiting(self) -> list[Waiting]:
        """Those that nobody has answered, the newest first."""
        return [
            Waiting(one, expires_at)
            for _, expires_at, one in self._held.living()
            if one.account_id is None and not one.refused
        ]

    async def confirm(self, who: Principal, request_id: str, digits: str) -> PairingRequest:
        """Let in the phone that shows these digits. Raises Conflict `digits_differ`; three such end the request."""
        request = self._find(request_id)
        if not hmac.compare_digest(request.digits.encode(), "".join(digits.split()).encode()):
            request.wrong += 1
            request.refused = request.wrong >= _MOST_WRONG
            raise Conflict(
                "digits_differ",
                "The new device shows other digits. Look again, or refuse it if it is not yours.",
            )
        request.account_id = who.account_id  # before the first await: the second of two answers finds nothing
        await self._store.write(lambda tx: self._note(tx, who, request, "pairing_request.confirm"))
        return request

    async def refuse(self, who: Principal, request_id: str) -> PairingRequest:
        request = self._find(request_id)
        request.refused = True
        await self._store.write(lambda tx: self._note(tx, who, request, "pairing_request.refuse"))
        return request

    async def claim(self, secret: str) -> Granted | None:
        """The new phone's login, once; None while nobody has answered. Raises Unauthorized, Forbidden."""
        key = token_hash(secret)
        request = self._held.look(key)
        if request is None:
            raise Unauthorized(
                "pairing_request_invalid", "Nobody let this device in within five minutes. Ask again."
            )
        if request.refused:
            self._held.take(key)
            raise Forbidden("pairing_request_refused", "The device that is signed in refused this one.")
        if request.account_id is None:
            return None
        self._held.take(key)
        account_id, device = request.account_id, request.device
        return await self._store.write(
            lambda tx: self._accounts.sign_in(
                tx, sql.account(tx, account_id), "pairing", device, verified=False
            )
        )

    def _find(self, request_id: str) -> PairingRequest:
        found = next((one.request for one in self.waiting() if one.request.id == request_id), None)
        if found is None:
            raise NotFound
        return found

    def _note(self, tx: Tx, who: Principal, request: PairingRequest, action: str) -> None:
        detail = {"device_name": request.device.name, "ip_address": request.device.ip_address}
        self._ledger.audit(
            tx, who.actor, action, "pairing_request", request.id, detail=detail, account_id=who.account_id
        )


def _digits() -> str:
    return f"{secrets.randbelow(1_000_000):06}"
