"""The pure decisions of the wire, as tables."""

import socket
import subprocess
from typing import Any

import pytest

from clawdbox.ssh.wire import tree
from clawdbox.ssh.wire.kexinit import nothing_in_common, offer
from clawdbox.ssh.wire.model import DialFailure, Target
from clawdbox.ssh.wire.quirks import quirks_of
from clawdbox.ssh.wire.tcp import permitted
from clawdbox.ssh.wire.text import one_line, plain
from clawdbox.ssh.wire.tree import Child

V4, V6 = socket.AF_INET, socket.AF_INET6


def judge(ip: str, port: int, own_port: int | None, allow_loopback: bool) -> str | None:
    return "no" if ip.startswith("bad") else None


def found(*ips: str) -> list[tuple[int, tuple[Any, ...]]]:
    return [(V6 if ":" in ip else V4, (ip, 22)) for ip in ips]


@pytest.mark.parametrize(
    "ips, dialled",
    [
        (["1"], ["1"]),
        (["a:", "b:", "1", "2"], ["a:", "1", "b:", "2"]),
        (["1", "2", "a:"], ["1", "a:", "2"]),
        (["bad1", "2", "bad:"], ["2"]),
        (["1", "1", "1"], ["1"]),
        ([str(n) for n in range(20)], [str(n) for n in range(8)]),
    ],
)
def test_only_permitted_addresses_are_dialled_and_the_families_take_turns(
    ips: list[str], dialled: list[str]
) -> None:
    target = Target("nas", 22, "me")
    assert [address[1][0] for address in permitted(found(*ips), target, judge)] == dialled


def test_a_host_with_refused_addresses_only_is_refused_with_every_reason() -> None:
    with pytest.raises(DialFailure) as caught:
        permitted(found("bad1", "bad2"), Target("nas", 22, "me"), judge)
    assert "bad1: no; bad2: no" in caught.value.message


def packet(*lists: str, kind: int = 20) -> bytes:
    payload = (
        bytes([kind]) + bytes(16) + b"".join(len(x).to_bytes(4, "big") + x.encode() for x in lists) + bytes(5)
    )
    return (len(payload) + 5).to_bytes(4, "big") + b"\4" + payload + bytes(4)


THEIRS = ("kex-a,ext-info-s", "host-a,host-b", "enc-a", "enc-b", "mac", "mac", "none", "none", "", "")


def test_a_servers_offer_is_read_from_its_first_packet() -> None:
    lists = offer(packet(*THEIRS) + b"more")
    assert lists is not None
    assert lists[:4] == [["kex-a", "ext-info-s"], ["host-a", "host-b"], ["enc-a"], ["enc-b"]]


@pytest.mark.parametrize(
    "raw",
    [b"", b"\0\0\0", packet(*THEIRS)[:60], packet(*THEIRS, kind=21), b"\xff" * 100, packet("a", "b")[:40]],
)
def test_what_is_no_offer_is_passed_over(raw: bytes) -> None:
    assert offer(raw) is None


@pytest.mark.parametrize(
    "ours, words",
    [
        ([["kex-a"], ["host-b"], ["enc-a", "enc-b"]], None),
        ([["kex-x", "ext-info-s"], ["host-b"], ["enc-a", "enc-b"]], "key exchange is kex-a"),
        ([["kex-a"], ["host-x"], ["enc-a", "enc-b"]], "host key type is host-a, host-b"),
        ([["kex-a"], ["host-a"], ["enc-a"]], "cipher is enc-b"),
    ],
)
def test_the_first_kind_of_algorithm_without_a_common_name_is_told(
    ours: list[list[str]], words: str | None
) -> None:
    said = nothing_in_common(offer(packet(*THEIRS)), ours)
    assert said is None if words is None else said is not None and words in said


SLEEP_A = Child(10, 10, 0, 100, "bash -c sleep 1; echo a")
SLEEP_B = Child(11, 11, 0, 101, "sleep 2")
TWIN_1 = Child(12, 12, 0, 102, "bash -c twin; x")
TWIN_2 = Child(13, 13, 0, 103, "bash -c twin; x")
SHELL = Child(14, 14, 34816, 99, "-bash")


@pytest.mark.parametrize(
    "children, running, mine, pid",
    [
        ([SLEEP_A], ["sleep 1; echo a"], 0, 10),
        ([SHELL, SLEEP_A, SLEEP_B], ["sleep 1; echo a", "sleep 2"], 1, 11),
        ([TWIN_1, TWIN_2], ["twin; x", "twin; x"], 1, 13),
        ([TWIN_1, SLEEP_A, TWIN_2], ["twin; x", "sleep 1; echo a", "twin; x"], 2, 13),
        ([Child(20, 20, 0, 1, "quoted oddly")], ["'quoted' oddly"], 0, 20),
        # one has just ended, or a stray child is there: what cannot be told apart is left alone
        ([TWIN_1], ["twin; x", "twin; x"], 0, None),
        ([Child(20, 20, 0, 1, "x"), Child(21, 21, 0, 2, "y")], ["'z'"], 0, None),
        ([SHELL], ["sleep 2"], 0, None),
        ([], ["sleep 2"], 0, None),
    ],
)
def test_the_process_of_a_command_is_found_or_left_alone(
    children: list[Child], running: list[str], mine: int, pid: int | None
) -> None:
    child = tree.find(children, running, mine)
    assert (child.pid if child else None) == pid


def test_the_answer_is_read_past_what_rc_files_say() -> None:
    raw = b"Welcome!\nclawdbox-child 12 12 0 500 bash -c a b\nclawdbox-child x\nclawdbox-child 9 9 0 400 sleep 1 \n"
    assert tree.children(raw) == [Child(9, 9, 0, 400, "sleep 1"), Child(12, 12, 0, 500, "bash -c a b")]


def test_the_question_can_be_put_through_any_login_shell() -> None:
    inner = tree.ASK.removeprefix("exec sh -c '").removesuffix("'")
    assert not set(inner) & set("'!\n")
    answer = subprocess.run(["sh", "-c", tree.ASK], capture_output=True, check=False)
    assert answer.stderr == b""


def test_a_group_is_killed_only_by_its_leader() -> None:
    assert tree.kill_command(Child(5, 5, 0, 1, ""), "TERM") == "exec sh -c 'kill -s TERM -- -5'"
    alone = tree.kill_command(Child(5, 4, 0, 1, ""), "KILL")
    assert alone.startswith('exec sh -c \'l=" 5 ";')
    assert alone.endswith("kill -s KILL $l'")


@pytest.mark.parametrize(
    "version, fragile, shell_alone",
    [
        ("SSH-2.0-OpenSSH_9.2p1", False, False),
        ("SSH-2.0-dropbear_2020.81", False, True),
        ("SSH-2.0-dropbear_2022.82", True, True),
        ("SSH-2.0-dropbear_2024.85", True, True),
        ("SSH-2.0-dropbear_2024.86", False, True),
        ("SSH-2.0-dropbear", True, True),
        ("SSH-2.0-not_dropbear_2022.83", False, False),
    ],
)
def test_what_a_server_cannot_do_is_read_from_its_version(
    version: str, fragile: bool, shell_alone: bool
) -> None:
    found = quirks_of(version)
    assert (found.one_at_a_time, found.signals_shell_alone) == (fragile, shell_alone)


@pytest.mark.parametrize(
    "raw, shown",
    [
        (b"plain\r\ntext\t!", "plain\ntext\t!"),
        (b"\x1b[31mred\x1b[0m\x07", "[31mred[0m"),
        ("a\u202eb\u200bc", "abc"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 1000, "x" * 20),
    ],
)
def test_text_of_a_server_loses_what_could_deceive(raw: bytes | str, shown: str) -> None:
    assert plain(raw, 20) == shown
    assert "\n" not in one_line(raw)


@pytest.mark.parametrize("number", ["9" * 5000, "\u0663", "-1", ""])
def test_a_number_that_no_kernel_prints_is_passed_over(number: str) -> None:
    raw = f"clawdbox-child {number} 12 0 500 sleep 1\nclawdbox-child 9 9 0 400 sleep 1\n"
    assert tree.children(raw.encode()) == [Child(9, 9, 0, 400, "sleep 1")]
