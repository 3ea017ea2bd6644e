"""How a configuration stands against RFC 9700 (best current practice) and the FAPI 2.0 Security Profile (final).

One table: what is asked, whether these settings hold it for *every* client, and what mends it where they do not. What
no setting can undo is listed as held, so that the report can be read beside the documents. A client may be held to more
than the settings ask of all (its own `profile`); this report does not look at clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from attrs import frozen

from oauthd.config.declarations import Settings
from oauthd.config.derived import https_only
from oauthd.config.issuer import issuer_of
from oauthd.protocol.profile import FAPI2, SIGNING

RFC9700: Final = "RFC 9700"
FAPI: Final = "FAPI 2.0"
SHORT: Final = 3600  # seconds: what counts as a short life of an access token that a thief could use


@frozen
class Point:
    """Something that is asked.

    :ivar document: `RFC 9700` or `FAPI 2.0`; `section` of it.
    :ivar asked: what.
    :ivar holds: do these settings hold it for every client?
    :ivar mends: the setting that mends it; "" where it always holds.
    """

    document: str
    section: str
    asked: str
    holds: Callable[[Settings], bool]
    mends: str = ""


@frozen
class Finding:
    """A point and how it stands."""

    point: Point
    holds: bool


def report(settings: Settings, documents: Iterable[str] = (RFC9700, FAPI)) -> list[Finding]:
    """How the settings stand against each point of these documents."""
    wanted = set(documents)
    return [Finding(point, point.holds(settings)) for point in POINTS if point.document in wanted]


def _always(settings: Settings) -> bool:
    return True


def _strict(settings: Settings) -> bool:
    return settings.server.profile == FAPI2


def _https(settings: Settings) -> bool:
    return issuer_of(settings).startswith("https:")


def _pushed(settings: Settings) -> bool:
    return _strict(settings) or settings.authorization.pushed_required


def _signs(settings: Settings) -> bool:
    tokens = settings.tokens
    return {tokens.access_algorithm, tokens.id_token_algorithm} <= set(SIGNING)


PROFILE = f'server.profile = "{FAPI2}"'

POINTS: tuple[Point, ...] = (
    Point(RFC9700, "2.1", "redirect URIs are compared exactly (any port for loopback addresses)", _always),
    Point(RFC9700, "2.1", "no open redirector", _always),
    Point(
        RFC9700,
        "2.1.1",
        "PKCE is demanded of every client, with S256 alone",
        lambda settings: _strict(settings) or settings.clients.pkce_required,
        "clients.pkce_required = true",
    ),
    Point(
        RFC9700,
        "2.1.1",
        "PKCE is demanded of public clients",
        lambda settings: _strict(settings) or settings.clients.pkce_required or settings.clients.pkce_public,
        "clients.pkce_public = true",
    ),
    Point(RFC9700, "2.1.2", "no response type that brings an access token through the browser", _always),
    Point(RFC9700, "2.2.1", "access tokens are bound to their sender", _strict, PROFILE),
    Point(
        RFC9700,
        "2.2.1",
        f"access tokens live at most {SHORT // 60} minutes, or are bound to their sender",
        lambda settings: _strict(settings) or settings.tokens.access_lifetime <= SHORT,
        f"tokens.access_lifetime = {SHORT}",
    ),
    Point(RFC9700, "2.2.2", "refresh tokens of public clients are bound to their sender or rotated", _always),
    Point(RFC9700, "2.3", "access tokens say whom they are for; a client can name the resource", _always),
    Point(RFC9700, "2.4", "nobody's password is given to a client", _strict, PROFILE),
    Point(RFC9700, "2.5", "every client authenticates by asymmetric cryptography", _strict, PROFILE),
    Point(RFC9700, "2.6", "the server publishes its metadata", _always),
    Point(
        RFC9700,
        "2.6",
        "what travels is encrypted: the issuer is https",
        _https,
        "server.issuer = \"https://…\", and TLS at the listener or at a trusted proxy",
    ),
    Point(RFC9700, "2.6", "no CORS at the authorization endpoint", _always),
    Point(RFC9700, "4.4", "the answer names its issuer (RFC 9207)", _always),
    Point(RFC9700, "4.5", "a code counts once, and a second use ends what the first one gave", _always),
    Point(
        RFC9700,
        "4.14.2",
        "a used refresh token that comes again ends its grant at once",
        lambda settings: settings.tokens.refresh_grace == 0,
        "tokens.refresh_grace = 0 (clients that lose an answer must then ask people again)",
    ),
    Point(RFC9700, "4.12", "redirects never repeat a POST (303)", _always),
    Point(RFC9700, "4.16", "pages cannot be framed", _always),
    Point(FAPI, "5.2.1", "the issuer is https", _https, 'server.issuer = "https://…"'),
    Point(
        FAPI,
        "5.2.3",
        "browsers are told to come by https alone (Strict-Transport-Security)",
        lambda settings: https_only(settings) > 0,
        "server.https_only = 31536000 (or the same header by the proxy in front)",
    ),
    Point(FAPI, "5.3.2.1", "metadata is published", _always),
    Point(FAPI, "5.3.2.1", "no grant by password", _strict, PROFILE),
    Point(FAPI, "5.3.2.1", "confidential clients only", _strict, PROFILE),
    Point(FAPI, "5.3.2.1", "access tokens bound to their sender only, by DPoP or mutual TLS", _strict, PROFILE),
    Point(FAPI, "5.3.2.1", "clients authenticate by private_key_jwt or mutual TLS", _strict, PROFILE),
    Point(FAPI, "5.3.2.1", "assertions are for the issuer alone", _strict, PROFILE),
    Point(FAPI, "5.3.2.1", "refresh tokens are not rotated", _strict, PROFILE),
    Point(
        FAPI,
        "5.3.2.1",
        "codes live at most 60 seconds",
        lambda settings: settings.tokens.code_lifetime <= 60,
        "tokens.code_lifetime = 60",
    ),
    Point(FAPI, "5.3.2.2", "authorization requests are pushed, by clients that authenticate", _pushed, PROFILE),
    Point(
        FAPI,
        "5.3.2.2",
        "PKCE with S256",
        lambda settings: _strict(settings) or settings.clients.pkce_required,
        PROFILE,
    ),
    Point(FAPI, "5.3.2.2", "response_type code alone; the answer names its issuer", _always),
    Point(FAPI, "5.4.1", f"tokens are signed with {', '.join(SIGNING)}", _signs,
          'tokens.access_algorithm and tokens.id_token_algorithm = "PS256", "ES256" or "EdDSA"'),
    Point(
        FAPI,
        "Message Signing 5.3.1",
        "authorization requests are signed",
        lambda settings: settings.authorization.signed_required,
        "authorization.signed_required = true",
    ),
)  # fmt: skip
