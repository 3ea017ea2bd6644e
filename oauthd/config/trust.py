"""Settings of what others vouch for: issuers whose JWTs are exchanged (RFC 8693) or are grants (RFC 7523)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from oauthd.config.setting import DAY, HOUR, setting
from oauthd.protocol import key_sets
from oauthd.protocol.client_metadata import HTTPS_URI
from oauthd.protocol.schemas import Problems

_WORD = r"[\x21-\x7e]{1,512}"
_FORM = (
    "must be an issuer, the https address of its JWK Set or the set itself, and, if wanted, sub=id or sub=username, "
    "claim=..., typ=..., aud=..., with blanks in between"
)
_KNOWN = frozenset({"sub", "claim", "typ", "aud"})


@attrs.frozen
class TrustedIssuer:
    """One who vouches for people.

    :ivar uri: where its keys are; "" where they are `keys`.
    :ivar sub: what of a person its tokens name: the user id, or the username.
    :ivar claim: the claim in which they do.
    :ivar typ: of the headers of its tokens.
    :ivar aud: what it calls this server, beside our own names.
    """

    issuer: str
    uri: str = ""
    keys: tuple[Mapping[str, Any], ...] = attrs.field(default=(), eq=False, repr=False)
    sub: Literal["id", "username"] = "id"
    claim: str = "sub"
    typ: str = "JWT"
    aud: str = ""

    @classmethod
    def of(cls, text: str) -> TrustedIssuer:
        """From the words of the setting.

        :raises ValueError: for others than there may be.
        """
        issuer, _, rest = text.partition(" ")
        uri, keys, more = _keys(rest)
        facts = dict(word.split("=", 1) for word in more if "=" in word)
        if not re.fullmatch(_WORD, issuer) or len(facts) != len(more) or not facts.keys() <= _KNOWN:
            raise ValueError(_FORM)
        if facts.get("sub", "id") not in ("id", "username") or not all(
            re.fullmatch(_WORD, word) for word in facts.values()
        ):
            raise ValueError(_FORM)
        found: Any = facts
        return cls(issuer, uri, keys, **found)


def _keys(rest: str) -> tuple[str, tuple[Mapping[str, Any], ...], list[str]]:
    """Where the keys are, or the keys; and the words behind."""
    if not rest.startswith("{"):
        uri, *more = rest.split(" ")
        if not re.fullmatch(HTTPS_URI, uri):
            raise ValueError(_FORM)
        return uri, (), more
    try:
        given, end = json.JSONDecoder().raw_decode(rest)
    except (ValueError, RecursionError):
        raise ValueError(_FORM) from None
    problems: Problems = {}
    document = key_sets.KeySet().read(given, "the JWK Set", problems)
    flaws = [*(f"{where} {why}" for where, why in problems.items()), *filter(None, (key_sets.flaw(document),))]
    if flaws:
        raise ValueError(flaws[0])
    return "", tuple(document["keys"]), rest[end:].split()


def _issuers(value: tuple[str, ...]) -> None:
    found = [TrustedIssuer.of(text).issuer for text in value]
    if len(set(found)) < len(found):
        raise ValueError("must not name the same issuer twice")


_HELP = (
    "each an issuer, a blank, and the https address of its JWK Set, or the set itself as JSON; after that, if wanted: "
    "sub=username where its tokens name people by their username (sub=id, the user id, is meant else), claim=..., the "
    "claim in which they do (sub), typ=..., the type in their headers (JWT, or none), and aud=..., what it calls this "
    "server beside the issuer and the token endpoint's address."
)


@attrs.frozen
class ExchangeSettings:
    """Exchange of tokens for other ones. Which client may exchange what is said of each client (`exchanges`)."""

    issuers: tuple[str, ...] = setting(
        (),
        help=f"Whose JWTs may be exchanged, beside tokens of this server: {_HELP}",
        spec="RFC 8693 section 2.1",
        check=_issuers,
    )


@attrs.frozen
class JwtBearerSettings:
    """JWTs of others as grants. The grant type is there as soon as an issuer is trusted."""

    issuers: tuple[str, ...] = setting(
        (),
        help=f"Who may vouch for people at the token endpoint: {_HELP}",
        spec="RFC 7523 section 2.1",
        check=_issuers,
    )
    longest: int = setting(
        1 * HOUR,
        help="How far ahead the end (exp) of such a JWT may lie; that long its jti is remembered.",
        unit="seconds",
        spec="RFC 7523 section 3",
        between=(10, 1 * DAY),
    )
