"""The key by which a gateway knows this box, and what is signed with it. One gateway, one key."""

import base64
import hashlib
import re
from collections.abc import Sequence

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clawdbox.agents.runtimes.openclaw.frames import Challenge, Malformed

CLIENT_ID = "gateway-client"  # of the names that a gateway knows, the one for clients that are not its own
CLIENT_MODE = "ui"  # a person sits behind it: it is paired like a phone, also on the gateway's own machine
PLATFORM = "linux"
ROLE = "operator"
SCOPES = ("operator.read", "operator.write", "operator.approvals")
_NONCE = re.compile(r"[A-Za-z0-9._~+/=-]{8,256}")  # no `|`, which parts the fields of what is signed


class Device:
    """An Ed25519 key; its id is the SHA-256 of the public key in hex."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )

    @classmethod
    def make(cls) -> "Device":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, secret: bytes | bytearray) -> "Device":
        return cls(Ed25519PrivateKey.from_private_bytes(bytes(secret)))

    def secret(self) -> bytes:
        return self._private.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )

    @property
    def id(self) -> str:
        return hashlib.sha256(self._public).hexdigest()

    def proof(self, challenge: Challenge, token: str, scopes: Sequence[str] = SCOPES) -> "Proof":
        """What shows that this device answers this very challenge with this very token. Raises Malformed."""
        check(challenge)
        fields = (
            "v3", self.id, CLIENT_ID, CLIENT_MODE, ROLE, ",".join(scopes),
            str(challenge.ts), token, challenge.nonce, PLATFORM, "",
        )  # fmt: skip
        signature = self._private.sign("|".join(fields).encode())
        return Proof(self.id, _base64url(self._public), _base64url(signature), challenge.ts, challenge.nonce)


class Proof(msgspec.Struct, frozen=True, rename="camel"):
    """`device` of `connect`."""

    id: str
    public_key: str
    signature: str
    signed_at: int
    nonce: str


def check(challenge: Challenge) -> None:
    """Raises Malformed: nothing is signed that could mean something else."""
    if challenge.ts < 0 or not _NONCE.fullmatch(challenge.nonce):
        raise Malformed("a challenge that is none")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
