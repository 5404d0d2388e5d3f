"""Programs that send something to other machines."""

import re
import unicodedata
from urllib.parse import unquote

from clawdbox.policy.model import Class, Finding, Word
from clawdbox.policy.rule import Call, Style, parsed, sort
from clawdbox.policy.table import table
from clawdbox.policy.weigh import landing, reading, reading_path, reading_tree, unknown, writing

_TABLE = """
== unknown

nc|ncat|netcat|socat|telnet|ftp|lftp|tftp|sendmail|mail|mailx|mutt|msmtp|swaks|websocat|stunnel|smbclient: sends something to another machine
  takes text, loose, egress

rclone|aws|gcloud|az|s3cmd|gsutil|mc|b2|restic|borg|duplicity|ngrok|cloudflared|openvpn: sends something to another machine
  takes text, loose, egress

httpie|http|https|xh|aria2c|nmap|masscan|tcpdump|tshark|iperf|iperf3|ldapsearch|snmpwalk|finger|irssi|weechat: sends something to another machine
  takes text, loose, egress

ssh-keygen|ssh-add|ssh-agent|certbot: makes and changes keys
  takes text, loose
"""

# This machine itself, written so that nothing else can be meant.
_LOOPBACK = re.compile(
    r"(?:https?://)?(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?(?:/[A-Za-z0-9_./?&=%+~,;:-]*)?"
)
_WEB = re.compile(r"(?:https?://)?[^:/@\s{}\[\]]+(?::\d+)?(?:/.*)?", re.IGNORECASE)
# Where a machine in a cloud gets its own credentials.
_METADATA = re.compile(
    r"169\.254\.\d|instance-data|metadata\.google|fd00:ec2::254|100\.100\.100\.200|0xa9fea9fe|2852039166|169\.16689662|\[::ffff:a9fe",
    re.IGNORECASE,
)
_CURL = (
    "-fgGiIkLsSqv46#N -A= -e= -H= -m= -w= -r= -o=write -y= -Y= -X= --fail --silent --show-error --head --include "
    "--insecure --location --verbose --max-time= --connect-timeout= --header= --user-agent= --write-out= --retry= "
    "--retry-delay= --compressed --ipv4 --ipv6 --no-progress-meter --output=write --http1.1 --http2 --globoff --range= "
    "--max-redirs= --request= --fail-with-body --no-buffer --tlsv1.2 --tlsv1.3 --retry-connrefused --path-as-is --disable"
)


def _curl(call: Call) -> list[Finding]:
    given = sort(call.words, parsed(_CURL, Style.LETTERS), Style.LETTERS)
    found = _metadata(call)
    for word in given.operands:
        if word.text.lower().startswith("file:"):
            found += reading_path(re.sub(r"(?i)^file:/*", "/", word.text), call.cwd)
    for name, value in given.options:
        if value and name in ("-o", "--output"):
            found += writing(value, call)
    values = [
        value.text
        for name, value in given.options
        if value and name in ("-H", "-w", "--header", "--write-out")
    ]
    tricks = any(value.startswith("@") or "%output" in value for value in values)
    webs = given.operands and all(
        _WEB.fullmatch(word.text) or _LOOPBACK.fullmatch(word.text) for word in given.operands
    )
    if given.odd is not None or tricks or not webs or not all(word.known for word in call.words):
        return [
            *found,
            _sends("curl"),
            unknown(f"curl {given.odd or ''}".strip(), "in a way that the box does not know."),
        ]
    here = all(_LOOPBACK.fullmatch(word.text) and not word.glob for word in given.operands)
    asks = set(given.values("-X", "--request")) <= {"GET", "HEAD"} and not given.has("-L", "--location")
    if here and asks:
        return [*found, Finding(Class.READ, "It runs `curl`, which asks a service of the server itself.")]
    return [*found, _sends("curl")]


def _sends(program: str) -> Finding:
    return Finding(
        Class.CHANGE, f"It runs `{program}`, which sends something to another machine.", egress=True
    )


def _metadata(call: Call) -> list[Finding]:
    if not any(_METADATA.search(word.text) or _is_link_local(word.text) for word in call.words):
        return []
    return [Finding(Class.READ, "It asks the cloud for credentials.", secret="the cloud's metadata service")]


_HOST = re.compile(r"(?:[a-z]+:/*)?(?:[^/@]*@)?(?P<host>[^/:?#@]+)", re.IGNORECASE)
_NUMBER = re.compile(r"0x[0-9a-f]{1,16}|\d{1,20}", re.IGNORECASE)


def _is_link_local(url: str) -> bool:
    """169.254.0.0/16, also as the numbers of any base and length that programs take for an address."""
    host = _HOST.match(unicodedata.normalize("NFKC", url))
    parts = host["host"].rstrip(".").split(".") if host else []
    if not 1 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return False
    numbers = [_number(part) for part in parts]
    last = numbers.pop()
    return sum(number << (24 - 8 * at) for at, number in enumerate(numbers)) + last >> 16 == 0xA9FE


def _number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text, 16)
    return int(text, 8 if text[0] == "0" and not set(text) & {"8", "9"} else 10)


_WGET = (
    "-qSvcN46 -O=write -P=write -T= -t= -U= --quiet --spider --timeout= --tries= --no-check-certificate --user-agent= "
    "--server-response --output-document=write --no-verbose --continue"
)


def _wget(call: Call) -> list[Finding]:
    given = sort(call.words, parsed(_WGET, Style.LETTERS), Style.LETTERS)
    found = [*_metadata(call), _sends("wget")]
    webs = given.operands and all(_WEB.fullmatch(word.text) for word in given.operands)
    if given.odd is not None or not webs or not all(word.known for word in call.words):
        found.append(unknown(f"wget {given.odd or ''}".strip(), "in a way that the box does not know."))
    for name, value in given.options:
        if value and name in ("-O", "-P", "--output-document"):
            found += writing(value, call)
    if given.has("-O", "--output-document", "--spider"):
        return found
    folder = (given.values("-P") or ["."])[-1]
    return found + [f for word in given.operands for f in writing(Word(f"{folder}/{_saved(word)}"), call)]


def _saved(url: Word) -> str:
    """The name of the file in which wget saves it."""
    path = url.text.partition("://")[2] or url.text
    return unquote(path.rpartition("/")[2] if "/" in path else "") or "index.html"


_RSYNC = (
    "-abcCdDghHikKlLmnoOpPrRStuvxXzAWq0 --archive --verbose --recursive --dry-run --progress --stats --human-readable "
    "--exclude= --include= --itemize-changes --partial --numeric-ids --links --perms --times --owner --group --checksum "
    "--update --existing --ignore-existing --max-size= --min-size= --bwlimit= --info= --chmod= --mkpath --sparse "
    "--hard-links --acls --xattrs --one-file-system"
)
_RSYNC_DELETES = (
    "--delete --delete-after --delete-before --delete-during --delete-excluded --remove-source-files --del"
)


def _rsync(call: Call) -> list[Finding]:
    deletes = parsed(_RSYNC_DELETES, Style.LETTERS)
    given = sort(call.words, parsed(_RSYNC, Style.LETTERS) | deletes, Style.LETTERS)
    undo = "A file that it copies over is gone."
    found = [Finding(Class.CHANGE, "It runs `rsync`, which copies files over what is there.", undo=undo)]
    if given.has(*deletes):
        undo = "What is deleted is gone."
        found.append(Finding(Class.DESTRUCTIVE, "It runs `rsync --delete`, which deletes files.", undo=undo))
    away = any(":" in word.text for word in given.operands)
    if given.odd is not None or away or not all(word.known for word in call.words):
        why = "It runs `rsync` with another machine, or in a way that the box does not know."
        found.append(Finding(Class.UNKNOWN, why, egress=True))
    for word in given.operands[:-1]:
        found += reading_tree(word, call)
    for into in given.operands[-1:]:
        if given.has(*deletes) or given.has("-R"):
            found += writing(into, call, tree=True)
        found += [f for word in given.operands[:-1] for f in _synced(word, into, call)]
    return found


def _synced(word: Word, into: Word, call: Call) -> list[Finding]:
    """`a/` means what is in it."""
    if word.text.endswith("/"):
        return writing(into, call, tree=True)
    return landing(into, (word,), call, tree=True)


def _ssh(call: Call) -> list[Finding]:
    """ssh and its like: what happens on the other machine is not judged here."""
    if [word.text for word in call.words] == ["-V"]:
        return [Finding(Class.READ, f"It asks `{call.program}` about itself.")]
    found = [f for word in call.words for f in reading(word, call)] if call.program in ("scp", "sftp") else []
    why = f"It runs `{call.program}`, which reaches another machine."
    return [*found, Finding(Class.UNKNOWN, why, egress=True)]


SENDING = {
    **table(_TABLE, curl=_curl, wget=_wget, rsync=_rsync),
    **dict.fromkeys(("ssh", "scp", "sftp", "mosh", "autossh", "sshpass", "ssh-copy-id"), _ssh),
}
