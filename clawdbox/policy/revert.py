"""How a change that could lock a person out is undone by the server itself, unless somebody confirms in time.

Pure: these are texts of POSIX sh, to be run by `sh -c` as root or by way of `sudo -n`. What they say last is one word:
`armed` or `unsupported`; `disarmed`, `reverted` or `none`; `pending`, `reverted` or `none`.
"""

import re
import shlex

import msgspec

BASE = "/var/tmp/clawdbox-revert-"  # noqa: S108 - a new folder of root's alone, or none at all
_ID = re.compile(r"[0-9a-f-]{8,64}")
_HEAD = "umask 077; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH; LC_ALL=C; export LC_ALL; exec 2>/dev/null"


class RevertPlan(msgspec.Struct, frozen=True):
    """`what` is for a person. `save` keeps in "$DIR" what `restore` brings back; both know "$ROOT", which is empty."""

    what: str
    save: str
    restore: str


class _Area(msgspec.Struct, frozen=True):
    what: str
    pattern: str
    folders: tuple[str, ...]
    save: str = ""
    restore: str = ""


_RELOAD_SSHD = (
    "for unit in sshd ssh; do systemctl enable --now $unit; systemctl restart $unit && break; done"
    " || service ssh restart || service sshd restart || :"
)
_SAVE_RULES = (
    'iptables-save >"$DIR/iptables" || rm -f "$DIR/iptables"; ip6tables-save >"$DIR/ip6tables" || rm -f "$DIR/ip6tables";'
    ' { echo flush ruleset; nft list ruleset; } >"$DIR/nft" || rm -f "$DIR/nft"; ufw status >"$DIR/ufw-status" || :'
)
_RESTORE_RULES = (
    'if grep -qw inactive "$DIR/ufw-status"; then ufw --force disable; elif [ -s "$DIR/ufw-status" ]; then ufw reload; fi;'
    " firewall-cmd --reload || :;"
    ' if [ -s "$DIR/nft" ]; then nft -f "$DIR/nft"; fi;'
    ' if [ -s "$DIR/iptables" ]; then iptables-restore <"$DIR/iptables"; fi;'
    ' if [ -s "$DIR/ip6tables" ]; then ip6tables-restore <"$DIR/ip6tables"; fi'
)
_SAVE_NET = (
    'ip -o addr show scope global >"$DIR/addresses" || :; ip -o link show up >"$DIR/links" || :;'
    ' ip route save table main >"$DIR/routes" || rm -f "$DIR/routes"'
)
_RESTORE_NET = (
    "netplan apply || nmcli connection reload || systemctl restart networking || :;"
    """ sed -n 's/^[0-9]*: \\([^:@]*\\).*/\\1/p' "$DIR/links" | while read -r name; do ip link set "$name" up; done;"""
    """ awk '{ print $4, $2 }' "$DIR/addresses" | while read -r address name; do ip addr add "$address" dev "$name"; done;"""
    ' if [ -s "$DIR/routes" ]; then ip route flush table main; ip route restore <"$DIR/routes"; fi'
)
_AREAS = (
    _Area(
        "the settings of the SSH server",
        r"\bsshd?_config\b|/etc/ssh\b|\bsshd\b|\b(?:systemctl|service)\b[^;&|\n]*\bsshd?\b",
        ("/etc/ssh",),
        restore=_RELOAD_SSHD,
    ),
    _Area(
        "the firewall",
        r"\b(?:ip6?tables\S*|nft|ufw|firewall-cmd|firewalld|nftables)\b|/etc/(?:ufw|firewalld|nftables)",
        ("/etc/ufw", "/etc/firewalld", "/etc/nftables.conf"),
        _SAVE_RULES,
        _RESTORE_RULES,
    ),
    _Area(
        "the network",
        r"\b(?:netplan|nmcli|ifdown|ifup|ifconfig|networkctl|route|dhclient|resolvectl)\b|\bip\s+(?:-\S+\s+)*(?:a|addr|address|l|link|r|ro|route|rule)\b"
        r"|/etc/(?:network|netplan|NetworkManager|systemd/network|resolv\.conf)|\b(?:systemctl|service)\b[^;&|\n]*\b(?:networking|NetworkManager|systemd-networkd)\b",
        ("/etc/network", "/etc/netplan", "/etc/NetworkManager/system-connections", "/etc/systemd/network"),
        _SAVE_NET,
        _RESTORE_NET,
    ),
    _Area(
        "the accounts and who may become root",
        r"\b(?:user(?:add|del|mod)|group(?:add|del|mod)|deluser|delgroup|passwd|chpasswd|chsh|chage|visudo|vipw|gpasswd)\b"
        r"|/etc/(?:passwd|shadow|group|gshadow|sudoers\S*|pam\.d\S*|security/access\.conf|hosts\.(?:deny|allow))|authorized_keys",
        (
            "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d", "/etc/pam.d",
            "/etc/hosts.deny", "/etc/hosts.allow", "$HOME_OF_LOGIN/.ssh/authorized_keys",
        ),
    ),
)  # fmt: skip
# What no saved file brings back
_FINAL = re.compile(r"\b(?:reboot|shutdown|poweroff|halt|init\s+[06]|telinit)\b|\bsystemctl\s+(?:\S+\s+)*(?:reboot|poweroff|halt|kexec|suspend|hibernate)\b")  # fmt: skip


def revert_plan(command: str) -> RevertPlan | None:
    """What would undo a lock-out by this command; None where nothing saved beforehand can."""
    if _FINAL.search(command):
        return None
    areas = [area for area in _AREAS if re.search(area.pattern, command)]
    if not areas:
        return None
    folders = tuple(dict.fromkeys(folder for area in areas for folder in area.folders))
    return RevertPlan(
        what=" and ".join(area.what for area in areas),
        save="; ".join(part for part in (_keep(folders), *(area.save for area in areas)) if part),
        restore="; ".join(part for part in (_put_back(folders), *(area.restore for area in areas)) if part),
    )


def arm_script(plan: RevertPlan, revert_id: str, seconds: int, root: str = "") -> str:
    """Save, and let the server's own timer restore after `seconds`, whatever becomes of the link and the box."""
    folder = _folder(revert_id)
    minutes = max(1, -(-seconds // 60))
    unit = f"clawdbox-revert-{revert_id}"
    restore = (
        f"#!/bin/sh\n{_places(folder, root)}\n{_HEAD}\n"
        # Whoever renames first has it: this, or the one who confirms.
        f'mv "$DIR/armed" "$DIR/fired" || exit 0\n{plan.restore}\n: >"$DIR/done"\n'
    )
    fail = 'rm -rf "$DIR"; echo unsupported; exit 3'
    body = (
        f"{_places(folder, root)}\n{_HEAD}\n"
        "HOME_OF_LOGIN=$1\n"
        'mkdir -m 700 "$DIR" || { echo unsupported; exit 3; }\n'
        f'printf %s "$HOME_OF_LOGIN" >"$DIR/home"\n'
        f"{plan.save}\n"
        f'printf %s {shlex.quote(restore)} >"$DIR/revert.sh" && chmod 700 "$DIR/revert.sh" || {{ {fail}; }}\n'
        ': >"$DIR/armed"\n'
        f'if systemd-run --quiet --collect --unit={unit} --on-active={seconds} /bin/sh "$DIR/revert.sh" >&2; then'
        f' echo systemd >"$DIR/timer"\n'
        "elif command -v at >&2 && { pidof atd || pgrep -x atd || systemctl is-active -q atd; } >&2; then\n"
        f'  echo "/bin/sh $DIR/revert.sh" | at now + {minutes} minutes 2>"$DIR/at" || {{ {fail}; }}\n'
        """  sed -n 's/^job \\([0-9]*\\) .*/\\1/p' "$DIR/at" >"$DIR/timer"\n"""
        f"else {fail}\nfi\n"
        "echo armed\n"
    )
    return _as_root(body)


def disarm_script(revert_id: str, root: str = "") -> str:
    """Keep the change. Repeatable: what is disarmed already, or never was, is `none`."""
    folder = _folder(revert_id)
    body = (
        f"{_places(folder, root)}\n{_HEAD}\n"
        'if mv "$DIR/armed" "$DIR/kept"; then\n'
        f"  systemctl stop clawdbox-revert-{revert_id}.timer\n"
        '  case $(cat "$DIR/timer") in systemd) ;; *) atrm $(cat "$DIR/timer") ;; esac\n'
        '  rm -rf "$DIR"; echo disarmed\n'
        'elif [ -e "$DIR/fired" ]; then echo reverted\n'
        "else echo none\nfi\n"
    )
    return _as_root(body)


def status_script(revert_id: str, root: str = "") -> str:
    """Whether the timer still runs, or has undone the change; what has been told is cleared away."""
    body = (
        f"{_places(_folder(revert_id), root)}\n{_HEAD}\n"
        'if [ -e "$DIR/armed" ]; then echo pending\n'
        'elif [ -e "$DIR/done" ]; then rm -rf "$DIR"; echo reverted\n'
        'elif [ -e "$DIR/fired" ]; then echo pending\n'
        "else echo none\nfi\n"
    )
    return _as_root(body)


def _folder(revert_id: str) -> str:
    if not _ID.fullmatch(revert_id):
        raise ValueError(f"{revert_id!r} is no id")
    return f"{BASE}{revert_id}"


def _places(folder: str, root: str) -> str:
    return f"ROOT={shlex.quote(root)}; DIR=$ROOT{shlex.quote(folder)}"


def _as_root(body: str) -> str:
    quoted = shlex.quote(body)
    script = (
        f'if [ "$(id -u)" = 0 ]; then exec /bin/sh -c {quoted} sh "$HOME"; fi;'
        f' sudo -n /bin/sh -c {quoted} sh "$HOME" 2>/dev/null || {{ [ $? = 3 ] && exit 3; echo unsupported; exit 3; }}'
    )
    return f"sh -c {shlex.quote(script)}"


def _keep(folders: tuple[str, ...]) -> str:
    """Each as a numbered copy; one that is not there is remembered as such."""
    return "; ".join(
        f'if [ -e "$ROOT{folder}" ]; then cp -a "$ROOT{folder}" "$DIR/{index}"; else : >"$DIR/{index}.absent"; fi'
        for index, folder in enumerate(folders)
    )


def _put_back(folders: tuple[str, ...]) -> str:
    """The copy takes the place of what is there now, which is kept beside it; what was not there goes."""
    return 'HOME_OF_LOGIN=$(cat "$DIR/home"); ' + "; ".join(
        f'if [ -e "$DIR/{index}" ]; then rm -rf "$ROOT{folder}.clawdbox-new";'
        f' cp -a "$DIR/{index}" "$ROOT{folder}.clawdbox-new"'
        f' && {{ mv "$ROOT{folder}" "$DIR/{index}.undone"; mv "$ROOT{folder}.clawdbox-new" "$ROOT{folder}"; }};'
        f' elif [ -e "$DIR/{index}.absent" ]; then [ ! -e "$ROOT{folder}" ] || mv "$ROOT{folder}" "$DIR/{index}.undone"; fi'
        for index, folder in enumerate(folders)
    )
