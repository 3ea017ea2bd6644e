"""Token exchange (RFC 8693): the names of token types, the operator's rules, who acts, and that nothing widens.

A client exchanges nothing without a rule of its own (`Client.exchanges`). A rule says of whom (`from`), which kinds of
tokens, for which targets and scopes, and whether the client then acts as the subject or visibly for it. What a token
was for, it is for at most afterwards: scopes are those that it had, less what the rule and the client leave out;
targets are its own, unless the rule itself names others.

Refused: chains of more than `LONGEST_CHAIN` actors, actors whom `may_act` does not mean, members of `may_act` that
nobody here can judge. Whether a token is alive, and whose it is, is for the grants.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from attrs import frozen

from oauthd.protocol import scopes
from oauthd.protocol.errors import INVALID_REQUEST, INVALID_SCOPE, INVALID_TARGET
from oauthd.protocol.schemas import Choice, Flag, Listing, Member, Members, Nullable, Text

_TYPE = "urn:ietf:params:oauth:token-type:"
ACCESS_TOKEN: Final = f"{_TYPE}access_token"  # RFC 8693 section 3
REFRESH_TOKEN: Final = f"{_TYPE}refresh_token"
JWT: Final = f"{_TYPE}jwt"
KINDS: Final = ("access_token", "refresh_token", "id_token", "jwt")
"""Kinds of tokens, as rules name them."""
TYPES: Final[Mapping[str, str]] = {_TYPE + kind: kind for kind in KINDS}
ANY: Final = "*"
LONGEST_CHAIN: Final = 8
"""Actors, one within the other."""
MOST_RULES: Final = 50
IDENTITY: Final = ("sub", "iss", "client_id")
"""The claims by which an actor is known (RFC 8693 sections 4.1 and 4.4)."""
_LONGEST_CLAIM: Final = 512

Act = Literal["impersonate", "delegate", "both"]
_NAME = Text(r"[\x21\x23-\x5b\x5d-\x7e]{1,512}", "visible ASCII", 1, 512)
_SCOPE = Text(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}", "the name of a scope", 1, 128)
_MANY = 100

RULES: Final = Listing(
    Members(
        (
            Member(
                "from",
                _NAME,
                "Whose tokens: a client_id, * for every client of this server, or an issuer that is trusted.",
                required=True,
            ),
            Member(
                "tokens",
                Listing(Choice(KINDS), len(KINDS), distinct=True),
                "Which kinds of tokens; refresh tokens are its own alone, jwt those of a trusted issuer.",
                default=["access_token", "jwt"],
            ),
            Member(
                "audience",
                Listing(_NAME, _MANY, distinct=True),
                "The resources, or the clients that own them, that the new token may be for; [] for those that the "
                "token is for that is exchanged.",
                default=[],
            ),
            Member(
                "scope",
                Nullable(Listing(_SCOPE, _MANY, distinct=True)),
                "The scopes that the new token may have at most; null for those of the token that is exchanged.",
                default=None,
            ),
            Member(
                "act",
                Choice(("impersonate", "delegate", "both")),
                "impersonate: nobody sees who acts; delegate: the actor stands in the token; both: as the request has "
                "an actor_token or not.",
                default="delegate",
            ),
            Member(
                "actors",
                Listing(_NAME, _MANY, distinct=True),
                "Whose tokens, beside its own, it may send as actor_token: clients, or issuers that are trusted.",
                default=[],
            ),
            Member(
                "refresh",
                Flag(),
                "For an id token or a JWT it also gets a refresh token, which outlives that.",
                default=False,
            ),
        )
    ),
    MOST_RULES,
)
"""The member `exchanges` of a client."""


@frozen
class Rule:
    """One rule, as `RULES` describes it.

    :ivar source: the member `from`.
    """

    source: str
    tokens: tuple[str, ...] = ("access_token", "jwt")
    audience: tuple[str, ...] = ()
    scope: tuple[str, ...] | None = None
    act: Act = "delegate"
    actors: tuple[str, ...] = ()
    refresh: bool = False

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Rule:
        """From a client's record; a member that is not there is at its default."""
        scope = stored.get("scope")
        return cls(
            source=stored["from"],
            tokens=tuple(stored.get("tokens", cls("").tokens)),
            audience=tuple(stored.get("audience", ())),
            scope=None if scope is None else tuple(scope),
            act=stored.get("act", "delegate"),
            actors=tuple(stored.get("actors", ())),
            refresh=stored.get("refresh", False),
        )

    def fits(self, kind: str, source: str, foreign: bool) -> bool:
        """Is it about such a token?

        :param source: the client that it was issued to, or its issuer.
        :param foreign: is it of another issuer? These are named one by one.
        """
        return kind in self.tokens and (self.source == source or (self.source == ANY and not foreign))


def identity(sub: str, iss: str = "", client_id: str = "") -> dict[str, str]:
    """An actor, by what is known of it."""
    given = zip(IDENTITY, (sub, iss, client_id), strict=True)
    return {name: value for name, value in given if value}


def may(wanted: Mapping[str, Any], actor: Mapping[str, str]) -> bool:
    """Is this the actor that `may_act` means (RFC 8693 section 4.4)? What cannot be compared means nobody."""
    return bool(wanted) and all(name in IDENTITY and actor.get(name) == value for name, value in wanted.items())


def chained(actor: Mapping[str, str], prior: Mapping[str, Any]) -> dict[str, Any]:
    """The actor before whom others acted (RFC 8693 section 4.1).

    :raises OAuthError: `invalid_request` for a chain that is too long.
    """
    chain: dict[str, Any] = {**actor, **({"act": prior} if prior else {})}
    if _length(chain) > LONGEST_CHAIN:
        raise INVALID_REQUEST(f"there would be more than {LONGEST_CHAIN} actors, one behind the other")
    return chain


def _length(act: Any) -> int:
    count = 0
    while isinstance(act, dict) and act and count <= LONGEST_CHAIN:
        count, act = count + 1, act.get("act")
    return count


def foreign_act(act: object, issuer: str) -> dict[str, Any]:
    """The actors of somebody else's token, as far as they are known by what counts here.

    A name that says no issuer is one of the token's issuer: it must not look like one of ours.

    :raises OAuthError: `invalid_request`.
    """
    found: list[dict[str, Any]] = []
    while act is not None:
        if not isinstance(act, dict) or len(found) == LONGEST_CHAIN or not _is_name(act.get("sub")):
            raise INVALID_REQUEST("the act of a token is malformed, or too long a chain")
        named = {name: act[name] for name in IDENTITY if _is_name(act.get(name))}
        found.append({"iss": issuer, **named})
        act = act.get("act")
    chain: dict[str, Any] = {}
    for one in reversed(found):
        chain = {**one, **({"act": chain} if chain else {})}
    return chain


def foreign_may_act(may_act: object, issuer: str) -> dict[str, Any]:
    """Who may act, by somebody else's token; {} where it says nothing.

    A name that says no issuer is one of the token's issuer (RFC 8693 section 4.4): nobody of ours is meant by it.

    :raises OAuthError: `invalid_request` for what nobody here can judge: whoever wrote it meant to narrow.
    """
    if may_act is None:
        return {}
    if not isinstance(may_act, dict) or not may_act or not may_act.keys() <= set(IDENTITY):
        raise INVALID_REQUEST("the may_act of a token names nobody by sub, iss or client_id")
    if not all(map(_is_name, may_act.values())):
        raise INVALID_REQUEST("the may_act of a token is malformed")
    return {"iss": issuer, **may_act}


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_CLAIM


def scope_of(
    requested: str | None, held: Sequence[str] | None, rule: Sequence[str] | None, allowed: Collection[str]
) -> tuple[str, ...]:
    """The scope of the new token: what was asked for, or all that there is.

    :param held: what the token has that is exchanged; None where it says nothing of scopes.
    :param rule: what the rule leaves of them; None for all. Of a token that says nothing only what is named here.
    :param allowed: what the client may ask for.
    :raises OAuthError: `invalid_scope` when it asks for more.
    """
    most = (rule or ()) if held is None else held
    possible = [one for one in most if one in allowed and (rule is None or one in rule)]
    tokens = scopes.parse(requested)
    if not set(tokens) <= set(possible):
        raise INVALID_SCOPE("a requested scope is more than the exchange can give")
    return tokens or tuple(possible)


def targets_of(
    resources: Iterable[str], audiences: Iterable[str], owners: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The resources that a request names: by their URI, or by the client that owns them (RFC 8693 section 2.1).

    :param owners: every resource, and the clients that own it.
    :raises OAuthError: `invalid_target` for one that nobody knows.
    """
    found = list(resources)
    if any(uri not in owners for uri in found):
        raise INVALID_TARGET("a requested resource is unknown")
    for name in audiences:
        meant = _meant(name, owners)
        if not meant:
            raise INVALID_TARGET("a requested audience is unknown, or has no resources")
        found += meant
    return tuple(dict.fromkeys(found))


def _meant(name: str, owners: Mapping[str, Sequence[str]]) -> list[str]:
    return [name] if name in owners else [uri for uri, ids in owners.items() if name in ids]


def audience_of(
    targets: tuple[str, ...], held: tuple[str, ...], rule: Sequence[str], owners: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The audience of the new token; () for the issuer alone, as of one that names no resource.

    :param targets: what the request names; () for nothing.
    :param held: the audience of the token that is exchanged.
    :param rule: the only targets that the rule lets it have; () for those of the token that is exchanged.
    :raises OAuthError: `invalid_target` where that leaves nothing.
    """
    named = {uri for name in rule for uri in _meant(name, owners)}
    if targets:
        possible: Collection[str] = named if rule else held or owners
        if not set(targets) <= set(possible):
            raise INVALID_TARGET("the exchange gives no token for a requested target")
        return targets
    if not rule:
        return held
    left = tuple(uri for uri in held or sorted(named) if uri in named)
    if not left:
        raise INVALID_TARGET("the exchange needs a resource or an audience that its rule names")
    return left
