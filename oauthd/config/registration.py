"""Settings of clients that register themselves (RFC 7591): who may, as what, how many, and for how long they stay."""

from __future__ import annotations

import re
from typing import Literal

import attrs

from oauthd.config.setting import DAY, YEAR, setting
from oauthd.protocol.client_metadata import HTTPS_URI, Offered, rows
from oauthd.protocol.grant_types import DEVICE_CODE

_MEMBERS = frozenset({row.name for row in rows(Offered())} | {"scope", "software_statement"})
_CLAIMS = ("aud", "exp")
_TYPE = r"[A-Za-z0-9!#$&^_.+/-]+"
_FORM = "must be an issuer, the https address of its JWK Set, and, if wanted, typ=..., aud, exp, with blanks in between"


def _members(value: tuple[str, ...]) -> None:
    for name in value:
        if name not in _MEMBERS:
            raise ValueError(f"there is no member {name!r} of client metadata")


@attrs.frozen
class StatementIssuer:
    """What is known of one who vouches for software.

    :ivar keys: where its keys are.
    :ivar typ: of the headers of its statements.
    :ivar needs: claims that they must have.
    """

    keys: str
    typ: str = "JWT"
    needs: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> StatementIssuer:
        """From the words of the setting after its name.

        :raises ValueError: for others than there may be.
        """
        keys, *more = text.split(" ")
        typ, needs = [word[4:] for word in more if word.startswith("typ=")], [word for word in more if word in _CLAIMS]
        if not re.fullmatch(HTTPS_URI, keys) or len(typ) > 1 or len(typ) + len(needs) != len(more):
            raise ValueError(_FORM)
        if not all(re.fullmatch(_TYPE, word) for word in typ):
            raise ValueError(_FORM)
        return cls(keys, "".join(typ) or "JWT", tuple(needs))


def _issuers(value: tuple[str, ...]) -> None:
    for each in value:
        issuer, _, more = each.partition(" ")
        if not issuer:
            raise ValueError(_FORM)
        StatementIssuer.of(more)


@attrs.frozen
class RegistrationSettings:
    """Clients that register themselves at /oauth2/register. These are their limits; administrators have none."""

    allow: Literal["off", "loopback", "token", "open"] = setting(
        "loopback",
        help='Who may register clients. "off": nobody. "loopback": anybody on this machine, as long as issuer, '
        'listener and caller are all loopback; nobody elsewhere. "token": whoever has an initial access token, which '
        'administrators issue. "open": everybody, within the limits below. An administrator\'s token does in any case '
        "but the first.",
        spec="RFC 7591 section 3",
    )
    scopes: tuple[str, ...] = setting(
        (),
        help="The scopes that such clients may ask for. When empty: all that are not reserved.",
        spec="RFC 7591 section 5",
    )
    grant_types: tuple[str, ...] = setting(
        ("authorization_code", "refresh_token", DEVICE_CODE),
        help="The grant types that such clients may have.",
        spec="RFC 7591 section 2",
    )
    auth_methods: tuple[str, ...] = setting(
        (),
        help="How such clients may authenticate; none for public ones. When empty: in every way there is.",
        spec="RFC 7591 section 2",
    )
    require: tuple[str, ...] = setting(
        (),
        help="Members that such clients must register, such as contacts, jwks_uri or software_statement.",
        spec="RFC 7591 section 2",
        check=_members,
    )
    per_source: int = setting(
        60,
        help="How many clients one source address may register without a token; an IPv6 network (/64) is one address, "
        "and a site (/48) sixteen.",
        unit="clients an hour",
        spec="RFC 7591 section 3",
        between=(1, 1_000_000),
    )
    most: int = setting(
        10_000,
        help="How many clients that registered themselves there may be at a time; a tenth of these is for holders of "
        "initial access tokens.",
        unit="clients",
        between=(1, 100_000_000),
    )
    unclaimed_after: int = setting(
        1 * DAY,
        help="How long such a client stays that was never used at all. With 0: for ever.",
        unit="seconds",
        between=(0, 10 * YEAR),
    )
    unused_after: int = setting(
        90 * DAY,
        help="How long such a client stays after it was last used. With 0: for ever.",
        unit="seconds",
        between=(0, 10 * YEAR),
    )
    statement_issuers: tuple[str, ...] = setting(
        (),
        help="Who may vouch for software by software statements: each an issuer, a blank, and the https address of its "
        "JWK Set; after that, if wanted, what its statements must have: typ=..., the type in their headers (JWT, or "
        "none, where it is not said), aud (which is this server's issuer) and exp.",
        spec="RFC 7591 section 2.3",
        check=_issuers,
    )
    statements_once: bool = setting(
        False,
        help="Let each software statement (by its jti and exp, which it then must have) register one client only.",
        spec="RFC 7591 section 2.3",
    )
