"""One message through one channel, whatever its kind, within its time."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from clawdbox.notify.model import (
    Answer,
    Email,
    Message,
    Ntfy,
    Outcome,
    Target,
    Unreached,
    Webhook,
    WebPush,
)
from clawdbox.notify.rules.channels import contact, kind_of
from clawdbox.notify.rules.deliveries import http_outcome, no_answer, smtp_outcome
from clawdbox.notify.wire import ntfy, webhook, webpush
from clawdbox.notify.wire.dial import Headers, Lookup, Reach, look_up
from clawdbox.outward import tls_context
from clawdbox.settings import Settings


class Sender:
    """`vapid_key` is asked for the box's key at push services once one is needed. `tls` and `lookup` are the system's
    own, unless a test knows better."""

    def __init__(
        self,
        settings: Settings,
        vapid_key: Callable[[], Awaitable[EllipticCurvePrivateKey]],
        tls: ssl.SSLContext | None = None,
        lookup: Lookup = look_up,
    ) -> None:
        self._settings = settings
        self._vapid_key = vapid_key
        self._tls = tls
        self._lookup = lookup

    async def send(
        self,
        target: Target,
        message: Message,
        *,
        address: str,
        own_port: int | None,
        now: datetime,
    ) -> Outcome:
        """`address` is where the box is reached, for links."""
        kind, reach = kind_of(target), self._reach(target, own_port)
        try:
            async with asyncio.timeout(self._settings.notify_timeout_s):
                if isinstance(target, Email):
                    return smtp_outcome(await self._mail(target, message, address, reach, now))
                url, (headers, body) = await self._request(target, message, address, now)
                return http_outcome(kind, await self._post(url, headers, body, reach), now)
        except TimeoutError:
            return no_answer("timed_out")
        except Unreached as unreached:
            return no_answer(unreached.code)

    async def _request(
        self, target: WebPush | Ntfy | Webhook, message: Message, address: str, now: datetime
    ) -> tuple[str, tuple[Headers, bytes]]:
        match target:
            case WebPush():
                who = contact(self._settings.push_contact, self._settings.public_url, target.origin)
                return target.endpoint, webpush.request(target, message, await self._vapid_key(), who, now)
            case Ntfy():
                return target.server, ntfy.request(target, message, address)
            case Webhook():
                return target.url, webhook.request(target, message, address, now)

    async def _post(self, url: str, headers: Headers, body: bytes, reach: Reach) -> Answer:
        from clawdbox.notify.wire.post import post

        return await post(url, headers, body, reach, await self._context(), self._lookup)

    async def _mail(
        self, target: Email, message: Message, address: str, reach: Reach, now: datetime
    ) -> Answer:
        from clawdbox.notify.wire import mail  # a tenth of a second, for those who want mail

        letter = mail.letter(target, message, address, now)
        return await mail.send(target, letter, reach, await self._context(), self._lookup)

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = await asyncio.to_thread(tls_context)
        return self._tls

    def _reach(self, target: Target, own_port: int | None) -> Reach:
        """No push service of a browser lies in a local network."""
        return Reach(
            local=not isinstance(target, WebPush) and target.local,
            loopback=self._settings.notify_loopback,
            plain_http=self._settings.notify_plain_http,
            own_port=own_port,
        )
