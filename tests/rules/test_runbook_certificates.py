"""How long certificates are good for, read from openssl 1.1 and 3."""

import pytest

from clawdbox.agents.runtimes.port import Row, Status
from clawdbox.agents.runtimes.runbook import certificates
from clawdbox.agents.runtimes.runbook.certificates import Certificate
from clawdbox.agents.runtimes.runbook.recipe import sections

NOW = 1_795_867_200  # Nov 28 12:00:00 2026
DAY = 86_400
DEBIAN = f"""\
@@files
{NOW}
tool
gone /etc/ssl/old.pem
denied /etc/pve/local/pve-ssl.pem
file /etc/letsencrypt/live/example.org/cert.pem
subject=CN = example.org
notBefore=Nov 20 00:00:00 2026 GMT
notAfter=Feb 18 00:00:00 2027 GMT
file /etc/letsencrypt/live/mail.example.org/cert.pem
subject=
notBefore=Sep  4 12:00:00 2026 GMT
notAfter=Dec  3 12:00:00 2026 GMT
file /etc/ssl/certs/internal.pem
subject=/C=DE/O=Example, Inc./CN=intern.example.org/emailAddress=a@example.org
notBefore=Nov 28 00:00:00 2025 GMT
notAfter=Nov 25 00:00:00 2026 GMT
@@ports
port 443
subject=CN = example.org
notBefore=Sep  1 00:00:00 2026 GMT
notAfter=Nov 30 00:00:00 2026 GMT
port 8006
port 8443
subject=C = DE, CN = example.org
notBefore=Nov 20 00:00:00 2026 GMT
notAfter=Feb 18 00:00:00 2027 GMT
@@end
"""


def test_one_row_a_certificate_the_most_urgent_first() -> None:
    card = certificates.read(sections(DEBIAN))
    assert (card.status, card.summary) == (Status.BAD, "intern.example.org: expired 3 days ago.")
    assert card.rows == (
        Row("intern.example.org", "expired 3 days ago · /etc/ssl/certs/internal.pem", Status.BAD),
        Row(
            "example.org",
            "36 h left; renewed, but port 443 still serves the old one · port 443",
            Status.BAD,
        ),
        Row("mail.example.org", "5 days left · /etc/letsencrypt/live/mail.example.org/cert.pem", Status.BAD),
        Row("example.org", "81 days left · port 8443", Status.OK),
        Row("Not readable", "/etc/pve/local/pve-ssl.pem", Status.INFO),
        Row("Missing", "/etc/ssl/old.pem, which a service names", Status.WARN),
    )
    assert [item.text for item in certificates.further(card)] == ["$ certbot certificates"]


@pytest.mark.parametrize(
    "begins, ends, said, status",
    [
        (-10, 80, "80 days left", Status.OK),
        (-70, 20, "20 days left", Status.WARN),
        (-84, 6, "6 days left", Status.BAD),
        (-1, 5, "5 days left", Status.OK),  # made for six days
        (-5, 1, "24 h left", Status.WARN),
        (-0.1, 0.4, "10 h left", Status.OK),  # made for half a day, as Caddy does for its own
        (-90, -0.5, "expired today", Status.BAD),
        (1, 90, "not yet good: look at the server's clock", Status.BAD),
    ],
)
def test_a_certificate_is_judged_by_its_own_span(
    begins: float, ends: float, said: str, status: Status
) -> None:
    one = Certificate("a", "port 443", NOW + int(begins * DAY), NOW + int(ends * DAY))
    assert certificates.verdict(one, NOW) == (said, status)


@pytest.mark.parametrize(
    "text, status, summary",
    [
        (f"@@files\n{NOW}\n@@ports\n@@end\n", Status.INFO, "Certificates could not be read here."),
        (f"@@files\n{NOW}\ntool\n@@ports\n@@end\n", Status.INFO, "No certificates were found here."),
        (
            f"@@files\n{NOW}\ntool\ndenied /etc/letsencrypt/live\n@@ports\n@@end\n",
            Status.INFO,
            "No certificate was found that this user may read.",
        ),
        ("@@end\n", Status.INFO, "Certificates could not be read here."),
    ],
    ids=["no openssl", "none", "denied", "nothing"],
)
def test_the_card_without_certificates(text: str, status: Status, summary: str) -> None:
    card = certificates.read(sections(text))
    assert (card.status, card.summary) == (status, summary)


def test_all_certificates_in_one_row() -> None:
    lines = sections(DEBIAN).of("files")
    assert certificates.row(lines) == Row(
        "Certificates", "intern.example.org: expired 3 days ago", Status.BAD
    )
    assert certificates.row([str(NOW), "tool"]) is None
