"""Client authentication (RFC 6749 sections 2.3 and 3.2.1), the same at every endpoint that clients call.

Exactly one method may be used in a request. Refused alike, as `invalid_client`: an unknown client, an inactive one, a
wrong secret, a confidential client without one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import blake2b

from attrs import field, frozen

from oauthd.events import Events
from oauthd.proofs.interface import Credentials, Method
from oauthd.protocol.errors import INVALID_CLIENT, INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE
from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client, Generations
from oauthd.stores.cache import Entry
from oauthd.stores.clients import Clients, Known

FORM = "application/x-www-form-urlencoded"  # RFC 6749 section 3.2 and its like at the other endpoints


@frozen
class Caller:
    """An authenticated client.

    :ivar generations: those to issue under.
    :ivar entry: what was kept of it in memory, if anything is.
    :ivar until: wall-clock seconds until when what it presented proves it.
    """

    client: Client
    generations: Generations
    entry: Entry
    until: float


@frozen
class ClientAuthentication:
    """Tries the methods in order; the last one takes a bare `client_id`.

    What has proved right is recognised by a keyed digest for as long as the client is kept in memory as it was then.

    :ivar key: of that digest; random, of this process alone.
    """

    clients: Clients
    methods: tuple[Method, ...]
    bare: Method
    events: Events
    clock: Callable[[], float]
    key: bytes = field(repr=False)

    async def client(self, request: Request) -> Caller:
        """The authenticated client.

        :raises OAuthError: `invalid_client`, `invalid_request`; `unsupported_media_type` for a body that is no form.
        """
        if request.body and request.content_type != FORM:
            raise UNSUPPORTED_MEDIA_TYPE(f"the body must be {FORM}")
        method, credentials = self._presented(request)
        named = request.form.one("client_id")
        if named is not None and named != credentials.client_id:
            raise INVALID_REQUEST("the client_id differs from the one that authenticates")
        entry = await self.clients.known(credentials.client_id)
        until = self._proved(method, entry.value, credentials)
        if not until and entry.value is not None:
            # A secret or a client that changed a moment ago: nobody is refused by what memory says.
            entry = await self.clients.known(credentials.client_id, fresh=True)
            until = self._proved(method, entry.value, credentials)
        if not until:
            client_id = entry.value.client.client_id if entry.value else None
            self.events.tell("client.refused", client_id=client_id, method=method.method)
            raise INVALID_CLIENT("client authentication failed")
        return Caller(entry.value.client, entry.value.generations, entry, until)

    def _proved(self, method: Method, known: Known | None, credentials: Credentials) -> float:
        """Until when these credentials prove that it is this client; 0 when they do not."""
        now = self.clock()
        # By each method anew: what proves by one of them may prove nothing by another.
        presented = f"{method.method} {credentials.secret}".encode("utf-8", "surrogatepass")
        digest = blake2b(presented, key=self.key, digest_size=16).digest()
        if known is not None and known.client.is_active and known.proofs.get(digest, 0) > now:
            return known.proofs[digest]
        if not method.proves(known.client if known else None, credentials):
            return 0
        if known is None or not known.client.is_active:
            return 0
        ends = [secret.expires_at for secret in known.client.secrets if secret.expires_at]
        known.proofs[digest] = min((end for end in ends if end > now), default=math.inf)
        return known.proofs[digest]

    def _presented(self, request: Request) -> tuple[Method, Credentials]:
        found = [(method, given) for method in self.methods if (given := method.presented(request)) is not None]
        if len(found) > 1:  # RFC 6749 section 2.3: not more than one method in a request
            raise INVALID_REQUEST("the client authenticates in more than one way")
        if found:
            return found[0]
        bare = self.bare.presented(request)
        if bare is None:
            raise INVALID_CLIENT("client authentication is missing")
        return self.bare, bare
