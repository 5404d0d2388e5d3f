"""People, their logins, and how a device becomes signed in."""

from clawdbox.accounts.model import Account, Login, Principal
from clawdbox.accounts.service import Accounts

__all__ = ["Account", "Accounts", "Login", "Principal"]
