"""Stopping a command on the server, so that its processes are really gone."""

from clawdbox.ssh.wire.channels import ExecChannel


async def end(channel: ExecChannel, grace_s: float) -> bool:
    """TERM, after `grace_s` KILL. True when the command was seen to end."""
    channel.signal("TERM")
    if await channel.session.exited_within(grace_s):
        return True
    channel.signal("KILL")
    return await channel.session.exited_within(1.0)
