"""Scopes: their syntax (RFC 6749 section 3.3), and which of them a request gets.

Refuses characters that no scope token has, unknown scopes, scopes that the client may not ask for, and
`administrators_only` ones for anybody else, all as `invalid_scope`: a scope that was asked for is never dropped in
silence, but for `offline_access` of a client that gets no refresh tokens. Only a client's *default* scopes are narrowed
to what exists and is allowed today, since nobody asked for them by name. Runs of spaces are taken as one, against the
letter of the grammar: they cannot be misread. What the person consents to is for the pages.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from oauthd.protocol.errors import INVALID_SCOPE
from oauthd.protocol.records import Client, Scope, Scopes

OFFLINE_ACCESS = "offline_access"
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3


def is_token(name: str) -> bool:
    """May a scope be called so?"""
    return _TOKEN.fullmatch(name) is not None


def parse(scope: str | None) -> tuple[str, ...]:
    """The scope tokens of a parameter in the order sent, each once; () for an absent one.

    :raises OAuthError: `invalid_scope` when it is malformed.
    """
    tokens = tuple(dict.fromkeys(token for token in (scope or "").split(" ") if token))
    if not all(map(is_token, tokens)):
        raise INVALID_SCOPE("the scope holds characters that no scope has")
    return tokens


def joined(scope: Iterable[str]) -> str:
    """The wire form."""
    return " ".join(scope)


def granted(requested: str | None, client: Client, known: Scopes, administrator: bool) -> tuple[str, ...]:
    """What a request gets on behalf of a user: scopes that exist, that the client may ask for, and the user may have.

    Before the person has signed in, ask as for an administrator: what is refused then is refused for everybody.

    :param requested: the `scope` parameter, None when it was left out.
    :param administrator: is the user one?
    :raises OAuthError: `invalid_scope`.
    """
    return _choose(requested, client, known, administrator)


def granted_to_client(requested: str | None, client: Client, known: Scopes) -> tuple[str, ...]:
    """What a client gets that acts for itself; `administrators_only` scopes only where its own list names them.

    :raises OAuthError: `invalid_scope`.
    """
    return _choose(requested, client, known, client.scopes is not None)


def narrowed(requested: str | None, held: tuple[str, ...]) -> tuple[str, ...]:
    """What a refresh gets of the scope that was granted (RFC 6749 section 6).

    :raises OAuthError: `invalid_scope` when it asks for more.
    """
    if requested is None:
        return held
    tokens = parse(requested)
    _refuse_beyond(tokens, set(held))
    return tokens or held


def allowed(client: Client, known: Scopes, entitled: bool) -> frozenset[str]:
    """The names of the scopes that a client may ask for.

    :param entitled: may its tokens have `administrators_only` ones?
    """
    return frozenset(scope.name for scope in _allowed(client, known) if entitled or not scope.administrators_only)


def _allowed(client: Client, known: Scopes) -> Iterable[Scope]:
    for scope in known.scopes:
        if not scope.reserved if client.scopes is None else scope.name in client.scopes:
            yield scope


def _choose(requested: str | None, client: Client, known: Scopes, entitled: bool) -> tuple[str, ...]:
    possible = allowed(client, known, entitled)
    tokens = parse(requested)
    if tokens:
        _refuse_beyond(tokens, possible)
    else:
        tokens = tuple(dict.fromkeys(name for name in client.default_scopes if name in possible))
    if "refresh_token" in client.grant_types:
        return tokens
    # OpenID Connect Core section 11: ignored where no refresh token can come of it.
    return tuple(name for name in tokens if name != OFFLINE_ACCESS)


def _refuse_beyond(tokens: tuple[str, ...], allowed: Collection[str]) -> None:
    # A scope token cannot hold a quote or a control character, so naming it is safe, and kind to the developer.
    for token in tokens:
        if token not in allowed:
            name = token if len(token) <= 64 else "of this length"
            raise INVALID_SCOPE(f"the scope {name} is unknown, or not allowed here")
