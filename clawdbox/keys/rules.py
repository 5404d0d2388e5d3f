"""Decisions about keypairs: their life cycle and the command that installs them."""

import base64
import hashlib
import shlex
from datetime import datetime

import msgspec

from clawdbox.errors import Conflict
from clawdbox.keys.model import Keypair, KeyState

# state → states it may become (document 02, lifecycle of agent_keypairs)
TRANSITIONS: dict[KeyState, frozenset[KeyState]] = {
    KeyState.ACTIVE: frozenset({KeyState.ROTATED, KeyState.REVOKED}),
    KeyState.ROTATED: frozenset({KeyState.REVOKED}),
    KeyState.REVOKED: frozenset(),
}

MAX_LIVING = 50


def check_room(living: int) -> None:
    if living >= MAX_LIVING:
        raise Conflict(
            "keypair_limit_reached", f"You have {living} keys. Revoke one that you no longer need first."
        )


def revoke(keypair: Keypair, leases: list[str], force: bool, now: datetime) -> Keypair:
    """The keypair after its revocation. Raises Conflict while leases use it, unless forced, and when already revoked."""
    if KeyState.REVOKED not in TRANSITIONS[keypair.state]:
        raise Conflict("keypair_revoked", "This key is already revoked.")
    if leases and not force:
        raise Conflict(
            "keypair_in_use",
            f"{len(leases)} open session(s) use this key. Close them first, or revoke with force to end them.",
            session_ids=leases,
        )
    return msgspec.structs.replace(keypair, revoked_at=now, is_active=False)


def fingerprint(public_key: str) -> str:
    """OpenSSH's SHA-256 fingerprint of an `ssh-ed25519 AAAA… comment` line."""
    digest = hashlib.sha256(base64.b64decode(public_key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def install_command(public_key: str) -> str:
    """One line for any POSIX shell that lets the key in.

    The bare `echo` first ends a last line without a newline, which would otherwise swallow the key.
    """
    line = shlex.quote(public_key)
    return (
        "mkdir -p ~/.ssh && chmod 700 ~/.ssh && echo >> ~/.ssh/authorized_keys"
        f" && echo {line} >> ~/.ssh/authorized_keys && chmod 600 ~/.ssh/authorized_keys"
    )


def remove_command(public_key: str) -> str:
    """One POSIX line that takes exactly this key out of authorized_keys and prints `removed` or `absent`.

    Written to a copy beside the file and renamed, so that a full disk or a dropped link leaves the old file whole.
    """
    blob = shlex.quote(public_key.split()[1])
    script = (
        "cd ~/.ssh 2>/dev/null && [ -f authorized_keys ] || { echo absent; exit 0; }; "
        f"grep -qF {blob} authorized_keys || {{ echo absent; exit 0; }}; "
        "t=authorized_keys.$$ && cp -p authorized_keys $t && "
        f"{{ grep -vF {blob} authorized_keys > $t; [ $? -le 1 ]; }} && mv $t authorized_keys && echo removed"
    )
    return f"sh -c {shlex.quote(script)}"  # the login shell may be none that reads POSIX syntax
