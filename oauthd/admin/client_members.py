"""What the admin API says of a client: which members may be sent, which are shown, and how a record becomes them.

What a client may be registered with at all is in `oauthd.protocol.client_metadata`; what goes together with what there
is, and what becomes of it, in `clients`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from oauthd.protocol import client_metadata as metadata
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.records import Client
from oauthd.protocol.redirects import validate_registered
from oauthd.protocol.schemas import Choice, Flag, Listing, Member, Members, Nullable, Text, Variants, Whole

CLIENT_ID = Text(r"[A-Za-z0-9._~!$&'()*+,=:@-]{1,128}", "the id of a client", 1, 128)
"""Any client id, also one that was preset in the settings."""


def _reason(uri: str) -> str:
    try:
        validate_registered(uri)
    except OAuthError as error:
        return error.description
    return "this form of redirect URI is not supported"


_redirects = Listing(
    Text(
        metadata.REDIRECT_URI,
        "a redirect URI",
        1,
        metadata.LONGEST_URI,
        explain=_reason,
        example="https://app.example.com/callback",
    ),
    metadata.MOST_URIS,
    distinct=True,
)
_scopes = Listing(Text(metadata.SCOPE, "the name of a scope", 1, 128), 200, distinct=True)
_name = Text(metadata.NAME, "one line of text without blanks at its ends", 1, metadata.LONGEST_NAME, example="Example")
_web = Text(metadata.WEB_URI, "an http or https address", 1, metadata.LONGEST_URI)
_resource = Text(metadata.RESOURCE, "an absolute URI without fragment", 1, metadata.LONGEST_URI)
_TAKES = "false ends its tokens."
_ROTATES = "Refresh tokens are replaced at use; those of public clients always are."

_SECRET = Member(
    "client_secret",
    Text(metadata.CLIENT_SECRET, "32 to 256 visible ASCII characters, made at random", 32, 256),
    "Chosen here, or made when left out. It is told in this answer and never again.",
)


@frozen
class ClientMembers:
    """The members, as the server's settings allow them.

    :ivar grant_types: those that are on.
    :ivar id_token_algorithms: those that there are keys for.
    :ivar machine_refresh: what a new client gets when it is not said.
    """

    grant_types: tuple[str, ...]
    id_token_algorithms: tuple[str, ...]
    machine_refresh: bool

    def _members(self, grant_types: tuple[str, ...]) -> Members:
        """What an administrator says of a client."""
        formats = "Of access tokens; null for the server's setting."
        return Members(
            (
                Member("name", _name, "What people see at consent.", required=True),
                Member("redirect_uris", _redirects, "Compared character by character (RFC 9700).", default=[]),
                Member("post_logout_redirect_uris", _redirects, "Where a logout may lead.", default=[]),
                Member(
                    "grant_types",
                    Listing(Choice(grant_types), len(grant_types), distinct=True),
                    "What it may use at the token endpoint.",
                    default=[one for one in metadata.DEFAULT_GRANT_TYPES if one in grant_types],
                ),
                Member("scopes", Nullable(_scopes), "What it may ask for; null: all but reserved ones.", default=None),
                Member("default_scopes", _scopes, "What a request without scope gets.", default=[]),
                Member(
                    "resources",
                    Listing(_resource, metadata.MOST_URIS, distinct=True),
                    "Resource indicators it owns (RFC 8707): tokens for them are active for their owners alone.",
                    default=[],
                ),
                Member("access_format", Nullable(Choice(("jwt", "opaque"))), formats, default=None),
                Member(
                    "id_token_algorithm",
                    Nullable(Choice(self.id_token_algorithms)),
                    "What signs its id tokens; null for the server's setting.",
                    default=None,
                ),
                Member("introspects", Flag(), "It may introspect tokens (confidential clients).", default=True),
                Member(
                    "machine_refresh",
                    Flag(),
                    "client_credentials answers carry a refresh token, against RFC 6749 section 4.4.3.",
                    default=self.machine_refresh,
                ),
                Member("first_party", Flag(), "People are not asked for consent.", default=False),
                Member("pkce_required", Flag(), "PKCE also for a confidential client.", default=False),
                Member("rotates_refresh", Flag(), _ROTATES, default=True),
                Member("client_uri", Nullable(_web), "Its own page, shown at consent.", default=None),
                Member("is_active", Flag(), f"Whether it may use the server at all. {_TAKES}", default=True),
            )
        )

    def new(self) -> Variants:
        """What may be sent to register one; what a public client cannot have is not among its members."""
        chosen = Member(
            "client_id",
            Text(metadata.CLIENT_ID, "letters, digits and . _ ~ -, a letter or digit first", 1, 128),
            "Chosen here, or made when left out.",
        )
        public = tuple(one for one in self.grant_types if one not in metadata.CONFIDENTIAL_ONLY)
        confidential = self._members(self.grant_types).members
        return Variants(
            "client_type",
            "confidential",
            {
                "confidential": Members((chosen, _SECRET, *confidential)),
                "public": Members((chosen, *self._members(public).members)),
            },
        )

    def changes(self) -> Members:
        """What may be sent to change one."""
        return self._members(self.grant_types).given_only()

    def answer(self, name: str = "Client", *more: Member) -> Members:
        """A client in an answer, as `shown` makes it.

        :param name: what the document calls it.
        :param more: members that only this answer has.
        """
        when = Whole(0, 2**53)
        secrets = Listing(
            Members(
                (
                    Member("created_at", when, required=True),
                    Member("expires_at", Nullable(when), "null for the newest one.", required=True),
                )
            )
        )
        own = self._members(self.grant_types).answered().members
        return Members(
            (
                Member("client_id", Text(), required=True),
                *more,
                Member("id", Whole(0, 2**53), "A number of its own.", required=True),
                Member("client_type", Choice(metadata.CLIENT_TYPES), required=True),
                *own,
                Member("secrets", secrets, "Its live secrets, without their values.", required=True),
                Member("created_at", when, "Seconds since 1970.", required=True),
                Member("updated_at", when, "Seconds since 1970.", required=True),
            ),
            name=name,
        )

    def answer_with_secret(self, name: str, always: bool) -> Members:
        """A client in an answer that tells its secret: always, or when it has one."""
        return self.answer(name, evolve(_SECRET, schema=Text(), required=always))


def shown(client: Client) -> dict[str, Any]:
    """A client as answers show it: never a secret."""
    return {
        "client_id": client.client_id,
        "id": client.number,
        "client_type": client.client_type,
        "name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "grant_types": list(client.grant_types),
        "scopes": None if client.scopes is None else list(client.scopes),
        "default_scopes": list(client.default_scopes),
        "resources": list(client.resources),
        "access_format": client.access_format or None,
        "id_token_algorithm": client.id_token_algorithm or None,
        "introspects": client.introspects,
        "machine_refresh": client.machine_refresh,
        "first_party": client.first_party,
        "pkce_required": client.pkce_required,
        "rotates_refresh": client.rotates_refresh,
        "client_uri": client.client_uri or None,
        "is_active": client.is_active,
        "secrets": [{"created_at": one.created_at, "expires_at": one.expires_at} for one in client.secrets],
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    }


def fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """What was read as the record's fields, where "" stands for none; `scopes` alone knows None."""
    return {name: "" if value is None and name != "scopes" else value for name, value in body.items()}
