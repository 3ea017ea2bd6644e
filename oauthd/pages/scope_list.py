"""The scopes of a request in the words that a person reads before agreeing."""

from __future__ import annotations

from msgspec.structs import replace

from oauthd.protocol.records import Client, Scope

CLAIMS = {
    "email_verified": "See whether your email address is verified",
    "phone_number_verified": "See whether your phone number is verified",
    "email": "See your email address",
    "preferred_username": "See your username",
    "profile": "See the address of your profile page",
    "website": "See the address of your website",
    "zoneinfo": "See your time zone",
    "locale": "See your language",
    "updated_at": "See when your profile was last changed",
}
"""Claims in words, where their names say too little."""
IDENTITY = "Sign you in and see your user id, your username and your email address"
IDENTITY_BESIDE_EMAIL = "Sign you in and see your user id and your username"
"""Where the address has a line of its own."""


def described(
    asked: tuple[str, ...], known: tuple[Scope, ...], identity_with_openid: bool, client: Client
) -> list[Scope]:
    """What a page lists: scopes, of which `openid` names all that it lets out, and claims, which stand in quotes."""
    named = {one.name: one for one in known}
    if identity_with_openid and client.subject_type != "pairwise" and "openid" in named:
        words = IDENTITY_BESIDE_EMAIL if "email" in asked else IDENTITY
        named["openid"] = replace(named["openid"], description=words)
    return [_claim(name.strip('"')) if name[:1] == '"' else named.get(name, Scope(0, name)) for name in asked]


def _claim(name: str) -> Scope:
    return Scope(0, name, CLAIMS.get(name, f"See your {name.replace('_', ' ')}"))
