"""Services, logs, power and disks: what systemd and its like are told."""

from clawdbox.policy.model import Class, Finding, Word, words
from clawdbox.policy.rule import Call, Given
from clawdbox.policy.table import table
from clawdbox.policy.weigh import reading, writing

_TABLE = """
== shared

@show:
  -alrq -n= -o= -p= -s= -t= -P= --all --full --lines= --no-pager --no-legend --output= --plain --property= --state=
  --type= --user --system --value --failed --recursive --reverse --after --before --quiet --no-ask-password
  --with-dependencies --timestamp=

@do:
  --user --system --now -q --quiet --no-block --no-reload --no-wall --wait --no-pager --no-ask-password -l --runtime
  --job-mode=

== read

systemctl: shows services

systemctl status|show|is-active|is-enabled|is-failed|is-system-running|get-default|list-dependencies: shows services
  takes text
  @show

systemctl list-units|list-unit-files|list-timers|list-sockets|list-jobs|list-machines|list-automounts|list-paths: lists services
  takes text
  @show

systemctl cat: shows the settings of services
  takes text
  @show

systemctl show-environment: shows variables of the environment
  takes text, credentials
  @show

rc-status: lists services
  takes text
  -a

journalctl: shows logs
  takes text
  -NUM -aefklmNqrx -b=? -n= -o= -p= -t= -T= -u= -S= -U= -F= -D= -c= -g= --all --boot=? --case-sensitive=? --catalog
  --cursor= --after-cursor= --show-cursor --dmesg --disk-usage --facility= --fields --follow --full --grep= --header
  --identifier= --lines=? --list-boots --merge --no-full --no-hostname --no-pager --no-tail --output= --output-fields=
  --pager-end --priority= --quiet --reverse --since= --system --unit= --until= --user --user-unit= --utc
  --truncate-newline --directory= --verify --invocation= --list-invocations
  destructive --vacuum-size= --vacuum-time= --vacuum-files=: deletes logs | Deleted logs are gone.
  privileged --rotate --flush --sync --relinquish-var: changes where logs are kept

systemd-analyze: tells how the start went

systemd-analyze time|blame|critical-chain|security|calendar|timespan: tells how the start went
  takes text
  --no-pager --user

systemd-cgls: lists processes
  takes text
  -alk --no-pager --all --full

systemd-detect-virt: says what the machine is
  -cqrv --container --vm --quiet

coredumpctl list|info: shows crashes
  takes text
  --no-pager -r -n= --since=

resolvectl: shows how names are looked up

resolvectl status|statistics: shows how names are looked up
  takes text
  --no-pager

resolvectl dns|domain: shows how names are looked up
  takes text, most 1
  --no-pager
  otherwise lock_out: changes how names are looked up

resolvectl query: looks a name up
  takes text, egress
  -46 -t=

mount: lists or attaches disks
  takes text
  check mounting
  -alrvwnF -o= -t= -L= -U= --all --options= --types= --bind --rbind --read-only --verbose

swapon: shows swap
  needs -s --show --summary
  -s --show=? --summary --noheadings --bytes --raw

smartctl: asks disks about their health
  takes list
  -aAHicxj -l= -d= -n= --all --info --health --attributes --scan --xall --json=?

zpool list|status|history|iostat|get|events: shows disks
  takes text
  -HprvLPTdi -o= -t= -s= -S=

zfs list|get: shows disks
  takes text
  -Hpr -d= -o= -t= -s= -S=

lvs|vgs|pvs: lists volumes
  takes text
  -av -o= --units= --noheadings --segments

lvdisplay|vgdisplay|pvdisplay: lists volumes
  takes text
  -cmv

supervisorctl status: shows services
  takes text

pm2 list|ls|status: lists services
  starts node

== change

logger: writes into the log
  takes text
  -is -p= -t=

wall: writes to everybody who is logged in
  takes text

supervisorctl start|stop|restart|reread|update: changes services
  takes text

pm2 restart|reload|stop: changes services
  takes text
  starts node

== privileged

systemctl start|restart|reload|try-restart|reload-or-restart|try-reload-or-restart|enable|unmask|reset-failed|revert|preset: changes services
  takes text
  check unit
  @do

systemctl stop|disable|mask|kill|freeze|thaw|clean|reenable|set-property: stops or changes services
  takes text
  check unit
  @do

systemctl daemon-reload: reads the settings of services again
  @do

resolvectl flush-caches: forgets looked up names

rc-update: changes what runs after a start
  takes text
  check unit

umount: detaches a disk
  takes text, loose
  check places

swapoff: switches swap off
  takes text
  -a

modprobe|insmod: loads modules of the kernel
  takes text, loose

== destructive

pm2 delete: removes services
  takes text, loose

logrotate: puts logs away
  takes text, loose
  undo Logs that are too old are deleted.

zpool destroy|labelclear|remove|detach|offline|clear|replace|split|export|create|add|attach: changes or removes what is on disks
  takes text, loose
  undo What was on the disk is gone.

zfs destroy|rollback|rename|receive|recv: changes or removes what is on disks
  takes text, loose
  undo What was on the disk is gone.

lvremove|vgremove|pvremove|lvreduce|vgreduce|lvresize|mkswap|wipefs|blkdiscard|fdisk|sfdisk|cfdisk|gdisk|sgdisk|parted|cryptsetup: changes or removes what is on disks
  takes text, loose
  undo What was on the disk is gone.

mkfs|mkfs.ext2|mkfs.ext3|mkfs.ext4|mkfs.xfs|mkfs.btrfs|mkfs.vfat|mkfs.fat|mkfs.ntfs|mkfs.f2fs|mke2fs|tune2fs|e2fsck|fsck: changes or removes what is on disks
  takes text, loose
  undo What was on the disk is gone.

resize2fs|xfs_repair|badblocks|mdadm|debugfs|dmsetup|partprobe: changes or removes what is on disks
  takes text, loose
  undo What was on the disk is gone.

== lock_out

systemctl daemon-reexec: starts systemd again
  takes text, loose

systemctl isolate|set-default: stops every other service, now or at the next start
  takes text, loose

systemctl reboot|shutdown|halt|poweroff|rescue|emergency|default|suspend|hibernate|hybrid-sleep|kexec|exit|soft-reboot|switch-root|sleep|suspend-then-hibernate: stops or restarts the machine
  takes text, loose
  undo Nobody may be there to switch it on again.

reboot|shutdown|halt|poweroff|init|telinit|kexec|pm-suspend: stops or restarts the machine
  takes text, loose
  undo Nobody may be there to switch it on again.

grub-install|update-grub|grub-mkconfig|grub2-mkconfig|update-initramfs|dracut|efibootmgr|mkinitcpio: changes how the machine starts
  takes text, loose

rmmod: removes modules of the kernel, maybe that of the network
  takes text, loose

== unknown

hdparm: changes disks
  takes text, loose

apachectl|apache2ctl: changes a service
  takes text, loose

== before

systemctl:
  --user --system --no-pager --no-legend -q --quiet --no-ask-password --now --full -l --plain --all -a --failed --type=
  --state= -t= -n= --lines= --property= -p=

systemd-analyze:
  --no-pager --user

coredumpctl:
  --no-pager

resolvectl:
  --no-pager
"""

# Services on which the way in depends, by a part of their names.
_WAY_IN = [
    "ssh",
    "dropbear",
    "network",
    "firewall",
    "nftables",
    "iptables",
    "ip6tables",
    "ufw",
    "fail2ban",
    "wg-quick",
    "wireguard",
    "openvpn",
    "tailscale",
    "systemd-logind",
    "systemd-resolved",
    "dhcpcd",
    "dhclient",
    "wpa_supplicant",
    "systemd-udevd",
    "dbus",
    "netplan",
    "ifup",
    "sssd",
    "nslcd",
    "cloudflared",
    "zerotier",
    "frp",
    "autossh",
    "shorewall",
    "csf",
    "crowdsec",
    "wicked",
    "connman",
    "iwd",
]
_MANY = ("target", "slice", "mount", "scope", "device")


def touches_way_in(name: str) -> bool:
    return any(part in name.lower() for part in _WAY_IN)


def _unit(_call: Call, given: Given) -> list[Finding]:
    names = [word.text for word in given.operands]
    if any(touches_way_in(name) for name in names):
        return [Finding(Class.LOCK_OUT, "It touches a service through which you reach the server.")]
    if any("*" in name or name.rpartition(".")[2] in _MANY for name in names):
        return [
            Finding(Class.LOCK_OUT, "It touches several services, maybe the one through which you are in.")
        ]
    return []


def _service(call: Call) -> list[Finding]:
    """`service ssh restart`, which is a script."""
    words = [word.text for word in call.words]
    if words == ["--status-all"] or (len(words) == 2 and words[1] == "status"):
        return [Finding(Class.UNKNOWN, "It runs a script that tells about services.", ("sh",))]
    if any(touches_way_in(word) for word in words[:1]):
        klass, why = Class.LOCK_OUT, "It touches a service through which you reach the server."
    elif not all(word.known for word in call.words) or len(words) < 2:
        klass, why = Class.UNKNOWN, "It touches a service that the box cannot tell."
    else:
        klass, why = Class.PRIVILEGED, f"It runs `service {words[0]}`, which changes a service."
    return [Finding(klass, why, ("sh",))]


_SYSTEM = words("/boot /usr /etc /var /home /root /proc /sys /dev /run") | {""}


def _places(call: Call, _given: Given) -> list[Finding]:
    every = any(word.text in ("-a", "--all") for word in call.words)
    if every or any(word.text.rstrip("/") in _SYSTEM for word in call.words):
        return [Finding(Class.LOCK_OUT, "It changes what the system itself runs from.")]
    return []


def _mounting(call: Call, given: Given) -> list[Finding]:
    if not given.operands and not given.has("-a", "--all", "-o", "--options"):
        return []
    return [Finding(Class.PRIVILEGED, "It runs `mount`, which attaches a disk."), *_places(call, given)]


def _dd(call: Call) -> list[Finding]:
    undo = "What it writes over is gone."
    found = [Finding(Class.DESTRUCTIVE, "It runs `dd`, which writes over what is there.", undo=undo)]
    for word in call.words:
        name, _, value = word.text.partition("=")
        path = Word(value, word.start, word.end, word.bare, word.glob, word.known)
        found += writing(path, call) if name == "of" else reading(path, call) if name == "if" else []
    return found


SERVICES = table(
    _TABLE,
    {"unit": _unit, "places": _places, "mounting": _mounting},
    service=_service,
    dd=_dd,
)
SERVICES["invoke-rc.d"] = SERVICES["rc-service"] = _service
