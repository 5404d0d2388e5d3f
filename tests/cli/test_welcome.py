"""What a person reads after `clawdbox serve`."""

import msgspec

from clawdbox.cli import welcome

HERE = welcome.Welcome(
    version="1.2.3",
    address="http://127.0.0.1:8022",
    phone=None,
    lan="http://192.168.1.7:8022",
    serve=["clawdbox", "serve", "--data-dir", "/srv/my box"],
    pair="clawdbox pair",
    demo=False,
    pairing=welcome.Pairing("http://127.0.0.1:8022/pair#code", "2026-11-21 03:18:00Z", ["█▀█", "▀▀▀"]),
)


def test_bound_to_this_machine_it_gives_the_exact_commands_for_a_phone() -> None:
    text = welcome.text(HERE)
    assert "  clawdbox serve --data-dir '/srv/my box' --host 0.0.0.0\n" in text
    assert "  clawdbox serve --data-dir '/srv/my box' --public-url https://box.example.org\n" in text
    assert "at http://192.168.1.7:8022:" in text
    assert "demo" not in text


def test_the_link_stands_on_a_line_of_its_own_above_its_qr_code() -> None:
    lines = welcome.text(HERE).splitlines()
    at = lines.index("  http://127.0.0.1:8022/pair#code")
    assert lines[at + 1 : at + 4] == ["", "█▀█", "▀▀▀"]


def test_where_a_phone_gets_to_it_says_so_and_warns_of_plain_http() -> None:
    plain = msgspec.structs.replace(HERE, phone="http://192.168.1.7:8022", pairing=None)
    assert welcome.text(plain).endswith(
        "From a phone: http://192.168.1.7:8022 (plain http: only in a network that you trust)\n"
    )
    assert "To sign in a browser, run: clawdbox pair\n" in welcome.text(plain)
    sealed = msgspec.structs.replace(plain, phone="https://box.example.org")
    assert welcome.text(sealed).endswith("From a phone: https://box.example.org\n")


def test_words_stand_numbered_in_six_lines_of_four() -> None:
    lines = welcome.words([f"word{chr(97 + number)}" for number in range(24)]).splitlines()
    numbered = [line.split() for line in lines if line.startswith("  ")]
    assert [len(line) for line in numbered] == [8] * 6
    assert numbered[0][:4] == ["1.", "worda", "2.", "wordb"]
    assert numbered[5][-2:] == ["24.", "wordx"]


def test_only_words_that_guard_something_are_for_paper() -> None:
    assert "Write them down on paper" in welcome.words(["word"] * 24)
    assert "Write them down on paper" not in welcome.words(["word"] * 24, demo=True)
