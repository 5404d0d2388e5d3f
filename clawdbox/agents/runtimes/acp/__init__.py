"""Code agents on the server, over the Agent Client Protocol."""

from clawdbox.agents.runtimes.acp.look import CodeAgents
from clawdbox.agents.runtimes.acp.runtime import Acp

__all__ = ["Acp", "CodeAgents"]
