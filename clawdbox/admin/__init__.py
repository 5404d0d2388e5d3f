"""What a person at the box itself may ask, and the socket through which a running box takes it."""

from clawdbox.admin.socket import AdminSocket
from clawdbox.admin.verbs import VERBS, OfAccount, pair, perform, reach

__all__ = ["VERBS", "AdminSocket", "OfAccount", "pair", "perform", "reach"]
