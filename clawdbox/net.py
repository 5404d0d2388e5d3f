"""Which addresses each feature may dial, and how a host is written. Pure, except for the look at own addresses."""

import ipaddress
import re
import socket

from clawdbox.errors import Invalid

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_MAX_NAME = 253

_SHARED = ipaddress.IPv4Network(
    "100.64.0.0/10"
)  # RFC 6598: a carrier's network, and what Tailscale hands out
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def canonical_host(text: str, field: str = "host") -> str:
    """A DNS name in lower case or an address in its canonical form.

    Refuses (Invalid) whatever a resolver would read as an address although it does not look like one
    (`2130706433`, `0x7f.1`, `127.1`), zone ids, control characters and leading dashes.
    """
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not host or host != host.strip() or not host.isprintable():
        raise Invalid(
            field, "Give a name such as nas.lan or an address such as 192.168.1.20, without spaces."
        )
    if ":" in host:
        return _canonical_v6(host, field)
    # First to DNS form: that is where "127。1" and "０x7f000001" turn out to be numbers.
    name = _ascii_name(host.rstrip(".").lower(), field)
    if _looks_numeric(name):
        return _canonical_v4(name, field)
    labels = name.split(".")
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid(
            field,
            "This is no host name: letters, digits, dots and inner dashes only, 253 characters at most.",
        )
    return ".".join(labels)


def _looks_numeric(name: str) -> bool:
    last = name.rsplit(".", 1)[-1]
    return last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) is not None


def _canonical_v4(name: str, field: str) -> str:
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        raise Invalid(field, "Write the address in its usual form, such as 192.168.1.20.") from None


def _canonical_v6(host: str, field: str) -> str:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise Invalid(field, "This is no IPv6 address. The port goes into its own field.") from None
    if address.scope_id is not None:
        raise Invalid(field, "Addresses with a zone (%eth0) are link-local and cannot be saved.")
    return str(address)


def _ascii_name(name: str, field: str) -> str:
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        raise Invalid(field, "This international name cannot be written in DNS form.") from None


def _unmapped(address: IPAddress) -> IPAddress:
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or _embedded_v4(address) or address
    return address


def _embedded_v4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside a NAT64 well-known prefix (RFC 6052) or 6to4 (RFC 3056) address."""
    if address in ipaddress.IPv6Network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour


def ssh_address_verdict(ip: str, port: int, own_port: int | None, allow_loopback: bool) -> str | None:
    """Why the box will not dial this resolved address for SSH, or None when it may.

    Private networks (RFC 1918) are what homelabs are made of and stay legal.
    """
    address = _unmapped(ipaddress.ip_address(ip.partition("%")[0]))
    return _never_verdict(address, port, own_port) or _loopback_verdict(address, allow_loopback)


def notify_address_verdict(
    ip: str, port: int, own_port: int | None, *, local: bool, loopback: bool
) -> str | None:
    """Why no notification goes to this resolved address, or None when it may.

    `local` is the account's word that this channel lies in its own network, `loopback` the setting of who runs the box.
    """
    address = _unmapped(ipaddress.ip_address(ip.partition("%")[0]))
    if address in _METADATA:
        return "this is where a cloud keeps the credentials of its machines"
    never = _never_verdict(address, port, own_port) or _loopback_verdict(address, loopback)
    if never or address.is_loopback or local or address.is_global:
        return never
    return "this address is in a local network, which was not allowed for this channel"


def is_public(ip: str) -> bool:
    """Whether anybody between here and there could read what is not encrypted."""
    return _unmapped(ipaddress.ip_address(ip.partition("%")[0])).is_global


def _never_verdict(address: IPAddress, port: int, own_port: int | None) -> str | None:
    if address.is_unspecified:
        return "the unspecified address leads back to this box"
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        return "multicast and broadcast addresses are no servers"
    if address.is_link_local:
        return "link-local addresses are refused"
    if own_port == port and (address.is_loopback or is_own_address(str(address))):
        return "this is the box's own address and port"
    return None


def _loopback_verdict(address: IPAddress, allowed: bool) -> str | None:
    return "loopback addresses are this machine itself" if address.is_loopback and not allowed else None


# Where clouds tell a machine its own credentials; the usual 169.254.169.254 is link-local.
_METADATA = {
    ipaddress.ip_address("fd00:ec2::254"),
    ipaddress.ip_address("100.100.100.200"),
    ipaddress.ip_address("192.0.0.192"),
}


def model_address_verdict(ip: str, port: int, own_port: int | None, *, encrypted: bool) -> str | None:
    """Why the box will not ask a model at this resolved address, or None when it may.

    Loopback and private networks stay legal: that is where Ollama and llama.cpp are. Only https leads into the internet,
    since a key, and what servers say, go that way.
    """
    address = _unmapped(ipaddress.ip_address(ip.partition("%")[0]))
    if refused := ssh_address_verdict(str(address), port, own_port, allow_loopback=True):
        return refused
    if address in _METADATA:
        return "this is where a cloud keeps the credentials of its machines"
    if address.is_global and not encrypted:
        return "over plain http, everybody on the way into the internet reads along: write https://"
    return None


def model_host_verdict(host: str, port: int, own_port: int | None, *, encrypted: bool) -> str | None:
    """The same judgement for a host as it is saved, before any look-up."""
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return model_address_verdict(host, port, own_port, encrypted=encrypted)


def gateway_address_verdict(ip: str, port: int, own_port: int | None, *, encrypted: bool) -> str | None:
    """Why the box will not dial this resolved address as an agent's gateway, or None when it may.

    Loopback is where such a gateway usually is. What is not encrypted stays on this machine or in a private network.
    """
    address = _unmapped(ipaddress.ip_address(ip.partition("%")[0]))
    if (reason := ssh_address_verdict(ip, port, own_port, allow_loopback=True)) is not None:
        return reason
    if address in _METADATA:
        return "this is where a cloud keeps the credentials of its machines"
    if encrypted or address.is_loopback or address.is_private or address in _SHARED:
        return None
    return (
        "an address on the internet is dialled with wss:// only, since ws:// would show the token on the way"
    )


def host_verdict(host: str, port: int, own_port: int | None, allow_loopback: bool) -> str | None:
    """The same judgement for a host as it is saved, before any look-up: addresses and `localhost` names."""
    if host == "localhost" or host.endswith(".localhost"):
        return ssh_address_verdict("127.0.0.1", port, own_port, allow_loopback)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return ssh_address_verdict(host, port, own_port, allow_loopback)


def jumped_host_verdict(host: str, port: int) -> str | None:
    """The judgement for a host that lies behind a jump host, whose network it is in and who looks its name up.

    Loopback there is the jump host itself and may be meant; an address that this box has, too, is another machine
    there. What is no server anywhere stays refused.
    """
    return host_verdict(host, port, None, allow_loopback=True)


def is_own_address(ip: str) -> bool:
    """Whether an interface of this machine holds the address: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((ip, 0))
    except OSError:
        return False
    return True


def is_loopback(ip: str) -> bool:
    try:
        return _unmapped(ipaddress.ip_address(ip.partition("%")[0])).is_loopback
    except ValueError:
        return False


def lan_address() -> str | None:
    """The address by which other machines of the default route's network see this one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): a route look-up, no packet
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if is_loopback(address) or address == "0.0.0.0" else address  # noqa: S104 - compared, not bound
