"""Client authentication (RFC 6749 sections 2.3 and 3.2.1), the same at every endpoint that clients call.

Exactly one method may be used in a request. A client that has registered a method is let in by no other; which of the
methods that look alike in a request is meant, is told by that registration too. Refused alike, as `invalid_client`: an
unknown client, an inactive one, a wrong secret or key, another method, a confidential client without any.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b

from attrs import field, frozen

from oauthd.events import Events
from oauthd.limits import Allowance, Limits, Scope
from oauthd.proofs.interface import ASSERTION, HEADER, NAME, SECRET, Credentials, Method, Unproven
from oauthd.protocol import profile
from oauthd.protocol.errors import INVALID_CLIENT, INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.messages import Connection, Lesson, Request
from oauthd.protocol.records import Client, Generations
from oauthd.stores.clients import Clients, Known
from oauthd.stores.entries import Entry

FORM = "application/x-www-form-urlencoded"  # RFC 6749 section 3.2 and its like at the other endpoints
# RFC 6749 section 2.3.1, RFC 7521 section 4.2: what proves a client is no part of a URI, which logs would keep.
NEVER_IN_A_QUERY = ("client_secret", "client_assertion", "client_assertion_type")


Place = tuple[Callable[[Request], Credentials | None], Sequence[Method]]
"""What reads a place of a request, and the methods that stand there."""


Described = Callable[[Entry, str, Connection], Awaitable[Entry]]
"""What is known of a client, given what the store knows, its id and who asks."""


class Caller(Frozen, frozen=True):
    """An authenticated client.

    :ivar generations: those to issue under.
    :ivar entry: what was kept of it in memory, if anything is.
    :ivar until: wall-clock seconds until when what it presented proves it; 0 when it did so for this request alone.
    :ivar allowance: how often it may still ask; None for as often as it likes.
    """

    client: Client
    generations: Generations
    entry: Entry
    until: float
    allowance: Allowance | None = None

    def spend(self, cost: int) -> None:
        """Count more than the one request that was counted when it authenticated.

        :raises OAuthError: `too_many_requests` with Retry-After.
        """
        if self.allowance is not None and cost > 0:
            self.allowance.spend_more(cost)

    def limited(self, lesson: Lesson) -> Lesson:
        """What its request taught, counted each time that it is used."""
        return lesson if self.allowance is None else self.allowance.limited(lesson)

    @property
    def lasts(self) -> bool:
        """May the same request be let in again, as long as the client stays as it is? Else it teaches nobody."""
        return self.until > 0


@frozen
class ClientAuthentication:
    """Finds the client of a request, by one of the methods that are on.

    What has proved right, of what lasts, is recognised by a keyed digest for as long as the client is kept in memory as
    it was then.

    :ivar key: of that digest; random, of this process alone.
    :ivar profile: what the server holds every client to; "" for nothing.
    :ivar limits: count what clients ask; None for no limits.
    """

    clients: Clients
    methods: tuple[Method, ...]
    events: Events
    clock: Callable[[], float]
    key: bytes = field(repr=False)
    profile: str
    limits: Limits | None = None
    _places: Sequence[Place] = field(init=False, repr=False)
    _bare: Place | None = field(init=False, repr=False)

    @_places.default
    def _by_place(self) -> Sequence[Place]:
        return [found for name in (HEADER, SECRET, ASSERTION) if (found := self._place(name)) is not None]

    @_bare.default
    def _by_name(self) -> Place | None:
        return self._place(NAME)

    def _place(self, name: str) -> Place | None:
        methods = tuple(method for method in self.methods if method.place == name)
        return (methods[0].presented, methods) if methods else None

    def metadata(self) -> dict[str, list[str]]:
        """What is on, as members of the metadata document (RFC 8414 section 2)."""
        strict = self.profile == profile.FAPI2
        on = [one for one in self.methods if not strict or one.method in profile.CLIENT_AUTHENTICATION]
        proving = [one.method for one in on if one.method != "none"]
        signing = dict.fromkeys(name for one in on for name in one.algorithms if not strict or name in profile.SIGNING)
        found = {
            "token_endpoint": [one.method for one in on],
            "revocation_endpoint": [one.method for one in on],
            "introspection_endpoint": proving,  # nobody is told of tokens who has proved nothing (RFC 7662 section 2.1)
        }
        members = {f"{endpoint}_auth_methods_supported": methods for endpoint, methods in found.items()}
        if signing:
            members |= {f"{endpoint}_auth_signing_alg_values_supported": list(signing) for endpoint in found}
        return members

    async def client(
        self, request: Request, described: Described | None = None, scope: Scope = "client"
    ) -> Caller:
        """The authenticated client.

        :param described: finds one that may come for the first time; it waits for others.
        :param scope: which of its limits the request counts for.
        :raises OAuthError: `invalid_client`, `invalid_request`; `unsupported_media_type` for a body that is no form;
            `too_many_requests`.
        """
        if request.body and request.content_type != FORM:
            raise UNSUPPORTED_MEDIA_TYPE(f"the body must be {FORM}")
        methods, credentials = self._presented(request)
        named = request.form.one("client_id")
        if named is not None and named != credentials.client_id:
            # RFC 7521 section 4.2; FAPI 1.0 Baseline section 5.2.2 item 19 says which error this is.
            raise INVALID_CLIENT("the client_id differs from the one that authenticates")
        entry = await self.clients.known(credentials.client_id)
        if described is not None:
            entry = await described(entry, credentials.client_id, request.connection)
        method, known = self._meant(methods, entry.value)
        try:
            if method.lasts:  # at once, for most of what comes here does
                until = self._lasting(method, known, credentials)
            else:
                until = await self._alone(method, known, credentials)
        except Unproven as error:
            entry, until = await self._again(methods, entry, credentials, error)
        client = entry.value.client
        if client.confidential:  # to name a public one is no use of it
            await self.clients.used(client)
        allowance = None
        if self.limits is not None:
            allowance = self.limits.authenticated(client, request.connection, scope)
            until = until if self.limits.is_lasting(client) else 0
        return Caller(client, entry.value.generations, entry, until, allowance)

    async def _again(
        self, methods: Sequence[Method], former: Entry, credentials: Credentials, error: Unproven
    ) -> tuple[Entry, float]:
        """The same with the client as it is now: a secret or a key may have changed a moment ago.

        Nobody is refused by what memory says.
        """
        entry = former
        try:
            if former.value is None:
                raise error
            entry = await self.clients.known(credentials.client_id, fresh=True)
            if entry.value is not None and entry.value.client == former.value.client:
                raise error
            method, known = self._meant(methods, entry.value)
            if method.lasts:
                return entry, self._lasting(method, known, credentials)
            return entry, await self._alone(method, known, credentials)
        except Unproven as refused:
            client_id = entry.value.client.client_id if entry.value else None
            self.events.tell("client.refused", client_id=client_id, method=self._meant(methods, entry.value)[0].method)
            raise INVALID_CLIENT(refused.told, log=refused.log) from None

    async def _alone(self, method: Method, known: Known | None, credentials: Credentials) -> float:
        """For this request alone.

        :raises Unproven: these credentials do not prove that it is this client.
        """
        proves = method.proves(known.client if known else None, credentials)
        if not (proves if isinstance(proves, bool) else await proves) or known is None:
            raise Unproven
        return 0

    def _lasting(self, method: Method, known: Known | None, credentials: Credentials) -> float:
        """Until when these credentials go on to prove it.

        :raises Unproven: they do not.
        """
        now = self.clock()
        # By each method anew: what proves by one of them may prove nothing by another.
        presented = f"{method.method} {credentials.secret}".encode("utf-8", "surrogatepass")
        digest = blake2b(presented, key=self.key, digest_size=16).digest()
        if known is not None and known.proofs.get(digest, 0) > now:
            return known.proofs[digest]
        if not method.proves(known.client if known else None, credentials) or known is None:
            raise Unproven
        ends = [secret.expires_at for secret in known.client.secrets if secret.expires_at]
        known.proofs[digest] = min((end for end in ends if end > now), default=math.inf)
        return known.proofs[digest]

    def _meant(self, methods: Sequence[Method], known: Known | None) -> tuple[Method, Known | None]:
        """The method by which a client may be let in, and what is known of it; None where there is no way for it.

        Then a method is tried all the same, with nobody, for whoever waits could tell the difference.
        """
        if known is not None and known.client.is_active:
            for method in methods:
                if self._fits(method, known.client):
                    return method, known
        return methods[0], None

    def _fits(self, method: Method, client: Client) -> bool:
        if not (method.method == client.auth_method if client.auth_method else method.unregistered):
            return False
        return not profile.is_strict(client, self.profile) or method.method in profile.CLIENT_AUTHENTICATION

    def _presented(self, request: Request) -> tuple[Sequence[Method], Credentials]:
        """The methods that read the place where something is, and what they read."""
        if request.query.pairs and any(name in request.query for name in NEVER_IN_A_QUERY):
            raise INVALID_CLIENT("what authenticates a client stands in a header or in the body, never in the query")
        found = None
        for presented, methods in self._places:
            given = presented(request)
            if given is not None:
                if found is not None:  # RFC 6749 section 2.3: not more than one method in a request
                    raise INVALID_REQUEST("the client authenticates in more than one way")
                found = methods, given
        if found is None and self._bare is not None:
            presented, methods = self._bare
            named = presented(request)
            found = (methods, named) if named is not None else None
        if found is None:
            raise INVALID_CLIENT("client authentication is missing")
        return found
