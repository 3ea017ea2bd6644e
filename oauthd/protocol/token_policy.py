"""What an operator declares of access tokens: of those for some resource, and claims that tokens may carry.

Each declaration is a JSON text. Of a resource: `resource`, its indicator (RFC 8707), and any of `access_lifetime`
(seconds), `access_format` (`jwt` or `opaque`), `access_algorithm`, `claims` (names of declared claims). Of a claim:
`name`, and either `from`, what it tells of the user (`roles`, `username` or a standard claim of OpenID Connect Core
section 5.1), or `value`, which all tokens that carry it have.

The rule where several speak: a resource comes before the client, and the client before the server; a lifetime is the
shortest of the client's (or the server's) and those of all resources that the token is for. Of several resources one
that wants opaque tokens comes before one that wants JWTs, and the first that names an algorithm decides that. Claims
are those of the client and of all these resources.

Refused are names that mean something in tokens and answers already, whatever else they would hold, and members that a
declaration does not have. Who is which user, and what signs, is left to others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from oauthd.protocol.claims import STANDARD, about
from oauthd.protocol.jose import ASYMMETRIC
from oauthd.protocol.json_text import text
from oauthd.protocol.records import Client, User
from oauthd.protocol.stateless import GENERATIONS, SEALED

RESERVED: Final = frozenset(
    (
        # RFC 7519 section 4.1, RFC 9068 section 2.2, RFC 7662 section 2.2, RFC 8693 section 4, RFC 7800, RFC 9396
        "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "auth_time", "acr", "amr", "cnf",
        "active", "username", "token_type", "act", "may_act", "authorization_details", "status", "sid", "events",
        # OpenID Connect Core section 2, RFC 9701 section 5
        "azp", "nonce", "at_hash", "c_hash", "s_hash", "sub_id", "token_introspection",
        GENERATIONS, SEALED,
    )
)  # fmt: skip
"""Names that no declared claim may have."""
LONGEST_LIFETIME: Final = 30 * 86400
LARGEST: Final = 4096
"""Characters that the declared claims of one token may take, as JSON; what is beyond is left out."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,127}")
_SOURCES: Final = ("roles", "username", *STANDARD)


@frozen
class Claim:
    """A claim that tokens may carry.

    :ivar source: what it tells of the user; "" where it is the same for all.
    """

    name: str
    source: str = ""
    value: Any = None

    def of(self, user: User | None) -> Any:
        """What it is in a token of that user; None where there is nothing to tell."""
        if not self.source:
            return self.value
        if user is None:
            return None
        if self.source == "roles":
            return list(user.roles) or None
        return user.username if self.source == "username" else about(user).get(self.source)


@frozen
class ResourcePolicy:
    """What holds of tokens for one resource; None, "" and () for what it does not say."""

    resource: str
    access_lifetime: int | None = None
    access_format: str = ""
    access_algorithm: str = ""
    claims: tuple[str, ...] = ()


@frozen
class TokenPolicy:
    """All declarations.

    :ivar claims: by their names.
    :ivar resources: by their indicators.
    """

    claims: Mapping[str, Claim] = field(factory=dict)
    resources: Mapping[str, ResourcePolicy] = field(factory=dict)

    @classmethod
    def of(cls, claims: Iterable[str], resources: Iterable[str]) -> TokenPolicy:
        """The declarations in these texts.

        :raises ValueError: with the reason.
        """
        declared = declared_claims(claims)
        policies = declared_resources(resources)
        for policy in policies.values():
            for name in policy.claims:
                if name not in declared:
                    raise ValueError(f"tokens for {policy.resource} are to carry {name}, which is not declared")
        return cls(declared, policies)

    def for_resources(self, audience: Iterable[str]) -> list[ResourcePolicy]:
        """What holds of tokens with that audience, in its order."""
        return [self.resources[one] for one in audience if one in self.resources] if self.resources else []

    def lifetime(self, usual: int, audience: tuple[str, ...]) -> int:
        """Seconds that a token for these resources lives, where it would live `usual` otherwise."""
        return min([usual, *(one.access_lifetime or usual for one in self.for_resources(audience))])

    def format(self, usual: str, audience: tuple[str, ...]) -> str:
        """`jwt` or `opaque`."""
        wanted = {one.access_format for one in self.for_resources(audience)} - {""}
        return usual if not wanted else "opaque" if "opaque" in wanted else "jwt"

    def algorithm(self, usual: str, audience: tuple[str, ...]) -> str:
        """What is to sign it."""
        return next((one.access_algorithm for one in self.for_resources(audience) if one.access_algorithm), usual)

    def claims_for(self, client: Client, audience: tuple[str, ...]) -> tuple[Claim, ...]:
        """The claims that its token carries."""
        if not client.token_claims and not (audience and self.resources):
            return ()
        names = (*client.token_claims, *(name for one in self.for_resources(audience) for name in one.claims))
        return tuple(self.claims[name] for name in dict.fromkeys(names) if name in self.claims)


def told(claims: Iterable[Claim], user: User | None) -> dict[str, Any]:
    """What these claims are in a token of that user (None: a client's own), as far as there is room for them."""
    found: dict[str, Any] = {}
    room = LARGEST
    for claim in claims:
        value = claim.of(user)
        if value is None:
            continue
        room -= len(claim.name) + len(text(value)) + 4
        if room >= 0:
            found[claim.name] = value
    return found


def declared_claims(texts: Iterable[str]) -> dict[str, Claim]:
    """The claims that are declared, by their names.

    :raises ValueError: with the reason.
    """
    found: dict[str, Claim] = {}
    for written in texts:
        members = _members(written, {"name", "from", "value"})
        name, source = members.get("name"), members.get("from", "")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("a claim must have a name of at most 128 letters, digits and _ . : / -, a letter first")
        if name in RESERVED:
            raise ValueError(f"{name} has a meaning of its own in tokens")
        if name in found:
            raise ValueError(f"{name} is declared twice")
        if ("from" in members) == ("value" in members):
            raise ValueError(f"{name} must have either from or value")
        if "from" in members and source not in _SOURCES:
            raise ValueError(f"{name} must be from one of {', '.join(_SOURCES)}")
        if "value" in members and (members["value"] is None or len(text(members["value"])) > LARGEST):
            raise ValueError(f"{name} must have a value of at most {LARGEST} characters")
        found[name] = Claim(name, source, members.get("value"))
    return found


def declared_resources(texts: Iterable[str]) -> dict[str, ResourcePolicy]:
    """What is declared of resources, by their indicators.

    :raises ValueError: with the reason.
    """
    found: dict[str, ResourcePolicy] = {}
    for written in texts:
        members = _members(
            written, {"resource", "access_lifetime", "access_format", "access_algorithm", "claims"}
        )
        policy = _resource(members)
        if policy.resource in found:
            raise ValueError(f"{policy.resource} is declared twice")
        found[policy.resource] = policy
    return found


def _resource(members: Mapping[str, Any]) -> ResourcePolicy:
    resource, lifetime = members.get("resource"), members.get("access_lifetime")
    if not isinstance(resource, str) or ":" not in resource or "#" in resource:  # RFC 8707 section 2
        raise ValueError("a resource must be an absolute URI without fragment")
    if lifetime is not None and not (type(lifetime) is int and 1 <= lifetime <= LONGEST_LIFETIME):
        raise ValueError(f"access_lifetime of {resource} must be from 1 to {LONGEST_LIFETIME}")
    if members.get("access_format", "jwt") not in ("jwt", "opaque"):
        raise ValueError(f'access_format of {resource} must be "jwt" or "opaque"')
    algorithm = members.get("access_algorithm", "")
    if algorithm and algorithm not in ASYMMETRIC:
        raise ValueError(f"access_algorithm of {resource} must be one of {', '.join(ASYMMETRIC)}")
    claims = members.get("claims", [])
    if not isinstance(claims, list) or not all(isinstance(name, str) for name in claims):
        raise ValueError(f"claims of {resource} must be a list of names")
    return ResourcePolicy(resource, lifetime, members.get("access_format", ""), algorithm, tuple(claims))


def _members(written: str, known: set[str]) -> dict[str, Any]:
    try:
        members = json.loads(written)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON text") from None
    if not isinstance(members, dict):
        raise ValueError("must be a JSON object")
    unknown = sorted(set(members) - known)
    if unknown:
        raise ValueError(f"has no member {unknown[0]}: there are {', '.join(sorted(known))}")
    return members
