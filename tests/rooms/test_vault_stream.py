"""A file that is sealed while it grows: readable up to its last whole chunk, and found out when anything was changed."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawdbox.errors import Problem
from clawdbox.vault import Secret, StreamReader, StreamWriter, new_stream_key
from clawdbox.vault.rules.stream import HEAD_BYTES, HEADER, MAX_PLAIN

KEY = Secret(bytes(range(32)))
PIECES = [b"first", b"second, which is longer", b"", b"x" * 1000]


def written(path: Path, pieces: list[bytes], *, last: bytes | None = b"end", name: str = "one") -> Path:
    writer = StreamWriter.create(path, KEY, name)
    for piece in pieces:
        writer.append(piece)
    if last is not None:
        writer.finish(last)
    writer.close()
    return path


def read(path: Path, *, key: Secret = KEY, name: str = "one") -> tuple[bytes, bool]:
    with StreamReader(path, key, name) as reader:
        return b"".join(reader), reader.is_finished


def refused(path: Path, *, key: Secret = KEY, name: str = "one") -> str:
    with pytest.raises(Problem) as problem:
        read(path, key=key, name=name)
    return problem.value.code


def chunks_of(path: Path) -> list[bytes]:
    """The raw chunks with their heads."""
    raw = path.read_bytes()
    with StreamReader(path, KEY, "one") as reader:
        return [raw[at.offset - HEAD_BYTES : at.offset + at.length] for at in reader.slices]


def test_what_was_written_is_read_and_lies_sealed(tmp_path: Path) -> None:
    path = written(tmp_path / "s", PIECES)
    assert read(path) == (b"".join(PIECES) + b"end", True)
    raw = path.read_bytes()
    assert raw.startswith(HEADER)
    assert b"first" not in raw
    assert b"xxxxxxxx" not in raw
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_large_piece_becomes_several_chunks_each_readable_alone(tmp_path: Path) -> None:
    data = os.urandom(2 * MAX_PLAIN + 7)
    path = written(tmp_path / "s", [data])
    with StreamReader(path, KEY, "one") as reader:
        assert len(reader.slices) == 4
        assert reader.chunk(2) == data[2 * MAX_PLAIN :]
        assert reader.chunk(0) == data[:MAX_PLAIN]
        assert reader.size == path.stat().st_size


def test_a_file_is_never_overwritten_and_a_link_never_followed(tmp_path: Path) -> None:
    written(tmp_path / "s", PIECES)
    with pytest.raises(FileExistsError):
        StreamWriter.create(tmp_path / "s", KEY, "one")
    (tmp_path / "link").symlink_to(tmp_path / "s")
    assert refused(tmp_path / "link") == "stream_broken"


def test_another_key_or_the_name_of_another_file_opens_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "s", PIECES)
    assert refused(path, key=new_stream_key()) == "stream_broken"
    assert refused(path, name="two") == "stream_broken"


@given(at=st.integers(min_value=0), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_one_flipped_bit_is_found_wherever_it_is(tmp_path: Path, at: int, bit: int) -> None:
    (tmp_path / "s").unlink(missing_ok=True)
    path = written(tmp_path / "s", [b"first", b"second"])
    raw = bytearray(path.read_bytes())
    raw[at % len(raw)] ^= 1 << bit
    path.write_bytes(raw)
    try:
        text, finished = read(path)
    except Problem as problem:
        found = problem.code
    else:  # a length that now points behind the end of the file reads as a cut
        found = "cut" if not finished and b"firstsecondend".startswith(text) else "nothing"
    assert found in ("stream_broken", "cut")


@given(keep=st.integers(min_value=0))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_a_file_cut_anywhere_gives_whole_chunks_and_never_says_that_it_is_whole(
    tmp_path: Path, keep: int
) -> None:
    (tmp_path / "s").unlink(missing_ok=True)
    path = written(tmp_path / "s", PIECES)
    size = path.stat().st_size
    os.truncate(path, len(HEADER) + keep % (size - len(HEADER)))
    text, finished = read(path)
    assert not finished
    assert text in {b"".join(PIECES[:n]) for n in range(len(PIECES) + 1)}


def test_chunks_swapped_repeated_left_out_or_from_another_file_are_found(tmp_path: Path) -> None:
    path = written(tmp_path / "s", [b"aaaa", b"bbbb", b"cccc"])
    other = written(tmp_path / "o", [b"AAAA", b"BBBB", b"CCCC"], name="two")
    a, b, c, end = chunks_of(path)
    raw = other.read_bytes()
    with StreamReader(other, KEY, "two") as reader:
        strange = raw[
            reader.slices[1].offset - HEAD_BYTES : reader.slices[1].offset + reader.slices[1].length
        ]
    for parts in (
        [b, a, c, end],
        [a, a, c, end],
        [a, c, end],
        [a, strange, c, end],
        [end],
        [a, b, c, end, end],
    ):
        path.write_bytes(HEADER + b"".join(parts))
        assert refused(path) == "stream_broken"
    path.write_bytes(HEADER + a + b + b"\x01" + c[1:])  # one before the last dressed up as the last
    assert refused(path) == "stream_broken"
    path.write_bytes(b"CBXS\x02" + a + b + c + end)
    assert refused(path) == "stream_broken"


def test_a_cut_file_can_be_finished_and_then_takes_no_more(tmp_path: Path) -> None:
    path = written(tmp_path / "s", PIECES, last=None)
    with path.open("ab") as file:
        file.write(b"\x00\x00\x00\x00\x20half of a chunk")
    writer = StreamWriter.resume(path, KEY, "one")
    writer.finish(b"cut here")
    with pytest.raises(ValueError, match="takes no more"):
        writer.append(b"more")
    writer.close()
    assert read(path) == (b"".join(PIECES) + b"cut here", True)
    with StreamReader(path, KEY, "one") as reader:
        assert reader.was_cut
    with pytest.raises(ValueError, match="takes no more"):
        StreamWriter.resume(path, KEY, "one")


def test_a_disk_that_fills_up_leaves_whole_chunks_alone(tmp_path: Path) -> None:
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = StreamWriter.create(tmp_path / "s", KEY, "one")
    writer.append(b"kept")
    size = writer.size
    assert size == (tmp_path / "s").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 500, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.append(os.urandom(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "s").stat().st_size == size
    with pytest.raises(ValueError, match="takes no more"):
        writer.append(b"other words in the place of those")
    writer.finish(b", and an end")
    writer.close()
    assert read(tmp_path / "s") == (b"kept, and an end", True)
