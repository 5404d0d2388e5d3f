"""What becomes of a gateway's exec approval, and how a person is asked about it."""

from clawdbox.agents.runtimes.openclaw.frames import ApprovalRequest, ExecApproval
from clawdbox.agents.runtimes.openclaw.rules.context import Reach, is_own_command
from clawdbox.agents.runtimes.port import Option, Question

ALLOW, DENY = "allow-once", "deny"
_OPTIONS = (Option(ALLOW, "Allow", "allow_once"), Option(DENY, "Deny", "reject_once"))
_MOST = 8000


GONE = "It was settled at the gateway, or the gateway needs no answer any more."


def call_id(approval_id: str) -> str:
    return f"exec:{approval_id[:200]}"


def unasked(request: ApprovalRequest, reach: Reach) -> str | None:
    """The answer where nobody has to be asked: a gateway that may only talk runs nothing, and a command that only
    hands another one to the control socket is asked about there. None for everything else."""
    if reach.prefix is None:
        return DENY
    has_environment = bool(request.env or request.env_keys)
    if (
        request.host in (None, "gateway")
        and not has_environment
        and is_own_command(request.command, reach.prefix)
    ):
        return ALLOW
    return None


def question(approval: ExecApproval) -> Question:
    """The command is shown, and not given to the policy: that one knows servers, and this is another machine."""
    request = approval.request
    lines = [request.command[:_MOST]]
    if request.cwd:
        lines.append(f"in {request.cwd[:500]}")
    if request.warning_text:
        lines.append(request.warning_text[:500])
    return Question(
        call_id=call_id(approval.id),
        title="Run a command on the gateway's own machine, not on the server",
        options=_OPTIONS,
        directory=request.cwd[:500] if request.cwd else None,
        detail="\n".join(lines),
    )
