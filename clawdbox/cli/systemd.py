"""sd_notify(3): tell systemd when the box serves and when it stops."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Without `$NOTIFY_SOCKET` nobody listens; and a box serves whether or not its supervisor hears of it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.sendto(state.encode(), address)
