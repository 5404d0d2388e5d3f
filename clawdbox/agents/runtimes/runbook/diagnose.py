"""What is wrong here? The worst of everything on one card, and which recipe says more about it."""

from clawdbox.agents.runtimes.port import Card, Row, Status, Suggestion
from clawdbox.agents.runtimes.runbook import (
    backups,
    certificates,
    containers,
    disk,
    health,
    logs,
    memory,
    services,
    updates,
)
from clawdbox.agents.runtimes.runbook.recipe import Recipe, Sections, count, in_order, worst

# What may hang comes last, and the rest is told all the same.
_PROBE = {
    "load": health.LOAD,
    "cpus": health.CPUS,
    "memory": memory.MEMORY,
    "services": services.SERVICES,
    "reboot": updates.REBOOT,
    "kernel": logs.KERNEL,
    "certificates": certificates.FILES,
    "backups": backups.TIMERS,
    "disk": disk.DF,
    "inodes": "df -P -i",
    "containers": containers.CONTAINERS,
}
# label of a row → the recipe that says more
_MORE: dict[str, Recipe] = {
    "Memory": memory.RECIPE,
    "Swap": memory.RECIPE,
    "Services": services.RECIPE,
    "Reboot": updates.RECIPE,
    "Out of memory": logs.RECIPE,
    "Disk errors": logs.RECIPE,
    "Certificates": certificates.RECIPE,
    "Backups": backups.RECIPE,
    "Containers": containers.RECIPE,
}


def everything(found: Sections) -> list[Row]:
    whole = (
        containers.row(found.of("containers")),
        certificates.row(found.of("certificates")),
        backups.row(found.of("backups")),
    )
    return [
        health.load_row(found.of("load"), found.of("cpus")),
        *memory.rows(found.of("memory")),
        *health.disk_rows(found),
        services.row(found.of("services")),
        *logs.kernel_rows(found.of("kernel")),
        *(each for each in whole if each),
        updates.reboot_row(found.of("reboot")),
    ]


def read(found: Sections) -> Card:
    rows = everything(found)
    wrong = [each for each in in_order(rows) if each.status in (Status.WARN, Status.BAD)]
    missing = [each.label.lower() for each in rows if each.value.startswith("unknown")]
    fine = [each.label for each in rows if each.status is Status.OK]
    told = [*wrong]
    if fine:
        told.append(Row("Fine", ", ".join(dict.fromkeys(fine)), Status.OK))
    if missing:
        told.append(Row("Unknown", ", ".join(dict.fromkeys(missing))))
    return Card(
        "Diagnosis", worst(tuple(each.status for each in told)), _summary(wrong, missing), tuple(told)
    )


def _summary(wrong: list[Row], missing: list[str]) -> str:
    bad = sum(each.status is Status.BAD for each in wrong)
    if bad:
        return f"{count(bad, 'thing needs', 'things need')} you, the worst first."
    if wrong:
        return f"Nothing is broken; {count(len(wrong), 'thing')} to look at."
    return "Nothing is wrong in what could be read." if missing else "Nothing is wrong here."


def further(card: Card) -> tuple[Suggestion, ...]:
    """What says more about it; with nothing wrong, what this did not look at."""
    wrong = [each for each in card.rows if each.status in (Status.WARN, Status.BAD)]
    recipes = [disk.RECIPE if each.label.startswith("/") else _MORE.get(each.label) for each in wrong]
    found = [recipe for recipe in recipes if recipe] or [logs.RECIPE, updates.RECIPE]
    return tuple(dict.fromkeys(Suggestion(recipe.name, recipe.label) for recipe in found))


RECIPE = Recipe(
    name="diagnose",
    label="Diagnose",
    title="What is wrong here",
    words=(
        "diagnose",
        "diagnosis",
        "what is wrong",
        "whats wrong",
        "what s wrong",
        "wrong",
        "problem",
        "problems",
        "trouble",
        "worst",
    ),
    probe=_PROBE,
    read=read,
    further=further,
    timeout_s=60.0,
)
