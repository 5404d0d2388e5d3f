"""What a server cannot do though its protocol says so, read from its version line. Pure."""

import re

import msgspec

_DROPBEAR = re.compile(r"^SSH-2\.0-dropbear(?:_(\d{4})\.(\d+))?")


class Quirks(msgspec.Struct, frozen=True):
    """`one_at_a_time`: a session that has not been asked for anything yet must not be open while another one ends.
    `signals_shell_alone`: a signal reaches the shell, and not what the shell has started."""

    one_at_a_time: bool = False
    signals_shell_alone: bool = False


def quirks_of(version: str) -> Quirks:
    """dropbear 2022.82 to 2024.85 closes a session that waits for its request when another one ends, and then dies of
    the request (github.com/mkj/dropbear/issues/321). A version that it does not tell is taken for one of these."""
    found = _DROPBEAR.match(version)
    if found is None:
        return Quirks()
    release = (int(found[1]), int(found[2])) if found[1] else None
    fragile = release is None or (2022, 82) <= release <= (2024, 85)
    return Quirks(one_at_a_time=fragile, signals_shell_alone=True)
