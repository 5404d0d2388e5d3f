"""All of this runtime that needs the libraries, behind one name; importing this takes seconds."""

from clawdbox.agents.runtimes.model.engine import Engine
from clawdbox.agents.runtimes.model.loop import Loop
from clawdbox.agents.runtimes.model.probe import probe


class Libraries:
    Engine = Engine
    Loop = Loop
    probe = staticmethod(probe)


__all__ = ["Engine", "Libraries", "Loop"]
