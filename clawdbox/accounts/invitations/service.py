"""The verbs of who may sign up."""

from datetime import timedelta

from clawdbox import names
from clawdbox.accounts.invitations import rules, sql
from clawdbox.accounts.invitations.model import Invitation, Invited, SignUp
from clawdbox.accounts.model import Account, Device, Granted
from clawdbox.accounts.service import Accounts
from clawdbox.errors import Conflict
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id, new_token, token_hash
from clawdbox.store import Reader, Store, Tx

_MAX_CODE = 200


class Invitations:
    """Who calls these has made sure that the actor is an owner; `accept` is for strangers."""

    def __init__(self, store: Store, ledger: Ledger, accounts: Accounts) -> None:
        self._store = store
        self._ledger = ledger
        self._accounts = accounts

    async def sign_up(self) -> SignUp:
        return await self._store.read(sql.sign_up)

    async def choose(self, actor: Actor, wanted: SignUp) -> SignUp:
        """Raises Invalid."""
        rules.check_sign_up(wanted)

        def change(tx: Tx) -> SignUp:
            sql.save_sign_up(tx, wanted)
            detail = {"mode": wanted.mode, "role": wanted.role, "allowed": len(wanted.allowed)}
            self._ledger.audit(
                tx, actor, "sign_up.update", "box", None, detail=detail, account_id=actor.account_id
            )
            return wanted

        return await self._store.write(change)

    async def open_ones(self) -> list[Invitation]:
        return await self._store.read(sql.open_ones)

    async def create(self, actor: Actor, account_id: str, label: str, role: str, ttl: timedelta) -> Invited:
        """Raises Invalid, Conflict `signup_closed`, `invitation_limit_reached`."""
        name = names.label(label)
        code = new_token()

        def change(tx: Tx) -> Invited:
            rules.check_invite(sql.sign_up(tx), len(sql.open_ones(tx)), ttl)
            invitation_id = new_id(tx.now)
            row = {
                "id": invitation_id,
                "code_hash": token_hash(code),
                "label": name,
                "role": role,
                "created_by": account_id,
                "created_at": tx.now,
                "expires_at": tx.now + ttl,
            }
            tx.insert("invitations", row)
            self._tell(tx, actor, invitation_id, "create", {"label": name, "role": role})
            return Invited(sql.get(tx, invitation_id), code)

        return await self._store.write(change)

    async def withdraw(self, actor: Actor, invitation_id: str) -> Invitation:
        """Raises NotFound, Conflict `invitation_used`."""

        def change(tx: Tx) -> Invitation:
            found = sql.get(tx, invitation_id)
            if found.used_at:
                raise Conflict("invitation_used", "It was used. Disable the account that came of it instead.")
            if not found.withdrawn_at:
                sql.withdraw(tx, invitation_id)
                self._tell(tx, actor, invitation_id, "withdraw", {"label": found.label})
            return sql.get(tx, invitation_id)

        return await self._store.write(change)

    async def accept(self, code: str, display_name: str, device: Device) -> Granted:
        """An account of one's own, and this browser signed in to it. The first of two wins."""
        name = names.label(display_name, "display_name")

        def change(tx: Tx) -> Granted:
            account = self.join(tx, self.find(tx, code), name, None, device.ip_address)
            return self._accounts.sign_in(tx, account, "pairing", device, verified=False)

        return await self._store.write(change)

    def find(self, r: Reader, code: str) -> Invitation:
        """Raises Unauthorized `invitation_invalid`."""
        return rules.check_invitation(sql.by_hash(r, token_hash(code[:_MAX_CODE])), sql.sign_up(r), r.now)

    def join(
        self, tx: Tx, invitation: Invitation, name: str, email: str | None, ip_address: str | None
    ) -> Account:
        """The account that an invitation was for. Raises Unauthorized `invitation_invalid`."""
        rules.check_invitation(invitation, sql.sign_up(tx), tx.now)
        account = self._accounts.create_in(tx, Actor(None, ip_address), name, invitation.role, email)
        sql.use(tx, invitation.id, account.id)
        self._tell(tx, Actor(account.id, ip_address), invitation.id, "accept", {"label": invitation.label})
        return account

    def _tell(self, tx: Tx, actor: Actor, invitation_id: str, verb: str, detail: dict[str, str]) -> None:
        self._ledger.audit(
            tx,
            actor,
            f"invitation.{verb}",
            "invitation",
            invitation_id,
            detail=detail,
            account_id=actor.account_id,
        )
