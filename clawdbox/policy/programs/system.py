"""The machine, its processes, its users and its time."""

from clawdbox.policy.model import Class, Finding
from clawdbox.policy.rule import Call, Given
from clawdbox.policy.table import table
from clawdbox.policy.weigh import unknown

_TABLE = """
== read

ps: lists processes
  takes text
  check environment
  -aAcdefFHjlLmMNrTVwyZ -C= -G= -g= -o= -O= -p= -q= -s= -t= -u= -U= --pid= --ppid= --user= --User= --group= --sort=
  --forest --no-headers --no-heading --headers --cols= --columns= --width= --format= --tty= --deselect --quick-pid=

top: shows processes
  needs -b
  -bciHSs1 -d= -n= -o= -p= -u= -U= -w=? -E= -e=

pgrep: lists processes
  takes text
  -acflnovxwi -d= -g= -G= -P= -s= -t= -u= -U= -r= --full --exact --list-name --list-full --count --newest --oldest
  --parent= --uid= --euid=

pidof: lists processes
  takes text
  -csx -o= -S=

pstree: lists processes
  takes text
  -aAcghlnpsStTuUZ -H= -N=

pmap: shows the memory of a process
  takes text
  -xXdqp

lsof: lists open files
  takes list
  -abClnNPRtUVwXoqKsv -F=? -c= -d= -g=? -i=? -p= -u= -S=? -T=? -r=?

fuser: lists who uses a file
  takes text
  -aclmuvI46 -n=
  destructive -kiw --kill: ends processes | What a process had not saved is lost.

uptime: says how long the machine runs
  -psV --pretty --since

free: shows memory
  -bkmghltvw -s= -c= --bytes --kibi --mebi --gibi --kilo --mega --giga --human --si --lohi --total --wide

vmstat: shows memory
  takes text
  -adfimnstwy -S= -D

iostat: shows disks
  takes text
  -cdhkmNstxyz -p=? -g= -H

mpstat: shows processors
  takes text
  -Anuv -P= -I=

w: lists who is logged in
  takes text
  -fhisuo --no-header --short

who: lists who is logged in
  takes text
  -abdHlmpqrstTu --all --boot --count --heading

users|whoami|logname|arch: says who or what it is

last|lastb: lists who was logged in
  takes text
  -NUM -adFiRwx -n= -s= -t= -p= -f=read --limit= --since= --until=

lastlog: lists who was logged in
  -b= -t= -u= --before= --time= --user=

id: says who somebody is
  takes text
  -aGgnruzZ --group --groups --name --user

groups: says who somebody is
  takes text

tty: says where it is
  -s

hostname: says the name of the host
  takes text
  check named
  -aAdfiIs --fqdn --short --long --all-ip-addresses --ip-address --domain

hostnamectl: says what the host is

hostnamectl status: says what the host is

hostnamectl hostname: says the name of the host
  takes text
  check named

timedatectl: shows the clock

timedatectl status|timesync-status|list-timezones: shows the clock

timedatectl show: shows the clock
  -a -p= --property= --value --all

date: says the time
  takes text
  check clock
  -uR -I=? -d= -r= --date= --utc --universal --iso-8601=? --rfc-3339= --rfc-email --reference=
  privileged -s= --set=: sets the clock

cal: shows a calendar
  takes text
  -NUM -13jmsyw

uname: says what the system is
  -amnprsvio --all --kernel-name --nodename --kernel-release --machine --operating-system

nproc: counts processors
  --all --ignore=

getconf: says a limit of the system
  takes text
  -a

locale: says the language
  takes text
  -acKm

lscpu: says what the processor is
  -abcexyJ --json --extended=? --parse=? --all

lsblk: lists disks
  takes list
  -abdDfJlmnOpPrsStTzi -o= -x= -e= -I= --all --bytes --fs --json --list --nodeps --output= --paths --output-all
  --noheadings --raw --sort=

blkid: lists disks
  takes list
  -iklp -o= -s= -t= -L= -U=

findmnt: lists mounts
  takes text
  -aAcDefiJklmnPrRsuUvx -o= -O= -S= -t= -T= --json --list --output= --types= --target= --df --all --real --noheadings
  --raw --verify

lspci: lists devices
  -nkmvtDbx -s= -d=

lsusb: lists devices
  -vtV -s= -d=

lsmod: lists modules of the kernel

modinfo: tells what a module of the kernel is
  takes text
  -adlpn0 -F= -k=

lsns: lists namespaces
  takes text
  -lnprJuT -o= -p= -t=

lsipc|ipcs: lists what processes share
  -acgJlmnpPqQstub -i=

lslocks: lists locks
  -iJnpru -o= -p=

dmesg: shows messages of the kernel
  -dehHkLPrStTuwWxJ -f= -l= -s= --ctime --decode --facility= --human --kernel --level= --follow --notime --nopager
  --time-format= --userspace --color=? --since= --until= --raw --reltime --json
  privileged -cCDE -n= --clear --read-clear --console-off --console-on --console-level=: changes what the kernel keeps

sysctl: shows settings of the kernel
  takes text
  check setting
  -aAneNqb -r= --all --names --values --pattern= --ignore
  privileged -w -p=? --write --load=? --system: changes settings of the kernel

getent: looks names up
  takes text
  check looked_up
  -is --no-idn --service=

printenv: shows variables of the environment
  takes text, credentials
  -0

type: says what a program is
  takes text
  -afptP

which: says where a program is
  takes text
  -as --all

whereis: says where a program is
  takes text
  -bmsul

ulimit: shows limits
  -aHScdefilmnpqrstuvx

atq: lists what will run later
  takes text

loginctl: shows who is logged in

loginctl list-sessions|list-users|list-seats|session-status|show-session|user-status|show-user|show-seat: shows who is in
  takes text
  --no-pager --no-legend -a -p= --property= --all --value

sensors: shows temperatures
  -fAuj

nvidia-smi: shows graphics cards
  -Lq -d= -i= --query-gpu= --format= --query-compute-apps=

== change

renice: changes how much processor a process gets
  takes text
  -NUM -n= -p= -g= -u=

== privileged

hostnamectl set-hostname: changes the name of the host
  takes text
  --static --transient --pretty

timedatectl set-timezone|set-ntp|set-time: sets the clock
  takes text

loginctl enable-linger: lets programs of a user go on
  takes text

== destructive

atrm: takes back what would have run later
  takes text, loose

== lock_out

loginctl terminate-session|terminate-user|kill-session|kill-user|disable-linger: ends logins
  takes text, loose

useradd|userdel|usermod|adduser|deluser|groupadd|groupdel|groupmod|addgroup|delgroup|passwd|chpasswd|chage|chsh|chfn: changes who may log in
  takes text, loose

gpasswd|newusers|vipw|vigr|visudo|pwconv|pwunconv|grpconv|grpunconv|faillock|pam_tally2|pam-auth-update|authselect: changes who may log in
  takes text, loose

authconfig|chgpasswd|pwck|grpck|nologin: changes who may log in
  takes text, loose

== before

timedatectl:
  --no-pager

loginctl:
  --no-pager
"""


def _environment(_call: Call, given: Given) -> list[Finding]:
    """`ps e`, `ps auxe` and `ps eww1` show the environment of processes."""
    shown = any("e" in word.text for word in given.operands)
    return [Finding(Class.READ, "It shows variables of the environment.", credentials=True)] if shown else []


def _clock(_call: Call, given: Given) -> list[Finding]:
    """A word that is no format sets the clock."""
    sets = any(not word.text.startswith("+") for word in given.operands)
    return [Finding(Class.PRIVILEGED, "It runs `date`, which sets the clock.")] if sets else []


def _setting(_call: Call, given: Given) -> list[Finding]:
    names = [word.text for word in given.operands]
    if not given.has("-w", "--write") and not any("=" in name for name in names):
        return []
    if any(name.startswith(("net.", "net/")) for name in names):
        return [Finding(Class.LOCK_OUT, "It changes how the kernel treats the network.")]
    return [Finding(Class.PRIVILEGED, "It changes how the kernel works.")]


def _looked_up(_call: Call, given: Given) -> list[Finding]:
    asked = given.operands[0].text if given.operands else ""
    if asked in ("shadow", "gshadow"):
        return [Finding(Class.READ, "It reads the hashes of passwords.", secret=f"the {asked} database")]
    return [Finding(egress=True)] if asked.startswith(("hosts", "ahosts")) else []


def _named(_call: Call, given: Given) -> list[Finding]:
    return [Finding(Class.PRIVILEGED, "It changes the name of the host.")] if given.operands else []


_ENDED = "What a process had not saved is lost."


def _kill(call: Call) -> list[Finding]:
    """`-l` only looks. Everything, and the first process, are the way in."""
    words = [word.text for word in call.words]
    if words and words[0] in ("-l", "-L", "--list", "--table"):
        return [Finding(Class.READ, "It runs `kill -l`, which lists signals.")]
    found = [Finding(Class.DESTRUCTIVE, "It runs `kill`, which ends processes.", undo=_ENDED)]
    if any(word in ("1", "0", "-1") for word in words[1:]) or words[:1] in (["1"], ["0"]):
        found.append(Finding(Class.LOCK_OUT, "It ends every process, or the first one."))
    if any(not word.known for word in call.words):
        found.append(unknown("kill", "with words that only the running shell knows."))
    return found


def _kill_by_name(call: Call) -> list[Finding]:
    """A pattern that sshd fits is the way in."""
    name = call.program
    found = [Finding(Class.DESTRUCTIVE, f"It runs `{name}`, which ends processes by name.", undo=_ENDED)]
    plain = [word.text for word in call.words if not word.text.startswith("-")]
    if any(_fits_way_in(word) for word in plain) or not plain:
        found.append(Finding(Class.LOCK_OUT, "It may end sshd, and with it the way into the server."))
    if any(not word.known for word in call.words):
        found.append(unknown(name, "with words that only the running shell knows."))
    return found


_WAY_IN = [
    "sshd",
    "dropbear",
    "tinysshd",
    "systemd",
    "init",
    "dbus",
    "networkd",
    "networkmanager",
    "tailscaled",
    "wireguard",
    "wpa_supplicant",
    "dhclient",
]


def _fits_way_in(pattern: str) -> bool:
    text = pattern.lower()
    if len(text) < 3 or any(char in text for char in "*.[?|^$\\+("):
        return True
    return any(name in text or text in name for name in _WAY_IN)


def _set(call: Call) -> list[Finding]:
    """`set -e` and its like at the beginning of several commands."""
    words = " ".join(word.text for word in call.words)
    if words in {
        "-e",
        "-u",
        "-x",
        "-eu",
        "-ex",
        "-eux",
        "-o pipefail",
        "-eo pipefail",
        "-euo pipefail",
        "-euxo pipefail",
    }:
        return [Finding(Class.READ, "It tells the shell when to stop.")]
    return [unknown("set", "which changes how the shell reads what follows.")]


SYSTEM = table(
    _TABLE,
    {
        "environment": _environment,
        "clock": _clock,
        "setting": _setting,
        "looked_up": _looked_up,
        "named": _named,
    },
    kill=_kill,
    pkill=_kill_by_name,
    killall=_kill_by_name,
    skill=_kill_by_name,
    set=_set,
)
