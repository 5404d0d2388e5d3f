"""Which packages wait to be upgraded, as the server's own lists tell; nothing is refreshed or installed."""

import re
from collections.abc import Callable

import msgspec

from clawdbox.agents.runtimes.port import Card, Row, Status
from clawdbox.agents.runtimes.runbook.recipe import Recipe, Sections, count, some, unknown, worst

_DNF = "{0} -q -C check-update; r=$?; if [ $r -eq 1 ]; then {0} -q check-update; r=$?; fi; echo exit $r"
_MANAGERS = {
    "apt-get": "echo manager apt; apt list --upgradable; echo exit $?",
    "apk": 'echo manager apk; apk version -l "<"; echo exit $?',
    "checkupdates": "echo manager checkupdates; checkupdates; echo exit $?",
    "pacman": "echo manager pacman; pacman -Qu; echo exit $?",
    "zypper": "echo manager zypper; zypper --non-interactive --no-refresh list-updates; echo exit $?",
    "dnf": f"echo manager dnf; {_DNF.format('dnf')}",
    "yum": f"echo manager yum; {_DNF.format('yum')}",
    "opkg": "echo manager opkg; opkg list-upgradable; echo exit $?",
    "brew": "echo manager brew; HOMEBREW_NO_AUTO_UPDATE=1 brew outdated --verbose; echo exit $?",
}
UPDATES = "; el".join(
    f"if command -v {program} >/dev/null; then {text}" for program, text in _MANAGERS.items()
) + (
    "; elif command -v softwareupdate >/dev/null; then echo manager softwareupdate; softwareupdate -l --no-scan; echo exit $?;"
    " else echo manager none; fi"
)
# A kernel that is newer than the running one, or whose modules are gone, waits for a reboot too.
REBOOT = (
    "[ -f /var/run/reboot-required ] && echo required; cat /var/run/reboot-required.pkgs | sed s/^/package:/;"
    " echo kernel:$(uname -r); rpm -q --last kernel-core | head -n 1;"
    ' [ -n "$(ls /lib/modules)" ] && { [ -d "/lib/modules/$(uname -r)" ] || echo modules-gone; }'
)
_AGE = "find /var/lib/apt/lists /var/lib/pacman/sync /var/cache/apk -maxdepth 0 -mtime +7"
_SHOWN = 30
_MANY = 50

# manager → exit statuses that mean it could not tell
_CANNOT_TELL: dict[str, set[str]] = {
    "apt": {"1", "100"},
    "apk": {"1", "99", "127"},
    "checkupdates": {"1"},
    "zypper": {"1", "2", "3", "4", "5", "6", "7", "8", "127"},
    "dnf": {"1", "127"},
    "yum": {"1", "127"},
    "opkg": {"1", "255"},
}


class Package(msgspec.Struct, frozen=True):
    name: str
    change: str
    is_security: bool = False


Reader = Callable[[list[str]], list[Package]]


def _pattern(text: str) -> Reader:
    """A reader of lines `name … old … new …` (groups of these names; `security` when it matched something)."""
    pattern = re.compile(text)

    def packages(lines: list[str]) -> list[Package]:
        matches = (pattern.fullmatch(line.strip()) for line in lines)
        return [_package(match.groupdict()) for match in matches if match]

    return packages


def _package(groups: dict[str, str | None]) -> Package:
    old, new = groups.get("old"), groups.get("new") or "?"
    change = f"{old} → {new}" if old else new
    return Package(groups["name"] or "?", change, bool(groups.get("security")))


def _dnf(lines: list[str]) -> list[Package]:
    """What follows `Obsoleting Packages` is not an upgrade."""
    end = next((index for index, line in enumerate(lines) if line.startswith("Obsoleting")), len(lines))
    return _DNF_LINE(lines[:end])


_DNF_LINE = _pattern(
    r"(?P<name>\S+)\.(?:noarch|x86_64|i[36]86|aarch64|armv7hl|ppc64le|s390x|riscv64)\s+(?P<new>\S+)\s+\S+"
)
_ARROW = _pattern(r"(?P<name>\S+) (?P<old>\S+) -> (?P<new>\S+)(?: \[ignored\])?")
READERS: dict[str, Reader] = {
    "apt": _pattern(r"(?P<name>[^/\s]+)/(?:\S*(?P<security>-security)\S*|\S+) (?P<new>\S+) \S+ \[upgradable from: (?P<old>\S+)\]"),
    "apk": _pattern(r"(?P<name>\S+?)-(?P<old>\d\S*)\s+<\s+(?P<new>\S+)(?:\s.*)?"),
    "checkupdates": _ARROW,
    "pacman": _ARROW,
    "zypper": _pattern(r"v\s*\|[^|]*\|\s*(?P<name>\S+)\s*\|\s*(?P<old>\S+)\s*\|\s*(?P<new>\S+)\s*\|.*"),
    "dnf": _dnf,
    "yum": _dnf,
    "opkg": _pattern(r"(?P<name>\S+) - (?P<old>\S+) - (?P<new>\S+)"),
    "brew": _pattern(r"(?P<name>\S+) \((?P<old>[^)]+)\) (?:<|!=) (?P<new>\S+).*"),
    "softwareupdate": _pattern(r"\* Label: (?P<name>\S.*?)(?:-(?P<new>\S+))?"),
}  # fmt: skip


class Updates(msgspec.Struct, frozen=True):
    """`told` is False when the package manager ran and could not tell."""

    manager: str
    packages: list[Package]
    told: bool


def updates(lines: list[str]) -> Updates | None:
    said = {first: rest.strip() for first, _, rest in (line.partition(" ") for line in lines)}
    manager = said.get("manager", "none")
    reader = READERS.get(manager)
    if reader is None:
        return None
    exit_status = said.get("exit")
    told = exit_status is not None and exit_status not in _CANNOT_TELL.get(manager, set())
    return Updates(manager, reader(lines), told)


def reboot_row(lines: list[str]) -> Row:
    kernel = next((line.removeprefix("kernel:") for line in lines if line.startswith("kernel:")), "")
    newest = next((line.split()[0] for line in lines if line.startswith("kernel-core-")), "")
    packages = [line.removeprefix("package:") for line in lines if line.startswith("package:")]
    if "required" in lines:
        for_what = f", for {', '.join(dict.fromkeys(packages[:4]))}" if packages else ""
        return Row("Reboot", f"required{for_what}", Status.WARN)
    if "modules-gone" in lines:
        return Row("Reboot", f"required: the modules of the running kernel {kernel} are gone", Status.WARN)
    if newest and kernel and newest.removeprefix("kernel-core-") != kernel:
        return Row("Reboot", f"required, to run {newest} instead of {kernel}", Status.WARN)
    if not kernel:
        return unknown("Reboot", "the server did not say which kernel runs")
    return Row("Reboot", "no sign that one is needed", Status.OK)


def read(found: Sections) -> Card:
    reboot = reboot_row(found.of("reboot"))
    known = updates(found.of("updates"))
    if known is None:
        missing = unknown("Updates", "no package manager that is known here answered")
        return Card("Updates", reboot.status, "Which updates wait could not be read.", (missing, reboot))
    if not known.told and not known.packages:
        missing = unknown(
            "Updates", f"{known.manager} could not tell; it may need its lists refreshed by root"
        )
        return Card("Updates", reboot.status, "Which updates wait could not be read.", (missing, reboot))
    old = (
        [Row("Lists", "older than a week: newer updates are not seen", Status.WARN)]
        if found.of("age")
        else []
    )
    security = sum(package.is_security for package in known.packages)
    total = Row("Updates", _told(len(known.packages), security), _status(len(known.packages), security))
    rows = [
        Row(package.name, package.change, Status.WARN if package.is_security else Status.INFO)
        for package in sorted(known.packages, key=lambda package: (not package.is_security, package.name))
    ]
    due = [row for row in (reboot, *old) if row.status is Status.WARN]
    status = worst((total.status, *(row.status for row in due)))
    summary = f"{total.value[0].upper()}{total.value[1:]} ({known.manager})."
    if reboot.status is Status.WARN:
        summary += " A reboot is due."
    return Card("Updates", status, summary, (total, reboot, *old, *some(rows, _SHOWN, "packages")))


def _told(packages: int, security: int) -> str:
    if not packages:
        return "everything is up to date"
    told = count(packages, "update waits", "updates wait")
    return f"{told}, {security} for security" if security else told


def _status(packages: int, security: int) -> Status:
    if not packages:
        return Status.OK
    return Status.WARN if security or packages >= _MANY else Status.INFO


RECIPE = Recipe(
    name="updates",
    label="Updates",
    title="Which updates wait",
    words=(
        "updates",
        "update",
        "upgrades",
        "upgrade",
        "upgradable",
        "packages",
        "patches",
        "outdated",
        "reboot",
    ),
    probe={"reboot": REBOOT, "age": _AGE, "updates": UPDATES},
    read=read,
    timeout_s=90.0,
)
