"""Who is asked."""

from itertools import product

import pytest

from clawdbox.policy import Class, Judgement, Mode, Tier, Verdict, decide, judge

A, Q = Verdict.ALLOW, Verdict.ASK
READ, CHANGE, PRIVILEGED, DESTRUCTIVE, LOCK_OUT, UNKNOWN = Class
# The columns are the classes in their order.
TABLE = {
    (Mode.ASK_EVERYTHING, Tier.PRODUCTION): (Q, Q, Q, Q, Q, Q),
    (Mode.ASK_EVERYTHING, Tier.STAGING): (Q, Q, Q, Q, Q, Q),
    (Mode.ASK_EVERYTHING, Tier.LAB): (Q, Q, Q, Q, Q, Q),
    (Mode.READ_FREELY, Tier.PRODUCTION): (A, Q, Q, Q, Q, Q),
    (Mode.READ_FREELY, Tier.STAGING): (A, Q, Q, Q, Q, Q),
    (Mode.READ_FREELY, Tier.LAB): (A, Q, Q, Q, Q, Q),
    (Mode.UNATTENDED, Tier.PRODUCTION): (A, A, Q, Q, Q, Q),
    (Mode.UNATTENDED, Tier.STAGING): (A, A, A, Q, Q, Q),
    (Mode.UNATTENDED, Tier.LAB): (A, A, A, A, Q, Q),
}
ALL = list(product(Mode, Tier, Class))


@pytest.mark.parametrize("mode, tier, klass", ALL)
def test_the_table(mode: Mode, tier: Tier, klass: Class) -> None:
    assert decide(Judgement(klass), tier, mode).verdict == TABLE[mode, tier][klass.rank]


@pytest.mark.parametrize("mode, tier, klass", ALL)
def test_a_secret_is_denied_in_every_mode(mode: Mode, tier: Tier, klass: Class) -> None:
    decision = decide(Judgement(klass, secret="/etc/shadow"), tier, mode)
    assert decision.verdict is Verdict.DENY
    assert "/etc/shadow" in decision.why


@pytest.mark.parametrize("mode, tier, klass", ALL)
def test_after_untrusted_output_what_leaves_or_shows_passwords_asks(
    mode: Mode, tier: Tier, klass: Class
) -> None:
    for judgement in (Judgement(klass, egress=True), Judgement(klass, credentials=True)):
        assert decide(judgement, tier, mode, tainted=True).verdict is Q


@pytest.mark.parametrize("mode, tier, klass", ALL)
def test_without_a_budget_only_reading_goes_on(mode: Mode, tier: Tier, klass: Class) -> None:
    verdict = decide(Judgement(klass), tier, mode, budget_left=False).verdict
    assert verdict is (A if klass is READ and mode is not Mode.ASK_EVERYTHING else Q)


def test_the_question_says_why() -> None:
    decision = decide(judge("rm -r build"), Tier.PRODUCTION, Mode.READ_FREELY)
    assert decision.why == "It runs `rm`, which deletes files."
    assert decide(Judgement(UNKNOWN), Tier.LAB, Mode.UNATTENDED).why == "The box cannot tell what it does."


def test_the_classes_are_in_the_order_of_their_danger() -> None:
    order = [READ, CHANGE, PRIVILEGED, DESTRUCTIVE, LOCK_OUT, UNKNOWN]
    assert sorted(Class, key=lambda klass: klass.rank) == order
