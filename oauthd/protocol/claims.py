"""Standard claims and the scopes that release them (OpenID Connect Core sections 5.1 and 5.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oauthd.protocol.records import User

CLAIMS_OF: Mapping[str, tuple[str, ...]] = {
    "profile": (
        "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
        "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}  # fmt: skip


def released(user: User, scope: Iterable[str]) -> dict[str, Any]:
    """The user's claims that these scopes let out."""
    known = user.claims | {"updated_at": user.updated_at}
    known.setdefault("preferred_username", user.username)
    names = [name for one in scope for name in CLAIMS_OF.get(one, ())]
    return {name: known[name] for name in names if name in known}
