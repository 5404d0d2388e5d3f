"""Output is cut into events, and the events are the output again."""

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.agents.rules.output import (
    EVENT_BYTES,
    Chunk,
    Draft,
    Splitter,
    Transcript,
    joined,
    text_pieces,
)

TEXTS = st.text(alphabet=st.sampled_from("aé€𝄞\n\0"), max_size=60).map(str.encode)


def _bytes(chunks: list[Chunk]) -> bytes:
    return b"".join(
        base64.b64decode(chunk.data) if chunk.encoding == "base64" else chunk.data.encode()
        for chunk in chunks
    )


@given(st.lists(st.binary(max_size=50) | TEXTS, max_size=20))
def test_the_chunks_of_any_bytes_are_these_bytes(pieces: list[bytes]) -> None:
    splitter = Splitter("stdout")
    chunks = [chunk for piece in pieces for chunk in splitter.feed(piece)] + splitter.finish()
    assert _bytes(chunks) == b"".join(pieces)
    assert all(0 < chunk.size == len(_bytes([chunk])) for chunk in chunks)


@given(st.text(alphabet="aé€𝄞", max_size=40), st.lists(st.integers(0, 160), max_size=12))
def test_text_stays_text_wherever_it_is_torn(text: str, cuts: list[int]) -> None:
    data = text.encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    splitter = Splitter("stdout")
    chunks = [chunk for start, end in itertools.pairwise(edges) for chunk in splitter.feed(data[start:end])]
    assert splitter.finish() == []
    assert {chunk.encoding for chunk in chunks} <= {"utf-8"}
    assert "".join(chunk.data for chunk in chunks) == text


@pytest.mark.parametrize("unit", [b"x", "€".encode(), "𝄞".encode(), b"\xff", b"\0"])
def test_no_chunk_is_larger_than_an_event(unit: bytes) -> None:
    data = unit * 50_000
    splitter = Splitter("stdout")
    chunks = splitter.feed(data) + splitter.finish()
    assert _bytes(chunks) == data
    assert max(chunk.size for chunk in chunks) <= EVENT_BYTES


@pytest.mark.parametrize(
    "data, encodings",
    [
        (b"plain", ["utf-8"]),
        (b"\xe2\x82", ["base64"]),  # the end of a stream in the middle of a character
        (b"caf\xe9", ["base64"]),
        (b"a\0b", ["base64"]),
        (b"", []),
    ],
)
def test_what_is_no_text_is_base64(data: bytes, encodings: list[str]) -> None:
    splitter = Splitter("stderr")
    chunks = splitter.feed(data) + splitter.finish()
    assert _bytes(chunks) == data
    assert [chunk.encoding for chunk in chunks if chunk.encoding != "utf-8"] == [
        encoding for encoding in encodings if encoding != "utf-8"
    ]


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=30)), max_size=12))
def test_both_streams_share_one_cap_and_say_so(pieces: list[tuple[str, bytes]]) -> None:
    transcript = Transcript(100)
    chunks = [chunk for stream, data in pieces for chunk in transcript.feed(stream, data)]
    chunks += transcript.finish()
    total = sum(len(data) for _, data in pieces)
    assert sum(chunk.size for chunk in chunks) == min(100, total)
    assert transcript.truncated is (total > 100)
    for name in ("stdout", "stderr"):
        kept = _bytes([chunk for chunk in chunks if chunk.stream == name])
        assert b"".join(data for stream, data in pieces if stream == name).startswith(kept)


@given(st.text(max_size=9000))
def test_a_long_text_is_whole_in_pieces(text: str) -> None:
    pieces = text_pieces(text)
    assert "".join(pieces) == text.encode("utf-8", "replace").decode()
    assert all(len(piece.encode()) <= EVENT_BYTES for piece in pieces)


def _out(
    stream: str, data: str, encoding: str = "utf-8", command_id: str = "c", size: int | None = None
) -> Draft:
    payload = {"command_id": command_id, "stream": stream, "data": data, "encoding": encoding}
    return Draft("command.output", payload, len(data) if size is None else size)


@pytest.mark.parametrize(
    "last, following, data",
    [
        (_out("stdout", "a"), _out("stdout", "b"), "ab"),
        (_out("stdout", "a"), _out("stderr", "b"), None),
        (_out("stdout", "a"), _out("stdout", "b", command_id="d"), None),
        (_out("stdout", "a"), _out("stdout", "YQ==", "base64"), None),
        (_out("stdout", "YQ==", "base64"), _out("stdout", "YQ==", "base64"), None),
        (_out("stdout", "a", size=EVENT_BYTES), _out("stdout", "b"), None),
        (_out("stdout", "a"), Draft("text", {"text": "b"}, 1), None),
        (Draft("card", {"title": "t"}), Draft("card", {"title": "t"}), None),
    ],
)
def test_neighbours_of_one_stream_become_one_event(last: Draft, following: Draft, data: str | None) -> None:
    one = joined(last, following)
    assert (one.payload["data"] if one else None) == data


def test_neighbouring_texts_become_one_event() -> None:
    assert joined(Draft("text", {"text": "a"}, 1), Draft("text", {"text": "b"}, 1)) == Draft(
        "text", {"text": "ab"}, 2
    )
