"""How a host is written, and which addresses the box dials."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox import net
from clawdbox.errors import Invalid

CANONICAL = {
    "nas": "nas",
    "NAS.Lan": "nas.lan",
    "nas.lan.": "nas.lan",
    "a_b.example": "a_b.example",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "bücher.example": "xn--bcher-kva.example",
    "BÜCHER.example": "xn--bcher-kva.example",
    "192.168.1.20": "192.168.1.20",
    "192.168.1.20.": "192.168.1.20",
    "127.0.0.1": "127.0.0.1",
    "::1": "::1",
    "[::1]": "::1",
    "0:0:0:0:0:0:0:1": "::1",
    "2001:DB8::0:1": "2001:db8::1",
    "127。0。0。1": "127.0.0.1",
    "①②⑦.0.0.①": "127.0.0.1",
    "ｌｏｃａｌｈｏｓｔ": "localhost",
    "1.2.3.4.example": "1.2.3.4.example",
    "a" * 63 + ".lan": "a" * 63 + ".lan",
}


@pytest.mark.parametrize("written", CANONICAL)
def test_a_host_has_one_form(written: str) -> None:
    assert net.canonical_host(written) == CANONICAL[written]


REFUSED = [
    "", " ", ".", "..", "[", "[]", "a b", " nas", "nas ", "nas\n", "na\ts", "nas\0", "nas\x1b[2J", "n\u200bas", "\u202enas",
    "-nas", "-oProxyCommand=id", "nas-", "a..b", "nas/", "user@nas", "nas:22", "nas;id", "$(id)", "nas'",
    "2130706433", "0x7f000001", "0x7f.1", "0x7f.0.0.1", "0X7F.1", "127.1", "127.0.1", "0", "0x", "017700000001",
    "0177.0.0.1", "127.0.0.01", "127.0.0.256", "127.0.0.1.2", "1.2.3.4.5", "example.123", "example.0x7f",
    "０x7f000001", "127。1", "２１３０７０６４３３",
    "fe80::1%eth0", "::1%lo", "[fe80::1%1]", ":::", "1:2", "::ffff:127.1", "[::1", "[::1]:22", "gggg::1",
    "a" * 64, "a" * 64 + ".lan", ".".join(["a" * 60] * 5), ".".join(["ü" * 30] * 8), "ü" * 64, "a..ü",
]  # fmt: skip


@pytest.mark.parametrize("written", REFUSED)
def test_what_is_no_host_is_refused_and_the_field_named(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        net.canonical_host(written, "somewhere")
    assert refused.value.field == "somewhere"


@given(st.text(max_size=30))
def test_a_canonical_host_is_ascii_stays_itself_and_hides_no_address(text: str) -> None:
    try:
        host = net.canonical_host(text)
    except Invalid:
        return
    assert host.isascii()
    assert host == net.canonical_host(host)
    assert not host.startswith("-")
    try:
        address = socket.inet_aton(host)  # reads what a resolver reads: 127.1, 0x7f000001, …
    except (OSError, UnicodeError):
        return
    assert host == str(ipaddress.IPv4Address(address))


@given(st.ip_addresses())
def test_every_address_is_a_host_in_its_own_form(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert net.canonical_host(str(address)) == str(address)


# address → (refused as it is, refused when the owner allows loopback)
VERDICTS = {
    "127.0.0.1": (True, False),
    "127.255.255.254": (True, False),
    "::1": (True, False),
    "::ffff:127.0.0.1": (True, False),
    "::ffff:7f00:1": (True, False),
    "64:ff9b::7f00:1": (True, False),
    "2002:7f00:1::": (True, False),
    "0.0.0.0": (True, True),
    "::": (True, True),
    "::ffff:0.0.0.0": (True, True),
    "64:ff9b::": (True, True),
    "169.254.169.254": (True, True),
    "::ffff:169.254.169.254": (True, True),
    "64:ff9b::a9fe:a9fe": (True, True),
    "fe80::1": (True, True),
    "fe80::1%eth0": (True, True),
    "224.0.0.1": (True, True),
    "ff02::1": (True, True),
    "255.255.255.255": (True, True),
    "10.0.0.1": (False, False),
    "172.16.0.1": (False, False),
    "192.168.1.20": (False, False),
    "100.64.0.1": (False, False),
    "fd00::1": (False, False),
    "203.0.113.7": (False, False),
    "64:ff9b::cb00:7107": (False, False),
    "2001:db8::1": (False, False),
}


@pytest.mark.parametrize("address", VERDICTS)
def test_which_addresses_are_dialled(address: str) -> None:
    refused, even_allowed = VERDICTS[address]
    assert bool(net.ssh_address_verdict(address, 22, None, False)) == refused
    assert bool(net.ssh_address_verdict(address, 22, None, True)) == even_allowed


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "::1"])
def test_a_saved_loopback_name_is_judged_like_its_address(host: str) -> None:
    assert net.host_verdict(host, 22, None, False)
    assert net.host_verdict(host, 22, None, True) is None


def test_other_names_are_judged_when_they_are_dialled() -> None:
    assert net.host_verdict("nas.lan", 22, 8022, False) is None
    assert net.host_verdict("notlocalhost", 22, 8022, False) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::ffff:127.0.0.1"])
def test_the_box_s_own_port_is_refused_even_when_loopback_is_allowed(address: str) -> None:
    assert net.ssh_address_verdict(address, 8022, 8022, True)
    assert net.ssh_address_verdict(address, 8023, 8022, True) is None


def test_an_own_address_beyond_loopback_is_refused_with_the_own_port_only() -> None:
    own = net.lan_address()
    if own is None:
        pytest.skip("this machine has no address but loopback")
    assert net.is_own_address(own)
    assert net.ssh_address_verdict(own, 8022, 8022, False)
    assert net.ssh_address_verdict(own, 22, 8022, False) is None


def test_an_address_of_nobody_here_is_not_ours() -> None:
    assert not net.is_own_address("203.0.113.7")
    assert not net.is_own_address("2001:db8::1")


@pytest.mark.parametrize(
    "address,encrypted,refused",
    [
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("192.168.1.20", False, False),
        ("fd00::1", False, False),
        ("100.64.0.1", False, False),
        ("93.184.216.34", True, False),
        ("93.184.216.34", False, True),
        ("2606:4700::1", False, True),
        ("::ffff:93.184.216.34", False, True),
        ("169.254.169.254", True, True),
        ("::ffff:169.254.169.254", True, True),
        ("64:ff9b::a9fe:a9fe", True, True),
        ("fe80::1", True, True),
        ("fd00:ec2::254", True, True),
        ("100.100.100.200", True, True),
        ("0.0.0.0", True, True),
        ("224.0.0.1", True, True),
    ],
)
def test_where_a_model_is_asked(address: str, encrypted: bool, refused: bool) -> None:
    assert bool(net.model_address_verdict(address, 443, 8022, encrypted=encrypted)) == refused
    host = f"[{address}]" if ":" in address else address
    assert bool(net.model_host_verdict(net.canonical_host(host), 443, 8022, encrypted=encrypted)) == refused


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "a.localhost", "::ffff:127.0.0.1"])
def test_the_box_is_no_model(host: str) -> None:
    assert net.model_host_verdict(host, 8022, 8022, encrypted=False)
    assert net.model_host_verdict(host, 11434, 8022, encrypted=False) is None


def test_a_name_is_judged_only_once_it_is_looked_up() -> None:
    assert net.model_host_verdict("metadata.google.internal", 80, None, encrypted=False) is None
