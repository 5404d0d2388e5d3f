"""The login cookie and the nonce that a request riding on it must carry besides."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

from clawdbox.web.box import Box

NAME = "clawdbox_login"
_SECURE_NAME = (
    f"__Host-{NAME}"  # a browser takes it only over https, for this host alone (RFC 6265bis, 4.1.3.2)
)


def cookie_name(scheme: str) -> str:
    return _SECURE_NAME if scheme == "https" else NAME


def login_cookie(scheme: str, token: str, max_age_s: int) -> str:
    """A Set-Cookie value. SameSite=Strict: another site's page cannot make the browser send it."""
    secure = "; Secure" if scheme == "https" else ""
    return f"{cookie_name(scheme)}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"


def read_cookies(scheme: str, headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Every value that came under the login's name.

    There should be one. A page on another port of this host can set more beside it (cookies know no ports), which come
    first or last as the browser sees fit.
    """
    wanted = cookie_name(scheme)
    found: dict[str, None] = {}
    for name, value in headers:
        if name == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                key, _, text = pair.strip().partition("=")
                if key == wanted and text:
                    found[text] = None
    return list(found)


def csrf_token(box: Box, login_id: str) -> str:
    """Bound to the login: another site cannot read it, and another login's does not fit."""
    digest = hmac.new(box.mac_key("csrf"), login_id.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def csrf_fits(box: Box, login_id: str, offered: str | None) -> bool:
    return offered is not None and hmac.compare_digest(csrf_token(box, login_id).encode(), offered.encode())
