"""A QR code for a terminal."""

import io

import segno


def lines(text: str) -> list[str]:
    """Half-block characters: right on a dark terminal, inverted on a light one, and cameras take both."""
    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out, compact=True)
    return out.getvalue().splitlines()
