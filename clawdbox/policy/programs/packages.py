"""Programs that install programs."""

import re

from clawdbox.policy.model import Class, Finding, words
from clawdbox.policy.rule import Call, Entry, Style, parsed, sort
from clawdbox.policy.table import table
from clawdbox.policy.weigh import unknown, weigh

_TABLE = """
== shared

@yes:
  -yqVfmdu --yes --assume-yes --assumeyes --no-install-recommends --quiet --fix-broken --only-upgrade --reinstall
  --allow-downgrades --no-upgrade --download-only --with-new-pkgs -t= --target-release= --nogpgcheck --security --best
  --allowerasing --refresh --enablerepo= --disablerepo= --no-cache --upgrade --non-interactive

@show:
  -aiqsvmnACeILuW -t= --installed --upgradable --available --all --all-versions --manual-installed --names-only --full
  --no-all-versions --quiet --recurse --important --no-recommends --cacheonly

== read

apt list|search|show|showpkg|policy|depends|rdepends|pkgnames|stats|madison|showsrc|unmet|check|showauto|showmanual|showhold: shows packages
  takes text
  @show

dnf list|info|search|repolist|provides|deplist|repoquery|check-update: shows packages
  takes text, egress
  @show

zypper search|se|info|if|list-updates|lu|repos|lr|packages: shows packages
  takes text, egress
  @show

apk info|list|search|policy|version|stats: shows packages
  takes text
  @show

snap list|info|find|version|services|changes|connections: shows packages
  takes text, egress
  -n= --all

flatpak list|info|search|remotes: shows packages
  takes text, egress
  --app --user --system

pip list|show|freeze|check: shows packages
  takes text, egress
  starts python3
  -ofu --outdated --format= --user --local

npm ls|list: shows packages
  takes text
  starts node
  -gal --depth= --json --global --all

== privileged

apt update: fetches lists of packages
  takes text, egress
  @yes

apt install|upgrade|full-upgrade|dist-upgrade|reinstall|build-dep|hold|unhold|auto|manual|clean|autoclean: changes the programs of the system
  takes text, egress
  @yes

dnf install|update|upgrade|reinstall|downgrade|localinstall|makecache|groupinstall: changes the programs of the system
  takes text, egress
  @yes

zypper install|in|update|up|refresh|ref|dup: changes the programs of the system
  takes text, egress
  @yes

apk add|update|upgrade|fix: changes the programs of the system
  takes text, egress
  @yes

snap install|refresh|revert|enable|disable|start|stop|restart: changes the programs of the system
  takes text, egress
  @yes

flatpak install|update: changes programs
  takes text, egress
  @yes

== destructive

apt remove|purge|autoremove|autopurge: removes programs
  takes text, loose
  undo Their settings and data may go with them.

dnf remove|erase|autoremove|clean: removes programs
  takes text, loose
  undo Their settings and data may go with them.

zypper remove|rm: removes programs
  takes text, loose
  undo Their settings and data may go with them.

apk del: removes programs
  takes text, loose
  undo Their settings and data may go with them.

snap|flatpak remove|uninstall: removes programs
  takes text, loose
  undo Their settings and data may go with them.

pip|npm uninstall|remove: removes programs
  takes text, loose

== unknown

pip install|download|wheel: runs code of the packages that it installs
  takes text, loose, egress

npm *: runs code of a project
  takes text, loose, egress

pnpm|yarn|pipx|gem|brew|conda|mamba: runs code of a project or of packages
  takes text, loose, egress

== alike

pip3: as pip

yum|microdnf: as dnf

== before

apt:
  -yqV -q=? --yes --assume-yes --quiet

dnf:
  -yqC --quiet --assumeyes

zypper:
  -nq --non-interactive --quiet

apk:
  -q
"""
_RULES = table(_TABLE)
_SIMULATES = "-s --simulate --dry-run --just-print --no-act --recon"
_HARMLESS = (
    "-yqVfmdu --yes --assume-yes --no-install-recommends --quiet --only-upgrade --reinstall --with-new-pkgs"
)
_SIMULATED = words("install upgrade full-upgrade dist-upgrade reinstall remove purge autoremove autopurge")
# Behind an option, apt takes these for its value: `-s off`.
_SWITCHES = re.compile(r"\d+|no|false|without|off|disable|yes|true|with|on|enable", re.IGNORECASE)


def _apt(call: Call) -> list[Finding]:
    """`-s` only simulates, where no other option takes it back."""
    flags = parsed(_SIMULATES, Style.LETTERS)
    rest = tuple(word for word in call.words if word.text not in flags)
    seen = Call(call.program, rest, call.cwd, call.fed, call.inner, call.line)
    found = weigh(_RULES["apt"], seen, call.program)
    if len(rest) == len(call.words) or any(one.klass is Class.UNKNOWN for one in found):
        return found
    if not _simulates(call):
        return [*found, unknown(call.program, "which may do more than simulate with such options.")]
    return [Finding(Class.READ, f"It runs `{call.program} --simulate`, which only says what it would do.")]


def _simulates(call: Call) -> bool:
    given = sort(call.words, parsed(f"{_SIMULATES} {_HARMLESS}", Style.LETTERS), Style.LETTERS)
    plain = [word.text for word in given.operands]
    return (
        given.odd is None
        and all(word.known and not word.glob and word.text != "--" for word in call.words)
        and plain[:1] != []
        and plain[0] in _SIMULATED
        and not any(_SWITCHES.fullmatch(text) for text in plain)
    )


def _letters(shows: str, first: tuple[str, ...], style: Style = Style.LETTERS) -> Entry:
    """dpkg, rpm, pacman: the first word says what is done."""
    known = parsed(shows, style)

    def look(call: Call) -> list[Finding]:
        given = sort(call.words, known, style)
        texts = [word.text for word in call.words]
        asks = texts and texts[0].startswith(first) and all(word.known for word in call.words)
        if asks and given.odd is None:
            return [
                Finding(
                    Class.READ,
                    f"It runs `{call.program}`, which shows packages.",
                    _HELPERS.get(call.program, ()),
                )
            ]
        if any(text.startswith(("-r", "-P", "-e", "-R", "--remove", "--purge", "--erase")) for text in texts):
            return [Finding(Class.DESTRUCTIVE, f"It runs `{call.program}`, which removes programs.")]
        return [
            Finding(Class.UNKNOWN, f"It runs `{call.program}`, which changes the programs of the system.")
        ]

    return look


_HELPERS = {"dpkg": ("dpkg-query",)}
_DPKG = (
    "-lLsSpWC -f= --list --listfiles --status --search --audit --show --showformat= --get-selections "
    "--print-architecture --print-foreign-architectures"
)
_RPM = (
    "-qailcdRfg --query --all --info --list --configfiles --docfiles --requires --provides --file --last --changelog "
    "--scripts --qf= --queryformat="
)
PACKAGES = {
    **_RULES,
    **dict.fromkeys(("apt", "apt-get", "apt-cache", "apt-mark"), _apt),
    **dict.fromkeys(
        ("dpkg", "dpkg-query"), _letters(_DPKG, ("-l", "-L", "-s", "-S", "-p", "-W", "-C", "--"))
    ),
    "rpm": _letters(_RPM, ("-q", "--query")),
    "pacman": _letters("-Q -Qi -Ql -Qe -Qs -Qo -Qu -Qm -Qk -Qdt -Qq -Qqe -Ss -Si", ("-Q", "-S"), Style.WORDS),
}
