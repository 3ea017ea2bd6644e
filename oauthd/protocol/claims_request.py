"""The `claims` parameter of an authorization request (OpenID Connect Core section 5.5), read one way only.

What is kept is a plain value that a grant can hold: `id_token` and `userinfo`, each a mapping of claims to what is said
of them (`essential`, `value`, `values`; nothing for null). Claims and members that are not understood are ignored, as
section 5.5 wants it. Refused as `invalid_request`: text that is too long or no strict JSON, members of another type,
values that are neither text, number nor truth value. Which values people have is for `oauthd.protocol.claims`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from oauthd.protocol.claims import CLAIMS_OF, STANDARD, about
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.json_body import strict
from oauthd.protocol.records import User

LONGEST: Final = 4096  # characters
DEPTH: Final = 8
MOST_VALUES: Final = 32
MEMBERS: Final = ("id_token", "userinfo")
ABOUT_THE_SIGN_IN: Final = ("sub", "acr", "auth_time", "amr")
UNDERSTOOD: Final = frozenset({*STANDARD, *ABOUT_THE_SIGN_IN})

Asked = Mapping[str, Mapping[str, Any]]
"""Claims of one member, and what is said of each."""


def parse(text: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The claims that the parameter asks for, as far as they are understood.

    :raises OAuthError: `invalid_request`.
    """
    if len(text) > LONGEST:
        raise INVALID_REQUEST("the claims parameter is too long")
    value = strict(text, "the claims parameter", DEPTH)
    if not isinstance(value, dict):
        raise INVALID_REQUEST("the claims parameter is not a JSON object")
    found = {member: _member(member, value[member]) for member in MEMBERS if member in value}
    return {member: claims for member, claims in found.items() if claims}


def fits(said: Mapping[str, Any], value: object) -> bool:
    """Is it a value that was asked for (section 5.5.1, `value` and `values`)?"""
    wanted = _wanted(said)
    return not wanted or any(type(one) is type(value) and one == value for one in wanted)


def subject_fits(claims: Mapping[str, Asked], subject: str) -> bool:
    """Is it the person that the id token is asked for (section 3.1.2.2, step 4)?"""
    return fits(claims.get("id_token", {}).get("sub", {}), subject)


def acr_needed(claims: Mapping[str, Asked]) -> tuple[str, ...]:
    """The classes one of which the id token must have (section 5.5.1.1); () where any will do."""
    said = claims.get("id_token", {}).get("acr", {})
    return tuple(str(one) for one in _wanted(said)) if said.get("essential") else ()


def uncovered(claims: Mapping[str, Asked], scope: Iterable[str]) -> tuple[str, ...]:
    """The claims about a person that are asked for by name, and not by a scope as well."""
    covered = {name for one in scope for name in CLAIMS_OF.get(one, ())}
    asked = {name for member in claims.values() for name in member}
    return tuple(name for name in STANDARD if name in asked and name not in covered)


def requested(user: User, asked: Asked) -> dict[str, Any]:
    """The user's claims that were asked for by name; one with another value than was asked for is left out."""
    known = about(user)
    return {name: known[name] for name, said in asked.items() if name in known and fits(said, known[name])}


def to_agree(claims: Mapping[str, Asked], scope: Iterable[str]) -> tuple[str, ...]:
    """What a person is asked to agree to: scopes, then claims in quotes, which no scope can hold (RFC 6749 3.3)."""
    held = tuple(scope)
    return (*held, *(f'"{name}"' for name in uncovered(claims, held)))


def _wanted(said: Mapping[str, Any]) -> list[Any]:
    return [*([said["value"]] if "value" in said else []), *said.get("values", ())]


def _member(name: str, value: object) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise INVALID_REQUEST(f"the member {name} of the claims parameter is not an object")
    return {claim: _said(said) for claim, said in value.items() if claim in UNDERSTOOD}


def _said(said: object) -> dict[str, Any]:
    """What is said of one claim (section 5.5.1)."""
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise INVALID_REQUEST("a claim of the claims parameter is neither null nor an object")
    found: dict[str, Any] = {}
    if "essential" in said:
        if not isinstance(said["essential"], bool):
            raise INVALID_REQUEST("essential in the claims parameter is neither true nor false")
        if said["essential"]:
            found["essential"] = True
    if "value" in said:
        found["value"] = _value(said["value"])
    if "values" in said:
        values = said["values"]
        if not isinstance(values, list) or not 0 < len(values) <= MOST_VALUES:
            raise INVALID_REQUEST(f"values in the claims parameter is not a list of 1 to {MOST_VALUES} values")
        found["values"] = [_value(one) for one in values]
    return found


def _value(value: object) -> str | float | bool:
    if isinstance(value, str | bool) or (isinstance(value, int | float) and abs(value) < 2**53):
        return value
    raise INVALID_REQUEST("a value in the claims parameter is neither text, number nor truth value")
