"""Which authority speaks for which host, and what may be added."""

import time
from datetime import UTC, datetime

import pytest

from clawdbox.errors import Conflict, Invalid
from clawdbox.ssh.model import HostAuthority, MarkKind
from clawdbox.ssh.rules import host_authorities as rules
from clawdbox.ssh.rules import host_patterns

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGLxBoOtFuPVmnsOgnvkqW8b3Zz1wKKOWAWqiQI0iAXY"


def held(patterns: str, kind: MarkKind = MarkKind.AUTHORITY) -> HostAuthority:
    return HostAuthority("i", "a", kind, "CA", patterns, "ssh-ed25519", KEY, "SHA256:x", NOW)


@pytest.mark.parametrize(
    "pattern, text, wanted",
    [
        ("*", "", True),
        ("*", "anything", True),
        ("?", "", False),
        ("?", "a", True),
        ("nas", "nas", True),
        ("nas", "nas2", False),
        ("nas*", "nas2", True),
        ("*.lan", "nas.lan", True),
        ("*.lan", ".lan", True),
        ("*.lan", "nas.lan.evil", False),
        ("*.lan", "lan", False),
        ("a*b*c", "axxbyyc", True),
        ("a*b*c", "axxcyyb", False),
        ("192.168.?.*", "192.168.1.20", True),
        ("192.168.?.*", "192.168.10.20", False),
        ("[*]:2222", "[nas.lan]:2222", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_a_wildcard_means_what_it_means_in_openssh(pattern: str, text: str, wanted: bool) -> None:
    assert host_patterns.wildcard(pattern, text) is wanted


def test_no_pattern_takes_long() -> None:
    begun = time.process_time()
    assert not host_patterns.wildcard("*a" * 500 + "b", "a" * 1000)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "patterns, host, port, wanted",
    [
        ("*.lan", "nas.lan", 22, True),
        ("*.LAN", "NAS.lan", 22, True),
        ("*.lan,!old.lan", "old.lan", 22, False),
        ("!old.lan,*.lan", "old.lan", 22, False),
        ("!old.lan", "nas.lan", 22, False),
        ("nas.lan", "nas.lan", 2222, True),
        ("[nas.lan]:2222", "nas.lan", 2222, True),
        ("[nas.lan]:2222", "nas.lan", 22, False),
        ("[nas.lan]:2222", "nas.lan", 2223, False),
        ("nas.lan", "nas.lan.evil.example", 22, False),
    ],
)
def test_an_authority_speaks_for_the_hosts_of_its_patterns(
    patterns: str, host: str, port: int, wanted: bool
) -> None:
    assert bool(rules.trusted([held(patterns)], host, port)) is wanted
    assert bool(rules.revoked([held(patterns, MarkKind.REVOKED)], host, port)) is wanted
    assert rules.trusted([held(patterns, MarkKind.REVOKED)], host, port) == []


def test_a_line_of_known_hosts_is_taken_apart() -> None:
    made = rules.mark(MarkKind.AUTHORITY, "", "", f"@cert-authority *.lan,!x.lan {KEY} Home CA")
    assert (made.kind, made.patterns, made.label, made.public_key) == (
        MarkKind.AUTHORITY,
        "*.lan,!x.lan",
        "Home CA",
        KEY,
    )
    assert made.fingerprint.startswith("SHA256:")
    assert rules.mark(MarkKind.AUTHORITY, "", "", f"@revoked * {KEY}").kind is MarkKind.REVOKED
    assert rules.mark(MarkKind.AUTHORITY, "Mine", "NAS.lan  backup.lan", KEY).patterns == "nas.lan,backup.lan"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGLxBoOtFuPVmnsOgnvkqW8b3Zz1wKKOWAWqiQI0iAXY",
        "ssh-ed25519 not/base64!",
        f"ssh-ed25519 {'A' * 100_000}",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAA",
        "\x00 \x00",
        "ſsh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGLxBoOtFuPVmnsOgnvkqW8b3Zz1wKKOWAWqiQI0iAXY",
    ],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.mark(MarkKind.AUTHORITY, "x", "*.lan", text)
    assert refused.value.field == "public_key"


@pytest.mark.parametrize(
    "patterns", ["", " , ", "!nas.lan", "a b;c", "na\ns|x", "$(id)", "x" * 2000, "nas/lan"]
)
def test_what_is_no_list_of_hosts_is_refused(patterns: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.mark(MarkKind.AUTHORITY, "x", patterns, KEY)
    assert refused.value.field == "patterns"


def test_the_same_key_is_in_force_once_for_the_same_hosts() -> None:
    new = rules.mark(MarkKind.AUTHORITY, "x", "*.lan", KEY)
    there = HostAuthority("i", "a", new.kind, "y", new.patterns, new.key_type, KEY, new.fingerprint, NOW)
    with pytest.raises(Conflict, match="already"):
        rules.check_new(new, [there])
    rules.check_new(rules.mark(MarkKind.REVOKED, "x", "*.lan", KEY), [there])
    rules.check_new(rules.mark(MarkKind.AUTHORITY, "x", "*.home", KEY), [there])
    with pytest.raises(Conflict) as full:
        rules.check_new(new, [held(f"h{number}.lan") for number in range(rules.MAX_LIVING)])
    assert full.value.code == "authority_limit_reached"
