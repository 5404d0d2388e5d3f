"""Secrets are taken out of text, wherever a stream is cut, and everyday output stays as it is."""

import time

import pytest

from clawdbox.policy.redact import ProseRedactor, Redactor, redact

GITHUB = "ghp_" + "a1B2" * 9
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    + "b3BlbnNzaC1rZXktdjEAAAAA\n" * 5
    + "-----END OPENSSH PRIVATE KEY-----\n"
)

SECRETS = [
    (f"token {GITHUB} end", GITHUB),
    ("xoxb-1234567890-abcdefghij", "xoxb-1234567890-abcdefghij"),
    ("aws AKIAIOSFODNN7EXAMPLE here", "AKIAIOSFODNN7EXAMPLE"),
    ("sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123", "abcdefghijklmnopqrstuvwxyz0123"),
    ("OPENAI_API_KEY=sk-proj-abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstuv"),
    (f"cookie jar: {JWT}", JWT),
    ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
    ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("Set-Cookie: sid=0123456789; HttpOnly", "0123456789"),
    ("postgres://ada:hunter2@db.lan/app", "hunter2"),
    ("https://user:p%40ss@git.lan/x.git", "p%40ss"),
    ("DB_PASSWORD=correct-horse", "correct-horse"),
    ('db_password: "correct horse"', "correct horse"),
    ("'client_secret' => 'abcd1234'", "abcd1234"),
    ('{"password":"hunter2","user":"ada"}', "hunter2"),
    ("mysqldump --password=hunter2 app", "hunter2"),
    ("restic --password hunter2 backup", "hunter2"),
    ("requirepass = hunter22", "hunter22"),
    ("wpa psk=verysecret1", "verysecret1"),
    ("root:$6$saltsalt$abcdefghijklmnopqrstuvwxyz0123456789:19000::::::", "abcdefghijklmnopqrstuvwxyz"),
    ("110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1"),
    ("AGE-SECRET-KEY-1" + "Q" * 58, "Q" * 58),
    ("DB_PASS=hunter22", "hunter22"),
    ("ADMIN_PWD=hunter22", "hunter22"),
    ("requirepass hunter22", "hunter22"),
    ("machine db.lan login ada password hunter22", "hunter22"),
    ("  password hunter22", "hunter22"),
    ("define('DB_PASSWORD', 'hunter 22');", "hunter 22"),
    ("define( 'AUTH_SALT', 'abc,def;ghi' );", "abc,def;ghi"),
    ("mysql -u root -phunter22 app", "hunter22"),
    ("mysqldump -p'hunter22' app", "hunter22"),
    ("curl -s -u ada:hunter22 https://example.com", "hunter22"),
    ("curl --user ada:hunter22 https://example.com", "hunter22"),
    ("JWT_KEY=abcdef123456", "abcdef123456"),
    ("APP_KEY=base64:abcdef123456==", "abcdef123456"),
    ("PASSWORD=$ecret2024", "ecret2024"),
    ("DB_PASS=$ecret-2024", "ecret-2024"),
    ("<password>hunter22</password>", "hunter22"),
    (PEM, "b3BlbnNzaC1rZXktdjEAAAAA"),
]  # fmt: skip

EVERYDAY = [
    "passwd:         files systemd",
    "PasswordAuthentication no",
    "password: ",
    "Password required pam_unix.so",
    "Enter passphrase for key: ",
    "max_tokens: 4096",
    "tokens=7",
    "secret: null",
    "the token is expired",
    "root:x:0:0:root:/root:/bin/bash",
    "/etc/passwd:root:x:0:0",
    "-rw-r--r-- 1 root root 1234 Nov 28 12:00 token.txt",
    "http://example.lan:8080/path",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFb7eC4L+aU9IaGE86STe3fu ada@box",
    "-----BEGIN CERTIFICATE-----",
    "sshd[123]: Accepted publickey for ada from 192.168.1.2 port 5555",
    "api_key: ${API_KEY}",
    "nginx: master process /usr/sbin/nginx",
    "KEY=value",
    "mysql -P 3306 -u root app",
    "curl -s https://example.com",
    "password=$DB_PASSWORD",
    "SSH_PUBLIC=ssh-ed25519",
    "PUBLIC_KEY=abcdefghij",
    "bypass=everything",
]


@pytest.mark.parametrize("text, secret", SECRETS, ids=range(len(SECRETS)))
def test_what_has_the_shape_of_a_secret_goes(text: str, secret: str) -> None:
    after = redact(text)
    assert secret not in after
    assert "[redacted: " in after
    assert redact(after) == after


@pytest.mark.parametrize("text", EVERYDAY)
def test_everyday_output_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_no_border_of_a_stream_hides_one(size: int) -> None:
    text = "before\n" + "\n".join(secret for secret, _ in SECRETS) + "\nafter"
    redactor = Redactor()
    pieces = [redactor.feed(text[at : at + size]) for at in range(0, len(text), size)]
    said = "".join(pieces) + redactor.finish()
    assert said == redact(text)
    assert not [secret for _, secret in SECRETS if secret in said]
    assert said.startswith("before\n")
    assert said.endswith("after")
    assert {"private key", "password", "token"} <= redactor.found


def test_a_line_comes_out_once_it_has_its_end() -> None:
    redactor = Redactor()
    assert redactor.feed("one\ntwo") == "one\n"
    assert redactor.feed(" three\r") == "two three\r"
    assert redactor.finish() == ""


def test_endless_lines_and_keys_are_held_within_bounds() -> None:
    redactor = Redactor()
    said = sum(len(redactor.feed("x" * 10_000)) for _ in range(100))
    assert said + len(redactor.finish()) == 1_000_000
    redactor = Redactor()
    redactor.feed("-----BEGIN PRIVATE KEY-----\n")
    said = sum(len(redactor.feed("A" * 99 + "\n")) for _ in range(2_000))
    assert 200_000 - 70_000 < said < 200_000


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "password" * 25_000, "token=" * 30_000, "://" * 60_000, "eyJ" * 60_000, "--password " * 18_000]
)  # fmt: skip
def test_no_text_makes_it_slow(text: str) -> None:
    begun = time.perf_counter()
    redact(text)
    assert time.perf_counter() - begun < 5, "quadratic"


@pytest.mark.parametrize("size", [1, 3, 50])
def test_prose_is_shown_word_by_word_and_its_secrets_never(size: int) -> None:
    text = "I look at it.\nThe line is password=hunter2-and-more, so\n" + PEM + "that is all of it"
    prose = ProseRedactor()
    pieces = [prose.feed(text[at : at + size]) for at in range(0, len(text), size)]
    said = "".join(pieces) + prose.finish()
    assert said == redact(text)
    assert "hunter2" not in said


def test_a_word_without_a_sign_is_shown_at_once() -> None:
    prose = ProseRedactor()
    assert prose.feed("The disk") == "The disk"
    assert prose.feed(" is full.") == " is full."
    assert prose.feed(" Its pass") == ""
    assert prose.feed("word is fine.\n") == " Its password is fine.\n"
