"""The key by which push services know this box. Subscriptions are bound to it, so it is made once and kept."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clawdbox.notify.wire.webpush import point
from clawdbox.store import Store, Tx
from clawdbox.vault import BOX, Sealer

KEY = "vapid_key"


class Vapid:
    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer
        self._key: ec.EllipticCurvePrivateKey | None = None

    async def key(self) -> ec.EllipticCurvePrivateKey:
        if self._key is None:
            sealed = await self._store.read(
                lambda r: r.value("SELECT value FROM box_meta WHERE key = ?", (KEY,))
            )
            self._key = self._open(sealed or await self._store.write(self._make))
        return self._key

    async def public(self) -> str:
        """The `applicationServerKey` of a browser's subscription, in base64url."""
        return base64.urlsafe_b64encode(point(await self.key())).rstrip(b"=").decode()

    def _make(self, tx: Tx) -> str:
        """Of two that want it first, the first one's."""
        made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        sealed = self._sealer.seal("box_meta", KEY, "value", BOX, made)
        tx.run("INSERT OR IGNORE INTO box_meta VALUES (?, ?)", (KEY, sealed))
        return str(tx.value("SELECT value FROM box_meta WHERE key = ?", (KEY,)))

    def _open(self, sealed: str) -> ec.EllipticCurvePrivateKey:
        plain = self._sealer.open("box_meta", KEY, "value", BOX, sealed)
        key = serialization.load_der_private_key(bytes(plain), password=None)
        plain[:] = bytes(len(plain))
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key
