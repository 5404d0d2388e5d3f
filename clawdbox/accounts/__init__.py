"""People, their logins, and how a device becomes signed in."""

from clawdbox.accounts.model import Account, Device, Login, Principal
from clawdbox.accounts.service import Accounts

__all__ = ["Account", "Accounts", "Device", "Login", "Principal"]
