"""What `clawdbox serve` says when it serves."""

import shlex
from collections.abc import Sequence

import msgspec

_INDENT = "  "


class Pairing(msgspec.Struct, frozen=True):
    """`url` is the link that the QR code carries, too."""

    url: str
    until: str
    code: Sequence[str]


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """`phone` is the address a phone can use; without it, `lan` is the one it could use if the box listened there."""

    version: str
    address: str
    phone: str | None
    lan: str | None
    serve: Sequence[str]
    pair: str
    demo: bool
    pairing: Pairing | None


def text(welcome: Welcome) -> str:
    parts = [f"clawdbox {welcome.version} serves {welcome.address}"]
    if welcome.demo:
        parts.append(
            'This is the demo: its "Demo server" is a shell of your own user, in a home of its own under the data folder.'
        )
    parts.append(_pairing(welcome))
    parts.append(_phone(welcome))
    return "\n\n".join(parts) + "\n"


def words(found: Sequence[str], *, demo: bool = False) -> str:
    """24 words in six lines of four, numbered down to what a person copies onto paper."""
    numbered = [f"{number:>2}. {word:<10}" for number, word in enumerate(found, 1)]
    lines = [_INDENT + " ".join(numbered[start : start + 4]).rstrip() for start in range(0, len(numbered), 4)]
    return "\n".join(
        [
            "The demo's recovery words. A box in earnest shows its own once, to be written down; these need no paper."
            if demo
            else "Your recovery words. Write them down on paper now: they are shown this once and kept nowhere.",
            "",
            *lines,
            "",
            "They are the second way to the keys of this box, for the day its host.key is lost: `clawdbox keyring recover`",
            "takes them. Back up the data folder, too. Whoever has both the words and that folder has your servers.",
            "",
        ]
    )


def _pairing(welcome: Welcome) -> str:
    if welcome.pairing is None:
        return f"To sign in a browser, run: {welcome.pair}"
    return "\n".join(
        [
            f"Open this link to sign in. It works once, until {welcome.pairing.until}; `{welcome.pair}` prints another.",
            "",
            _INDENT + welcome.pairing.url,
            "",
            *welcome.pairing.code,
        ]
    )


def _phone(welcome: Welcome) -> str:
    if welcome.phone is not None:
        return f"From a phone: {welcome.phone}{_caution(welcome.phone)}"
    where = f", at {welcome.lan}" if welcome.lan else ""
    return "\n".join(
        [
            "From a phone: this address is for this machine alone. Stop the box (Ctrl-C), then either serve your network",
            f"in plain http{where}:",
            "",
            _INDENT + shlex.join([*welcome.serve, "--host", "0.0.0.0"]),  # noqa: S104 - shown, not bound
            "",
            "or put a tunnel or a reverse proxy with https in front, and tell the box its address:",
            "",
            _INDENT + shlex.join([*welcome.serve, "--public-url", "https://box.example.org"]),
        ]
    )


def _caution(address: str) -> str:
    return "" if address.startswith("https:") else " (plain http: only in a network that you trust)"
