"""Every program that the box knows, by family."""

from functools import cache

from clawdbox.policy.model import Class, words
from clawdbox.policy.rule import Entry, Group, Rule


@cache
def _all() -> dict[str, Entry]:
    """Made at the first command, so that a start does not wait for it."""
    from clawdbox.policy.programs import (
        containers,
        databases,
        files,
        git,
        network,
        packages,
        sending,
        services,
        system,
        text,
        wrappers,
    )

    families: list[dict[str, Entry]] = [
        files.FILES,
        text.TEXT,
        system.SYSTEM,
        services.SERVICES,
        network.NETWORK,
        sending.SENDING,
        containers.CONTAINERS,
        git.GIT,
        packages.PACKAGES,
        databases.DATABASES,
        wrappers.WRAPPERS,
    ]
    return {name: entry for family in families for name, entry in family.items()}


def find(name: str) -> Entry | None:
    return _all().get(name)


# Programs that are looked into nowhere, but tell their version and nothing else when they are asked for it. Managers of
# versions (pyenv, nvm …) put scripts before interpreters on PATH, so those must be named by their place.
_TELLS = words(
    "gcc g++ cc make cmake gdb vim nano bash zsh dash ssh nginx tmux screen sqlite3 psql mysql redis-cli curl wget rsync "
    "sudo find sed awk"
)
_MANAGED = words("python python2 python3 perl ruby node nodejs php lua java")
_MUTE = words("echo printf test [ true false : cd type exit ulimit")


def tells_version(name: str, *, placed: bool) -> bool:
    """Whether `name --version` and `name --help` do nothing but that; `placed`: it is `/usr/bin/name`."""
    if name in _TELLS or (placed and name in _MANAGED):
        return True
    entry = find(name)
    klass = (
        entry.klass if isinstance(entry, Rule) else Class.READ if isinstance(entry, Group) else Class.UNKNOWN
    )
    return name not in _MUTE and klass.rank <= Class.PRIVILEGED.rank
