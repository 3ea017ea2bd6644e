"""A client's registration: the members that it sent, as a record, and the record as it is told (RFC 7591 section 3).

The same for a new client (`register`) and one that changes itself (`client_configuration`). Members that nothing here
knows are ignored (section 2), those of this server's own making as well. Refused before anybody is called are addresses
of documents that this server would never call: those of this machine and of inner networks.

Not carried out is the SHOULD of section 5 to compare the hosts of pages and pictures with those of redirect URIs: what
people see at sign-in and consent is the host of the redirect URI itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen
from msgspec.structs import replace

from oauthd.config import FetchSettings
from oauthd.fetcher import FetchRefused
from oauthd.fetcher.addresses import is_public
from oauthd.fetcher.location import location
from oauthd.proofs.software_statement import NO_STATEMENT, Fetch, SoftwareStatements, Statement
from oauthd.protocol import client_metadata as metadata
from oauthd.protocol import metadata_choices
from oauthd.protocol.client_rules import PAIRWISE, completed, flaws, flaws_here
from oauthd.protocol.errors import (
    INVALID_CLIENT_METADATA,
    INVALID_REDIRECT_URI,
    INVALID_SOFTWARE_STATEMENT,
    TEMPORARILY_UNAVAILABLE,
    OAuthError,
)
from oauthd.protocol.grant_types import PAST_REDIRECTS
from oauthd.protocol.json_body import strict
from oauthd.protocol.records import Client, Scopes
from oauthd.protocol.registration_policy import RegistrationPolicy
from oauthd.protocol.scopes import joined, parse
from oauthd.stores.scopes import ScopeCatalogue

NEW: Final = Client("", 0, "", "confidential", 0, 0, introspects=False)
"""What a client is before it says anything: one that nobody knows does not ask about other clients' tokens."""
METHOD: Final = "token_endpoint_auth_method"
PUBLIC: Final = "none"
DEFAULT_METHOD: Final = "client_secret_basic"  # RFC 7591 section 2
STATEMENT: Final = "software_statement"
_JSON = ("application/json",)
_NUMBERS = re.compile(r"\[.*\]|[0-9.]+")
_HERE = re.compile(r"(?:^|\.)(?:localhost|local|internal|home\.arpa)\.?\Z")  # RFC 6761, 6762, 8375
_REDIRECTS = re.compile(r"(?:post_logout_)?redirect_uris\b")


@frozen
class Registration:
    """Reads and tells registrations.

    :ivar offered: what this server offers; `table`: the members that go with it.
    :ivar fetch: fetches documents that clients name; `fetching`: whom it calls.
    :ivar algorithm: signs id tokens of clients that ask for none in particular, and is told to them.
    """

    scopes: ScopeCatalogue
    statements: SoftwareStatements
    fetch: Fetch
    fetching: FetchSettings
    issuer: str
    offered: metadata.Offered
    table: tuple[metadata.Row, ...]
    algorithm: str

    async def statement(self, body: Mapping[str, Any], before: Client = NEW) -> Statement:
        """The software statement in a body.

        :raises OAuthError: as `SoftwareStatements.read` does.
        """
        if body.get(STATEMENT) is None:
            return NO_STATEMENT
        found = await self.statements.read(body[STATEMENT], before.statement)
        if found.members.keys().isdisjoint(row.name for row in self.table):
            raise INVALID_SOFTWARE_STATEMENT("the software statement says nothing of a client")
        return found

    async def read(
        self,
        body: Mapping[str, Any],
        policy: RegistrationPolicy,
        before: Client = NEW,
        statement: Statement = NO_STATEMENT,
    ) -> Client:
        """The client that a body describes, as `before` where a client has no say.

        :raises OAuthError: `invalid_redirect_uri`, `invalid_client_metadata`.
        """
        held = self._held(before)
        stated = {name: None if name in held else value for name, value in statement.members.items()}
        body = _with_held({**body, **stated}, held)  # RFC 7591 section 2.3: what the statement says comes first
        body, problems = metadata_choices.chosen(body, self.table, self.offered.auth_methods, self.algorithm)
        if problems:
            raise _refused(problems)
        method = body.get(METHOD) or DEFAULT_METHOD
        public = method == PUBLIC and PUBLIC in self.offered.auth_methods
        sent = {name: value for name, value in body.items() if name not in held and not (public and name == METHOD)}
        members, problems = metadata.problems_of(sent, self.table)
        if problems:
            raise _refused(problems)
        fields = self._fields(members, {name: getattr(before, name) for name in before.held if hasattr(before, name)})
        kind = "public" if public else "confidential"
        client = replace(before, **{"scopes": None, "client_type": kind, "statement": statement.digest, **fields})
        kept = before.application_type if "application_type" in before.held else members["application_type"]
        client = completed(client, kept)
        problems = _of_response_types(body.get("response_types"), client) | self._uncalled(client) | flaws(client)
        problems |= flaws_here(client, self.issuer)
        if "scopes" not in before.held:
            known = await self.scopes.all()
            client = _with_scopes(client, body.get("scope"), policy, known, before, problems)
        problems |= policy.problems(client, method, body) | _of_sector(client, before)
        if "authorization_code" in client.grant_types and not client.redirect_uris:
            problems.setdefault("redirect_uris", "is missing")  # RFC 7591 section 2
        if problems:
            raise _refused(problems)
        return client

    def _fields(self, members: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that members stand for, with what they are when nothing was said; those that are held stay."""
        fields = {**metadata.fields(members, self.table), **held}
        fields["grant_types"] = tuple(fields["grant_types"] or ("authorization_code",))  # RFC 7591 section 2
        fields["name"] = fields["name"] or _unnamed(fields["redirect_uris"])
        fields["id_token_algorithm"] = fields["id_token_algorithm"] or self.algorithm
        return {**fields, **held}

    def _held(self, client: Client) -> dict[str, Any]:
        """The members that an administrator has decided, by their names on the wire, as they are."""
        if not client.held:
            return {}
        told = self.told(client)
        fields = [(row.name, row.field) for row in self.table] + [("scope", "scopes")]
        return {name: told.get(name) for name, field in fields if field in client.held}

    async def check_sector(self, client: Client, fetch: Fetch | None = None) -> None:
        """Make sure that the document at its sector identifier names all its redirect URIs.

        :param fetch: fetches it in another way than usual.
        :raises OAuthError: `invalid_client_metadata`, `temporarily_unavailable`. OpenID Connect Registration section 5.
        """
        if not client.sector_identifier_uri:
            return
        try:
            body = await (fetch or self.fetch)(client.sector_identifier_uri, _JSON)
        except FetchRefused as error:
            if error.passing:
                raise TEMPORARILY_UNAVAILABLE(f"the sector_identifier_uri {error.description}", log=error.log) from None
            raise _refused({"sector_identifier_uri": f"cannot be used: {error.description}"}) from None
        try:
            listed = strict(body.decode(), "what it leads to")
        except UnicodeDecodeError:
            raise _refused({"sector_identifier_uri": "leads to what is not UTF-8"}) from None
        except OAuthError as error:
            raise _refused({"sector_identifier_uri": f"is of no use: {error.description}"}) from None
        if not isinstance(listed, list) or not set(client.redirect_uris) <= {one for one in listed if type(one) is str}:
            raise _refused({"sector_identifier_uri": "must lead to a JSON array that holds every redirect URI"})

    def _uncalled(self, client: Client) -> dict[str, str]:
        """Documents that would never be fetched."""
        return {name: why for name, uri in called(client) if (why := self.uncalled(uri))}

    def uncalled(self, uri: str) -> str:
        """Why a document would never be fetched from there; "" where it may be."""
        opened = self.fetching.open_hosts
        try:
            host = location(uri, self.fetching.ports, opened).host
        except FetchRefused as error:
            return error.description
        inner = _NUMBERS.fullmatch(host) and not is_public(host.strip("[]"))
        return "is where this server does not call" if host not in opened and (inner or _HERE.search(host)) else ""

    def changed(self, client: Client, wanted: Client) -> Client:
        """A client as it is now, with all that `read` has made of it a moment ago."""
        names = {row.field for row in self.table} | {"scopes", "sector", "application_type", "statement"}
        return replace(client, **{name: getattr(wanted, name) for name in names})

    def told(self, client: Client) -> dict[str, Any]:
        """All that is registered of a client (RFC 7591 section 3.2.1), without what it proves itself by."""
        told = {name: value for name, value in metadata.told(client, self.table).items() if value not in (None, [])}
        code = "authorization_code" in client.grant_types
        return {
            "client_id": client.client_id,
            "client_id_issued_at": client.created_at,
            **told,
            "redirect_uris": list(client.redirect_uris),
            "grant_types": list(client.grant_types),
            "response_types": ["code"] if code else [],
            METHOD: method_of(client),
            **({} if client.scopes is None else {"scope": joined(client.scopes)}),
        }


def _with_held(body: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    """The body with what an administrator has decided.

    Left out is as good as said the same (RFC 7592 section 2.2 lets a server keep what is left out).

    :raises OAuthError: `invalid_client_metadata` for a body that says something else.
    """
    against = [name for name, value in held.items() if body.get(name) not in (None, "", [], {}, value)]
    if against:
        raise _refused(dict.fromkeys(against, "was decided by an administrator, who alone changes it"))
    return {**body, **held}


def called(client: Client) -> list[tuple[str, str]]:
    """The addresses that a client has this server call, with the members that they stand in."""
    named = [("jwks_uri", client.jwks_uri), ("sector_identifier_uri", client.sector_identifier_uri)]
    named.append(("backchannel_client_notification_endpoint", client.ciba_notification_uri))
    named += [("request_uris", uri) for uri in client.request_uris]
    named.append(("backchannel_logout_uri", client.backchannel_logout_uri))
    return [(name, uri) for name, uri in named if uri]


def method_of(client: Client) -> str:
    """How a client authenticates, by the name that it has on the wire."""
    return (client.auth_method or DEFAULT_METHOD) if client.confidential else PUBLIC


def _unnamed(redirect_uris: tuple[str, ...]) -> str:
    """What people see of a client that has not said its name."""
    host = urlsplit(redirect_uris[0]).hostname if redirect_uris else None
    return host or "Application without a name"


def _of_response_types(given: object, client: Client) -> dict[str, str]:
    """What is wrong with the response types; only `code` is served here."""
    if given is None:
        return {}
    if not isinstance(given, list) or any(one != "code" for one in given):
        return {"response_types": "must be a list of nothing but code"}
    if bool(given) != ("authorization_code" in client.grant_types):  # RFC 7591 section 2.1
        return {"response_types": "code goes with the grant type authorization_code, and with it alone"}
    return {}


def _of_sector(client: Client, before: Client) -> dict[str, str]:
    """What would tell a client the subjects of a sector that it is not of (OpenID Connect Core section 8.1).

    That a client is of its sector is shown by one thing alone: what it learns of people comes to the redirect URIs. So
    nothing may come past them, and no grant that was given at others may go along into another sector.
    """
    if client.subject_type != PAIRWISE:
        return {}
    if not PAST_REDIRECTS.isdisjoint(client.grant_types):
        return {"subject_type": "pairwise does not go with the grant types password, device_code and ciba"}
    if before is not NEW and (before.subject_type, before.sector) != (PAIRWISE, client.sector):
        return {"subject_type": "pairwise, and the host that goes with it, cannot be changed; register another client"}
    return {}


def _with_scopes(
    client: Client, asked: object, policy: RegistrationPolicy, known: Scopes, before: Client, problems: dict[str, str]
) -> Client:
    """The client with the scopes that it asks for, or with all that the policy allows."""
    if asked in (None, ""):
        return client if policy.scopes is None else replace(client, scopes=tuple(sorted(policy.allowed(known))))
    try:
        wanted = parse(asked if isinstance(asked, str) else '"')
    except OAuthError as error:
        problems["scope"] = error.description
        return client
    beyond = [one for one in wanted if one not in policy.allowed(known, before.scopes or ())]
    if beyond:
        problems["scope"] = f"{beyond[0][:64]} is unknown, or not for clients that register themselves"
    return replace(client, scopes=wanted)


def _refused(problems: Mapping[str, str]) -> OAuthError:
    name, why = next(iter(problems.items()))
    kind = INVALID_REDIRECT_URI if _REDIRECTS.match(name) else INVALID_CLIENT_METADATA
    return kind(f"{name} {why}", fields=dict(problems))
