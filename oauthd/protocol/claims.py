"""Standard claims, the scopes that release them (OpenID Connect Core sections 5.1 and 5.4), and those asked by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from oauthd.protocol.records import Client, User

CLAIMS_OF: Mapping[str, tuple[str, ...]] = {
    "profile": (
        "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
        "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}  # fmt: skip
STANDARD: Final = tuple(name for names in CLAIMS_OF.values() for name in names)
"""Every claim about a person that there is a word for."""


def about(user: User) -> dict[str, Any]:
    """All that is known of a person, by the names of standard claims."""
    known = {name: value for name, value in user.claims.items() if name in STANDARD}
    known["updated_at"] = user.updated_at
    known.setdefault("preferred_username", user.username)
    return known


def released(user: User, scope: Iterable[str]) -> dict[str, Any]:
    """The user's claims that these scopes let out."""
    known = about(user)
    names = [name for one in scope for name in CLAIMS_OF.get(one, ())]
    return {name: known[name] for name in names if name in known}


def identity(user: User, client: Client) -> dict[str, Any]:
    """What `openid` alone lets out where the setting says so; nothing by which two sectors could find each other."""
    if client.subject_type == "pairwise":
        return {}
    return {"username": user.username} | {name: user.claims[name] for name in ("email",) if name in user.claims}
