"""Pure parts of the control sockets: packets, the escape character, the policy, the ssh_config."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawdbox.ssh.rules import control, control_config
from clawdbox.ssh.rules.control import Policy, Request, Use
from clawdbox.ssh.wire.mux import packets
from clawdbox.ssh.wire.mux.escape import Escapes
from clawdbox.ssh.wire.mux.packets import Malformed, Reader


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
@pytest.mark.parametrize("parse", [packets.session_wish, packets.forward_wish, packets.stdio_wish])
def test_no_packet_breaks_the_parser(parse: object, data: bytes) -> None:
    assert callable(parse)
    with contextlib.suppress(Malformed):
        parse(Reader(data))


@given(st.lists(st.binary(max_size=20)), st.integers(0, 255))
@settings(deadline=None)
def test_typed_bytes_without_the_escape_go_through_however_they_are_cut(
    pieces: list[bytes], code: int
) -> None:
    escapes = Escapes(code)
    typed = [piece.replace(bytes([code]), b"") for piece in pieces]
    assert b"".join(escapes.feed(piece) for piece in typed) == b"".join(typed)
    assert not escapes.ended


@pytest.mark.parametrize(
    "typed, sent, ended",
    [
        (b"~.", b"", True),
        (b"a~.", b"a~.", False),
        (b"\r~.", b"\r", True),
        (b"~~.", b"~.", False),
        (b"~x", b"~x", False),
        (b"\n~?", b"\n", False),
        (b"a\r~.never", b"a\r", True),
    ],
)
def test_the_escape_counts_after_a_line_break_alone(typed: bytes, sent: bytes, ended: bool) -> None:
    for pieces in ([typed], [bytes([code]) for code in typed]):
        escapes = Escapes(ord("~"))
        assert (b"".join(map(escapes.feed, pieces)), escapes.ended) == (sent, ended)


@pytest.mark.parametrize("use", list(Use))
@pytest.mark.parametrize("pty", [False, True])
def test_each_use_has_one_switch(use: Use, pty: bool) -> None:
    request = Request(use, "x", pty)
    name = control.switch(request)
    none = Policy(False, False, False, False, False)
    every = Policy(True, True, True, True, True)
    assert control.refusal(every, request) is None
    assert control.refusal(none, request) is not None
    one = {field: field == name for field in Policy.__struct_fields__}
    assert control.refusal(Policy(**one), request) is None
    assert control.refusal(Policy(**{field: not on for field, on in one.items()}), request) is not None


@pytest.mark.parametrize(
    "data_dir, runtime, first",
    [
        ("/srv/box", "/run/user/1000", "/srv/box/ctl"),
        ("/srv/" + "x" * 90, "/run/user/1000", "/run/user/1000/clawdbox-"),
        ("/srv/" + "x" * 90, "", "/tmp/clawdbox-7-"),
        ("/srv/a b", "relative", "/tmp/clawdbox-7-"),
        ("/srv/100%h", "/run/" + "y" * 90, "/tmp/clawdbox-7-"),
    ],
)
def test_the_sockets_lie_where_the_path_is_short_and_plain(data_dir: str, runtime: str, first: str) -> None:
    places = control.folders(data_dir, runtime, 7)
    assert places[0].startswith(first)
    assert all(len(place) + 1 + control.LONGEST_NAME <= control.MAX_PATH for place in places)


@given(st.lists(st.text(min_size=1, max_size=40), max_size=6, unique=True))
@settings(deadline=None)
def test_no_label_makes_another_line_or_a_pattern(labels: list[str]) -> None:
    found = control_config.entries(
        [(f"id-{n:06}", label, "/srv/box/ctl/c-1") for n, label in enumerate(labels)]
    )
    lines = control_config.text(found).splitlines()
    hosts = [line for line in lines if line.startswith("Host ")]
    assert len(hosts) == len(found) == len(labels)
    assert len([line for line in lines if line and not line.startswith("#")]) == 7 * len(found)
    names = [name for entry in found for name in entry.names]
    assert len(names) == len(set(names))
    assert not any(sign in name for name in names for sign in '*?!"%$\\\n')


def test_a_label_that_ssh_cannot_take_has_a_plain_form() -> None:
    found = control_config.entries(
        [("1", "My NAS", "/p"), ("2", "my-nas", "/q"), ("3", "Ü*ber", "/r"), ("abcdef4", "日本", "/s")]
    )
    assert [entry.names for entry in found] == [
        ("My NAS", "my-nas-1"),
        ("my-nas",),
        ("u-ber",),
        ("server-bcdef4",),
    ]
