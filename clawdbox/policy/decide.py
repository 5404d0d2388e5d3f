"""From a judgement to a verdict: one table, and the few things that come before it."""

from clawdbox.policy.model import Class, Decision, Judgement, Mode, Tier, Verdict

_READ = frozenset({Class.READ})
_CHANGE = _READ | {Class.CHANGE}
_PRIVILEGED = _CHANGE | {Class.PRIVILEGED}
_DESTRUCTIVE = _PRIVILEGED | {Class.DESTRUCTIVE}

# What is not asked. LOCK_OUT and UNKNOWN stand nowhere: they always ask.
_ALLOWED: dict[tuple[Mode, Tier], frozenset[Class]] = {
    (Mode.ASK_EVERYTHING, Tier.PRODUCTION): frozenset(),
    (Mode.ASK_EVERYTHING, Tier.STAGING): frozenset(),
    (Mode.ASK_EVERYTHING, Tier.LAB): frozenset(),
    (Mode.READ_FREELY, Tier.PRODUCTION): _READ,
    (Mode.READ_FREELY, Tier.STAGING): _READ,
    (Mode.READ_FREELY, Tier.LAB): _READ,
    (Mode.UNATTENDED, Tier.PRODUCTION): _CHANGE,
    (Mode.UNATTENDED, Tier.STAGING): _PRIVILEGED,
    (Mode.UNATTENDED, Tier.LAB): _DESTRUCTIVE,
}
_ASKS = {
    Class.READ: "It only reads, but this account asks for everything.",
    Class.CHANGE: "It changes something.",
    Class.PRIVILEGED: "It needs more rights than reading, or changes the system itself.",
    Class.DESTRUCTIVE: "It deletes or overwrites something.",
    Class.LOCK_OUT: "It may lock you out of the server.",
    Class.UNKNOWN: "The box cannot tell what it does.",
}
_TIERS = {
    Tier.PRODUCTION: "a production server",
    Tier.STAGING: "a staging server",
    Tier.LAB: "a lab server",
}


def decide(
    judgement: Judgement, tier: Tier, mode: Mode, *, tainted: bool = False, budget_left: bool = True
) -> Decision:
    """Whether it runs, asks first, or is refused.

    `tainted`: output of a server, or another text that nobody vouches for, was read in this turn.
    """
    if judgement.secret is not None:
        return Decision(
            Verdict.DENY, f"It would read {judgement.secret}, which no agent reads. Look at it in a terminal."
        )
    if judgement.klass not in _ALLOWED[mode, tier]:
        return Decision(Verdict.ASK, judgement.why[0] if judgement.why else _ASKS[judgement.klass])
    if tainted and judgement.egress:
        return Decision(
            Verdict.ASK,
            "It may send something over the network, after text was read that nobody vouches for.",
        )
    if tainted and judgement.credentials:
        return Decision(Verdict.ASK, "It may show passwords, after text was read that nobody vouches for.")
    if not budget_left and judgement.klass is not Class.READ:
        return Decision(Verdict.ASK, "The budget for working unattended is used up.")
    return Decision(Verdict.ALLOW, _allowed(judgement.klass, tier))


def _allowed(klass: Class, tier: Tier) -> str:
    if klass is Class.READ:
        return "It only reads."
    return f"Agents may do this unattended on {_TIERS[tier]}."
