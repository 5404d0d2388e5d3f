"""A model of one's own that works on a server through the hands, and through nothing else."""

from clawdbox.agents.runtimes.model.engines import Engines
from clawdbox.agents.runtimes.model.runtime import ModelRuntime

__all__ = ["Engines", "ModelRuntime"]
