"""The verbs of host certificate authorities and revoked host keys."""

from clawdbox.errors import Invalid
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.ssh.model import HostAuthority, MarkKind
from clawdbox.ssh.rules import connections as connection_rules
from clawdbox.ssh.rules import host_authorities as rules
from clawdbox.ssh.service.trail import Trail
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import host_authorities as sql
from clawdbox.ssh.wire.public_keys import is_public_key
from clawdbox.store import Store, Tx


class HostAuthorities:
    def __init__(self, store: Store, ledger: Ledger, trail: Trail) -> None:
        self._store = store
        self._ledger = ledger
        self._trail = trail

    async def list(self, account_id: str) -> list[HostAuthority]:
        """The living ones, the oldest first."""
        return await self._store.read(lambda r: sql.living(r, account_id))

    async def add(
        self, actor: Actor, account_id: str, kind: MarkKind, label: str, patterns: str, public_key: str
    ) -> HostAuthority:
        mark = rules.mark(kind, label, patterns, public_key)
        if not is_public_key(mark.public_key):
            raise Invalid("public_key", "This key is damaged. Copy the whole line of its .pub file.")
        return await self._store.write(lambda tx: self.add_in(tx, actor, account_id, mark))

    def add_in(self, tx: Tx, actor: Actor, account_id: str, mark: rules.Mark) -> HostAuthority:
        """The same within a transaction, for a key that was read before. Raises Conflict."""
        rules.check_new(mark, sql.living(tx, account_id))
        authority = HostAuthority(
            id=new_id(tx.now),
            account_id=account_id,
            kind=mark.kind,
            label=mark.label,
            patterns=mark.patterns,
            key_type=mark.key_type,
            public_key=mark.public_key,
            fingerprint=mark.fingerprint,
            created_at=tx.now,
        )
        sql.insert(tx, authority)
        self._tell(tx, actor, authority, "host_authority.added", "host_authority.add")
        return authority

    async def remove(self, actor: Actor, account_id: str, authority_id: str) -> HostAuthority:
        """From the next dial on it speaks for no host. Connections that were trusted by it alone become drafts."""

        def change(tx: Tx) -> HostAuthority:
            authority = rules.removed(sql.get(tx, account_id, authority_id), tx.now)
            sql.remove(tx, authority)
            for connection in connection_sql.vouched_for(tx, authority_id):
                after = connection_rules.unvouched(connection)
                connection_sql.save(tx, after)
                detail = {"host_authority_removed": authority.fingerprint}
                self._trail.tell(tx, actor, after, "connection.updated", "connection.update", detail)
            self._tell(tx, actor, authority, "host_authority.removed", "host_authority.remove")
            return authority

        return await self._store.write(change)

    def _tell(self, tx: Tx, actor: Actor, authority: HostAuthority, event: str, action: str) -> None:
        detail = {
            "kind": authority.kind,
            "label": authority.label,
            "patterns": authority.patterns,
            "fingerprint": authority.fingerprint,
        }
        owner = authority.account_id
        self._ledger.event(tx, owner, event, "host_authority", authority.id, detail)
        self._ledger.audit(tx, actor, action, "host_authority", authority.id, detail=detail, account_id=owner)
