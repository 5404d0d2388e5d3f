"""Commands that agents want to run: what they would do, whether somebody is asked first, and what is shown of them.

Pure: text goes in, a judgement comes out. A judgement is a tripwire, no boundary (docs/guide/agents-policy.md).
"""

from clawdbox.policy.decide import decide
from clawdbox.policy.judge import judge, judge_file
from clawdbox.policy.model import Class, Decision, Judgement, Mode, Tier, Verdict
from clawdbox.policy.redact import ProseRedactor, Redactor, redact

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
