"""The verbs of keypairs."""

from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clawdbox import names
from clawdbox.errors import NotFound
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.keys import rules, sql
from clawdbox.keys.model import Keypair
from clawdbox.store import Reader, Store, Tx
from clawdbox.vault import Sealer

LeasesUsing = Callable[[Reader, str], list[str]]


class Keys:
    """`leases_using` is handed in by the app, since leases live above this room: ids of open leases on a keypair."""

    def __init__(self, store: Store, ledger: Ledger, sealer: Sealer, leases_using: LeasesUsing) -> None:
        self._store = store
        self._ledger = ledger
        self._sealer = sealer
        self._leases_using = leases_using

    async def list(self, account_id: str) -> list[Keypair]:
        return await self._store.read(lambda r: sql.all_of(r, account_id))

    async def get(self, account_id: str, keypair_id: str) -> Keypair:
        return await self._store.read(lambda r: sql.get(r, account_id, keypair_id))

    async def default(self, account_id: str) -> Keypair:
        """The keypair that new connections use. Raises NotFound when every one is revoked."""
        keypair = await self._store.read(lambda r: sql.default_living(r, account_id))
        if keypair is None:
            raise NotFound
        return keypair

    async def create(self, actor: Actor, account_id: str, label: str | None) -> tuple[Keypair, bool]:
        """The living keypair of that label (default `default`), and whether it was made just now."""
        name = names.label(label) if label is not None else "default"
        return await self._store.write(lambda tx: self.create_in(tx, actor, account_id, name))

    def create_in(self, tx: Tx, actor: Actor, account_id: str, label: str) -> tuple[Keypair, bool]:
        """The same within a transaction that is already open (signing up makes account and key at once)."""
        existing = sql.living(tx, account_id, label)
        if existing:
            return existing, False
        rules.check_room(sql.count_living(tx, account_id))
        keypair_id = new_id(tx.now)
        public_key, private_key = _make_ed25519(f"clawdbox-{label}")
        sql.insert(
            tx,
            {
                "id": keypair_id,
                "account_id": account_id,
                "label": label,
                "algorithm": "ed25519",
                "public_key": public_key,
                "private_key_enc": self._sealer.seal(
                    "agent_keypairs", keypair_id, "private_key_enc", account_id, private_key
                ),
                "fingerprint": rules.fingerprint(public_key),
                "created_at": tx.now,
            },
        )
        keypair = sql.get(tx, account_id, keypair_id)
        detail = {"label": label, "fingerprint": keypair.fingerprint}
        self._ledger.event(tx, account_id, "keypair.created", "keypair", keypair_id, detail)
        self._ledger.audit(
            tx, actor, "keypair.create", "agent_keypair", keypair_id, detail=detail, account_id=account_id
        )
        return keypair, True

    async def revoke(self, actor: Actor, account_id: str, keypair_id: str, *, force: bool) -> Keypair:
        """Revoke at once; the event `keypair.revoked` then ends the leases that use it."""

        def change(tx: Tx) -> Keypair:
            leases = self._leases_using(tx, keypair_id)
            keypair = rules.revoke(sql.get(tx, account_id, keypair_id), leases, force, tx.now)
            sql.save_state(tx, keypair)
            detail = {"label": keypair.label, "forced": force, "session_ids": leases}
            tx.wake("leases:sweep")
            self._ledger.event(tx, account_id, "keypair.revoked", "keypair", keypair_id, detail)
            self._ledger.audit(
                tx, actor, "keypair.revoke", "agent_keypair", keypair_id, detail=detail, account_id=account_id
            )
            return keypair

        return await self._store.write(change)

    async def private_key(self, keypair: Keypair) -> bytearray:
        """The private key as OpenSSH text, for one authentication. It goes to `ssh.wire` and nowhere else."""
        sealed = await self._store.read(lambda r: sql.sealed_private_key(r, keypair.id))
        return self._sealer.open("agent_keypairs", keypair.id, "private_key_enc", keypair.account_id, sealed)


def _make_ed25519(comment: str) -> tuple[str, bytes]:
    """(`ssh-ed25519 AAAA… comment`, OpenSSH private key). The entropy is the operating system's (document 04, 4.1)."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return f"{public.decode()} {_comment(comment)}", pem


def _comment(text: str) -> str:
    """A comment that is safe in authorized_keys, in a shell and in a QR code."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "-" for char in text)
