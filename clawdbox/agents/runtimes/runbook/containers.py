"""Which containers run, which should, and which keep falling over: Docker and Podman."""

import re
import shlex

import msgspec

from clawdbox.agents.runtimes.port import Card, Row, Status, Suggestion
from clawdbox.agents.runtimes.runbook.recipe import Recipe, Sections, count, in_order, level, some, worst

# Podman may answer to the name of Docker, too. What an engine knows beyond `ps` is asked of at most 60 containers.
CONTAINERS = (
    "for e in docker podman; do command -v $e >/dev/null || continue;"
    " [ $e = docker ] && docker --version | grep -qi podman && continue; echo engine $e;"
    ' $e ps -a --format "c|{{.Names}}|{{.Status}}|{{.Image}}"; echo exit $?;'
    ' $e inspect --type container --format "i|{{.Name}}|{{.RestartCount}}|{{.State.OOMKilled}}|{{.HostConfig.RestartPolicy.Name}}"'
    " $($e ps -aq | head -n 60); done; echo asked"
)
_IMAGES = (
    "for e in docker podman; do command -v $e >/dev/null &&"
    ' $e images --format "{{.Repository}}:{{.Tag}}|{{.CreatedSince}}"; done'
)
_MAY = "[ -S /var/run/docker.sock ] && { [ -w /var/run/docker.sock ] && echo yes || echo no; }"
_EXITED = re.compile(r"Exited \((\d+)\) (.+)")
_AGE = re.compile(r"(About an?|an?|\d+) (minute|hour|day|week|month|year)s?")
_DAYS = {"minute": 0.0, "hour": 0.04, "day": 1.0, "week": 7.0, "month": 30.0, "year": 365.0}
_ALWAYS = {"always", "unless-stopped", "on-failure"}
# Ended by a signal, as when somebody stops it.
_STOPPED = {0, 130, 137, 143}
_SHOWN = 25


class Container(msgspec.Struct, frozen=True):
    """`restarts` and what follows it are not known of every container."""

    name: str
    status: str
    image: str
    restarts: int = 0
    out_of_memory: bool = False
    policy: str = ""

    @property
    def is_up(self) -> bool:
        return self.status.startswith("Up")

    @property
    def row(self) -> Row:
        said, verdict = self._verdict
        return Row(self.name, said, verdict)

    @property
    def _verdict(self) -> tuple[str, Status]:
        if trouble := self._trouble:
            return trouble, Status.BAD
        exited = _EXITED.match(self.status)
        if exited and int(exited[1]) not in _STOPPED:
            return (
                f"ended with {exited[1]}, {exited[2]}",
                Status.BAD if self.policy in _ALWAYS else Status.WARN,
            )
        if exited:
            return f"{'stopped' if int(exited[1]) else 'ended well'} {exited[2]}", Status.INFO
        if self.is_up and (tired := level("restarts", self.restarts)) is not Status.OK:
            return f"{_lower(self.status)}{self._times}", tired
        return _lower(self.status), Status.OK if self.is_up and "Paused" not in self.status else Status.INFO

    @property
    def _trouble(self) -> str:
        if self.out_of_memory and not self.is_up:
            return "killed: it used more memory than it may"
        if self.status.startswith("Restarting"):
            return f"keeps restarting{self._times}"
        if "(unhealthy)" in self.status:
            return f"unhealthy, {_lower(self.status.replace(' (unhealthy)', ''))}"
        return "dead: its files could not be removed" if self.status.startswith("Dead") else ""

    @property
    def _times(self) -> str:
        return f", {count(self.restarts, 'restart')} so far" if self.restarts else ""


class Engine(msgspec.Struct, frozen=True):
    """`answered` is False when it is installed and would not tell."""

    name: str
    containers: list[Container]
    answered: bool

    @property
    def told(self) -> str:
        up = sum(one.is_up for one in self.containers)
        return f"{up} running, {len(self.containers) - up} not"


def engines(lines: list[str]) -> list[Engine] | None:
    """None when the answer is missing."""
    if not any(line == "asked" or line.startswith("engine ") for line in lines):
        return None
    parts: list[list[str]] = []
    for line in lines:
        if line.startswith("engine "):
            parts.append([line])
        elif parts:
            parts[-1].append(line)
    return [_engine(part) for part in parts]


def _engine(lines: list[str]) -> Engine:
    known = {}
    for line in lines:
        match line.split("|"):
            case ["i", name, restarts, killed, policy]:
                known[name.lstrip("/")] = (int(restarts or 0), killed == "true", policy)
    containers = []
    for line in lines:
        match line.split("|"):
            case ["c", name, status, image]:
                containers.append(Container(name, status, image, *known.get(name, (0, False, ""))))
    return Engine(lines[0].removeprefix("engine ").strip(), containers, "exit 0" in lines)


def row(lines: list[str]) -> Row | None:
    """All of them in one row; None where there are none to speak of."""
    found = [engine for engine in engines(lines) or [] if engine.containers]
    if not found:
        return None
    everything = [one.row for engine in found for one in engine.containers]
    wrong = [one for one in in_order(everything) if one.status in (Status.WARN, Status.BAD)]
    if not wrong:
        return Row("Containers", ", ".join(engine.told for engine in found), Status.OK)
    more = f"; {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return Row(
        "Containers", f"{wrong[0].label} {wrong[0].value}{more}", worst(tuple(each.status for each in wrong))
    )


def _lower(status: str) -> str:
    return f"{status[:1].lower()}{status[1:]}"


def oldest_image(lines: list[str], used: set[str]) -> Row | None:
    """Of the images that containers run from. An old image lacks years of fixes; it is never worse than a warning."""
    ages = []
    for line in lines:
        name, _, since = line.partition("|")
        if (found := _AGE.match(since)) and name in used:
            number = float(found[1]) if found[1].isdigit() else 1.0
            ages.append((number * _DAYS[found[2]], name, since.removesuffix(" ago")))
    if not ages:
        return None
    days, name, since = max(ages)
    status = Status.INFO if level("image_days", days) is Status.OK else Status.WARN
    return Row("Oldest image", f"{name}, {since}", status)


def _denied(engine: Engine, may: list[str]) -> Row:
    if engine.name == "docker" and "no" in may:
        return Row(
            "docker", "there, but this user may not ask it (it is not in the group docker)", Status.INFO
        )
    return Row(engine.name, "installed, but it does not answer: its service may be off", Status.INFO)


def read(found: Sections) -> Card:
    known = engines(found.of("containers"))
    if not known:
        why = "could not be read" if known is None else "there is no Docker and no Podman here"
        return Card("Containers", Status.INFO, f"{why[0].upper()}{why[1:]}.", (Row("Containers", why),))
    rows: list[Row] = []
    for engine in known:
        if not engine.answered:
            rows.append(_denied(engine, found.of("may")))
            continue
        rows.append(Row(engine.name, engine.told if engine.containers else "no containers"))
        rows += some(in_order([one.row for one in engine.containers]), _SHOWN, "containers")
    used = {_tagged(one.image) for engine in known for one in engine.containers}
    if oldest := oldest_image(found.of("images"), used):
        rows.append(oldest)
    return Card("Containers", worst(tuple(each.status for each in rows)), _summary(known, rows), tuple(rows))


def _tagged(image: str) -> str:
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


def _summary(known: list[Engine], rows: list[Row]) -> str:
    wrong = [
        one for engine in known for one in engine.containers if one.row.status in (Status.WARN, Status.BAD)
    ]
    if wrong:
        return f"{count(len(wrong), 'container needs', 'containers need')} a look: {', '.join(one.name for one in wrong[:3])}."
    told = [f"{engine.told} ({engine.name})" for engine in known if engine.answered]
    if not told:
        return "Containers could not be asked for."
    old = any(each.label == "Oldest image" and each.status is Status.WARN for each in rows)
    return f"{'; '.join(told)}.{' An image is old.' if old else ''}"


def further(card: Card) -> tuple[Suggestion, ...]:
    """The logs of what is wrong. Each engine's row stands before its containers."""
    engine, found = "", []
    for each in card.rows:
        if each.label in ("docker", "podman"):
            engine = each.label
        elif engine and each.status in (Status.WARN, Status.BAD) and re.fullmatch(r"[\w.-]+", each.label):
            name = shlex.quote(each.label)
            found.append(Suggestion(f"$ {engine} logs --tail 50 {name}", f"Log of {each.label}"))
    return tuple(found[:2])


RECIPE = Recipe(
    name="containers",
    label="Containers",
    title="Which containers run",
    words=("containers", "container", "docker", "podman", "images", "compose", "unhealthy", "restarting"),
    probe={"may": _MAY, "containers": CONTAINERS, "images": _IMAGES},
    read=read,
    further=further,
)
