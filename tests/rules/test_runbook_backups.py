"""How old the newest backup is, read from systemd, ZFS, Proxmox and what tools leave behind."""

import pytest

from clawdbox.agents.runtimes.port import Row, Status
from clawdbox.agents.runtimes.runbook import backups
from clawdbox.agents.runtimes.runbook.recipe import sections

NOW = 1_795_867_200
HOUR = 3600
DEBIAN = f"""\
@@timers
now 2026-11-28 13:00:00
{NOW}
timer restic-backup.timer
LastTriggerUSec=Sat 2026-11-28 03:00:01 CET
Result=success
ExecMainStatus=0
ExecMainExitTimestamp=Sat 2026-11-28 03:12:09 CET
ActiveState=inactive
timer borgmatic.timer
LastTriggerUSec=Fri 2026-11-27 01:00:01 CET
Result=exit-code
ExecMainStatus=2
ExecMainExitTimestamp=Fri 2026-11-27 01:00:40 CET
ActiveState=failed
timer new-backup.timer
LastTriggerUSec=
Result=success
ExecMainStatus=0
ExecMainExitTimestamp=
ActiveState=inactive
timer slow-backup.timer
LastTriggerUSec=Sat 2026-11-28 12:00:00 CET
Result=success
ExecMainStatus=0
ExecMainExitTimestamp=
ActiveState=activating
@@left
{NOW - 10 * HOUR} restic
{NOW - 300 * HOUR} rsnapshot
@@zfs
{NOW - HOUR}\ttank/data@auto-2
{NOW - 30 * HOUR}\ttank@auto-1
{NOW - 60 * HOUR}\tslow@x
@@proxmox
@@found
tool restic
tool zfs
cron:/etc/cron.d/zfsutils-linux
@@end
"""
PROXMOX = f"""\
@@timers
now 2026-11-28 12:00:00
{NOW}
@@left
@@zfs
@@proxmox
UPID:pve:0002B4C1:0F4A2B11:{NOW - 40 * HOUR:08X}:vzdump:100:root@pam: {NOW - 39 * HOUR:08X} OK
UPID:pve:0002B4C1:0F4A2B11:{NOW - 12 * HOUR:08X}:vzdump:100:root@pam: {NOW - 11 * HOUR:08X} OK
UPID:pve:0002B4C9:0F4A2B11:{NOW - 12 * HOUR:08X}:vzdump:101:root@pam: {NOW - 10 * HOUR:08X} command 'vma create' failed: no space left
UPID:pve:0002B4D9:0F4A2B11:{NOW - 12 * HOUR:08X}:vzdump::root@pam: {NOW - 10 * HOUR:08X} WARNINGS: 1
@@found
tool vzdump
@@end
"""
NOTHING = f"@@timers\nnow 2026-11-28 12:00:00\n{NOW}\n@@left\n@@zfs\n@@proxmox\n@@found\n"


def test_what_failed_or_is_old_comes_first() -> None:
    card = backups.read(sections(DEBIAN))
    assert (card.status, card.summary) == (Status.BAD, "borgmatic.timer failed the last time.")
    assert card.rows == (
        Row("borgmatic.timer", "failed, 35 h ago: exit-code, exit 2", Status.BAD),
        Row("rsnapshot", "12 days ago", Status.BAD),
        Row("new-backup.timer", "has not run yet, as far as is known", Status.WARN),
        Row("snapshot of slow", "60 h ago", Status.WARN),
        Row("restic-backup.timer", "9 h ago", Status.OK),
        Row("slow-backup.timer", "60 min ago", Status.OK),
        Row("restic", "10 h ago", Status.OK),
        Row("snapshot of tank", "60 min ago", Status.OK),
        Row("Planned by cron", "/etc/cron.d/zfsutils-linux"),
        Row("Installed", "restic, zfs"),
    )
    assert [item.text for item in backups.further(card)] == ["$ journalctl -u borgmatic -n 50 --no-pager"]


def test_of_proxmox_the_last_task_of_each_guest_counts() -> None:
    card = backups.read(sections(PROXMOX))
    assert card.rows[:3] == (
        Row("vzdump 101", "failed, 10 h ago: command 'vma create' failed: no space left", Status.BAD),
        Row("vzdump", "10 h ago", Status.OK),
        Row("vzdump 100", "11 h ago", Status.OK),
    )


@pytest.mark.parametrize(
    "text, status, summary",
    [
        (f"{NOTHING}@@end\n", Status.WARN, "No sign of a backup was found here."),
        (
            f"{NOTHING}cron:/etc/cron.daily/backup\n@@end\n",
            Status.INFO,
            "Planned by cron; whether it works does not show here.",
        ),
        ("@@end\n", Status.INFO, "Backups could not be looked for."),
    ],
    ids=["none", "cron", "nothing"],
)
def test_the_card_without_a_trace(text: str, status: Status, summary: str) -> None:
    card = backups.read(sections(text))
    assert (card.status, card.summary) == (status, summary)


def test_all_timers_in_one_row() -> None:
    lines = sections(DEBIAN).of("timers")
    assert backups.row(lines) == Row(
        "Backups", "borgmatic.timer: failed, 35 h ago: exit-code, exit 2", Status.BAD
    )
    assert backups.row(["now 2026-11-28 13:00:00", str(NOW)]) is None
