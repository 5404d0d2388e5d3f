"""An authenticator in a few lines: it holds one key, and signs what the test tells it to. Real crypto, no browser."""

import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from clawdbox.accounts.ceremony import to_text

Json = dict[str, Any]
ORIGIN = "https://box.example.org"


class Authenticator:
    def __init__(self, rp_id: str = "box.example.org", origin: str = ORIGIN) -> None:
        self.rp_id = rp_id
        self.origin = origin
        self.count = 0
        self.id = secrets.token_bytes(16)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def make(self, options: Json, *, verified: bool = True) -> Json:
        public = self._key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32, "big"), -3: public.y.to_bytes(32, "big")}
        attested = b"\0" * 16 + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        data = self._data(0x41 | (0x04 if verified else 0)) + attested
        told = {"fmt": "none", "attStmt": {}, "authData": data}
        return self._credential(
            clientDataJSON=to_text(self._client("webauthn.create", options["challenge"])),
            attestationObject=to_text(cbor2.dumps(told)),
        )

    def use(self, options: Json, *, verified: bool = True, counting: int = 1) -> Json:
        self.count += counting
        data = self._data(0x01 | (0x04 if verified else 0))
        client = self._client("webauthn.get", options["challenge"])
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            clientDataJSON=to_text(client), authenticatorData=to_text(data), signature=to_text(signature)
        )

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _credential(self, **response: str) -> Json:
        name = to_text(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}
