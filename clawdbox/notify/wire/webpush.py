"""Web Push: a message that only the browser reads (RFC 8291, RFC 8188), from a box that the push service knows by its
key (RFC 8292)."""

import base64
import hashlib
import os
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from clawdbox.notify.model import Message, WebPush
from clawdbox.notify.rules.channels import from_base64
from clawdbox.notify.wire.dial import Headers

_RECORD = 4096  # RFC 8291, section 4: one record, and no push service takes a longer one
_STEP = 256  # lengths are rounded up, so that they say less
_TOKEN_LIFE = timedelta(hours=12)


def request(
    target: WebPush, message: Message, vapid: ec.EllipticCurvePrivateKey, contact: str, now: datetime
) -> tuple[Headers, bytes]:
    """The headers and the body to post to the endpoint."""
    plain = msgspec.json.encode(
        {"title": message.title, "body": message.body, "url": message.path, "tag": message.tag}
    )
    body = encrypt(
        plain,
        from_base64(target.p256dh),
        from_base64(target.auth),
        ec.generate_private_key(ec.SECP256R1()),
        os.urandom(16),
        padding=-len(plain) % _STEP,
    )
    headers = [
        ("authorization", authorization(target.endpoint, vapid, contact, now)),
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
        ("ttl", str(message.ttl_s)),
        ("urgency", "high" if message.urgent else "normal"),
        ("topic", _base64(hashlib.sha256(message.tag.encode()).digest())[:32]),
    ]
    return headers, body


def encrypt(
    plain: bytes,
    browser_key: bytes,
    secret: bytes,
    own: ec.EllipticCurvePrivateKey,
    salt: bytes,
    padding: int = 0,
) -> bytes:
    """RFC 8291, section 3.4, as one record of RFC 8188. `own` and `salt` serve this one message."""
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), browser_key)
    own_key = point(own)
    shared = own.exchange(ec.ECDH(), theirs)
    material = _hkdf(shared, secret, b"WebPush: info\0" + browser_key + own_key, 32)
    key = _hkdf(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _hkdf(material, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + _RECORD.to_bytes(4, "big") + bytes([len(own_key)]) + own_key
    record = AESGCM(key).encrypt(nonce, plain + b"\x02" + bytes(padding), None)
    return head + record


def authorization(endpoint: str, vapid: ec.EllipticCurvePrivateKey, contact: str, now: datetime) -> str:
    """The header of RFC 8292: a token for this push service alone, and the key by which to check it."""
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int((now + _TOKEN_LIFE).timestamp()),
        "sub": contact,
    }
    signed = ".".join(_base64(msgspec.json.encode(part)) for part in ({"typ": "JWT", "alg": "ES256"}, claims))
    r, s = decode_dss_signature(vapid.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = _base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return f"vapid t={signed}.{signature},k={_base64(point(vapid))}"


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Its public half as browsers want it: uncompressed (SEC 1, 2.3.3)."""
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
