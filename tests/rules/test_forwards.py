"""Which port of the box an app gets, which targets may be named, and what a server says that it listens on."""

import pytest

from clawdbox.errors import Invalid
from clawdbox.ssh.model.forwards import PortUse
from clawdbox.ssh.rules.forwards import target_host, web_ports
from clawdbox.ssh.rules.listening import parse

MINE = PortUse(0, "c1", "localhost", 3000)


@pytest.mark.parametrize(
    "uses, busy, wanted",
    [
        ([], set(), [(1, False), (2, False), (3, False)]),
        ([PortUse(2, "c1", "localhost", 3000)], set(), [(2, False), (1, False), (3, False)]),
        ([PortUse(2, "c1", "localhost", 3000)], {2}, [(1, False), (3, False)]),
        (
            [PortUse(3, "c2", "localhost", 3000), PortUse(1, "c1", "localhost", 80)],
            set(),
            [(2, False), (3, True), (1, True)],
        ),
        ([PortUse(9, "c1", "localhost", 3000)], {1, 2, 3}, []),
    ],
)
def test_the_old_port_comes_first_then_fresh_ones_then_the_longest_left(
    uses: list[PortUse], busy: set[int], wanted: list[tuple[int, bool]]
) -> None:
    assert web_ports(range(1, 4), busy, uses, MINE) == wanted


@pytest.mark.parametrize(
    "text, name",
    [(" LocalHost. ", "localhost"), ("[::1]", "::1"), ("10.0.0.7", "10.0.0.7"), ("db_1", "db_1")],
)
def test_a_target_has_one_spelling(text: str, name: str) -> None:
    assert target_host(text) == name


@pytest.mark.parametrize("text", ["", "a b", "-x", "a..b", "http://a", "a" * 300, "a\x00"])
def test_what_is_no_name_is_no_target(text: str) -> None:
    with pytest.raises(Invalid):
        target_host(text)


def test_sockets_are_read_as_ss_and_as_the_kernel_print_them() -> None:
    said = (
        'LISTEN 0 511 127.0.0.1:3000 0.0.0.0:* users:(("node",pid=7,fd=20))\n'
        "LISTEN 0 128 *:22 *:*\nLISTEN 0 128 [::1]:3000 [::]:*\nLISTEN 0 5 192.168.1.5%eth0:8080 0.0.0.0:*\n"
        "   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
        "   1: 0100007F:1F92 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
        "LISTEN nonsense\nLISTEN 0 1 127.0.0.1:99999 x\n\x1b[31mnoise\n"
    )
    assert [(one.port, one.host, one.process, one.public) for one in parse(said)] == [
        (22, "localhost", None, True),
        (3000, "localhost", "node", False),
        (8080, "192.168.1.5", None, True),
        (8081, "localhost", None, False),
    ]
