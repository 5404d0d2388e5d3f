"""Which updates wait, read from what package managers print."""

import pytest

from clawdbox.agents.runtimes.port import Status
from clawdbox.agents.runtimes.runbook import updates
from clawdbox.agents.runtimes.runbook.recipe import Sections
from clawdbox.agents.runtimes.runbook.updates import Package

APT = """\
manager apt
Listing...
libssl3/jammy-updates,jammy-security 3.0.2-0ubuntu1.15 amd64 [upgradable from: 3.0.2-0ubuntu1.12]
openssl/bookworm-security 3.0.11-1~deb12u2 amd64 [upgradable from: 3.0.11-1~deb12u1]
tzdata/jammy-updates 2024a-0ubuntu0.22.04 all [upgradable from: 2023c-0ubuntu0.22.04]
exit 0
"""
DNF = """\
manager dnf

kernel.x86_64                 6.6.9-200.fc39            updates
vim-minimal.x86_64            2:9.1.016-1.fc39          updates
python3-pip.noarch            23.2.1-2.fc39             updates
Obsoleting Packages
grub2-tools.x86_64            1:2.06-116.fc39           updates
    grub2-tools.x86_64        1:2.06-110.fc39           @updates
exit 100
"""
DNF_NONE = "manager dnf\nexit 0\n"
DNF_NO_NET = "manager dnf\nexit 1\n"
APK = """\
manager apk
Installed:                                Available:
busybox-1.36.1-r15                      < 1.36.1-r19
alpine-baselayout-data-3.4.3-r2         < 3.4.3-r3
exit 0
"""
PACMAN = """\
manager pacman
linux 6.6.8.arch1-1 -> 6.7.0.arch1-1
firefox 121.0-1 -> 121.0.1-1 [ignored]
exit 0
"""
PACMAN_NONE = "manager pacman\nexit 1\n"
CHECKUPDATES_NONE = "manager checkupdates\nexit 2\n"
CHECKUPDATES_FAILED = "manager checkupdates\nexit 1\n"
ZYPPER = """\
manager zypper
Loading repository data...
Reading installed packages...
S | Repository             | Name   | Current Version | Available Version | Arch
--+------------------------+--------+-----------------+-------------------+-------
v | Update repository      | curl   | 8.0.1-1.1       | 8.0.1-1.2         | x86_64
exit 0
"""
OPKG = "manager opkg\nbase-files - 1440-r16554 - 1441-r16847\nexit 0\n"
BREW = "manager brew\nopenssl@3 (3.2.0) < 3.2.1\nnode (20.1.0, 21.0.0) != 21.1.0\nexit 0\n"
MACOS = """\
manager softwareupdate
Software Update Tool

* Label: macOS Sonoma 14.3-23D56
\tTitle: macOS Sonoma 14.3, Version: 14.3, Size: 1000KiB, Recommended: YES
exit 0
"""


@pytest.mark.parametrize(
    "text, packages",
    [
        (
            APT,
            [
                Package("libssl3", "3.0.2-0ubuntu1.12 → 3.0.2-0ubuntu1.15", True),
                Package("openssl", "3.0.11-1~deb12u1 → 3.0.11-1~deb12u2", True),
                Package("tzdata", "2023c-0ubuntu0.22.04 → 2024a-0ubuntu0.22.04"),
            ],
        ),
        (
            DNF,
            [
                Package("kernel", "6.6.9-200.fc39"),
                Package("vim-minimal", "2:9.1.016-1.fc39"),
                Package("python3-pip", "23.2.1-2.fc39"),
            ],
        ),
        (
            APK,
            [
                Package("busybox", "1.36.1-r15 → 1.36.1-r19"),
                Package("alpine-baselayout-data", "3.4.3-r2 → 3.4.3-r3"),
            ],
        ),
        (
            PACMAN,
            [
                Package("linux", "6.6.8.arch1-1 → 6.7.0.arch1-1"),
                Package("firefox", "121.0-1 → 121.0.1-1"),
            ],
        ),
        (ZYPPER, [Package("curl", "8.0.1-1.1 → 8.0.1-1.2")]),
        (OPKG, [Package("base-files", "1440-r16554 → 1441-r16847")]),
        (
            BREW,
            [
                Package("openssl@3", "3.2.0 → 3.2.1"),
                Package("node", "20.1.0, 21.0.0 → 21.1.0"),
            ],
        ),
        (MACOS, [Package("macOS Sonoma 14.3", "23D56")]),
    ],
    ids=["apt", "dnf", "apk", "pacman", "zypper", "opkg", "brew", "macos"],
)
def test_packages(text: str, packages: list[Package]) -> None:
    found = updates.updates(text.splitlines())
    assert found is not None
    assert found.packages == packages
    assert found.told


@pytest.mark.parametrize(
    "text, told",
    [(DNF_NONE, True), (DNF_NO_NET, False), (PACMAN_NONE, True), (CHECKUPDATES_NONE, True), (CHECKUPDATES_FAILED, False),
     ("manager apt\nListing...\n", False)],
)  # fmt: skip
def test_no_updates_and_no_answer_are_told_apart(text: str, told: bool) -> None:
    found = updates.updates(text.splitlines())
    assert found is not None
    assert (found.packages, found.told) == ([], told)


@pytest.mark.parametrize(
    "text, status, part",
    [
        ("required\npackage:linux-image-6.1.0-18-amd64\npackage:linux-base\nkernel:6.1.0-17-amd64", Status.WARN, "linux-base"),
        ("kernel:6.7.0-arch1\nmodules-gone", Status.WARN, "modules of the running kernel 6.7.0-arch1 are gone"),
        (
            "kernel:6.6.8-200.fc39.x86_64\nkernel-core-6.6.9-200.fc39.x86_64   Mon 01 Jan 2024 10:00:00",
            Status.WARN,
            "required, to run kernel-core-6.6.9",
        ),
        ("kernel:6.6.9-200.fc39.x86_64\nkernel-core-6.6.9-200.fc39.x86_64  Mon", Status.OK, "no sign"),
        ("kernel:6.1\npackage kernel-core is not installed", Status.OK, "no sign"),
        ("", Status.INFO, "unknown"),
    ],
)  # fmt: skip
def test_whether_a_reboot_is_due(text: str, status: Status, part: str) -> None:
    row = updates.reboot_row(text.splitlines())
    assert row.status is status
    assert part in row.value


def _card(text: str, reboot: str = "kernel:6.1", age: str = "") -> tuple[Status, str, list[str]]:
    parts = {"updates": text, "reboot": reboot, "age": age}
    card = updates.read(Sections({name: part.splitlines() for name, part in parts.items()}, complete=True))
    return card.status, card.summary, [row.label for row in card.rows]


def test_security_comes_first() -> None:
    status, summary, labels = _card(APT, "required\nkernel:6.1")
    assert status is Status.WARN
    assert summary == "3 updates wait, 2 for security (apt). A reboot is due."
    assert labels == ["Updates", "Reboot", "libssl3", "openssl", "tzdata"]


def test_a_few_ordinary_updates_are_no_warning() -> None:
    assert _card(PACMAN)[:2] == (Status.INFO, "2 updates wait (pacman).")


def test_all_up_to_date() -> None:
    assert _card(DNF_NONE) == (Status.OK, "Everything is up to date (dnf).", ["Updates", "Reboot"])


def test_old_lists_are_no_all_clear() -> None:
    status, _, labels = _card("manager apt\nListing...\nexit 0", age="/var/lib/apt/lists")
    assert (status, "Lists" in labels) == (Status.WARN, True)


@pytest.mark.parametrize("text", ["", "manager none", DNF_NO_NET])
def test_without_an_answer_it_is_unknown(text: str) -> None:
    assert _card(text)[1] == "Which updates wait could not be read."
