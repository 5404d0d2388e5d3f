"""The only place that knows the WebAuthn library: what a browser is asked for, and whether its answer is good."""

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from clawdbox.errors import Problem

Json = dict[str, Any]
_TIMEOUT_MS = 300_000


class Place(NamedTuple):
    """Where passkeys of this box work. It comes from `public_url` alone: a request's headers say what a stranger likes."""

    rp_id: str
    origin: str


class NewPasskey(NamedTuple):
    credential_id: str
    public_key: str
    sign_count: int
    backed_up: bool


def place(public_url: str | None) -> Place | None:
    """None where a browser refuses passkeys: without https, and under a bare address."""
    parts = urlsplit(public_url or "")
    host = (parts.hostname or "").rstrip(".")
    local = host == "localhost" or host.endswith(".localhost")
    if not host or _is_address(host) or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        return None
    usual = {"https": 443, "http": 80}[parts.scheme]
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return Place(host, f"{parts.scheme}://{host}{port}")


def options_to_add(at: Place, account_id: str, name: str, challenge: bytes, known: Sequence[str]) -> Json:
    """A discoverable credential, unlocked by the person: it signs in by itself."""
    from webauthn import generate_registration_options
    from webauthn.helpers import options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=at.rp_id,
        rp_name="clawdbox",
        user_id=account_id.encode(),
        user_name=name,
        user_display_name=name,
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=from_text(one)) for one in known],
    )
    return _json(options_to_json(options))


def options_to_use(at: Place, challenge: bytes, known: Sequence[str] = ()) -> Json:
    """With nothing `known`, the browser offers every passkey it has for this box."""
    from webauthn import generate_authentication_options
    from webauthn.helpers import options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=at.rp_id,
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        allow_credentials=[PublicKeyCredentialDescriptor(id=from_text(one)) for one in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _json(options_to_json(options))


def challenge_in(credential: Json) -> bytes:
    """What the browser signed, as it says. Only a look-up: whether it did is `check_*`'s to find out."""
    try:
        told = msgspec.json.decode(from_text(credential["response"]["clientDataJSON"]))
        return from_text(told["challenge"])
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is no answer to a challenge
        raise refused() from None


def check_new(at: Place, credential: Json, challenge: bytes) -> NewPasskey:
    from webauthn import verify_registration_response

    try:
        found = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=at.rp_id,
            expected_origin=at.origin,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - the library raises as many kinds as there are ways to be malformed
        raise refused() from None
    return NewPasskey(
        to_text(found.credential_id),
        to_text(found.credential_public_key),
        found.sign_count,
        found.credential_backed_up,
    )


def check_use(at: Place, credential: Json, challenge: bytes, public_key: str, sign_count: int) -> int:
    """The new count. One that does not grow tells of a copy of the key, and is refused (WebAuthn 3, 6.1.1)."""
    from webauthn import verify_authentication_response

    try:
        found = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=at.rp_id,
            expected_origin=at.origin,
            credential_public_key=from_text(public_key),
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - as above
        raise refused() from None
    return found.new_sign_count


def refused() -> Problem:
    return Problem(
        "passkey_refused",
        "This passkey was not accepted. Try again; if it stays like this, sign in another way and add it anew.",
    )


def challenge_hash(challenge: bytes) -> str:
    return hashlib.sha256(challenge).hexdigest()


def to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json(text: str) -> Json:
    found: Json = msgspec.json.decode(text)
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
