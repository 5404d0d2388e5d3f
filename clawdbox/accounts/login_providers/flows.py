"""To a provider and back: a flow is begun by a browser, belongs to it alone, and is used once."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from clawdbox.accounts import sql as account_sql
from clawdbox.accounts.invitations import rules as sign_up_rules
from clawdbox.accounts.invitations import sql as sign_up_sql
from clawdbox.accounts.invitations.service import Invitations
from clawdbox.accounts.login_providers import rules, sql
from clawdbox.accounts.login_providers.model import (
    Begun,
    Done,
    Kind,
    LoginFlow,
    LoginProvider,
    Person,
    ProviderFailed,
    ProviderRefusal,
    Purpose,
)
from clawdbox.accounts.login_providers.service import LoginProviders
from clawdbox.accounts.model import Account, Device, Granted, Principal
from clawdbox.accounts.service import Accounts
from clawdbox.errors import Problem
from clawdbox.events import Actor
from clawdbox.ids import new_id, new_token, token_hash
from clawdbox.outward import tls_context
from clawdbox.settings import Settings
from clawdbox.store import Store, Tx
from clawdbox.vault import BOX, Sealer

if TYPE_CHECKING:
    from clawdbox.accounts.login_providers.wire.github import GitHub
    from clawdbox.accounts.login_providers.wire.oidc import Oidc

_TABLE, _COLUMN = "login_flows", "device_code_enc"


class LoginFlows:
    """`cookie_key` signs what the browser keeps; `origin` is where providers send it back to, None where none can."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        settings: Settings,
        accounts: Accounts,
        providers: LoginProviders,
        invitations: Invitations,
        cookie_key: bytes,
        origin: Callable[[], str | None],
        own_port: Callable[[], int | None],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._accounts = accounts
        self._providers = providers
        self._invitations = invitations
        self._cookie_key = cookie_key
        self._find_origin = origin
        self._own_port = own_port
        self._loopback = settings.login_provider_loopback
        self._tls: ssl.SSLContext | None = None

    @property
    def origin(self) -> str | None:
        return self._find_origin()

    # the web flow

    async def start(
        self,
        slug: str,
        purpose: Purpose,
        who: Principal | None,
        return_to: str | None,
        invitation: str | None,
    ) -> Begun:
        """Raises Problem `login_provider_unknown`, Conflict `oauth_no_callback`, Upstream `oauth_provider_failed`."""
        provider = await self._providers.by_slug(slug)
        origin = self.origin
        if origin is None:
            raise rules.no_callback()
        state, verifier = new_token(), new_token()
        wire = await self._wire(provider)
        try:
            url = await wire.authorize_url(
                rules.callback(origin, slug), state, verifier, anew=purpose is Purpose.STEP_UP
            )
        except (ProviderFailed, ProviderRefusal) as error:
            raise _problem(error) from None
        row = {"kind": "web", "purpose": purpose, "return_to": rules.return_to(return_to)}
        return await self._begin(provider, row, who, invitation, state, verifier, redirect_url=url)

    async def finish(
        self,
        slug: str,
        ticket: str | None,
        state: str | None,
        code: str | None,
        error: str | None,
        issuer: str | None,
        device: Device,
    ) -> Done:
        """Raises Unauthorized, Forbidden, Conflict, Upstream. Whatever comes of it, the flow is used."""
        provider = await self._providers.by_slug(slug)
        kept, verifier = rules.read_ticket(self._cookie_key, ticket)
        if state is None or not rules.same(state, kept):
            raise rules.state_invalid()
        flow = await self._take(provider, kept)
        if issuer is not None and provider.kind is Kind.OIDC and issuer != provider.issuer:
            raise rules.state_invalid()  # RFC 9207: another provider's answer, slipped in
        if error is not None or not code:
            raise rules.refused(error or "")
        origin = self.origin
        if origin is None:
            raise rules.no_callback()
        wire = await self._wire(provider)
        try:
            person = await wire.finish(rules.callback(origin, slug), code, verifier)
        except (ProviderFailed, ProviderRefusal) as failure:
            raise _problem(failure) from None
        return await self._store.write(lambda tx: self._done(tx, provider, flow, person, device))

    async def _take(self, provider: LoginProvider, state: str) -> LoginFlow:
        def change(tx: Tx) -> LoginFlow:
            flow = rules.check_flow(sql.flow(tx, token_hash(state)), provider, "web", tx.now)
            sql.use_flow(tx, flow.id)
            return flow

        return await self._store.write(change)

    # the device flow

    async def start_device(
        self, slug: str, purpose: Purpose, who: Principal | None, invitation: str | None
    ) -> Begun:
        """Raises Problem `login_provider_unknown`, Conflict `oauth_no_device_flow`, Upstream."""
        provider = await self._providers.by_slug(slug)
        if not provider.device_flow or (purpose is Purpose.STEP_UP and provider.kind is Kind.OIDC):
            raise rules.no_device_flow()
        wire = await self._wire(provider)
        try:
            code = await wire.begin_device()
        except (ProviderFailed, ProviderRefusal) as error:
            raise _problem(error) from None
        interval = min(max(code.interval, 1), 60)
        row = {
            "kind": "device",
            "purpose": purpose,
            "return_to": "/",
            "interval_s": interval,
        }
        return await self._begin(
            provider,
            row,
            who,
            invitation,
            new_token(),
            new_token(),
            device_code=code.device_code,
            ttl=timedelta(seconds=min(max(code.expires_in, 60), 1800)),
            user_code=code.user_code[:40],
            verification_uri=code.verification_uri,
            interval_s=interval,
        )

    async def poll(self, slug: str, flow_id: str, ticket: str | None, device: Device) -> Done | int:
        """What came of it, or after how many seconds to ask again. Raises as `finish`, and RateLimited."""
        provider = await self._providers.by_slug(slug)
        state, _ = rules.read_ticket(self._cookie_key, ticket)

        def pace(tx: Tx) -> LoginFlow:
            flow = rules.check_flow(sql.flow(tx, token_hash(state)), provider, "device", tx.now)
            if flow.id != flow_id or flow.interval_s is None:
                raise rules.state_invalid()
            rules.check_pace(flow, tx.now)
            sql.pace_flow(tx, flow.id, flow.interval_s, tx.now + timedelta(seconds=flow.interval_s))
            return flow

        flow = await self._store.write(pace)
        try:
            person = await self._ask(provider, flow)
        except ProviderFailed as error:
            raise _problem(error) from None
        except ProviderRefusal as error:
            return await self._not_yet(flow, error)
        return await self._store.write(lambda tx: self._done_once(tx, provider, flow, person, device))

    async def _ask(self, provider: LoginProvider, flow: LoginFlow) -> Person:
        assert flow.device_code_enc is not None
        code = self._sealer.open(_TABLE, flow.id, _COLUMN, BOX, flow.device_code_enc).decode()
        return await (await self._wire(provider)).poll_device(code)

    async def _not_yet(self, flow: LoginFlow, error: ProviderRefusal) -> int:
        interval = flow.interval_s or 5
        if error.code == "slow_down":
            interval += rules.SLOWER_S
            await self._store.write(
                lambda tx: sql.pace_flow(tx, flow.id, interval, tx.now + timedelta(seconds=interval))
            )
        elif error.code != "authorization_pending":
            await self._store.write(lambda tx: sql.use_flow(tx, flow.id))
            raise _problem(error)
        return interval

    def _done_once(
        self, tx: Tx, provider: LoginProvider, flow: LoginFlow, person: Person, device: Device
    ) -> Done:
        if not sql.use_flow(tx, flow.id):
            raise rules.state_invalid()
        return self._done(tx, provider, flow, person, device)

    # both

    async def _begin(
        self,
        provider: LoginProvider,
        given: Mapping[str, object],
        who: Principal | None,
        invitation: str | None,
        state: str,
        verifier: str,
        device_code: str | None = None,
        ttl: timedelta = rules.FLOW_TTL,
        **shown: Any,
    ) -> Begun:
        def change(tx: Tx) -> Begun:
            sql.sweep_flows(tx)
            flow_id = new_id(tx.now)
            sealed = (
                self._sealer.seal(_TABLE, flow_id, _COLUMN, BOX, device_code.encode())
                if device_code
                else None
            )
            known = {
                "id": flow_id,
                "provider_id": provider.id,
                "state_hash": token_hash(state),
                "login_id": who.login.id if who else None,
                "invitation_id": self._invitations.find(tx, invitation).id if invitation else None,
                "device_code_enc": sealed,
                "created_at": tx.now,
                "expires_at": tx.now + ttl,
            }
            tx.insert(_TABLE, {**given, **known})
            ticket = rules.ticket(self._cookie_key, state, verifier)
            return Begun(flow_id, ticket, tx.now + ttl, **shown)

        return await self._store.write(change)

    def _done(self, tx: Tx, provider: LoginProvider, flow: LoginFlow, person: Person, device: Device) -> Done:
        if flow.purpose is Purpose.SIGN_IN:
            granted = self._sign_in(tx, provider, flow, person, device)
            return Done(flow.purpose, flow.return_to, granted)
        assert flow.login_id is not None
        login = account_sql.login_by_id(tx, flow.login_id)
        account = account_sql.account(tx, login.account_id)
        if login.revoked_at or login.expires_at <= tx.now or not account.is_active:
            raise rules.state_invalid()
        if flow.purpose is Purpose.LINK:
            actor = Actor(account.id, device.ip_address, login.id)
            self._providers.link(tx, actor, account.id, person)
        else:
            found = sql.identity(tx, person.authority, person.subject)
            anew = provider.kind is Kind.OIDC
            rules.check_step_up(found.account_id if found else None, flow, person, account.id, anew=anew)
            self._accounts.verify_login(tx, login.id, provider.kind)
        return Done(flow.purpose, flow.return_to, None)

    def _sign_in(
        self, tx: Tx, provider: LoginProvider, flow: LoginFlow, person: Person, device: Device
    ) -> Granted:
        found = sql.identity(tx, person.authority, person.subject)
        if found:
            account = account_sql.account(tx, found.account_id)
            self._providers.refresh(tx, person)
        else:
            account = self._newcomer(tx, provider, flow, person, device)
            self._providers.link(tx, Actor(account.id, device.ip_address), account.id, person)
        return self._accounts.sign_in(tx, account, provider.kind, device, verified=True)

    def _newcomer(
        self, tx: Tx, provider: LoginProvider, flow: LoginFlow, person: Person, device: Device
    ) -> Account:
        """An account for somebody nobody here knows yet. Raises Forbidden `signup_refused`."""
        name, email = rules.display_name(person), person.email if person.email_verified else None
        if flow.invitation_id:
            invitation = sign_up_sql.get(tx, flow.invitation_id)
            return self._invitations.join(tx, invitation, name, email, device.ip_address)
        role = sign_up_rules.admitted(sign_up_sql.sign_up(tx), provider.slug, person.username, email)
        return self._accounts.create_in(tx, Actor(None, device.ip_address), name, role, email)

    async def _wire(self, provider: LoginProvider) -> "GitHub | Oidc":
        from clawdbox.accounts.login_providers.wire.github import GitHub  # Authlib takes its time to come
        from clawdbox.accounts.login_providers.wire.http import Way
        from clawdbox.accounts.login_providers.wire.oidc import Oidc

        if self._tls is None:
            self._tls = await asyncio.to_thread(tls_context)
        tls, loopback = self._tls, self._loopback
        client = await self._providers.client(provider)

        def way() -> Way:
            return Way(tls, self._own_port(), loopback=loopback)

        if provider.kind is Kind.GITHUB:
            return GitHub(client, way, loopback=loopback)
        return Oidc(client, way, self._store.clock.now, loopback=loopback)


def _problem(error: ProviderFailed | ProviderRefusal) -> Problem:
    return rules.failed(error.why) if isinstance(error, ProviderFailed) else rules.refused(error.code)
