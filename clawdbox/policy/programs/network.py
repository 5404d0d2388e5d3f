"""The network: looking at it, and changing the way in."""

import re

from clawdbox.policy.model import Class, Finding
from clawdbox.policy.rule import Call, Given, Style, parsed, sort
from clawdbox.policy.table import table
from clawdbox.policy.weigh import unknown, weigh

_TABLE = """
== read

ss: lists connections
  takes text
  -HOntulxwSprsmoeiZzbEaM460 -f= -A= --listening --all --tcp --udp --numeric --processes --summary --no-header --extended
  --info --resolve --unix --memory

netstat: lists connections
  takes text
  -aceglnoprstuvwxMNWiC46 -A=

ifconfig: shows the network
  takes text, most 1
  -as
  otherwise lock_out: changes the network

route: shows routes
  -nev46CF
  otherwise lock_out: changes the network

arp: shows neighbours
  takes text
  -anve -i=
  otherwise lock_out: changes the network

ethtool: shows a network card
  takes text, most 1
  -iSkgcam
  otherwise lock_out: changes the network

iwconfig: shows the radio
  takes text, most 1
  otherwise lock_out: changes the network

networkctl: shows the network

networkctl status|list|lldp: shows the network
  takes text
  --no-pager --no-legend -al

netplan get|status: shows the network
  takes text
  -a --all

tailscale status|ip|version: shows the network
  takes text
  --json -46

wg show: shows the network
  takes text, most 1

iptables|ip6tables: shows the firewall
  takes text, most 1
  needs -L -S --list --list-rules
  -LSnvx -t= --list --list-rules --numeric --verbose --exact --line-numbers --table=
  otherwise lock_out: changes the firewall

iptables-save|ip6tables-save: shows the firewall
  -c -t=
  otherwise lock_out: changes the firewall

nft list: shows the firewall
  takes text
  -nasj

ufw status: shows the firewall
  takes text, most 1

ufw show|version: shows the firewall
  takes text, most 1

firewall-cmd: shows the firewall
  --state --list-all --list-all-zones --get-active-zones --get-zones --get-default-zone --list-ports --list-services
  --list-rich-rules --version --zone= --permanent
  otherwise lock_out: changes the firewall

fail2ban-client status|ping|version: shows who is banned
  takes text

ping|ping6: asks whether a machine answers
  takes text, egress
  needs -c --count
  -46bBdDnOqrRUvVaL -c= -i= -I= -s= -t= -w= -W= --count=

traceroute|tracepath: follows the way to a machine
  takes text, egress
  -46nITUb -m= -p= -q= -w= -i=

mtr: follows the way to a machine
  takes text, egress
  needs -r -w --report --report-wide
  -46nrwbzT -c= -i= -m= -P= --report --report-wide --no-dns

dig: looks a name up
  takes text, egress
  -46 -p= -t= -x= -q= -c=

host: looks a name up
  takes text, egress
  -aCdlrTUvw46 -c= -N= -R= -t= -W=

nslookup: looks a name up
  takes text, egress, most 2, whole words
  -type= -query= -debug

whois: asks who owns a name
  takes text, egress
  -h= -p=

ssh-keyscan: asks machines for their keys
  takes text, egress
  -46cDHv -p= -T= -t=

openssl x509: shows a certificate
  takes whole words
  -in= -inform= -noout -text -subject -issuer -dates -startdate -enddate -serial -fingerprint -sha256 -sha1 -ext=
  -purpose -pubkey -modulus -hash -email -nameopt= -certopt= -checkend= -checkhost= -checkip= -ocsp_uri -alias
  -subject_hash -issuer_hash

openssl version: asks for its version
  takes whole words
  -a -v -b -d

openssl s_client: shows the certificate of a machine
  takes whole words, egress
  check handshake
  -connect= -servername= -showcerts -brief -starttls= -tls1_2 -tls1_3 -verify_return_error -no_ign_eof -CAfile=
  -CApath= -alpn= -4 -6 -status

openssl verify: checks certificates
  takes list, whole words
  -CAfile= -CApath= -untrusted= -verbose -purpose= -show_chain

openssl req|crl: shows a request for a certificate, or a list of revoked ones
  takes whole words
  needs -noout
  -in= -noout -text -subject -verify -pubkey -inform=

openssl dgst: adds files up
  takes list, whole words
  -sha256 -sha1 -sha512 -md5

== lock_out

ifup|ifdown|dhclient|dhcpcd|brctl|bridge|tc|wg-quick|nmtui|iw|wpa_cli|vconfig|ifenslave|zerotier-cli|macchanger: changes the network
  takes text, loose

networkctl|netplan|tailscale|wg *: changes the network
  takes text, loose

iptables-restore|ip6tables-restore|iptables-apply|iptables-legacy|iptables-nft|ip6tables-legacy|ip6tables-nft: changes the firewall
  takes text, loose

ebtables|arptables|ipset|shorewall|csf|pfctl|conntrack: changes the firewall
  takes text, loose

nft|ufw *: changes the firewall
  takes text, loose

fail2ban-client *: changes who is banned
  takes text, loose

== before

networkctl|netplan|tailscale:
  --no-pager --no-legend -al --all

nft:
  -n -a -nn -s -j --json --handle --numeric --stateless

fail2ban-client:
  -v

ufw:
  --dry-run
"""


def _handshake(call: Call, _given: Given) -> list[Finding]:
    return [Finding(Class.CHANGE, "It sends what flows to it to another machine.")] if call.fed else []


# Objects and actions of ip, which may be abbreviated: the first that fits is meant, as in its own tables.
_OBJECTS = [
    "address",
    "addrlabel",
    "route",
    "rule",
    "neighbor",
    "neighbour",
    "link",
    "tunnel",
    "tuntap",
    "token",
    "maddress",
    "mroute",
    "netns",
    "netconf",
    "vrf",
    "nexthop",
    "stats",
]
_SHOWS = ("show", "list", "lst", "get")
_ACTIONS = [
    "add",
    "change",
    "replace",
    "prepend",
    "append",
    "test",
    "set",
    "delete",
    "flush",
    "save",
    "restore",
    "up",
    "down",
    "exec",
    "attach",
    "identify",
    "pids",
]
_IP = (
    "-4 -6 -0 -B -br -brief -c -color -color= -d -details -h -human -human-readable -j -json -N -Numeric -o -oneline "
    "-p -pretty -r -resolve -s -statistics -stats -t -timestamp -iec -family= -f= -V"
)


def _ip(call: Call) -> list[Finding]:
    given = sort(call.words, parsed(_IP, Style.WORDS), Style.WORDS, stop=True)
    words = [word.text for word in given.operands]
    changes = Finding(Class.LOCK_OUT, "It runs `ip`, which changes the network.")
    if given.odd is not None or not words or not all(word.known and not word.glob for word in call.words):
        return [unknown(f"ip {given.odd or ''}".strip(), "in a way that the box does not know."), changes]
    thing = next((name for name in _OBJECTS if name.startswith(words[0])), "")
    action = words[1] if len(words) > 1 else "show"
    if thing in ("netns", "vrf") and action.startswith("e"):
        return [
            unknown("ip", "which runs another program."),
            *call.inner(given.operands[3:] or given.operands),
        ]
    if thing and _shows(thing, action):
        return [Finding(Class.READ, f"It runs `ip {thing}`, which shows the network.")]
    return [changes]


def _shows(thing: str, action: str) -> bool:
    if (thing, action) == ("address", "s"):
        return True
    changes = any(name.startswith(action) for name in _ACTIONS)
    return not changes and any(name.startswith(action) for name in _SHOWS)


# What nmcli only shows: an object and its action, and how many names may follow.
_NMCLI = {
    **{(thing, "status"): 0 for thing in ("general", "g", "device", "dev", "d")},
    **{(thing, "show"): 1 for thing in ("device", "dev", "d", "connection", "con", "c")},
    **{(thing, "s"): 0 for thing in ("general", "g", "device", "dev", "d", "connection", "con", "c")},
    **{(thing, kind): 0 for thing in ("radio", "r") for kind in ("all", "wifi", "wwan")},
    **{(thing, "wifi"): 0 for thing in ("device", "dev", "d")},
    **{(thing, "connectivity"): 0 for thing in ("networking", "n")},
}
_NMCLI_THINGS = {thing for thing, _ in _NMCLI}


def _nmcli(call: Call) -> list[Finding]:
    """`nmcli device status`, `nmcli connection show NAME`: without secrets, which it only shows when told to."""
    given = sort(
        call.words,
        parsed("-tpa -f= -g= -m= -c= --active --terse --pretty --fields=", Style.LETTERS),
        Style.LETTERS,
    )
    words = [word.text for word in given.operands]
    if len(words) < 2:
        asks = not words or words[0] in _NMCLI_THINGS
    else:
        asks = len(words) - 2 <= _NMCLI.get((words[0], words[1]), -1)
    if asks and given.odd is None and all(word.known and not word.glob for word in call.words):
        return [Finding(Class.READ, "It runs `nmcli`, which shows the network.")]
    return [Finding(Class.LOCK_OUT, "It runs `nmcli`, which changes the network.")]


_NFT_WORD = re.compile(r"[A-Za-z0-9_./:-]+")


def _nft(call: Call) -> list[Finding]:
    """nft reads its words as one text: `list ruleset ; flush ruleset` are two commands."""
    if all(_NFT_WORD.fullmatch(word.text) for word in call.words):
        return weigh(_RULES["nft"], call, "nft")
    return [Finding(Class.LOCK_OUT, "It runs `nft`, which changes the firewall.")]


_RULES = table(_TABLE, {"handshake": _handshake}, ip=_ip, nmcli=_nmcli)
NETWORK = {**_RULES, "nft": _nft}
