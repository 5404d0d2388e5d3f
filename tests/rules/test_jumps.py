"""Which chains of jump hosts may be saved, and what a failure at one of them is called."""

from datetime import UTC, datetime

import msgspec
import pytest

from clawdbox import net
from clawdbox.errors import Conflict, Invalid
from clawdbox.ssh.rules import connections, jumps
from tests.rules.test_connections import DRAFT, PINNED, connection

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CHAIN: dict[str, str | None] = {"a": None, "b": "a", "c": "b", "alone": None}
LONG: dict[str, str | None] = {
    "0": None,
    **{str(number): str(number - 1) for number in range(1, jumps.MAX_HOPS + 1)},
}


def refusal(saved: jumps.Jumps, one: str, jump: str | None) -> str | None:
    try:
        jumps.check_jump(saved, one, jump)
    except Conflict as problem:
        return problem.code if problem.detail == {"field": "jump_connection_id"} else None
    return None


@pytest.mark.parametrize(
    "one, jump, code",
    [
        ("alone", None, None),
        ("alone", "c", None),
        ("c", "a", None),
        ("a", "alone", None),
        ("a", "a", "jump_cycle"),
        ("a", "b", "jump_cycle"),
        ("a", "c", "jump_cycle"),
        ("b", "c", "jump_cycle"),
        ("new", "c", None),
    ],
)
def test_a_way_never_leads_back_to_the_server_itself(one: str, jump: str | None, code: str | None) -> None:
    assert refusal(CHAIN, one, jump) == code


def test_a_way_has_at_most_eight_jump_hosts() -> None:
    last = str(jumps.MAX_HOPS)
    assert len(jumps.hops(LONG, LONG[last])) == jumps.MAX_HOPS
    assert refusal(LONG, "new", last) == "jump_too_long"
    assert refusal(LONG, "new", str(jumps.MAX_HOPS - 1)) is None


def test_a_change_near_the_box_counts_what_already_stands_behind_it() -> None:
    assert refusal({**LONG, "front": None}, "0", "front") == "jump_too_long"
    assert refusal({**LONG, "front": None}, "1", "front") is None


def test_a_cycle_that_is_somehow_saved_is_refused_and_never_followed_for_ever() -> None:
    ring: dict[str, str | None] = {"a": "b", "b": "c", "c": "a", "x": "a"}
    assert refusal(ring, "new", "a") == "jump_cycle"
    with pytest.raises(Conflict, match="leads back"):
        jumps.hops(ring, ring["x"])
    assert jumps.reached_through(ring, "a") == {"a", "b", "c", "x"}


def test_what_is_reached_through_a_jump_host_is_found_at_any_depth() -> None:
    assert jumps.reached_through(CHAIN, "a") == {"b", "c"}
    assert jumps.reached_through(CHAIN, "c") == set()


def test_a_jump_host_in_use_is_not_removed_and_the_refusal_names_who_uses_it() -> None:
    jumps.check_removal(PINNED, [])
    with pytest.raises(Conflict) as refused:
        jumps.check_removal(connection(label="Bastion"), [connection(id="n", label="NAS")])
    assert refused.value.code == "connection_is_jump"
    assert refused.value.detail == {"connections": [{"id": "n", "label": "NAS"}]}
    assert "“Bastion” is the jump host of “NAS”." in refused.value.message


def test_only_a_tested_jump_host_is_gone_through() -> None:
    assert jumps.untested(PINNED) is None
    said = jumps.untested(DRAFT)
    assert said is not None
    assert "not been tested yet" in said[0]
    assert said[1].startswith("Test “NAS” first")
    gone = jumps.untested(msgspec.structs.replace(PINNED, deleted_at=NOW))
    assert gone is not None
    assert "was removed" in gone[0]


@pytest.mark.parametrize(
    "cause, words",
    [
        ("authentication", "The jump host “NAS” refused the login: No."),
        ("host_key_changed", "The jump host “NAS” shows another host key than the one you accepted."),
        ("key_type_changed", "The jump host “NAS” shows another host key than the one you accepted."),
        ("forwarding", "The jump host “NAS” does not let the box through: No."),
        ("firewall", "The jump host “NAS” could not be entered: No."),
    ],
)
def test_a_failure_names_the_jump_host(cause: str, words: str) -> None:
    assert jumps.at_hop(PINNED, cause, "No.").startswith(words)


def test_another_way_keeps_the_pin_and_wants_a_new_test() -> None:
    place = connections.Place(PINNED.label, PINNED.host, PINNED.port, PINNED.username, "j")
    after = connections.edited(PINNED, place, PINNED.keypair_id, [], NOW)
    assert (after.state, after.host_key_fingerprint) == ("draft", PINNED.host_key_fingerprint)
    assert after.jump_connection_id == "j"
    with pytest.raises(Conflict):
        connections.edited(PINNED, place, PINNED.keypair_id, ["a session"], NOW)


# Behind a jump host the addresses are those of its network: its own loopback may be meant.
@pytest.mark.parametrize(
    "host, port, direct, behind",
    [
        ("nas.lan", 22, True, True),
        ("10.0.0.7", 22, True, True),
        ("127.0.0.1", 2222, False, True),
        ("localhost", 22, False, True),
        ("::1", 22, False, True),
        ("169.254.169.254", 80, False, False),
        ("fe80::1", 22, False, False),
        ("::ffff:169.254.169.254", 80, False, False),
        ("0.0.0.0", 22, False, False),
        ("::", 22, False, False),
        ("224.0.0.1", 22, False, False),
        ("255.255.255.255", 22, False, False),
    ],
)
def test_what_may_be_dialled_behind_a_jump_host(host: str, port: int, direct: bool, behind: bool) -> None:
    assert (net.host_verdict(host, port, 8022, False) is None) == direct
    assert (net.jumped_host_verdict(host, port) is None) == behind
    if behind:
        connections.check_place("x", host, port, "u", 8022, False, "j")
    else:
        with pytest.raises(Invalid):
            connections.check_place("x", host, port, "u", 8022, False, "j")
