"""The token endpoint (RFC 6749 section 3.2): every shared step, each a line; only `redeem` belongs to the grant.

Read, decide, mint, commit once: nothing is spent before the answer is ready, and one atomic step spends the record and
stores what the answer stands on. Whoever loses that step asks the grant again, which then sees what happened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from attrs import define, field, frozen
from msgspec.structs import replace
from twisted.internet.defer import ensureDeferred
from twisted.python.failure import Failure

from oauthd.events import Events
from oauthd.grants.interface import Ask, GrantAtOnce, GrantType, Redemption, Repeated
from oauthd.minting import Minting, Order
from oauthd.proofs.binding import Bindings
from oauthd.proofs.client_authentication import Caller, ClientAuthentication
from oauthd.protocol import opaque
from oauthd.protocol.authorization_details import PARAMETER, DetailsTypes
from oauthd.protocol.errors import (
    TEMPORARILY_UNAVAILABLE,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
    OAuthError,
)
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.json_text import text
from oauthd.protocol.messages import JSON, Parameters, Request, Response, Told
from oauthd.protocol.records import UNBOUND, AccessToken, Binding, Client, Grant
from oauthd.stores import kinds
from oauthd.stores.cache import Cache
from oauthd.stores.interface import Commit, IStore, Stored, Write
from oauthd.stores.turns import Turns

ROUNDS = 4  # a loser of the commit asks again: once is enough, unless several others are at the same record
REPEATABLE = ("resource",)  # RFC 8707 section 2
VARYING: Mapping[str, str] = {"client_credentials": "", "refresh_token": "refresh_token"}
"""Grant types that are asked for again and again, and the parameter that differs each time."""


class _Minted(Frozen, frozen=True):
    """A finished answer and what makes it true.

    :ivar writes: of the grant and the refresh token, what is new.
    """

    secret = ("body",)

    body: bytes
    access: Write[AccessToken]
    writes: list[Write[Any]]


@frozen
class Token:
    """Exchanges what a grant stands for against tokens.

    :ivar at_once: the grants that can decide without a coroutine.
    """

    store: IStore
    cache: Cache
    authentication: ClientAuthentication
    bindings: Bindings
    grants: Mapping[str, GrantType]
    details: DetailsTypes
    minting: Minting
    events: Events
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    turns: Turns
    at_once: Mapping[str, GrantAtOnce] = field(init=False)

    @at_once.default
    def _at_once(self) -> Mapping[str, GrantAtOnce]:
        return {name: grant for name, grant in self.grants.items() if isinstance(grant, GrantAtOnce)}

    async def __call__(self, request: Request) -> Response:
        """Answer a token request (RFC 6749 sections 5.1 and 5.2)."""
        request.form.refuse_repeats(REPEATABLE)
        self.bindings.proofs.ask_for_nonce(request)
        caller = await self.authentication.client(request)
        try:
            binding = await self.bindings.of(request, caller.client)
        except OAuthError as error:
            self._refused(caller.client, error)
            raise
        return await self.answer(caller, request.form, request.connection.source, binding)

    async def answer(
        self, caller: Caller, parameters: Parameters, source: str, binding: Binding = UNBOUND
    ) -> Response:
        """Answer an authenticated client.

        :param binding: what the request has proved to hold.
        """
        ask = self._ask(caller, parameters, source, binding)
        body, decision = await self._granted(ask)
        if binding or not caller.lasts:  # what was proved counts once, and teaches nobody anything
            return Response(200, (*JSON, *self.bindings.fields(binding)), body)
        grant = self.grants[parameters.required("grant_type")]
        varying = VARYING.get(grant.grant_type)
        lesson = None if varying is None else TokenLesson(self, caller, parameters, varying, grant, decision)
        return Response(200, JSON, body, lesson)

    def _ask(self, caller: Caller, parameters: Parameters, source: str, binding: Binding = UNBOUND) -> Ask:
        now, attempt = self.clock(), opaque.new_identifier(self.entropy)
        return Ask(caller.client, parameters, caller.generations, int(now), now, attempt, source, binding)

    async def _granted(self, ask: Ask, decided: Redemption | None = None) -> tuple[bytes, Redemption | None]:
        """The answer, and the decision it stands on where that may be used again.

        :param decided: what was decided already.
        """
        try:
            return await self._body(ask, self._grant(ask), decided)
        except OAuthError as error:
            self._refused(ask.client, error)
            raise

    def _refused(self, client: Client, error: OAuthError) -> None:
        self.events.tell("token.refused", client_id=client.client_id, error=error.kind.code)

    def _grant(self, ask: Ask) -> GrantType:
        grant = self.grants.get(ask.parameters.required("grant_type"))
        if grant is None:
            raise UNSUPPORTED_GRANT_TYPE("the grant_type is not supported")
        if grant.grant_type not in ask.client.grant_types:
            raise UNAUTHORIZED_CLIENT("the client is not registered for this grant_type")
        return grant

    async def _body(
        self, ask: Ask, grant: GrantType, decided: Redemption | None
    ) -> tuple[bytes, Redemption | None]:
        for _ in range(ROUNDS):
            redemption, decided = decided or await grant.redeem(ask), None
            if isinstance(redemption, Repeated):
                return redemption.body, None
            redemption = self._detailed(ask, redemption)
            minted = await self._mint(ask.client, redemption, ask.binding)
            if await self._commit(redemption, minted):
                self._tell(grant.grant_type, minted.access.record)
                return minted.body, redemption if redemption.holds is not None else None
        raise TEMPORARILY_UNAVAILABLE("the request is being repeated too often at once", headers={"Retry-After": "1"})

    def _detailed(self, ask: Ask, redemption: Redemption) -> Redemption:
        """The decision with the authorization details of its token (RFC 9396 section 6)."""
        parameter, grant = ask.parameters.one(PARAMETER), redemption.grant or redemption.standing
        if parameter is None and (grant is None or not grant.details):
            return redemption
        if grant is not None and kinds.grant(redemption.grant_id) not in redemption.commit.absent:
            return replace(redemption, details=self.details.narrowed(parameter, ask.client, grant.details))
        # What begins here was agreed to by nobody.
        details = self.details.of_client(parameter, ask.client)
        return replace(redemption, grant=replace(grant, details=details) if grant else None, details=details)

    async def _mint(self, client: Client, redemption: Redemption, binding: Binding = UNBOUND) -> _Minted:
        grant = redemption.grant or redemption.standing
        access = await self.minting.access_token(_order(client, redemption, grant, binding))
        id_token = ""
        if grant is not None and _has_id_token(redemption, grant):
            id_token = await self.minting.id_token(client, grant, access[0], redemption.nonce)
        return self._minted(client, redemption, grant, binding, access, id_token)

    def _mint_at_once(self, client: Client, redemption: Redemption, binding: Binding = UNBOUND) -> _Minted | None:
        """The same without waiting; None where there is something to wait for."""
        grant, id_token = redemption.grant or redemption.standing, ""
        told_of = grant if grant is not None and _has_id_token(redemption, grant) else None
        if told_of is not None and self.minting.id_token_waits(client, told_of):
            return None
        access = self.minting.access_token_at_once(_order(client, redemption, grant, binding))
        if access is None:
            return None
        if told_of is not None:
            id_token = self.minting.id_token_at_once(client, told_of, access[0], redemption.nonce)
        return self._minted(client, redemption, grant, binding, access, id_token)

    def _minted(
        self,
        client: Client,
        redemption: Redemption,
        grant: Grant | None,
        binding: Binding,
        access: tuple[str, Write[AccessToken]],
        id_token: str,
    ) -> _Minted:
        """The answer (RFC 6749 section 5.1), and what is to be written of it."""
        access_token, write = access
        record = write.record
        answer: dict[str, Any] = {
            "access_token": access_token,
            "token_type": "DPoP" if record.binding.jkt else "Bearer",  # RFC 9449 section 5
            "expires_in": record.expires_at - record.issued_at,
        }
        if record.details:
            answer["authorization_details"] = list(record.details)  # RFC 9396 section 7
        writes: list[Write[Any]] = []
        if redemption.grant is not None:
            writes.append(Write(kinds.grant(redemption.grant_id), redemption.grant))
        if redemption.refresh and grant is not None:
            answer["refresh_token"], refresh = self.minting.refresh_token(
                redemption.grant_id,
                grant,
                redemption.refresh_scope,
                redemption.refresh_audience,
                # RFC 9449 section 5, RFC 8705 section 4: those of other clients are bound by their authentication.
                UNBOUND if client.confidential else binding,
            )
            writes.append(refresh)
        elif redemption.same_refresh:
            answer["refresh_token"] = redemption.same_refresh
        if redemption.scope:
            answer["scope"] = " ".join(redemption.scope)
        if id_token:
            answer["id_token"] = id_token
        return _Minted(text(answer).encode(), write, writes)

    async def _commit(self, redemption: Redemption, minted: _Minted) -> bool:
        """Write what the answer stands on; the access token in any case: one that is never handed out harms nobody."""
        step = _step(redemption, minted)
        if step is not None:
            return await self.store.commit(step)
        await self.store.put(minted.access)
        return True

    # the same without a coroutine for each, which costs a third of it all

    def answer_at_once(self, caller: Caller, parameters: Parameters, grant: GrantAtOnce, waiter: Told) -> bool:
        """Answer as `answer`, a request of which nothing was proved that counts once; False where it must be that."""
        ask = self._ask(caller, parameters, "")
        refs = grant.reads(ask)
        if refs is None:
            return False
        self.turns.get(refs, partial(self._read, waiter, ask, grant))
        return True

    def _read(self, waiter: Told, ask: Ask, grant: GrantAtOnce, found: list[Stored[Any] | None] | Failure) -> None:
        if isinstance(found, Failure):
            waiter(found)
            return
        redemption = minted = None
        try:
            redemption = grant.redeem_at_once(ask, found)
            if redemption is not None:
                minted = self._mint_at_once(ask.client, self._detailed(ask, redemption), ask.binding)
        except OAuthError:
            redemption = None  # to be refused like any other
        except Exception:
            waiter(Failure())  # type: ignore[no-untyped-call]
            return
        step = None if redemption is None or minted is None else _step(redemption, minted)
        if step is None or minted is None:
            self._go_on(waiter, ask, redemption)
        else:
            self.turns.commit(step, partial(self._stepped, waiter, ask, grant, minted))

    def _stepped(
        self, waiter: Told, ask: Ask, grant: GrantAtOnce, minted: _Minted, outcome: bool | Failure
    ) -> None:
        if isinstance(outcome, Failure):
            waiter(outcome)
        elif outcome:
            self._tell(grant.grant_type, minted.access.record)
            waiter(minted.body)
        else:  # somebody was faster
            self._go_on(waiter, ask, None)

    def _go_on(self, waiter: Told, ask: Ask, decided: Redemption | None) -> None:
        """On the ordinary way, with what was decided so far."""
        ensureDeferred(self._granted(ask, decided)).addCallback(_body_of).addBoth(waiter)

    def repeat(self, client: Client, grant: GrantType, decision: Redemption, waiter: Told) -> bool:
        """Another token by a decision that still holds; False where a thread must sign."""
        minted = self._mint_at_once(client, decision)
        if minted is None:
            return False
        self.turns.put(minted.access, partial(self._put, waiter, grant, minted))
        return True

    def _put(self, waiter: Told, grant: GrantType, minted: _Minted, failure: Failure | None) -> None:
        if failure is None:
            self._tell(grant.grant_type, minted.access.record)
        waiter(minted.body if failure is None else failure)

    async def repeated(self, client: Client, grant: GrantType, decision: Redemption) -> Response:
        """Another token by a decision that still holds, signed by a thread."""
        minted = await self._mint(client, decision)
        await self.store.put(minted.access)
        self._tell(grant.grant_type, minted.access.record)
        return Response(200, JSON, minted.body)

    def _tell(self, grant_type: str, access: AccessToken) -> None:
        self.events.tell(
            "token.issued",
            grant_type=grant_type,
            client_id=access.client_id,
            user_id=access.user_id or None,
            scope=" ".join(access.scope),
        )


def _order(client: Client, redemption: Redemption, grant: Grant | None, binding: Binding = UNBOUND) -> Order:
    """What the access token is to say."""
    return Order(
        client=client,
        scope=redemption.scope,
        generations=redemption.generations,
        user_id=grant.user_id if grant else "",
        username=grant.username if grant else "",
        grant_id=redemption.grant_id,
        audience=redemption.audience,
        auth_time=grant.auth_time if grant else 0,
        acr=grant.acr if grant else "",
        ends_at=grant.ends_at if grant else None,
        binding=binding,
        details=redemption.details,
    )


def _has_id_token(redemption: Redemption, grant: Grant) -> bool:
    return bool(grant.user_id) and "openid" in redemption.scope


def _step(redemption: Redemption, minted: _Minted) -> Commit | None:
    """What the grant wants, and what was made, in one step; None where an access token is all there is to write."""
    writes = [*redemption.commit.writes, *minted.writes]
    if not writes:
        return None
    if redemption.keeps is not None:
        writes.append(redemption.keeps(minted.body))
    return redemption.commit.writing(writes, puts=(minted.access,))


def _body_of(granted: tuple[bytes, Redemption | None]) -> bytes:
    return granted[0]


@define(eq=False)
class TokenLesson:
    """What an answered token request taught: this client, proved in this way, may ask for such tokens.

    It remembers who asks and in which words, and what was decided where that holds for the next request, too. Else the
    grant decides each time.
    """

    endpoint: Token
    caller: Caller
    parameters: Parameters = field(repr=False)
    parameter: str
    grant: GrantType
    decision: Redemption | None
    def holds(self) -> bool:
        """Would the same client still be let in, for all that is known?"""
        return self.endpoint.cache.counts(self.caller.entry) and self.endpoint.clock() < self.caller.until

    def recall(self, value: bytes) -> None:
        """Nothing: each token is a new one."""

    def tell(self, value: bytes, waiter: Told) -> bool:
        """Another token, where nothing is to be waited for but the store."""
        endpoint, client, decision = self.endpoint, self.caller.client, self.decision
        if decision is not None and decision.holds is not None and decision.holds():
            return endpoint.repeat(client, self.grant, decision, waiter)
        grant = endpoint.at_once.get(self.grant.grant_type)
        return grant is not None and endpoint.answer_at_once(self.caller, self._said(value), grant, waiter)

    def ask(self, value: bytes) -> Awaitable[Response]:
        """Another token."""
        endpoint, client, decision = self.endpoint, self.caller.client, self.decision
        if decision is not None and decision.holds is not None and decision.holds():
            return endpoint.repeated(client, self.grant, decision)
        return endpoint.answer(self.caller, self._said(value), "")

    def _said(self, value: bytes) -> Parameters:
        """The parameters of the request."""
        if not self.parameter:
            return self.parameters
        said, differs = value.decode("ascii"), self.parameter
        return Parameters(tuple([(name, said if name == differs else one) for name, one in self.parameters.pairs]))
