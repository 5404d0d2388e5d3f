"""Facts that happened: the append-only events, the audit chain, and the fan-out inside the process."""

from clawdbox.events.hub import Hub
from clawdbox.events.model import Actor, AuditEntry, Event, Incident, IncidentKind
from clawdbox.events.service import Ledger

__all__ = ["Actor", "AuditEntry", "Event", "Hub", "Incident", "IncidentKind", "Ledger"]
