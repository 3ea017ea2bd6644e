"""Backchannel authentication requests between client and person: taken, listed, approved or denied (CIBA Core).

A request is found by the auth_req_id, which is its client's alone, or called by its `request_id`, which is safe to show
and redeems nothing. Of approvals and denials that come at once, one counts. How many go unanswered about one person, in
all and for one client, is bounded: nobody's device is flooded. A name that nobody has is counted in the same way, so
that the bounds do not tell.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.config import Settings
from oauthd.events import Events
from oauthd.protocol import opaque
from oauthd.protocol import scopes as rules
from oauthd.protocol.authorization import Asked
from oauthd.protocol.authorization_details import DetailsTypes
from oauthd.protocol.beginning import SignedIn, begin
from oauthd.protocol.ciba import POLL, Wanted
from oauthd.protocol.errors import INVALID_REQUEST, OAuthError
from oauthd.protocol.grant_types import CIBA
from oauthd.protocol.lockout import canonical_name
from oauthd.protocol.records import UNBOUND, BackchannelRequest, Binding, Client, Tally, User
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, tallies
from oauthd.stores.clients import Clients
from oauthd.stores.interface import IStore, Page, Ref, Stored, Write
from oauthd.stores.outbox import Note, Outbox
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.swap import give, readings, swap
from oauthd.stores.users import is_administrator

KNOWN_FOR = 600
"""Seconds after its end for which a client that still polls is told that it has ended."""
PURPOSE = "backchannel request"
_CALLED = re.compile(r"([0-9A-Za-z]{14})\.([A-Za-z0-9_-]{43})")

Waiting = Stored[BackchannelRequest]
Step = Callable[[IStore, Ref[BackchannelRequest], Waiting, BackchannelRequest], Awaitable[bool]]


async def _goes_on() -> None:
    """What is approved in no session ends with none."""


@frozen
class CibaRequests:
    """Every backchannel authentication request of the store."""

    store: IStore
    clients: Clients
    scopes: ScopeCatalogue
    details: DetailsTypes
    seals: Seals
    outbox: Outbox
    events: Events
    settings: Settings
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]

    async def take(
        self, client: Client, user: User | None, asked: Asked, wanted: Wanted, binding: Binding = UNBOUND
    ) -> tuple[str, BackchannelRequest]:
        """Keep a request that has been checked; its auth_req_id and its record.

        :param user: whom it is about; None for a hint that names nobody, of which its client is not told.
        :param binding: of the tokens, where they are pushed.
        :raises OAuthError: `too_many_requests`.
        """
        now = int(self.clock())
        await self._count(client.client_id, _person(user, wanted), now)
        grant_id = opaque.new_grant_id(self.entropy)
        value = opaque.make(opaque.BACKCHANNEL, self.entropy, grant_id)
        ends = now + wanted.lifetime
        told = client.ciba_mode != POLL
        record = BackchannelRequest(
            client_id=client.client_id,
            user_id=user.user_id if user else "",
            scope=asked.scope,
            mode=client.ciba_mode,
            interval=self.settings.ciba.interval,
            asked_at=now,
            usable_until=ends,
            expires_at=ends + KNOWN_FOR,
            audience=asked.audience,
            details=asked.details,
            message=wanted.message,
            acr_values=wanted.acr_values,
            notify=self.seals.seal(PURPOSE, f"{value} {wanted.notification_token}".encode()) if told else b"",
            binding=binding,
        )
        ref = kinds.backchannel_request(grant_id, value)
        await self.store.put(Write(ref, record))
        facts = {"request": request_id(ref), "user_id": record.user_id or None}
        self.events.tell("ciba.requested", client_id=client.client_id, **facts)
        return value, record

    async def find(self, called: str) -> Waiting | None:
        """The request of that `request_id` which waits for its answer, or had it; None for one that is over."""
        ref = _ref_of(called)
        return None if ref is None else await self.read(ref)

    async def read(self, ref: Ref[BackchannelRequest]) -> Waiting | None:
        """The same by its reference."""
        (stored,) = await self.store.get(ref)
        return stored if stored is not None and stored.record.usable_until > self.clock() else None

    async def waiting(self, user_id: str, cursor: str | None, limit: int) -> Page[BackchannelRequest]:
        """A page of those that wait for their answer, of one user or ("") of everybody, those that end first before.

        :raises ValueError: when the cursor is not one of ours.
        """
        index = kinds.waiting_for(user_id) if user_id else kinds.WAITING
        page: Page[BackchannelRequest] = await self.store.scan(index, cursor, limit)
        now = self.clock()
        return Page(tuple(one for one in page.items if one.record.usable_until > now), page.cursor)

    async def client(self, request: BackchannelRequest) -> Client:
        """The client that asks.

        :raises OAuthError: `invalid_request` when it may ask no more.
        """
        client = await self.clients.find(request.client_id)
        if client is None or not client.is_active:
            raise INVALID_REQUEST("the application does not exist any more")
        return client

    async def may_be_given(self, request: BackchannelRequest, client: Client, user: User) -> None:
        """Make sure that what is asked for may still be given, and by this user.

        :raises OAuthError: `invalid_scope`, `invalid_authorization_details`.
        """
        rules.granted(" ".join(request.scope), client, await self.scopes.all(), is_administrator(user))
        self.details.still(request.details, client)

    async def approve(
        self,
        found: Waiting,
        by: SignedIn,
        flow: bytes = b"",
        still: Callable[[], Awaitable[None]] = _goes_on,
        /,
        **facts: str | None,
    ) -> bool:
        """Approve a request; False when it was answered, or ended, before.

        :param flow: digest of the browser flow, empty for none.
        :param still: makes sure, after the step, that the session goes on; what was given is taken back if it raises.
        :param facts: who did it, for the log.
        :raises OAuthError: as `client`, `may_be_given` and `still` do.
        """
        request, now = found.record, int(self.clock())
        # The client's before it is read, the user's from before: what is taken from them meanwhile must not live on.
        generations = await self.store.generations(request.client_id)
        client = await self.client(request)
        await self.may_be_given(request, client, by.user)
        grant = begin(
            client,
            generations,
            by,
            grant_type=CIBA,
            scope=request.scope,
            now=now,
            ends_at=now + self.settings.tokens.refresh_absolute,
            expires_at=request.usable_until,
            audience=request.audience,
            details=request.details,
        )
        write = Write(kinds.grant(found.ref.slot), grant)
        return await self._settle(found, "approved", flow, partial(give, given=write, still=still), **facts)

    async def deny(self, found: Waiting, flow: bytes = b"", **facts: str | None) -> bool:
        """Deny a request; False when it was answered, or ended, before."""
        return await self._settle(found, "denied", flow, **facts)

    async def _settle(
        self, found: Waiting, status: str, flow: bytes, step: Step = swap, /, **facts: str | None
    ) -> bool:
        """Write the decision, once; polls change the record meanwhile, decisions do not mix."""
        async for now in readings(self.store, found.ref):
            if now is None or now.record.status != "pending" or now.record.usable_until <= self.clock():
                return False
            settled = replace(now.record, status=status, settled_in=flow)
            try:
                done = await step(self.store, found.ref, now, settled)
            except OAuthError:  # taken back: it had its answer all the same
                await self._answered(found.ref, settled)
                raise
            if done:
                about = {"request": request_id(found.ref), "user_id": settled.user_id, **facts}
                told = "ciba.approved" if status == "approved" else "ciba.denied"
                self.events.tell(told, client_id=settled.client_id, **about)
                await self._answered(found.ref, settled)
                return True
        return False

    async def _answered(self, ref: Ref[BackchannelRequest], settled: BackchannelRequest) -> None:
        await self._uncount(settled)
        await self.tell(ref, settled)

    async def tell(self, ref: Ref[BackchannelRequest], settled: BackchannelRequest) -> None:
        """Have the client told of a decision, where it wants to be; it may be told twice."""
        if settled.notify:
            facts = {"family": ref.slot, "digest": ref.ident.hex()}
            await self.outbox.add(Note(f"ciba_{settled.mode}", settled.client_id, facts, settled.usable_until))

    def opened(self, request: BackchannelRequest) -> tuple[str, str]:
        """The auth_req_id, and the token that its client has given to be told with.

        :raises SealBroken: when the master key that sealed them is gone.
        """
        auth_req_id, token, *_ = self._sealed(request).decode().split(" ", 2)
        return auth_req_id, token

    def keeping(self, request: BackchannelRequest, answer: bytes) -> BackchannelRequest:
        """The request with the answer that is pushed for it: what is sent again is to be the same."""
        return replace(request, notify=self.seals.seal(PURPOSE, b"%b %b" % (self._sealed(request), answer)))

    def kept(self, request: BackchannelRequest) -> bytes:
        """That answer."""
        return self._sealed(request).split(b" ", 2)[2]

    def _sealed(self, request: BackchannelRequest) -> bytes:
        return self.seals.open(PURPOSE, request.notify)

    async def _count(self, client_id: str, person: str, now: int) -> None:
        counted: list[Ref[Tally]] = []
        try:
            for ref, limit in self._counters(client_id, person):
                await self._change(ref, 1, limit, now)
                counted.append(ref)
        except OAuthError:
            for ref in counted:
                await self._change(ref, -1, None, now)
            raise

    async def _uncount(self, request: BackchannelRequest) -> None:
        for ref, _ in self._counters(request.client_id, request.user_id):
            await self._change(ref, -1, None, int(self.clock()))

    def _counters(self, client_id: str, person: str) -> list[tuple[Ref[Tally], int]]:
        """The client's first: one client alone takes nobody's place from the others."""
        bounds = self.settings.ciba
        return [
            (self._tally(f"{client_id} {person}"), bounds.client_requests),
            (self._tally(f" {person}"), bounds.user_requests),
        ]

    def _tally(self, name: str) -> Ref[Tally]:
        return kinds.TALLY.at(self.seals.digest(PURPOSE, name.encode("utf-8", "surrogatepass"))[:16])

    async def _change(self, ref: Ref[Tally], by: int, limit: int | None, now: int) -> None:
        what = "requests about this person are unanswered"
        await tallies.change(self.store, ref, by, limit, now, what, self.settings.ciba.longest)


def request_id(ref: Ref[BackchannelRequest]) -> str:
    """What a request is called: its family and the digest of its auth_req_id."""
    return f"{ref.slot}.{base64.urlsafe_b64encode(ref.ident).rstrip(b'=').decode()}"


def ref_of(facts: Mapping[str, Any]) -> Ref[BackchannelRequest]:
    """The request that a message is about."""
    return kinds.CIBA.at(bytes.fromhex(facts["digest"]), facts["family"])


def _ref_of(called: str) -> Ref[BackchannelRequest] | None:
    named = _CALLED.fullmatch(called)
    if named is None:
        return None
    return kinds.CIBA.at(base64.urlsafe_b64decode(named[2] + "="), named[1])


def _person(user: User | None, wanted: Wanted) -> str:
    """Whom a request is counted for; no user id has a blank in it."""
    return user.user_id if user else f"? {canonical_name(wanted.value)}"
