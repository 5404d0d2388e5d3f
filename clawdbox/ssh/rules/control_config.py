"""The ssh_config by which `ssh NAME` rides the control socket of a connection, and dials nothing by itself."""

import re
import unicodedata

import msgspec

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_QUOTABLE = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9 ._@+:=/-]*"
)  # no pattern, quote, token or backslash of ssh_config
_OTHER = re.compile(r"[^a-z0-9._-]+")

HEAD = """\
# `ssh NAME` rides the open session of that connection in the box, and dials nothing by itself:
# while no session is open, ssh ends with 255. Put it into ~/.ssh/config, or use it with ssh -F.
"""


class Entry(msgspec.Struct, frozen=True):
    """`names` are what may be typed after `ssh`: the label, where ssh can take it, and a plain form of it."""

    names: tuple[str, ...]
    path: str
    label: str


def plain(label: str, id_: str) -> str:
    """A label as a host name that every ssh takes, such as `my-nas` for `My NAS`."""
    ascii_ = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    found = _OTHER.sub("-", ascii_).strip("-.")
    return found or f"server-{id_[-6:]}"


def entries(connections: list[tuple[str, str, str]]) -> list[Entry]:
    """From (id, label, path), in that order; a name belongs to the first that has it."""
    taken: set[str] = set()
    exact = {label for _id, label, _path in connections if _NAME.fullmatch(label)}
    found = []
    for id_, label, path in connections:
        names = [label] if _QUOTABLE.fullmatch(label) else []
        other = plain(label, id_)
        if other != label:
            names.append(f"{other}-{id_[-6:]}" if other in taken or other in exact else other)
        fresh = tuple(name for name in names if name not in taken)
        taken.update(fresh)
        found.append(Entry(fresh, path, label))
    return [entry for entry in found if entry.names]


def text(found: list[Entry]) -> str:
    """Paths are plain (`control.fits`), and so are names: nothing a label holds can become another line."""
    return "\n".join([HEAD, *(_block(entry) for entry in found)]) if found else HEAD


def _block(entry: Entry) -> str:
    names = " ".join(name if _NAME.fullmatch(name) else f'"{name}"' for name in entry.names)
    lines = [
        f"Host {names}",
        "  ControlMaster no",
        f"  ControlPath {entry.path}",
        "  ProxyCommand /bin/false",
        "  Port 22",  # nothing is dialled; without a number ssh looks one up in /etc/services each time
        "  ForwardAgent no",
        "  ForwardX11 no",
    ]
    return "\n".join([*lines, ""])


def line(path: str, name: str) -> str:
    """One command that does the same without a configuration."""
    return f"ssh -S {path} -o ProxyCommand=/bin/false {name}"
