"""The worst of everything on one card."""

from clawdbox.agents.runtimes.port import Row, Status
from clawdbox.agents.runtimes.runbook import diagnose
from clawdbox.agents.runtimes.runbook.recipe import sections
from tests.rules import test_runbook_backups as backups
from tests.rules import test_runbook_certificates as certificates
from tests.rules import test_runbook_containers as containers
from tests.rules import test_runbook_health as health
from tests.rules import test_runbook_logs as logs


def answer(**parts: list[str]) -> str:
    well = dict(sections(health.DEBIAN).lines)
    merged = {name: parts.get(name, well.get(name, [])) for name in diagnose.RECIPE.probe}
    return "".join("\n".join([f"@@{name}", *lines, ""]) for name, lines in merged.items()) + "@@end\n"


def test_the_worst_comes_first_and_leads_to_what_says_more() -> None:
    text = answer(
        kernel=sections(logs.UBUNTU).of("kernel"),
        certificates=sections(certificates.DEBIAN).of("files"),
        backups=sections(backups.DEBIAN).of("timers"),
        containers=sections(containers.DEBIAN_IN_TROUBLE).of("containers"),
        reboot=["kernel:6.1.0-18-amd64", "required"],
    )
    card = diagnose.read(sections(text))
    assert (card.status, card.summary) == (Status.BAD, "6 things need you, the worst first.")
    assert [row.label for row in card.rows] == [
        "Out of memory", "Disk errors", "Disk errors", "Containers", "Certificates", "Backups", "Reboot", "Fine",
    ]  # fmt: skip
    assert card.rows[-1] == Row("Fine", "Load, Memory, /, Services", Status.OK)
    assert [item.text for item in diagnose.further(card)] == [
        "logs", "containers", "certificates", "backups", "updates",
    ]  # fmt: skip


def test_a_server_that_is_well_says_so_and_offers_what_was_not_looked_at() -> None:
    card = diagnose.read(sections(answer()))
    assert (card.status, card.summary) == (Status.OK, "Nothing is wrong here.")
    assert [row.label for row in card.rows] == ["Fine"]
    assert [item.text for item in diagnose.further(card)] == ["logs", "updates"]


def test_a_full_disk_leads_to_the_disk() -> None:
    full = ["/dev/sda1 40453048 39500000 300000 99% /"]
    card = diagnose.read(sections(answer(disk=full)))
    assert card.rows[0].label == "/"
    assert diagnose.further(card)[0].text == "disk"


def test_what_could_not_be_read_is_unknown_and_not_well() -> None:
    card = diagnose.read(sections("@@load\n@@end\n"))
    assert card.summary == "Nothing is wrong in what could be read."
    assert card.rows == (Row("Unknown", "load, memory, disk, services, reboot"),)
    assert card.status is Status.INFO
