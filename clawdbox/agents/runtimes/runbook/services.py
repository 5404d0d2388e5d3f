"""Which services have failed."""

import re
import shlex

import msgspec

from clawdbox.agents.runtimes.port import Card, Row, Status, Suggestion
from clawdbox.agents.runtimes.runbook.recipe import Recipe, Sections, count, some, unknown

# Whichever manages services: systemd, OpenRC as on Alpine, launchd as on macOS.
SERVICES = (
    "if [ -d /run/systemd/system ]; then echo manager systemd; echo state $(systemctl is-system-running);"
    " echo running $(systemctl list-units --type=service --state=running --no-legend --no-pager --plain | wc -l);"
    " systemctl list-units --state=failed --no-legend --no-pager --plain;"
    " elif command -v rc-status >/dev/null; then echo manager openrc; rc-status --nocolor --crashed;"
    " elif command -v launchctl >/dev/null; then echo manager launchd; launchctl list;"
    " else echo manager none; fi"
)
_SYSTEMD = re.compile(r"(?:[●*×]\s+)?(\S+\.\w+)\s+(\S+)\s+failed\s+(\S+)\s*(.*)")
_OPENRC = re.compile(r"\s*(\S+)\s+\[\s*crashed\s*\]")
_LAUNCHD = re.compile(r"(-|\d+)\s+(-?\d+)\s+(\S.*)")
_SHOWN = 20


class Services(msgspec.Struct, frozen=True):
    """`failed` holds (name, what is said of it); `note` is the manager's own word on itself."""

    manager: str
    failed: list[tuple[str, str]]
    running: int | None = None
    note: str = ""


def services(lines: list[str]) -> Services | None:
    """None when the answer is missing, or the server has no service manager that is known here."""
    said = {first: rest.strip() for first, _, rest in (line.partition(" ") for line in lines)}
    manager = said.get("manager", "none")
    match manager:
        case "systemd":
            return _systemd(lines, said.get("state", ""), said.get("running", ""))
        case "openrc":
            matches = (_OPENRC.match(line) for line in lines)
            return Services(manager, [(match[1], "crashed") for match in matches if match])
        case "launchd":
            return Services(manager, _launchd(lines))
    return None


def _systemd(lines: list[str], state: str, running: str) -> Services | None:
    matches = (_SYSTEMD.fullmatch(line.strip()) for line in lines)
    failed = [(match[1], match[4] or match[3]) for match in matches if match]
    if not state and not failed:
        return None  # systemctl itself did not answer
    return Services("systemd", failed, int(running) if running.isdigit() else None, state)


def _launchd(lines: list[str]) -> list[tuple[str, str]]:
    """Apple's own jobs often end with a status that means nothing; those of others are told."""
    matches = (_LAUNCHD.fullmatch(line.strip()) for line in lines)
    return [
        (match[3], f"ended with status {match[2]}")
        for match in matches
        if match and match[1] == "-" and match[2] != "0" and not match[3].startswith("com.apple.")
    ]


def row(lines: list[str]) -> Row:
    """All services in one row."""
    found = services(lines)
    if found is None:
        return unknown("Services", "no systemd, OpenRC or launchd answered")
    if found.failed:
        names = ", ".join(name for name, _ in found.failed[:3])
        more = f" and {len(found.failed) - 3} more" if len(found.failed) > 3 else ""
        return Row("Services", f"{len(found.failed)} failed: {names}{more}", Status.BAD)
    running = f", {found.running} running" if found.running is not None else ""
    return Row("Services", f"none failed{running}", Status.OK)


def read(found: Sections) -> Card:
    known = services(found.of("services"))
    if known is None:
        missing = unknown("Services", "no systemd, OpenRC or launchd answered")
        return Card(
            "Services", Status.INFO, "This server has no service manager that can be asked here.", (missing,)
        )
    failed = [Row(name, said, Status.BAD) for name, said in known.failed]
    rows = [*failed]
    if known.running is not None:
        rows.append(Row("Running", count(known.running, "service")))
    if known.note:
        rows.append(Row(known.manager, known.note, Status.OK if known.note == "running" else Status.INFO))
    if failed:
        summary = f"{count(len(failed), 'service has', 'services have')} failed."
        return Card("Services", Status.BAD, summary, some(rows, _SHOWN, "rows"))
    return Card("Services", Status.OK, f"No service has failed ({known.manager}).", tuple(rows))


def further(card: Card) -> tuple[Suggestion, ...]:
    units = [row.label for row in card.rows if row.status is Status.BAD and re.search(r"\.\w+$", row.label)]
    return tuple(
        Suggestion(f"$ journalctl -u {shlex.quote(unit)} -n 50 --no-pager", f"Log of {unit}")
        for unit in units[:2]
    )


RECIPE = Recipe(
    name="services",
    label="Services",
    title="Which services have failed",
    words=(
        "services",
        "service",
        "failed",
        "failing",
        "units",
        "systemd",
        "systemctl",
        "crashed",
        "not running",
        "broken",
    ),
    probe={"services": SERVICES},
    read=read,
    further=further,
)
