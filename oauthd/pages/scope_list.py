"""The scopes of a request in the words that a person reads before agreeing."""

from __future__ import annotations

from msgspec.structs import replace

from oauthd.protocol.records import Scope

IDENTITY = "Sign you in and see your user id, your username and your email address"


def described(scope: tuple[str, ...], known: tuple[Scope, ...], identity_with_openid: bool) -> list[Scope]:
    """The scopes that a page lists; `openid` names all that it lets out."""
    named = {one.name: one for one in known}
    found = [named.get(name, Scope(0, name)) for name in scope]
    return [
        replace(one, description=IDENTITY) if one.name == "openid" and identity_with_openid else one for one in found
    ]
