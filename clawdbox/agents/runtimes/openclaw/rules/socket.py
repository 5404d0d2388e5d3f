"""What a client of an agent's control socket may do: one command at a time, and nothing besides."""

from clawdbox.ssh.rules.control import Policy, Request, Use

# The hook decides about everything, so that each refusal has a reason that fits an agent.
POLICY = Policy(exec=True, pty=True, forward=True, proxy=True, exit=True)
_COMMANDS_ONLY = "This socket is an agent's: it takes single commands, such as `ssh … 'uptime'`"
_REFUSALS = {
    Use.SHELL: f"{_COMMANDS_ONLY}, and opens no interactive shells, since what is typed there cannot be judged.",
    Use.SUBSYSTEM: f"{_COMMANDS_ONLY}, and no sftp or other subsystem. Read and write files with commands.",
    Use.FORWARD: f"{_COMMANDS_ONLY}, and forwards nothing.",
    Use.CANCEL_FORWARD: f"{_COMMANDS_ONLY}, and forwards nothing.",
    Use.STDIO_FORWARD: f"{_COMMANDS_ONLY}, and forwards nothing.",
    Use.PROXY: f"{_COMMANDS_ONLY}, and does not speak for `ssh -O proxy`.",
    Use.STOP: "An agent does not close its own socket; it goes when the turn ends.",
    Use.EXIT: "An agent does not end the session.",
}


def refusal(request: Request) -> str | None:
    """Why it is refused without asking; None for a command, which is judged."""
    if request.use is not Use.COMMAND:
        return _REFUSALS[request.use]
    if request.pty:
        return f"{_COMMANDS_ONLY}, and gives them no terminal. Leave out `-t`."
    if not request.exact or not request.command:
        return (
            "This command is no text in UTF-8, so that nobody could judge it. Write it in plain characters."
        )
    return None
