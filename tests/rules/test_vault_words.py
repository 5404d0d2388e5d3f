"""24 words hold exactly 32 bytes, forgive how they are typed, and name what is wrong."""

from hashlib import sha256
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdbox.errors import Problem
from clawdbox.vault.rules import words

# From the reference vectors of BIP-39 (github.com/trezor/python-mnemonic, vectors.json).
LEGAL = (
    "legal winner thank year wave sausage worth useful " * 2
    + "legal winner thank year wave sausage worth title"
)
VECTORS = [
    (bytes(32), "abandon " * 23 + "art"),
    (b"\x7f" * 32, LEGAL),
    (b"\xff" * 32, "zoo " * 23 + "vote"),
]


@pytest.mark.parametrize("entropy, text", VECTORS)
def test_the_published_vectors_hold(entropy: bytes, text: str) -> None:
    assert " ".join(words.to_words(entropy)) == text
    assert words.to_entropy(text) == entropy


@given(st.binary(min_size=32, max_size=32))
def test_any_32_bytes_come_back_from_their_words(entropy: bytes) -> None:
    assert words.to_entropy(" ".join(words.to_words(entropy))) == entropy


@pytest.mark.parametrize(
    "typed",
    [
        LEGAL.upper(),
        "  " + LEGAL.replace(" ", "\n\t ") + "\r\n",
        LEGAL.replace(" ", ", "),
        " ".join(f"{n}. {word}" for n, word in enumerate(LEGAL.split(), 1)),
        " ".join(f"{n}){word}" for n, word in enumerate(LEGAL.split(), 1)),
        " ".join(word[:4] for word in LEGAL.split()),
        LEGAL.replace(" ", "\u00a0"),
    ],
    ids=[
        "upper case",
        "blanks",
        "commas",
        "numbered",
        "numbered without blank",
        "four letters",
        "no-break spaces",
    ],
)
def test_how_the_words_are_typed_does_not_matter(typed: str) -> None:
    assert words.to_entropy(typed) == b"\x7f" * 32


def refusal(text: str) -> Problem:
    with pytest.raises(Problem) as caught:
        words.to_entropy(text)
    return caught.value


def test_a_word_that_is_not_in_the_list_is_named_with_its_place_and_the_nearest_word() -> None:
    problem = refusal(LEGAL.replace("sausage", "sausgae", 1))
    assert problem.code == "words_unknown"
    assert problem.detail == {"word": "sausgae", "position": 6}
    assert "Word 6, “sausgae”" in problem.message
    assert "“sausage”" in problem.message


def test_three_letters_name_no_longer_word_even_if_only_one_begins_so() -> None:
    assert refusal(LEGAL.replace("year", "yea", 1)).code == "words_unknown"


@pytest.mark.parametrize(
    "text, count", [("", 0), ("abandon", 1), ("abandon " * 23, 23), ("abandon " * 50_000, 50_000)]
)
def test_another_number_of_words_is_refused_with_the_number(text: str, count: int) -> None:
    problem = refusal(text)
    assert (problem.code, problem.detail) == ("words_count", {"count": count})


def test_two_words_that_changed_places_fail_the_checksum() -> None:
    swapped = LEGAL.split()
    swapped[0], swapped[1] = swapped[1], swapped[0]
    assert refusal(" ".join(swapped)).code == "words_checksum"


@given(st.text(max_size=300))
def test_any_text_is_taken_or_refused_with_a_code(text: str) -> None:
    assert refusal(text).code in {"words_unknown", "words_count", "words_checksum"}


def test_the_list_is_the_english_list_of_bip_39() -> None:
    """Another list of the same name would turn the words that people keep into other keys."""
    raw = resources.files("mnemonic").joinpath("wordlist/english.txt").read_bytes()
    assert (
        sha256(raw.strip() + b"\n").hexdigest()
        == "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
    )
    assert len({word[:4] for word in raw.decode().split()}) == 2048
