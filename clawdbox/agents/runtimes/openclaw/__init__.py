"""OpenClaw: a gateway elsewhere thinks, and says so over its WebSocket; what it runs on a server goes through a socket."""

from clawdbox.agents.runtimes.openclaw.runtime import OpenClaw
from clawdbox.agents.runtimes.openclaw.service import Gateways

__all__ = ["Gateways", "OpenClaw"]
