"""The ring keeps the newest bytes of a stream and knows where each of them stood."""

from hypothesis import given
from hypothesis import strategies as st

from clawdbox.ssh.rules.ring import Ring


class Bounded(Ring):
    """As a terminal without a disk uses it."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def append(self, data: bytes) -> None:
        super().append(data)
        self.trim(self._capacity)


chunks = st.lists(st.binary(max_size=50), max_size=40)


@given(chunks, st.integers(min_value=1, max_value=200))
def test_it_keeps_the_end_of_the_stream_and_no_more_than_it_must(pieces: list[bytes], capacity: int) -> None:
    ring, stream, longest = Bounded(capacity), b"", 0
    for piece in pieces:
        ring.append(piece)
        stream += piece
        longest = max(longest, 4096, len(piece))
        assert ring.end == len(stream)
        assert ring.read(0, len(stream) + 1) == stream[ring.start :]
        assert ring.end - ring.start >= min(capacity, len(stream))
        assert ring.end - ring.start <= capacity + longest


@given(chunks, st.integers(min_value=1, max_value=100), st.integers(0, 3000), st.integers(0, 3000))
def test_any_part_is_read_by_its_offset(pieces: list[bytes], capacity: int, offset: int, limit: int) -> None:
    ring, stream = Bounded(capacity), b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    begin = max(offset, ring.start)
    assert ring.read(offset, limit) == stream[begin : begin + limit]


@given(st.lists(st.integers(3000, 9000), max_size=8), st.integers(1, 20_000))
def test_large_pieces_are_kept_and_dropped_whole(sizes: list[int], capacity: int) -> None:
    pieces = [bytes([n]) * size for n, size in enumerate(sizes)]
    ring, stream = Bounded(capacity), b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    assert ring.read(0, len(stream)) == stream[ring.start :]
    assert len(stream) - ring.start >= min(capacity, len(stream))


def test_a_stream_of_single_bytes_is_not_kept_as_single_bytes() -> None:
    ring = Bounded(100_000)
    for n in range(200_000):
        ring.append(b"%d" % (n % 10))
    assert len(ring._chunks) < 100
    assert ring.read(ring.end - 5, 10) == b"56789"


def test_an_empty_ring_has_nothing() -> None:
    ring = Bounded(10)
    ring.append(b"")
    assert (ring.start, ring.end, ring.read(0, 10), ring.read(5, 10)) == (0, 0, b"", b"")


@given(chunks, st.integers(0, 3000))
def test_what_lies_before_an_offset_can_be_let_go_exactly(pieces: list[bytes], offset: int) -> None:
    ring, stream = Ring(), b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    ring.drop_to(offset)
    assert ring.start == min(offset, len(stream))
    assert ring.read(0, len(stream) + 1) == stream[ring.start :]
