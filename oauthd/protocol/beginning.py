"""How a grant begins: the same way for every grant type, whoever authorizes it.

What is carried from a sign-in into the grant is carried here alone: when and how it was made, the generation of the
person, the session that it belongs to, and whether the grant ends with that session. Who may authorize what is decided
before; to write the grant down is for others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from oauthd.protocol import acr
from oauthd.protocol.authorization_details import Details
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.records import Client, Generations, Grant, Session, User
from oauthd.protocol.scopes import OFFLINE_ACCESS


class SignedIn(Frozen, frozen=True):
    """The person who authorizes, and what is known of the sign-in.

    :ivar generation: of the user, from before the user was read: what is taken from either since ends the grant.
    :ivar auth_time: when, in seconds; 0 where nobody knows.
    :ivar acr: how (OpenID Connect Core section 2); "" where nobody knows.
    :ivar session: `sid` of the session that it belongs to; "" for none.
    """

    user: User
    generation: int
    auth_time: int = 0
    acr: str = ""
    session: str = ""


def by_session(user: User, session: Session) -> SignedIn:
    """The person whose session a browser has."""
    return SignedIn(user, session.user_generation, session.auth_time, acr.reached(session.amr), session.sid)


def begin(
    client: Client,
    generations: Generations,
    by: SignedIn | None,
    *,
    grant_type: str,
    scope: tuple[str, ...],
    now: int,
    ends_at: int,
    expires_at: int | None = None,
    audience: tuple[str, ...] = (),
    details: Details = (),
    nonce: str = "",
    claims: Mapping[str, Any] | None = None,
    act: Mapping[str, Any] | None = None,
    may_act: Mapping[str, Any] | None = None,
) -> Grant:
    """A new grant.

    :param generations: those of the world and of the client, from before the client was read.
    :param by: None for a client that acts for itself.
    :param now: whole seconds.
    :param ends_at: the absolute end.
    :param expires_at: until when it is kept, where it has no tokens yet or none that are refreshed; None for its end.
    """
    session = by.session if by else ""
    return Grant(
        client_id=client.client_id,
        user_id=by.user.user_id if by else "",
        username=by.user.username if by else "",
        grant_type=grant_type,
        scope=scope,
        generations=replace(generations, user=by.generation) if by else generations,
        issued_at=now,
        ends_at=ends_at,
        expires_at=ends_at if expires_at is None else expires_at,
        audience=audience,
        auth_time=by.auth_time if by else 0,
        nonce=nonce,
        acr=by.acr if by else "",
        claims=dict(claims or {}),
        details=details,
        session=session,
        may_act=dict(may_act or {}),
        act=dict(act or {}),
        # OpenID Connect Back-Channel Logout section 2.7: not what was given for use without the person.
        ends_with_session=bool(session) and client.logout_ends_tokens and OFFLINE_ACCESS not in scope,
    )
