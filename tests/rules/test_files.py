"""Names, paths, ranges and conflicts of files: tables of cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.errors import Conflict, Invalid, Problem, TooLarge
from clawdbox.ssh.model.files import Attributes, FileKind, Found
from clawdbox.ssh.rules import file_names as names
from clawdbox.ssh.rules import files as rules

part = st.binary(min_size=1, max_size=40).filter(lambda name: names.is_usable(name) and name != b".")


@given(st.lists(part, max_size=5))
def test_every_path_is_text_that_turns_back_into_the_same_bytes(parts: list[bytes]) -> None:
    path = b"/" + b"/".join(parts)
    text = names.encode_path(path)
    assert names.decode_path(text) == path
    assert text.isprintable()


@given(st.binary(max_size=60))
def test_what_is_shown_steers_no_screen(name: bytes) -> None:
    # A space that does not break is no printable character to Python, and steers nothing.
    assert names.shown(name).replace("\u00a0", " ").isprintable()


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/etc", b"a\0b", b"x" * 1025])
def test_names_that_lead_elsewhere_are_not_usable(name: bytes) -> None:
    assert not names.is_usable(name)


def test_paths_are_mended_but_never_led_upwards() -> None:
    assert names.decode_path("//srv/./a//b/") == b"/srv/a/b"
    assert names.decode_path("/100%25") == b"/100%"
    for bad in ("", "a", "/a/../b", "/%2e%2e/b", "/a%00", "/\ud800"):
        with pytest.raises(Invalid):
            names.decode_path(bad)


@pytest.mark.parametrize(
    "name, header",
    [
        (b"a.txt", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"),
        (b'x"; y=1', "attachment; filename=\"x__ y=1\"; filename*=UTF-8''x%22%3B%20y%3D1"),
        ("ü.svg".encode(), "attachment; filename=\"_.svg\"; filename*=UTF-8''%C3%BC.svg"),
        (b"a\r\nb", "attachment; filename=\"a_x0d_x0ab\"; filename*=UTF-8''a_x0d_x0ab"),
        (b"...", "attachment; filename=\"download\"; filename*=UTF-8''download"),
    ],
)
def test_a_name_harms_no_header(name: bytes, header: str) -> None:
    assert names.disposition(name) == header


def test_parts_lie_hidden_beside_their_target_with_a_name_that_fits() -> None:
    made = names.part_of(b"/srv/" + b"n" * 250, "0123456789abcdef")
    assert names.parent(made) == b"/srv"
    assert len(names.base(made)) <= 255
    assert names.is_part(names.base(made))
    assert not names.is_part(b"clawdbox-part-1")
    assert names.numbered(b"/a/x.tar.gz", 2) == b"/a/x.tar (2).gz"
    assert names.numbered(b"/a/.profile", 3) == b"/a/.profile (3)"


@pytest.mark.parametrize(
    "header, span",
    [
        (None, (0, 100, False)),
        ("bytes=0-", (0, 100, True)),
        ("bytes=10-19", (10, 20, True)),
        ("bytes=90-1000", (90, 100, True)),
        ("bytes=-5", (95, 100, True)),
        ("bytes=-500", (0, 100, True)),
        ("bytes=5-4", (0, 100, False)),
        ("bytes=-", (0, 100, False)),
        ("bytes=0-1,3-4", (0, 100, False)),
        ("lines=1-2", (0, 100, False)),
        ("bytes=" + "9" * 30 + "-", (0, 100, False)),
    ],
)
def test_ranges(header: str | None, span: tuple[int, int, bool]) -> None:
    found = rules.span_of(header, 100)
    assert (found.start, found.end, found.partial) == span


@pytest.mark.parametrize("header, size", [("bytes=100-", 100), ("bytes=0-", 0), ("bytes=-0", 100)])
def test_ranges_beyond_the_file_are_refused(header: str, size: int) -> None:
    with pytest.raises(Problem) as caught:
        rules.span_of(header, size)
    assert (caught.value.code, caught.value.detail) == ("range_not_satisfiable", {"size": size})


FILE = Attributes(FileKind.FILE, 10, 0o644, 0, 0, 5)


@pytest.mark.parametrize(
    "size, modified, whole, torn",
    [
        (10, 5, True, False),
        (20, 9, True, False),
        (10, 9, True, True),
        (4, 9, False, True),
        (10, 5, False, True),
    ],
)
def test_a_file_that_only_grew_is_whole(size: int, modified: int, whole: bool, torn: bool) -> None:
    now = Attributes(FileKind.FILE, size, 0o644, 0, 0, modified)
    if torn:
        with pytest.raises(Conflict, match="changed"):
            rules.check_not_torn(FILE, now, whole)
    else:
        rules.check_not_torn(FILE, now, whole)


def test_the_hash_decides_whether_a_text_changed() -> None:
    one = rules.version_of(b"a", FILE)
    touched = rules.version_of(b"a", Attributes(FileKind.FILE, 1, None, None, None, 99))
    assert one != touched
    assert rules.same_content(one, touched)
    assert not rules.same_content(one, rules.version_of(b"b", FILE))
    assert not rules.same_content(one, "")


def test_what_is_no_text_is_refused() -> None:
    assert rules.as_text("äöü\r\n".encode()) == "äöü\r\n"
    for data, kind in ((b"\xff", Conflict), (b"\0", Conflict), (bytes(rules.MAX_TEXT + 1), TooLarge)):
        with pytest.raises(kind):
            rules.as_text(data)


def test_a_page_has_folders_first_in_every_order() -> None:
    found = [
        Found(b"b", FILE),
        Found(b"A", Attributes(FileKind.FILE, 99, None, None, None, 1)),
        Found(b"z", Attributes(FileKind.FOLDER)),
        Found(b".x", FILE),
    ]

    def order(**how: object) -> list[bytes]:
        view = {"sort": "name", "descending": False, "hidden": False, "wanted": "", **how}
        return [entry.name for entry in rules.page(found, **view)[0]]  # type: ignore[arg-type]

    assert order() == [b"z", b"A", b"b"]
    assert order(descending=True) == [b"z", b"b", b"A"]
    assert order(sort="size", descending=True) == [b"z", b"A", b"b"]
    assert order(sort="modified") == [b"z", b"A", b"b"]
    assert order(hidden=True, wanted="X") == [b".x"]
    assert rules.page(found, sort="name", descending=False, hidden=False, wanted="")[1] == 1


def test_an_offset_says_where_to_go_on() -> None:
    rules.check_offset(5, 5, 5, 10)
    with pytest.raises(Conflict) as caught:
        rules.check_offset(0, 5, 5, 10)
    assert caught.value.detail == {"offset": 5}
    with pytest.raises(Invalid):
        rules.check_offset(5, 6, 5, 10)
    assert rules.resume_from(9_000_000, 10_000_000, 4_000_000) == 5_000_000
    assert rules.resume_from(100, 50, 10) == 0
