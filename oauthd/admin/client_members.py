"""What the admin API says of a client: which members may be sent, which are shown, and how a record becomes them.

What a client may be registered with at all is in the table of `oauthd.protocol.client_metadata`, whose members stand
here by their names on the wire; those that this API has had before, or that only an administrator says, have names of
their own. What goes together with what there is, and what becomes of it, is in `clients`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen
from msgspec.structs import replace

from oauthd.protocol import client_documents as documents
from oauthd.protocol import client_metadata as metadata
from oauthd.protocol import jose
from oauthd.protocol.client_rules import completed
from oauthd.protocol.grant_types import CONFIDENTIAL_ONLY, DEFAULT_GRANT_TYPES
from oauthd.protocol.records import Client
from oauthd.protocol.schemas import Choice, Flag, Listing, Member, Members, Nullable, Problems, Text, Variants, Whole
from oauthd.protocol.token_exchange import RULES

CLIENT_ID = Text(r"[A-Za-z0-9._~!$&'()*+,=:@/%-]{1,255}", "the id of a client", 1, documents.LONGEST)
"""Any client id, also one that was preset in the settings, or is an address."""


@frozen
class Segment:
    """A client's id in a path; one that is an address is written as `client_documents.as_segment` does."""

    written: Text = Text(r"[A-Za-z0-9._~!$&'()*+,=:@-]{1,345}", "the id of a client", 1, 345)

    def document(self) -> dict[str, Any]:
        """A string."""
        return self.written.document()

    def read(self, value: object, at: str, problems: Problems) -> str:
        """The id."""
        return documents.of_segment(self.written.read(value, at, problems))

    def parse(self, text: str, at: str, problems: Problems) -> str:
        """The id."""
        return self.read(text, at, problems)


IN_A_PATH = Segment()

CONFIDENTIAL_ALONE = ("token_endpoint_auth_", "tls_client_auth_")
"""Beginnings of the names of members that say how a client proves itself."""
OWN_NAMES: Mapping[str, str] = {"id_token_signed_response_alg": "id_token_algorithm", "client_name": "name"}
"""Name on the wire -> name here."""
_scopes = Listing(Text(metadata.SCOPE, "the name of a scope", 1, 128), 200, distinct=True)
_web = Text(metadata.WEB_URI, "an http or https address", 1, metadata.LONGEST_URI)
_resource = Text(metadata.RESOURCE, "an absolute URI without fragment", 1, metadata.LONGEST_URI)
_TAKES = "false ends its tokens."
_ENDS = "When it is deleted unless it is used (seconds since 1970); null for never. Use moves it on."
_WITH_NONE = ("scopes", "unused_until", "access_lifetime", "refresh_lifetime")
"""Members that are None in the record where they are null here; others are empty."""
_OUR_OWN = "People are not asked for consent, save for public applications on their own devices, and at /device."
_ACCESS_LIVES = "Seconds that its access tokens live, up to tokens.access_longest; null for the server's setting."
_REFRESH_LIVES = "Seconds that its refresh tokens live unused, within their grant; null for the server's setting."
_FORMATS = "Of access tokens; null for the server's setting."
_CLAIMS = "Which of the declared claims (tokens.claims) its access tokens, and introspection of them, carry."
YEAR = 365 * 86400
_REUSES = "The same client_credentials request is answered with the same token while half of its life is left."
_STATELESS = "Its JWT access tokens are not written down, only their revocations are; they are in no list."
_ROTATES = "Refresh tokens are replaced at use; those of public clients always are."

_EXCHANGES = "Whose tokens it may exchange for its own, and for what (RFC 8693): nothing that no rule says."

_HELD = (
    "What a client that registered itself does not change itself any more: whatever was sent here of it, and "
    "redirect_uris with first_party. [] to let it."
)

_SECRET = Member(
    "client_secret",
    Text(metadata.CLIENT_SECRET, "32 to 256 visible ASCII characters, made at random", 32, 256),
    "Chosen here, or made when left out. It is told in this answer and never again.",
)


@frozen
class ClientMembers:
    """The members, as the server's settings allow them.

    :ivar offered: what is on.
    :ivar machine_refresh: what a new client gets when it is not said.
    :ivar claims: the names of declared claims; `algorithms`: what signs; `longest`: seconds an access token may live.
    :ivar table: the members that this API has by their names on the wire.
    """

    offered: metadata.Offered
    machine_refresh: bool
    claims: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = jose.ASYMMETRIC
    longest: int = 30 * 86400
    table: tuple[metadata.Row, ...] = field(init=False, repr=False)
    _holdable: Mapping[str, str] = field(init=False, repr=False)

    @table.default
    def _table(self) -> tuple[metadata.Row, ...]:
        return tuple(row for row in metadata.rows(self.offered) if row.admin and row.supported)

    @_holdable.default
    def _of_registration(self) -> Mapping[str, str]:
        """The members that clients change themselves, by their names here, and where they are in the record."""
        table = [row for row in metadata.rows(self.offered) if row.supported]
        return {row.name if row.admin else row.field: row.field for row in table} | {"scopes": "scopes"}

    def changed(self, client: Client, body: Mapping[str, Any]) -> Client:
        """A client with the members that were read of a body; the others stay as they are."""
        on_the_wire = {**{row.name: row.of(client) for row in self.table}, **body}
        own = {name: value for name, value in body.items() if name not in {row.name for row in self.table}}
        own["held"] = self._held(client, body)
        told = {name: "" if value is None and name not in _WITH_NONE else value for name, value in own.items()}
        after = replace(client, **told, **metadata.fields(on_the_wire, self.table))
        return completed(after, on_the_wire["application_type"])

    def _held(self, client: Client, body: Mapping[str, Any]) -> tuple[str, ...]:
        """The fields of its record that a client does not change itself: what was sent now is added to them.

        A list of members comes in their place. Where a client has not registered itself there is nothing to hold.
        """
        if "held" in body:
            return tuple(dict.fromkeys(self._holdable[name] for name in body["held"]))
        sent = [place for name, place in self._holdable.items() if name in body]
        if body.get("first_party"):  # nobody is asked any more, and what is trusted is that the answers go there
            sent.append("redirect_uris")
        return tuple(dict.fromkeys((*client.held, *(sent if client.registered_itself else ()))))

    def shown(self, client: Client) -> dict[str, Any]:
        """A client as answers show it: never a secret."""
        told = _shown(client)
        told["held"] = [name for name, place in self._holdable.items() if place in client.held]
        for row in self.table:
            value = row.of(client)
            told[row.name] = row.empty if value is None else value
        return told

    def _members(self, grant_types: tuple[str, ...], *, public: bool = False) -> Members:
        """What an administrator says of a client."""
        own = [one for one in self._own_members(grant_types) if not (public and one.name == "exchanges")]
        table = [row for row in self.table if not (public and row.name.startswith(CONFIDENTIAL_ALONE))]
        return Members((*own, *map(_member, table)))

    def _own_members(self, grant_types: tuple[str, ...]) -> tuple[Member, ...]:
        """Those by names of their own."""
        redirects = metadata.REDIRECT_URIS
        return (
            Member("name", metadata.NAME_TEXT, "What people see at consent.", required=True),
            Member("redirect_uris", redirects, "Compared character by character (RFC 9700).", default=[]),
            Member("post_logout_redirect_uris", redirects, "Where a logout may lead.", default=[]),
            Member(
                "grant_types",
                Listing(Choice(grant_types), len(grant_types), distinct=True),
                "What it may use at the token endpoint.",
                default=[one for one in DEFAULT_GRANT_TYPES if one in grant_types],
            ),
            Member("scopes", Nullable(_scopes), "What it may ask for; null: all but reserved ones.", default=None),
            Member("default_scopes", _scopes, "What a request without scope gets.", default=[]),
            Member(
                "resources",
                Listing(_resource, metadata.MOST_URIS, distinct=True),
                "Resource indicators it owns (RFC 8707): tokens for them are active for their owners alone.",
                default=[],
            ),
            *self._of_tokens(),
            Member(
                "id_token_algorithm",
                Nullable(Choice(self.offered.id_token_algorithms)),
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
            Member("first_party", Flag(), _OUR_OWN, default=False),
            Member("pkce_required", Flag(), "PKCE also for a confidential client.", default=False),
            Member("rotates_refresh", Flag(), _ROTATES, default=True),
            Member(
                "status_listed",
                Flag(),
                "Whether its JWT access tokens were ended stands in a status list, which their `status` claim names.",
                default=False,
            ),
            Member("client_uri", Nullable(_web), "Its own page, shown at consent.", default=None),
            Member(
                "profile",
                Nullable(Choice(("fapi1", "fapi2", "plain"))),
                "What is demanded of it beside the server's own profile; `plain`: it is not held to that either.",
                default=None,
            ),
            Member("unused_until", Nullable(Whole(0, 2**53)), _ENDS, default=None),
            Member("held", Listing(Choice(tuple(self._holdable)), distinct=True), _HELD, default=[]),
            Member("exchanges", RULES, _EXCHANGES, default=[]),
            Member("is_active", Flag(), f"Whether it may use the server at all. {_TAKES}", default=True),
        )

    def _of_tokens(self) -> tuple[Member, ...]:
        """What its tokens are like."""
        return (
            Member("access_format", Nullable(Choice(("jwt", "opaque"))), _FORMATS, default=None),
            Member(
                "access_algorithm",
                Nullable(Choice(self.algorithms)),
                "What signs its JWT access tokens; null for the server's setting.",
                default=None,
            ),
            Member("access_lifetime", Nullable(Whole(1, self.longest)), _ACCESS_LIVES, default=None),
            Member("refresh_lifetime", Nullable(Whole(1, 10 * YEAR)), _REFRESH_LIVES, default=None),
            Member("token_claims", self._claims(), _CLAIMS, default=[]),
            Member("stateless", Flag(), _STATELESS, default=False),
            Member("reuses_tokens", Flag(), _REUSES, default=False),
        )

    def _claims(self) -> Listing:
        return Listing(Choice(self.claims), len(self.claims), distinct=True) if self.claims else Listing(Text(), 0)

    def new(self) -> Variants:
        """What may be sent to register one; what a public client cannot have is not among its members."""
        chosen = Member(
            "client_id",
            Text(
                f"{metadata.CLIENT_ID}|{documents.URL}",
                "letters, digits and . _ ~ -, a letter or digit first; or an https address with a path",
                1,
                documents.LONGEST,
            ),
            "Chosen here, or made when left out.",
        )
        public = tuple(one for one in self.offered.grant_types if one not in CONFIDENTIAL_ONLY)
        confidential = self._members(self.offered.grant_types).members
        return Variants(
            "client_type",
            "confidential",
            {
                "confidential": Members((chosen, _SECRET, *confidential)),
                "public": Members((chosen, *self._members(public, public=True).members)),
            },
        )

    def changes(self) -> Members:
        """What may be sent to change one."""
        return self._members(self.offered.grant_types).given_only()

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
        own = self._members(self.offered.grant_types).answered().members
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


def _member(row: metadata.Row) -> Member:
    """A row as a member: what may be without a value is null here."""
    plain = isinstance(row.schema, Flag | Listing | Nullable)
    return Member(row.name, row.schema if plain else Nullable(row.schema), row.help, default=row.empty)


def _shown(client: Client) -> dict[str, Any]:
    """The members by names of their own."""
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
        "access_algorithm": client.access_algorithm or None,
        "access_lifetime": client.access_lifetime,
        "refresh_lifetime": client.refresh_lifetime,
        "token_claims": list(client.token_claims),
        "stateless": client.stateless,
        "reuses_tokens": client.reuses_tokens,
        "id_token_algorithm": client.id_token_algorithm or None,
        "introspects": client.introspects,
        "machine_refresh": client.machine_refresh,
        "first_party": client.first_party,
        "pkce_required": client.pkce_required,
        "rotates_refresh": client.rotates_refresh,
        "status_listed": client.status_listed,
        "client_uri": client.client_uri or None,
        "profile": client.profile or None,
        "unused_until": client.unused_until,
        "exchanges": list(client.exchanges),
        "is_active": client.is_active,
        "secrets": [{"created_at": one.created_at, "expires_at": one.expires_at} for one in client.secrets],
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    }
