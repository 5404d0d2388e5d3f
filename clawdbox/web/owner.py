"""What is the owner's alone."""

from clawdbox.errors import Forbidden
from clawdbox.web.visit import Req, at


def check_owner(request: Req) -> None:
    """Raises Forbidden `role_forbidden`."""
    _, who = at(request)
    if who.account.role != "owner":
        raise Forbidden("role_forbidden", "This is the owner's of the box. Ask them.")
