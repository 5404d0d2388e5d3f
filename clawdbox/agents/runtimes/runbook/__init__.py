"""The runtime that needs no model: recipes that read a server, and lines that begin with `$ `."""

from clawdbox.agents.runtimes.runbook.runtime import Runbook

__all__ = ["Runbook"]
