"""How long the server's TLS certificates are good for: in files that its services name, and on ports of its own."""

import re
from calendar import timegm
from time import strptime

import msgspec

from clawdbox.agents.runtimes.port import Card, Row, Status, Suggestion
from clawdbox.agents.runtimes.runbook.recipe import (
    DAYS_LEFT,
    Recipe,
    Sections,
    count,
    in_order,
    some,
    unknown,
    worst,
)

_NAMED = (
    'grep -rhE "^[[:space:]]*(ssl_certificate|SSLCertificateFile)[[:space:]]" /etc/nginx /etc/apache2 /etc/httpd'
    ' | grep -oE "/[A-Za-z0-9._/@+-]+"; ls -d /etc/letsencrypt/live/*/cert.pem /etc/pve/local/pve-ssl.pem;'
    ' for d in /var/lib/caddy /root "$HOME"; do find $d/.local/share/caddy/certificates -name "*.crt"; done'
)
FILES = (
    "date +%s; command -v openssl >/dev/null && echo tool;"
    " [ -d /etc/letsencrypt/live ] && { [ -r /etc/letsencrypt/live ] || echo denied /etc/letsencrypt/live; };"
    f" {{ {_NAMED}; }} | sort -u | head -n 40 | while read -r f; do [ -e $f ] || {{ echo gone $f; continue; }};"
    " [ -r $f ] || { echo denied $f; continue; }; echo file $f; openssl x509 -noout -subject -dates -in $f; done"
)
# What usually speaks TLS, of the ports that listen here; a greeting is all that it gets.
_PORTS = "443 465 636 853 990 993 995 2376 5001 5986 6443 8006 8007 8443 8883 9443 10250"
_LISTENING = (
    "command -v openssl >/dev/null && { ss -ltn || netstat -ltn || netstat -an -p tcp; }"
    ' | grep -E "LISTEN" | grep -oE "[.:][0-9]+ " | tr -d ".: " | sort -un'
)
_ASK = (
    "t=; command -v timeout >/dev/null && t=$(echo timeout 4);"
    f' {_LISTENING} | while read -r p; do case " {_PORTS} " in *" $p "*) ;; *) continue;; esac;'
    " echo port $p; $t openssl s_client -connect 127.0.0.1:$p </dev/null | openssl x509 -noout -subject -dates; done"
)
_NAME = re.compile(r"(?:^|[,/]\s*|=\s*)CN\s*=\s*([^,/]+)")
_SHOWN = 15


class Certificate(msgspec.Struct, frozen=True):
    """Times are seconds since 1970, by the certificate."""

    name: str
    place: str
    begins: int
    ends: int


class Found(msgspec.Struct, frozen=True):
    """`now` is the server's clock; None when it did not tell."""

    now: int | None
    has_tool: bool
    certificates: list[Certificate]
    denied: list[str]
    gone: list[str]


def files(lines: list[str]) -> Found:
    now = next((int(line) for line in lines if line.isdigit()), None)
    told = {
        word: [line.split(None, 1)[1] for line in lines if line.startswith(f"{word} ")]
        for word in ("denied", "gone")
    }
    return Found(now, "tool" in lines, certificates(lines), told["denied"], told["gone"])


def certificates(lines: list[str]) -> list[Certificate]:
    found, place, name, begins = [], "", "", 0
    for line in lines:
        key, _, value = line.partition("=")
        if line.startswith(("file ", "port ")):
            place, name, begins = line.removeprefix("file "), "", 0
        elif key == "subject":
            match = _NAME.search(value)
            name = match[1].strip() if match else ""
        elif key == "notBefore":
            begins = _seconds(value)
        elif key == "notAfter" and place and (ends := _seconds(value)):
            found.append(Certificate(name or _of_path(place), place, begins, ends))
    return found


def _of_path(place: str) -> str:
    """Certificates of some authorities name nobody: then the folder does, as with Let's Encrypt."""
    parts = place.split("/")
    return parts[-2] if len(parts) > 1 else place


def _seconds(text: str) -> int:
    try:
        return timegm(strptime(text.strip(), "%b %d %H:%M:%S %Y GMT"))
    except ValueError:
        return 0


def verdict(one: Certificate, now: int) -> tuple[str, Status]:
    """One made for a few days is judged by its own span: most are renewed in the last third of it."""
    warn, bad = DAYS_LEFT["certificate"]
    span, days = (one.ends - one.begins) / 86_400, (one.ends - now) / 86_400
    if days < 0:
        return f"expired {count(int(-days), 'day')} ago" if days <= -1 else "expired today", Status.BAD
    if one.begins > now:
        return "not yet good: look at the server's clock", Status.BAD
    left = count(int(days), "day") if days >= 2 else f"{days * 24:.0f} h"
    if days < min(bad, span / 10):
        return f"{left} left", Status.BAD
    return f"{left} left", Status.WARN if days < min(warn, span / 4) else Status.OK


def rows(found: Found, served: list[Certificate]) -> list[Row]:
    """One row a certificate, with all the places where it is; those that end first come first."""
    if found.now is None:
        return []
    known: dict[tuple[str, int], list[Certificate]] = {}
    for one in sorted([*found.certificates, *served], key=lambda one: one.ends):
        known.setdefault((one.name, one.ends), []).append(one)
    newest = {one.name: one.ends for one in sorted(found.certificates, key=lambda one: one.ends)}
    made = []
    for (name, ends), places in known.items():
        said, status = verdict(places[0], found.now)
        ports = [one.place for one in places if one.place.startswith("port ")]
        if ports and ends < newest.get(name, 0):
            said, status = (
                f"{said}; renewed, but {ports[0]} still serves the old one",
                worst((status, Status.WARN)),
            )
        where = ", ".join(ports) or places[0].place
        made.append(Row(name, f"{said} · {where}", status))
    return in_order(made)


def row(lines: list[str]) -> Row | None:
    """The one that ends first; None where there are none."""
    made = rows(files(lines), [])
    return (
        Row("Certificates", f"{made[0].label}: {made[0].value.partition(' · ')[0]}", made[0].status)
        if made
        else None
    )


def read(found: Sections) -> Card:
    told = files(found.of("files"))
    made = [*some(rows(told, certificates(found.of("ports"))), _SHOWN, "certificates")]
    if not told.has_tool and told.now is not None:
        made.append(Row("openssl", "not installed: certificates could not be read", Status.INFO))
    made += [Row("Not readable", place, Status.INFO) for place in told.denied[:3]]
    made += [Row("Missing", f"{place}, which a service names", Status.WARN) for place in told.gone[:3]]
    if told.now is None:
        made = [unknown("Certificates", "the server did not answer")]
    return Card("Certificates", worst(tuple(each.status for each in made)), _summary(told, made), tuple(made))


def _summary(told: Found, made: list[Row]) -> str:
    wrong = [each for each in made if each.status in (Status.WARN, Status.BAD)]
    if wrong:
        return f"{wrong[0].label}: {wrong[0].value.partition(' · ')[0]}."
    if not told.has_tool:
        return "Certificates could not be read here."
    good = sum(each.status is Status.OK for each in made)
    if not good:
        return (
            "No certificate was found that this user may read."
            if told.denied
            else "No certificates were found here."
        )
    return f"{count(good, 'certificate is', 'certificates are')} good for a while."


def further(card: Card) -> tuple[Suggestion, ...]:
    text = " ".join(each.value for each in card.rows if each.status in (Status.WARN, Status.BAD))
    return (Suggestion("$ certbot certificates", "What certbot knows"),) if "/etc/letsencrypt" in text else ()


RECIPE = Recipe(
    name="certificates",
    label="Certificates",
    title="How long certificates are good for",
    words=(
        "certificates",
        "certificate",
        "certs",
        "cert",
        "tls",
        "ssl",
        "https",
        "expired",
        "expiry",
        "expires",
        "letsencrypt",
    ),
    probe={"files": FILES, "ports": _ASK},
    read=read,
    further=further,
    timeout_s=60.0,
)
