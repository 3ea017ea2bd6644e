"""What clients are told of sessions (OpenID Connect Back-Channel and Front-Channel Logout 1.0): pure rules.

A session has a random name that no client is told. What a client knows it by is made of that name and its own id: so
two clients cannot find out by their id tokens that one browser was at both, as they cannot by pairwise subjects.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

from oauthd.protocol.records import Client, Session

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
TYPE: Final = "logout+jwt"  # Back-Channel Logout section 2.4
LIFETIME: Final = 120  # seconds: section 4, at most two minutes
MOST_FRAMES: Final = 20
_OCTETS = 16  # Front-Channel Logout section 5: enough that nobody guesses one
_PORTS = {"http": 80, "https": 443}


def sid(session: str, client_id: str) -> str:
    """What a client knows a session by (Front-Channel Logout section 3); "" for no session.

    :param session: `Session.sid`, which is random.
    """
    if not session:
        return ""
    told = hmac.digest(session.encode(), client_id.encode("utf-8", "surrogatepass"), "sha256")[:_OCTETS]
    return base64.urlsafe_b64encode(told).rstrip(b"=").decode()


def tells_sid(client: Client, strict: bool) -> bool:
    """Do a client's id tokens have a `sid`?

    Under FAPI 2.0 they say what was asked for, and only who has to do with logout has asked for this one.

    :param strict: is the client held to FAPI 2.0?
    """
    return not strict or bool(
        client.backchannel_logout_uri
        or client.frontchannel_logout_uri
        or client.post_logout_redirect_uris
        or client.logout_ends_tokens
    )


def is_of_session(hint: object, session: Session, client: Client) -> bool:
    """May a hint with this `sid` mean this session? Any may where the session has no name, being from an older program.

    One without any does not: it is of a device or a password, and of no browser (RP-Initiated Logout section 2).
    """
    known = sid(session.sid, client.client_id)
    return not known or (isinstance(hint, str) and hmac.compare_digest(hint.encode(), known.encode()))


def claims(
    issuer: str, audience: str, subject: str, session: str, now: int, identifier: str, lifetime: int = LIFETIME
) -> dict[str, Any]:
    """The claims of a logout token (section 2.4); never a nonce.

    :param session: the `sid` that the client knows; "" for all sessions of the subject.
    """
    said: dict[str, Any] = {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "iat": now,
        "exp": now + lifetime,
        "jti": identifier,
        "events": {EVENT: {}},
    }
    return said | ({"sid": session} if session else {})


def framed(known: Sequence[Client]) -> tuple[Sequence[Client], Sequence[Client]]:
    """Which clients of a session are told by frames, and which have to go without any word.

    Each frame's origin stands in a header of the page, and proxies do not take a header of any length. Those that no
    back channel reaches have the frames before others, and the latest before the first.

    :param known: in the order in which they joined.
    """
    wanted = [client for client in known if client.frontchannel_logout_uri]
    last = sorted(wanted, key=lambda client: not client.backchannel_logout_uri)[:-MOST_FRAMES]
    left_out = {client.client_id for client in last}
    framed = [client for client in wanted if client.client_id not in left_out]
    return framed, [client for client in last if not client.backchannel_logout_uri]


def frame(client: Client, issuer: str, session: str) -> str:
    """What is shown in a frame to sign a client out (Front-Channel Logout section 2): its address, query kept.

    `iss` and `sid` go with it wherever the session has a name: a client that did not ask for them may use them, too.
    """
    known = sid(session, client.client_id)
    if not known:
        return client.frontchannel_logout_uri
    joint = "&" if urlsplit(client.frontchannel_logout_uri).query else "?"
    if client.frontchannel_logout_uri.endswith(("?", "&")):
        joint = ""
    return f"{client.frontchannel_logout_uri}{joint}iss={quote(issuer, safe='')}&sid={quote(known, safe='')}"


def fits(uri: str, redirect_uris: Iterable[str]) -> bool:
    """Front-Channel Logout section 2: are scheme, host and port those of a redirect URI?"""
    return _origin(uri) in {_origin(one) for one in redirect_uris}


def _origin(uri: str) -> tuple[str, str, int | None]:
    parts = urlsplit(uri)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname or "", port or _PORTS.get(parts.scheme)
