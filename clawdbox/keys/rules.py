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


def rotate(keypair: Keypair, now: datetime) -> Keypair:
    """The keypair once its successor is in its place: it starts nothing new, and running leases still redial with it."""
    if KeyState.ROTATED not in TRANSITIONS[keypair.state]:
        raise Conflict("keypair_revoked", "This key is not in use any more.")
    return msgspec.structs.replace(keypair, rotated_at=now, is_active=False)


def next_label(label: str, taken: set[str]) -> str:
    """Two living keys cannot share a label, so the new one gets a number until the old one is rotated."""
    stem = label[:60]
    return next(name for number in range(2, 200) if (name := f"{stem}-{number}") not in taken)


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
        "f=authorized_keys; [ ! -L $f ] || f=$(readlink -f $f) || exit 1; "  # a link stays one
        't="$f.$$" && cp -p "$f" "$t" && '
        f'{{ grep -vF {blob} "$f" > "$t"; [ $? -le 1 ]; }} && mv "$t" "$f" && echo removed'
    )
    return f"sh -c {shlex.quote(script)}"  # the login shell may be none that reads POSIX syntax
