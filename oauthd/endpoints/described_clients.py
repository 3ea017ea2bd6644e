"""Clients that a document describes, at the address that is their id (Client ID Metadata Documents).

The document is read where a flow begins or goes on: at the authorization endpoint, on the sign-in page, and where
requests are pushed. Nowhere else is it waited for: token endpoint, introspection and the rest know the client by its
record alone.

The record is made when somebody has agreed to the client, and not before: who only names addresses, or sends people
here with them, leaves nothing behind. It ends when nothing is issued to it, as that of a client that registered itself,
and there is an end to how many there are. While it is there it follows the document. A change of what people were shown
makes them be asked anew; one that takes a scope, or another way to prove itself, ends its tokens. All else is as with
any client: tokens go on, and new redirect URIs and keys hold from then on.

A document counts for as long as its host says, within the bounds of `fetch` (section 4.4). What could not be had or is
wrong is never remembered: it is asked for again, so often as one source address may. Each process has its own memory,
and the record is of them all: it follows nothing but what the host has said after the record was read, for what one
process remembers may be older than what another has made of it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from attrs import define, field
from msgspec.structs import replace

from oauthd.config import ClientDocumentSettings, RegistrationSettings
from oauthd.endpoints.register import HOUR, policy_of
from oauthd.endpoints.registration import Registration, called
from oauthd.events import Events
from oauthd.fetcher import FetchRefused
from oauthd.protocol import client_documents as documents
from oauthd.protocol.client_rules import is_of, loses_details, loses_scope, needs_secret
from oauthd.protocol.errors import (
    CONFLICT,
    INVALID_CLIENT,
    INVALID_REQUEST,
    NOT_FOUND,
    TEMPORARILY_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    OAuthError,
)
from oauthd.protocol.json_body import strict
from oauthd.protocol.messages import Connection
from oauthd.protocol.records import Client, Generations, User
from oauthd.protocol.registration_policy import RegistrationPolicy
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, tallies
from oauthd.stores.clients import Clients, Known
from oauthd.stores.entries import Entry
from oauthd.stores.interface import IStore
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.tokens import Tokens

TYPES: Final = ("application/json", "application/*+json")  # section 4.1
NOW: Final = 1.0
"""Seconds for which a document is as good as new, whatever is wrong with it."""
MINUTE: Final = 60.0
"""Seconds for which a list of redirect URIs counts, that a sector identifier leads to."""
MOST_READ: Final = 256  # documents that are kept as read; others are read each time
SHOWN: Final = ("name", "client_uri", "logo_uri", "policy_uri", "tos_uri")
"""What people are shown when they are asked."""
NOT_YET: Final = Generations(None, None)


class FetchDocument(Protocol):
    """Fetches what a stranger names, and remembers no failure; see `oauthd.fetcher.Fetcher.get`."""

    def __call__(
        self, url: str, types: tuple[str, ...], *, oldest: float | None = None, asking: Callable[[], Awaitable[None]]
    ) -> Awaitable[bytes]:
        """The document."""
        ...


class _Overtaken(Exception):
    """Somebody else has changed the record; the next one to come looks again."""


@define(eq=False)
class _Counted:
    """Counts the calls that are made for one request.

    :ivar called: was somebody called?
    """

    count: Callable[[], Awaitable[None]]
    called: bool = False

    async def __call__(self) -> None:
        """Count one.

        :raises OAuthError: `too_many_requests`.
        """
        self.called = True
        await self.count()


class Undescribed(Exception):
    """A client of that address there is not. The text is for its developer."""

    def __init__(self, why: str, log: str = "", passing: bool = False) -> None:
        super().__init__(why)
        self.log, self.passing = log, passing


@define(eq=False)
class DescribedClients:
    """Finds clients, those that documents describe among them.

    :ivar fetch: what fetches the documents.
    """

    clients: Clients
    scopes: ScopeCatalogue
    tokens: Tokens
    registration: Registration
    fetch: FetchDocument
    store: IStore
    seals: Seals
    events: Events
    settings: ClientDocumentSettings
    registering: RegistrationSettings
    clock: Callable[[], float]
    _read: OrderedDict[str, tuple[bytes, Mapping[str, Any]]] = field(factory=OrderedDict, init=False, repr=False)

    async def find(self, client_id: str, source: Connection) -> tuple[Client | None, Generations]:
        """The client as it is now, and the generations to issue under; those of one that is not kept are none.

        :raises OAuthError: `invalid_request` where its document is none, `temporarily_unavailable`,
            `too_many_requests`.
        """
        client, generations = await self.clients.find_with_generations(client_id)
        try:
            wanted = await self._wanted(client_id, client, source)
        except Undescribed as error:
            raise _refused(error, INVALID_REQUEST(f"the client_id {error}", log=error.log)) from None
        if wanted is None or wanted is client:
            return client, generations
        if client is not None:
            await self._follow(client, wanted)
            client, generations = await self.clients.find_with_generations(client_id)
        return (wanted, NOT_YET) if client is None else (client, generations)

    async def shown(self, client_id: str, source: Connection) -> Client | None:
        """The client, where there is no more to it than a name on a page."""
        try:
            return (await self.find(client_id, source))[0]
        except OAuthError:
            return None

    async def known(self, entry: Entry, client_id: str, source: Connection) -> Entry:
        """What is known of a client that is about to authenticate, where it may come for the first time.

        :param entry: what the store knows.
        :raises OAuthError: `invalid_client`, `temporarily_unavailable`, `too_many_requests`.
        """
        before: Client | None = entry.value.client if entry.value else None
        try:
            wanted = await self._wanted(client_id, before, source)
        except Undescribed as error:
            raise _refused(error, INVALID_CLIENT(f"the client_id {error}", log=error.log)) from None
        if wanted is None or wanted is before:
            return entry
        if before is not None:
            await self._follow(before, wanted)
            entry = await self.clients.known(client_id, fresh=True)
        return entry if entry.value else Entry(Known(wanted, NOT_YET), -math.inf, -math.inf, ())  # for this one request

    async def keep(self, client: Client, generations: Generations, user: User) -> tuple[Client, Generations]:
        """Keep a client, if it is not kept yet, for somebody has agreed to it.

        :param client: as `find` has it; `generations`: likewise.
        :raises OAuthError: `too_many_requests`.
        """
        if not client.described or generations.client is not None:
            return client, generations
        now = int(self.clock())
        if await self.clients.described() >= self.settings.most:
            raise TOO_MANY_REQUESTS("there are too many applications of this kind", headers={"Retry-After": str(HOUR)})
        ref = kinds.TALLY.at(self.seals.digest("described clients of a user", user.user_id.encode())[:16])
        what = "applications that are new here"
        await tallies.change(self.store, ref, 1, self.settings.per_user, now, what, HOUR)
        ends = now + self.registering.unclaimed_after if self.registering.unclaimed_after else None
        try:
            await self.clients.register(replace(client, unused_until=ends))
        except OAuthError as error:
            if error.kind is not CONFLICT:  # somebody else was a moment faster
                raise
        else:
            self.events.tell("client.created", client_id=client.client_id)
        kept, generations = await self.clients.find_with_generations(client.client_id)
        if kept is None:
            raise TEMPORARILY_UNAVAILABLE("the application is gone again; try again")
        return kept, generations

    async def used(self, client: Client) -> None:
        """Something was issued to it: it lives on."""
        await self.clients.used(client)

    async def _wanted(self, client_id: str, before: Client | None, source: Connection) -> Client | None:
        """The client as its document has it; `before` where nothing has changed, None where there is no such client.

        :raises Undescribed: OAuthError: `too_many_requests`, `temporarily_unavailable`.
        """
        if self.settings.allow == "off" or not documents.is_url(client_id):
            return None
        if before is not None and not before.described:
            return None  # section 6.9: an administrator has registered it, and no document counts
        flaw = documents.flaw(client_id) or self._elsewhere(client_id)
        if flaw:
            raise Undescribed(flaw)
        what = "documents of clients were asked for"
        limit, now = self.settings.per_source, int(self.clock())
        purpose = "documents of clients"
        asking = _Counted(partial(tallies.count_source, self.store, self.seals, source, purpose, limit, now, what))
        wanted = await self._described(client_id, before, asking)
        if wanted is not before and wanted.sector_identifier_uri:
            with _as_undescribed():
                await self.registration.check_sector(wanted, partial(self.fetch, oldest=MINUTE, asking=asking))
        return wanted

    def _elsewhere(self, client_id: str) -> str:
        """Why nobody is called there; "" where somebody is."""
        if not self.clients.let_in(client_id):
            return "is at a host whose clients are not let in here"
        if is_of(client_id, self.registration.issuer):
            return "is at this server's own host"
        return self._inside(client_id) or self.registration.uncalled(client_id)

    def _inside(self, uri: str) -> str:
        """Why nobody is called there, whom an operator has opened for clients of his own and strangers name.

        Revision 02 section 8.6: what a document names is not fetched from inner networks either.
        """
        host = urlsplit(uri).hostname or ""
        if host not in self.registration.fetching.open_hosts:
            return ""
        listed = any(documents.fits(pattern, host) for pattern in self.settings.hosts)
        return "" if listed else "is where this server does not call"

    async def _described(self, client_id: str, before: Client | None, asking: _Counted) -> Client:
        """The client as its document has it; `before` where nothing has changed.

        :raises Undescribed: OAuthError: `too_many_requests`.
        """
        oldest = 0.0
        body = await self._fetched(client_id, None, asking)
        try:
            wanted = await self._client(self._judged(body, client_id), client_id, before)
        except Undescribed:
            if asking.called:
                raise
            oldest = NOW  # section 4.4: what is malformed is not kept
        else:
            if asking.called or before is None or wanted is before:
                return wanted
        body = await self._fetched(client_id, oldest, asking)
        return await self._client(self._judged(body, client_id), client_id, before)

    async def _fetched(self, client_id: str, oldest: float | None, asking: _Counted) -> bytes:
        """What is at its address.

        :raises Undescribed: OAuthError: `too_many_requests`.
        """
        try:
            return await self.fetch(client_id, TYPES, oldest=oldest, asking=asking)
        except FetchRefused as error:
            raise Undescribed(
                f"is the address of a document that {error.description}", error.log, error.passing
            ) from None

    def _judged(self, body: bytes, client_id: str) -> Mapping[str, Any]:
        """The document, which says that it is that of this client.

        :raises Undescribed:
        """
        known = self._read.get(client_id)
        if known is not None and known[0] is body:
            self._read.move_to_end(client_id)
            return known[1]
        if len(body) > self.settings.limit:  # section 6.6
            raise Undescribed(f"is the address of a document of more than {self.settings.limit} bytes")
        try:
            document = strict(body.decode(), "it")
        except (UnicodeDecodeError, OAuthError):
            document = None
        if not isinstance(document, dict):
            raise Undescribed("is the address of a document that is no JSON object")
        for name, why in documents.problems(document, client_id).items():
            raise Undescribed(f"is the address of a document whose {name} {why}")
        self._read[client_id] = body, document
        if len(self._read) > MOST_READ:
            self._read.popitem(last=False)
        return document

    async def _client(self, document: Mapping[str, Any], client_id: str, before: Client | None) -> Client:
        """The client that a document describes.

        :raises Undescribed:
        """
        with _as_undescribed():
            return await self._registered(document, client_id, before)

    async def _registered(self, document: Mapping[str, Any], client_id: str, before: Client | None) -> Client:
        policy = self._policy()
        allowed = policy.allowed(await self.scopes.all())
        own = self.settings.redirects == "own"
        table = self.registration.table
        body = documents.registration(document, client_id, table, policy.grant_types or (), allowed, own)
        held: set[str] = set()
        if before is None:
            read = await self.registration.read(body, policy)
        else:  # what an administrator has decided of it stays
            held = {row.name for row in table if row.field in before.held}
            held |= {"scope"} & {"scope" for name in before.held if name == "scopes"}
            body = {name: value for name, value in body.items() if name not in held}
            read = await self.registration.read(body, policy, before)
        if needs_secret(read):
            raise INVALID_REQUEST("it asks for signatures with a secret that both know, which there is not")
        for name, uri in called(read):
            if name not in held and (why := self._inside(uri)):
                raise INVALID_REQUEST(f"{name} {why}")
        if before is not None:
            wanted = replace(self.registration.changed(before, read), client_type=read.client_type)
            return before if wanted == before else wanted
        return replace(read, client_id=client_id, described=True)

    def _policy(self) -> RegistrationPolicy:
        policy = policy_of(self.registering)
        granted = tuple(name for name in documents.GRANT_TYPES if name in self.registering.grant_types)
        return RegistrationPolicy(policy.scopes, granted, policy.auth_methods, policy.require)

    async def _follow(self, before: Client, wanted: Client) -> None:
        """Let the record say what the document says, where it is still what it was."""
        number = before.number
        if any(getattr(before, name) != getattr(wanted, name) for name in SHOWN):
            number = await self.store.next_number("client")  # people agreed to what looked otherwise

        def change(client: Client) -> Client:
            if replace(client, unused_until=before.unused_until, updated_at=before.updated_at) != before:
                raise _Overtaken
            return replace(self.registration.changed(client, wanted), client_type=wanted.client_type, number=number)

        client_id, known = before.client_id, await self.scopes.all()
        ends = before.auth_method != wanted.auth_method or before.client_type != wanted.client_type
        ends = ends or loses_scope(before, wanted, known) or loses_details(before, wanted)
        try:
            if ends and (now := await self.clients.find(client_id)) is not None:
                change(now)
                await self.tokens.end_all_of_client(client_id)  # once more below: nobody sees then that it is to be
            await self.clients.update(client_id, change)
        except _Overtaken:
            return
        except OAuthError as error:
            if error.kind in (NOT_FOUND, CONFLICT):  # deleted meanwhile, or changed again and again
                return
            raise
        if ends:
            await self.tokens.end_all_of_client(client_id)  # after the record: nothing issued in between survives
        self.events.tell("client.updated", client_id=client_id)


@contextmanager
def _as_undescribed() -> Iterator[None]:
    """Where registration refuses something, there is no such client."""
    try:
        yield
    except OAuthError as error:
        if error.kind is TEMPORARILY_UNAVAILABLE or error.kind is TOO_MANY_REQUESTS:
            raise
        raise Undescribed(f"is the address of a document that is refused: {error.description}") from None


def _refused(error: Undescribed, otherwise: OAuthError) -> OAuthError:
    if not error.passing:
        return otherwise
    return TEMPORARILY_UNAVAILABLE(f"the client_id {error}", headers={"Retry-After": "1"}, log=error.log)
