"""What a JWT access token says so that it need not be written down: the record that introspection wants, from claims.

Most of a record stands in the claims of RFC 9068 section 2.2 already. The generations that a token was issued under are
a claim of their own, `gen`, and by it such a token is known: one that was written down has none, so that it does not
come back to life when its record is removed. Whatever else the claims do not say (the grant, the name of a user, who a
pairwise subject is) is nobody's business but ours and stands sealed in `rec`; a machine's token needs none of it.

Whether the claims are ours (the signature), how they are sealed, and whether the token is alive is left to others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import MsgspecError, convert, to_builtins

from oauthd.protocol.records import AccessToken

GENERATIONS: Final = "gen"
SEALED: Final = "rec"

_DECLARED = "xs"  # in what is sealed: the names of the claims that are declared by the operator
_GENERATIONS: Final = ("w", "c", "u")  # as `Generations` is stored

Rest = dict[str, Any]
"""What the claims do not say, by the stored names of the fields; None for what they say and the record does not."""


def generations(record: AccessToken) -> list[int | None]:
    """The value of `gen`: of the world, the client and the user, 0 for no user."""
    issued = record.generations
    return [issued.world, issued.client, issued.user]


def rest(record: AccessToken, claims: Mapping[str, Any]) -> Rest:
    """What a record holds beyond what is said by the claims of its token, `gen` among them."""
    whole: dict[str, Any] = to_builtins(record)
    said = _said(claims)
    left = {name: value for name, value in whole.items() if said.get(name) != value}
    left.update((name, None) for name in said if name not in whole)
    declared = left.get("x")
    if declared and all(name in claims and claims[name] == value for name, value in declared.items()):
        del left["x"]
        left[_DECLARED] = list(declared)
    return left


def record(claims: Mapping[str, Any], left: Rest) -> AccessToken | None:
    """The record of a token with these claims; None where they are not those of a token that is not written down."""
    try:
        whole = _said(claims) | left
        names = whole.pop(_DECLARED, ())
        if names:
            whole["x"] = {name: claims[name] for name in names}
        found: AccessToken = convert({key: value for key, value in whole.items() if value is not None}, AccessToken)
    except (KeyError, TypeError, ValueError, AttributeError, MsgspecError):
        return None
    return found


def _said(claims: Mapping[str, Any]) -> dict[str, Any]:
    """What the claims say of the record, by its stored names; defaults are left out.

    :raises KeyError, TypeError, ValueError: for claims of something else.
    """
    issued = dict(zip(_GENERATIONS, claims[GENERATIONS], strict=True))
    if issued["u"] == 0:
        del issued["u"]
    subject, audience = claims["sub"], claims["aud"]
    confirmed = claims.get("cnf", {})
    binding = {"k": confirmed.get("jkt"), "x": confirmed.get("x5t#S256")}
    said = {
        "c": claims["client_id"],
        "s": tuple(claims.get("scope", "").split()),
        "i": claims["iat"],
        "e": claims["exp"],
        "j": claims["jti"],
        "g": issued,
        "u": None if subject == claims["client_id"] else subject,
        # RFC 9068 section 3: without a resource it is for the issuer alone.
        "a": None if audience == claims["iss"] else (audience,) if isinstance(audience, str) else tuple(audience),
        "at": claims.get("auth_time"),
        "ac": claims.get("acr"),
        "b": {name: value for name, value in binding.items() if value} or None,
        "d": tuple(claims.get("authorization_details", ())) or None,
        "A": claims.get("act"),
        "ma": claims.get("may_act"),
    }
    return {name: value for name, value in said.items() if value is not None}
