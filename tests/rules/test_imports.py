"""What a pasted ssh_config and known_hosts become, as OpenSSH reads them, and what hostile ones do not do."""

import base64
import hashlib
import hmac
import random
import time
from typing import Any

import pytest

from clawdbox.errors import Conflict, Invalid
from clawdbox.ssh.model import Connection, ImportRow, MarkKind
from clawdbox.ssh.rules import imports, known_hosts, ssh_config
from tests.rules.test_connections import connection


def key_of(name: str, kind: str = "ssh-ed25519") -> str:
    blob = len(kind).to_bytes(4, "big") + kind.encode() + b"\0\0\0 " + hashlib.sha256(name.encode()).digest()
    return f"{kind} {base64.b64encode(blob).decode()}"


def print_of(line: str) -> str:
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def hashed(name: str) -> str:
    salt = hashlib.sha1(name.encode()).digest()
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def rows(
    config: str, known: str = "", existing: list[Connection] | None = None, **more: Any
) -> dict[str, ImportRow]:
    around = imports.Around(existing or [], more.get("user", "me"), 8022, more.get("loopback", False))
    planner = imports.Planner(ssh_config.parse(config), known_hosts.parse(known), around)
    return {row.name: row for row in planner.rows()}


def one(config: str, name: str = "nas", known: str = "", **more: Any) -> ImportRow:
    return rows(config, known, **more)[name]


# ssh_config


def test_a_plain_host() -> None:
    row = one("Host nas\n  HostName 192.168.1.20\n  Port 2222\n  User bob\n")
    assert (row.label, row.host, row.port, row.username) == ("nas", "192.168.1.20", 2222, "bob")
    assert (row.problem, row.jump, row.notes) == (None, None, ())


@pytest.mark.parametrize(
    "config, wanted",
    [
        ("Host nas\n User a\nHost *\n User b\n", "a"),
        ("Host *\n User b\nHost nas\n User a\n", "b"),
        ("User top\nHost nas\n User a\n", "top"),
        ("Host nas\n User a\n User b\n", "a"),
        ("Host n* !nas\n User b\nHost nas\n User a\n", "a"),
        ("Host ?as\n User b\nHost nas\n", "b"),
        ("host=nas\nuser=a\n", "a"),
        ('HOST "nas"\nUSER "a" # who\n', "a"),
        ("Host nas\n\tUser\ta\r\n", "a"),
        ("Match all\n User m\nHost nas\n User a\n", "m"),
        ("Host nas\n HostName nas.lan\nMatch host *.lan\n User m\n", "m"),
        ("Host nas\nMatch host other\n User m\n", "me"),
        ('Match exec "touch /tmp/x"\n User m\nHost nas\n User a\n', "a"),
        ("Match host nas exec true\n User m\nHost nas\n User a\n", "a"),
        ("Match user root\n User m\nHost nas\n User a\n", "a"),
        ("Match final\n User m\nHost nas\n", "me"),
    ],
)
def test_the_first_value_wins_as_in_openssh(config: str, wanted: str) -> None:
    assert one(config).username == wanted


def test_tokens_in_a_host_name() -> None:
    assert one("Host nas\n HostName %h.lan\n").host == "nas.lan"
    assert one("Host nas\n HostName %L.lan\n").problem is not None


def test_nothing_that_the_file_names_is_followed_and_every_omission_is_told() -> None:
    config = (
        "Include ~/.ssh/other\n"
        'Match exec "curl evil"\n  User x\n'
        "Host nas\n ProxyCommand nc %h %p\n LocalCommand touch /tmp/x\n KnownHostsCommand /bin/evil\n"
        " IdentityFile ~/.ssh/id_rsa\n StrictHostKeyChecking no\n ForwardAgent yes\n Compression yes\n"
    )
    row = one(config)
    notes = " ".join(row.notes)
    for keyword in (
        "LocalCommand",
        "KnownHostsCommand",
        "IdentityFile",
        "StrictHostKeyChecking",
        "Compression",
    ):
        assert keyword in notes
    assert "It was reached by a ProxyCommand" in notes
    assert "the box enters with its own key" in notes
    left_out = ssh_config.parse(config).notes
    assert left_out[0].startswith("Line 1: Include was left out")
    assert "Match exec was left out: commands are never run" in left_out[1]


def test_wildcards_are_no_rows() -> None:
    assert list(rows("Host * !x\n User a\nHost a b c?\nHost a\n")) == ["a", "b"]


@pytest.mark.parametrize(
    "config, words",
    [
        ("Host nas\n Port 99999\n", "port"),
        ("Host nas\n Port 22;id\n", "no port"),
        ("Host nas\n HostName -oProxyCommand=id\n", "host name"),
        ("Host nas\n HostName 127.0.0.1\n", "loopback"),
        ("Host nas\n HostName 169.254.169.254\n", "link-local"),
        ("Host nas\n HostName 2130706433\n", "usual form"),
        ("Host nas\n User -oProxyCommand=id\n", "Letters"),
        ("Host nas\n User $(id)\n", "Letters"),
        ("Host nas\n ProxyJump nas2,;id\n", "cannot be saved"),
        ("Host nas\n ProxyJump -oX@y:1:2\n", "cannot be understood"),
    ],
)
def test_a_row_that_cannot_be_saved_says_why(config: str, words: str) -> None:
    problem = one(config).problem
    assert problem is not None
    assert words in problem


def test_a_row_without_a_user_asks_for_one() -> None:
    problem = one("Host nas\n", user="").problem
    assert problem is not None
    assert "names no user" in problem


# jump hosts


def test_a_jump_host_that_has_its_own_entry_is_that_row() -> None:
    found = rows("Host nas\n ProxyJump bastion\nHost bastion\n HostName b.example.org\n")
    assert (found["nas"].jump, found["bastion"].jump) == ("bastion", None)
    assert list(found) == ["nas", "bastion"]


def test_a_jump_host_that_the_file_names_nowhere_else_becomes_a_row() -> None:
    found = rows("Host nas\n ProxyJump ann@b.example.org:2222\n")
    hop = found["ann@b.example.org:2222"]
    assert (hop.host, hop.port, hop.username, hop.implied) == ("b.example.org", 2222, "ann", True)
    assert found["nas"].jump == hop.name


def test_a_list_of_jump_hosts_becomes_a_chain() -> None:
    found = rows("Host nas\n ProxyJump a,ssh://u@b:2200\nHost a\n HostName a.lan\n")
    second = found["nas"].jump
    assert second == "ssh://u@b:2200 via a"
    assert found[second].jump == "a"
    assert found["a"].jump is None


def test_a_chain_does_not_change_the_way_to_a_host_that_has_its_own() -> None:
    found = rows("Host nas\n ProxyJump a,b\nHost a b\n User x\nHost c\n ProxyJump b\n")
    assert found["b"].jump is None
    assert found["c"].jump == "b"
    assert found["nas"].jump == "b via a"


def test_a_jump_host_for_all_hosts_is_none_for_itself() -> None:
    found = rows("Host nas bastion\n User x\nHost *\n ProxyJump bastion\n")
    assert (found["nas"].jump, found["bastion"].jump, found["bastion"].problem) == ("bastion", None, None)


def test_of_proxycommand_and_proxyjump_the_first_silences_the_other() -> None:
    assert one("Host nas\n ProxyJump b\n ProxyCommand nc x\n").jump == "b"
    assert one("Host nas\n ProxyCommand nc x\n ProxyJump b\n").jump is None
    assert one("Host nas\n ProxyJump none\nHost *\n ProxyJump b\n").jump is None


def test_rings_and_long_chains_are_told_and_cannot_be_chosen() -> None:
    found = rows("Host a\n ProxyJump b\nHost b\n ProxyJump c\nHost c\n ProxyJump a\n")
    assert all(row.problem and "leads back" in row.problem for row in found.values())
    with pytest.raises(Conflict):
        imports.with_jumps(list(found.values()), ["a"])
    chain = "".join(f"Host h{n}\n ProxyJump h{n + 1}\n" for n in range(12)) + "Host h12\n"
    found = rows(chain)
    assert found["h5"].problem is None
    problem = found["h0"].problem
    assert problem is not None
    assert "jump hosts" in problem


def test_loopback_behind_a_jump_host_may_be_meant() -> None:
    assert one("Host nas\n HostName localhost\n Port 2222\n ProxyJump b\n").problem is None


def test_chosen_rows_bring_their_jump_hosts_first() -> None:
    found = list(rows("Host nas\n ProxyJump a,b\nHost a b other\n").values())
    assert [row.name for row in imports.with_jumps(found, ["nas"])] == ["a", "b via a", "nas"]
    with pytest.raises(Conflict) as refused:
        imports.with_jumps(found, ["gone"])
    assert refused.value.code == "import_impossible"


# what is there already


def test_a_label_that_is_taken_gets_a_number_and_says_so() -> None:
    row = one("Host nas\n", existing=[connection(label="nas", host="elsewhere")])
    assert row.label == "nas (2)"
    assert "would be called “nas (2)”" in row.notes[0]


def test_a_server_that_is_saved_already_is_recognised() -> None:
    saved = connection(id="x", label="My NAS", host="nas.lan", username="me")
    row = one("Host nas\n HostName nas.lan\n", existing=[saved])
    assert (row.same_as, row.same_as_label) == ("x", "My NAS")
    found = list(rows("Host in\n ProxyJump nas\nHost nas\n HostName nas.lan\n", existing=[saved]).values())
    assert [row.name for row in imports.with_jumps(found, ["in"])] == ["in"], "what is there is not made anew"


# known_hosts


@pytest.mark.parametrize(
    "name, config",
    [
        ("nas.lan", "Host nas\n HostName nas.lan\n"),
        ("NAS.lan,10.0.0.7", "Host nas\n HostName nas.lan\n"),
        ("[nas.lan]:2222", "Host nas\n HostName nas.lan\n Port 2222\n"),
        ("*.lan,!old.lan", "Host nas\n HostName nas.lan\n"),
        ("real-name", "Host nas\n HostName nas.lan\n Port 2222\n HostKeyAlias real-name\n"),
        (hashed("nas.lan"), "Host nas\n HostName nas.lan\n"),
        (hashed("[nas.lan]:2222"), "Host nas\n HostName nas.lan\n Port 2222\n"),
    ],
)
def test_a_key_of_known_hosts_is_found(name: str, config: str) -> None:
    line = key_of("nas")
    row = one(config, known=f"# mine\n\n{name} {line} a comment\n")
    assert row.host_key is not None
    assert (row.host_key.fingerprint, row.host_key.type) == (print_of(line), "ssh-ed25519")


@pytest.mark.parametrize(
    "name",
    ["nas", "[nas.lan]:2222", "*.home", "*.lan,!nas.lan", hashed("nas"), "|1|bad|bad", "|1|", "@x nas.lan"],
)
def test_a_key_of_another_host_is_not(name: str) -> None:
    assert one("Host nas\n HostName nas.lan\n", known=f"{name} {key_of('nas')}\n").host_key is None


def test_the_preferred_of_several_keys_is_pinned() -> None:
    known = f"nas ssh-rsa {key_of('r', 'ssh-rsa').split()[1]}\nnas {key_of('e')}\n"
    row = one("Host nas\n", known=known)
    assert row.host_key is not None
    assert row.host_key.type == "ssh-ed25519"
    assert "known_hosts has 2 keys" in row.notes[0]


def test_marked_lines_are_told_apart_and_a_revoked_key_is_not_pinned() -> None:
    text = f"@cert-authority *.lan {key_of('ca')} Home CA\n@revoked * {key_of('bad')}\nnas {key_of('bad')}\n"
    known = known_hosts.parse(text)
    assert [(mark.kind, mark.patterns, mark.label) for mark in known.marks] == [
        (MarkKind.AUTHORITY, "*.lan", "Home CA"),
        (MarkKind.REVOKED, "*", "From known_hosts: *"),
    ]
    assert one("Host nas\n", known=text).host_key is None


# hostile texts


@pytest.mark.parametrize(
    "config",
    [
        "Host " + " ".join(f"h{n}" for n in range(501)),
        "\n" * 10_001,
        "Host x\n" * 2_001,
        "".join(f"Host {'*a' * 100}{n}\nHost {'a' * 200}{n}\n" for n in range(400)),
    ],
    ids=["hosts", "lines", "blocks", "patterns"],
)
def test_more_than_any_person_has_is_refused_quickly(config: str) -> None:
    begun = time.process_time()
    with pytest.raises(Invalid):
        rows(config)
    assert time.process_time() - begun < 5


def test_hashed_names_without_end_are_refused() -> None:
    known = known_hosts.parse(f"{hashed('x')} {key_of('x')}\n" * 5000)
    known_hosts.check_work(known, 50)
    with pytest.raises(Invalid):
        known_hosts.check_work(known, 500)


def test_the_largest_that_is_taken_is_read_in_seconds() -> None:
    config = "".join(
        f"Host host{n}\n HostName h{n}.lan\n ProxyJump host{n // 2 or 499}\n" for n in range(1, 499)
    )
    known = "".join(f"{hashed(f'h{n}.lan')} {key_of(str(n))}\n" for n in range(500))
    begun = time.process_time()
    assert len(rows(config + "Host host499\n", known)) == 499
    assert time.process_time() - begun < 20


def test_implied_jump_hosts_of_implied_jump_hosts_end() -> None:
    config = "Host start\n ProxyJump u@h0\n" + "".join(
        f"Host h{n}*\n ProxyJump u@h{n + 1}x\n" for n in range(300)
    )
    assert rows(config)["start"].problem is not None


@pytest.mark.parametrize("seed", range(60))
def test_noise_is_read_without_a_fault(seed: int) -> None:
    chance = random.Random(seed)
    pieces = [
        "Host ", "Match ", "exec ", "host ", "ProxyJump ", "HostName ", "User ", "Port ", "Include ", "\n", "\n", "\n",
        "a", "b", "*", "?", "!", ",", "=", '"', "'", "\\", "#", "%h", "%%", "@", ":", "[", "]", "ssh://", "22",
        "\x00", "\x1b[2J", "\u202e", "é", "\ud800", "|1|", "@revoked ", "@cert-authority ", key_of("k"), " ", "\t", "\r",
    ]  # fmt: skip
    text = "".join(chance.choices(pieces, k=400))
    for row in rows(text, text).values():
        assert row.label.isprintable()
        if row.problem is None:
            assert row.host.isascii()
            assert 1 <= row.port <= 65535
            assert not row.host.startswith("-")
            assert not row.username.startswith("-")


def test_wildcards_of_known_hosts_that_would_take_long_are_refused() -> None:
    pattern = "*" + "a" * 400 + "b"
    known = "\n".join(f"{','.join([pattern] * 20)} {key_of('k')}" for _ in range(50))
    config = f"Host *\n HostKeyAlias {'a' * 4000}\n" + "\n".join(f"Host h{i}" for i in range(400))
    with pytest.raises(Invalid) as caught:
        rows(config, known)
    assert caught.value.field == "known_hosts"


def test_a_host_name_that_grows_by_its_own_alias_is_cut() -> None:
    alias = "a" * 4000
    config = f"Host {alias}\n HostName {'%h' * 2000}\n"
    parsed = ssh_config.parse(config)
    assert len(ssh_config.resolve(parsed, alias).host) == 256
    assert rows(config)[alias].problem


def test_match_with_wildcards_is_counted_as_work_too() -> None:
    matches = "".join(f"Match host {'*a' * 50}{i}\n User u\n" for i in range(1000))
    with pytest.raises(Invalid):
        ssh_config.parse(matches + "\n".join(f"Host h{i}" for i in range(100)))
