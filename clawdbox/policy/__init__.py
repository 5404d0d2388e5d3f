"""Commands that agents want to run. For now only a handful of exact commands pass unasked; all others ask."""

import re
from enum import StrEnum

import msgspec

from clawdbox.policy.redact import ProseRedactor, Redactor, redact


class Class(StrEnum):
    READ = "read"
    CHANGE = "change"
    PRIVILEGED = "privileged"
    DESTRUCTIVE = "destructive"
    LOCK_OUT = "lock_out"
    UNKNOWN = "unknown"


class Tier(StrEnum):
    PRODUCTION = "production"
    STAGING = "staging"
    LAB = "lab"


class Mode(StrEnum):
    ASK_EVERYTHING = "ask_everything"
    READ_FREELY = "read_freely"
    UNATTENDED = "unattended"


class Verdict(StrEnum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Judgement(msgspec.Struct, frozen=True):
    klass: Class
    why: tuple[str, ...]
    programs: tuple[str, ...]
    cannot_be_undone: str | None
    secret: str | None
    egress: bool


class Decision(msgspec.Struct, frozen=True):
    verdict: Verdict
    why: str


_READS = frozenset({"uptime", "id", "hostname", "date", "true", "df -h", "free -m"})
_CHANGES = re.compile(r"systemctl +restart +nginx")
_SECRET = re.compile(r"\S*(?:id_ed25519|id_rsa|/etc/shadow)\S*")


def judge(command: str) -> Judgement:
    secret = _SECRET.search(command)
    if command in _READS:
        klass = Class.READ
    else:
        klass = Class.CHANGE if _CHANGES.fullmatch(command) else Class.UNKNOWN
    return Judgement(klass, (), (), None, secret.group() if secret else None, False)


def judge_file(path: str, *, write: bool) -> Judgement:
    secret = _SECRET.search(path)
    klass = Class.CHANGE if write else Class.READ
    return Judgement(klass, (), (), None, secret.group() if secret else None, False)


def decide(
    judgement: Judgement, tier: Tier, mode: Mode, *, tainted: bool = False, budget_left: bool = True
) -> Decision:
    del tier, tainted, budget_left
    if judgement.secret:
        return Decision(Verdict.DENY, f"Agents may not read {judgement.secret}.")
    if judgement.klass is Class.READ and mode is not Mode.ASK_EVERYTHING:
        return Decision(Verdict.ALLOW, "It only reads.")
    return Decision(Verdict.ASK, "Nobody knows what it would do.")


__all__ = [
    "Class",
    "Decision",
    "Judgement",
    "Mode",
    "ProseRedactor",
    "Redactor",
    "Tier",
    "Verdict",
    "decide",
    "judge",
    "judge_file",
    "redact",
]
