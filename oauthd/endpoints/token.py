"""The token endpoint (RFC 6749 section 3.2): every shared step, each a line; only `redeem` belongs to the grant.

Read, decide, mint, commit once: nothing is spent before the answer is ready, and one atomic step spends the record and
stores what the answer stands on. Whoever loses that step asks the grant again, which then sees what happened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from attrs import define, evolve, field, frozen
from msgspec.structs import replace
from twisted.python.failure import Failure

from oauthd.events import Events
from oauthd.grants.interface import Ask, GrantType, Redemption, Repeated
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
from oauthd.protocol.json_text import text
from oauthd.protocol.messages import JSON, Parameters, Request, Response, Told
from oauthd.protocol.records import UNBOUND, AccessToken, Binding, Client, Grant
from oauthd.stores import kinds
from oauthd.stores.cache import Cache
from oauthd.stores.interface import IStore, Write
from oauthd.stores.writing import Writing

ROUNDS = 4  # a loser of the commit asks again: once is enough, unless several others are at the same record
REPEATABLE = ("resource",)  # RFC 8707 section 2
VARYING: Mapping[str, str] = {"client_credentials": "", "refresh_token": "refresh_token"}
"""Grant types that are asked for again and again, and the parameter that differs each time."""


@frozen
class Token:
    """Exchanges what a grant stands for against tokens."""

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
    writing: Writing

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
        client, now = caller.client, self.clock()
        attempt = opaque.new_identifier(self.entropy)
        ask = Ask(client, parameters, caller.generations, int(now), now, attempt, source, binding)
        try:
            grant = self._grant(ask)
            body, decision = await self._body(ask, grant)
        except OAuthError as error:
            self._refused(client, error)
            raise
        if binding or not caller.lasts:  # what was proved counts once, and teaches nobody anything
            return Response(200, (*JSON, *self.bindings.fields(binding)), body)
        varying = VARYING.get(grant.grant_type) if caller.lasts else None
        lesson = None if varying is None else TokenLesson(self, caller, parameters, varying, grant.grant_type, decision)
        return Response(200, JSON, body, lesson)

    def _refused(self, client: Client, error: OAuthError) -> None:
        self.events.tell("token.refused", client_id=client.client_id, error=error.kind.code)

    def _grant(self, ask: Ask) -> GrantType:
        grant = self.grants.get(ask.parameters.required("grant_type"))
        if grant is None:
            raise UNSUPPORTED_GRANT_TYPE("the grant_type is not supported")
        if grant.grant_type not in ask.client.grant_types:
            raise UNAUTHORIZED_CLIENT("the client is not registered for this grant_type")
        return grant

    async def _body(self, ask: Ask, grant: GrantType) -> tuple[bytes, Redemption | None]:
        """The answer, and the decision it stands on where that may be used again."""
        for _ in range(ROUNDS):
            redemption = await grant.redeem(ask)
            if isinstance(redemption, Repeated):
                return redemption.body, None
            redemption = self._detailed(ask, redemption)
            body, access, writes = await self._mint(ask.client, redemption, ask.binding)
            if await self._commit(redemption, body, access, writes):
                self._tell(grant.grant_type, access.record)
                return body, redemption if redemption.holds is not None else None
        raise TEMPORARILY_UNAVAILABLE("the request is being repeated too often at once", headers={"Retry-After": "1"})

    def _detailed(self, ask: Ask, redemption: Redemption) -> Redemption:
        """The decision with the authorization details of its token (RFC 9396 section 6)."""
        parameter, grant = ask.parameters.one(PARAMETER), redemption.grant or redemption.standing
        if parameter is None and (grant is None or not grant.details):
            return redemption
        if grant is not None and kinds.grant(redemption.grant_id) not in redemption.commit.absent:
            return evolve(redemption, details=self.details.narrowed(parameter, ask.client, grant.details))
        # What begins here was agreed to by nobody.
        details = self.details.of_client(parameter, ask.client)
        return evolve(redemption, grant=replace(grant, details=details) if grant else None, details=details)

    async def _mint(
        self, client: Client, redemption: Redemption, binding: Binding = UNBOUND
    ) -> tuple[bytes, Write[Any], list[Write[Any]]]:
        """The answer, the access token's record, and what is to be written in the commit."""
        grant = redemption.grant or redemption.standing
        access_token, access = await self.minting.access_token(_order(client, redemption, grant, binding))
        answer = _answer(access_token, access.record)
        writes: list[Write[Any]] = list(redemption.commit.writes)
        if redemption.grant is not None:
            writes.append(Write(kinds.grant(redemption.grant_id), redemption.grant))
        if redemption.refresh and grant is not None:
            answer["refresh_token"], write = self.minting.refresh_token(
                redemption.grant_id,
                grant,
                redemption.refresh_scope,
                redemption.refresh_audience,
                # RFC 9449 section 5, RFC 8705 section 4: those of other clients are bound by their authentication.
                UNBOUND if client.confidential else binding,
            )
            writes.append(write)
        elif redemption.same_refresh:
            answer["refresh_token"] = redemption.same_refresh
        if redemption.scope:
            answer["scope"] = " ".join(redemption.scope)
        if grant is not None and grant.user_id and "openid" in redemption.scope:
            answer["id_token"] = await self.minting.id_token(client, grant, access_token, redemption.nonce)
        return text(answer).encode(), access, writes

    async def _commit(
        self, redemption: Redemption, body: bytes, access: Write[Any], writes: list[Write[Any]]
    ) -> bool:
        """Write what the answer stands on; the access token in any case: one that is never handed out harms nobody."""
        if not writes:
            await self.store.put(access)
            return True
        if redemption.keeps is not None:
            writes.append(redemption.keeps(body))
        return await self.store.commit(redemption.commit.writing(writes, puts=(access,)))

    async def repeated(self, client: Client, grant_type: str, decision: Redemption) -> Response:
        """Another token by a decision that still holds."""
        body, access, _ = await self._mint(client, decision)
        await self.store.put(access)
        self._tell(grant_type, access.record)
        return Response(200, JSON, body)

    def repeat(self, client: Client, grant_type: str, decision: Redemption, waiter: Told) -> bool:
        """The same without a coroutine for each, which costs a fifth of it all; False where a thread must sign."""
        made = self.minting.access_token_at_once(_order(client, decision, None))
        if made is None:
            return False
        access_token, access = made
        answer = _answer(access_token, access.record)
        if decision.scope:
            answer["scope"] = " ".join(decision.scope)
        self.writing.put(access, partial(self._written, waiter, text(answer).encode(), grant_type, access.record))
        return True

    def _written(
        self, waiter: Told, body: bytes, grant_type: str, access: AccessToken, failure: Failure | None
    ) -> None:
        if failure is None:
            self._tell(grant_type, access)
        waiter(body if failure is None else failure)

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


def _answer(access_token: str, record: AccessToken) -> dict[str, Any]:
    """The first members of the answer (RFC 6749 section 5.1)."""
    answer: dict[str, Any] = {
        "access_token": access_token,
        "token_type": "DPoP" if record.binding.jkt else "Bearer",  # RFC 9449 section 5
        "expires_in": record.expires_at - record.issued_at,
    }
    if record.details:
        answer["authorization_details"] = list(record.details)  # RFC 9396 section 7
    return answer


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
    grant_type: str
    decision: Redemption | None

    def holds(self) -> bool:
        """Would the same client still be let in, for all that is known?"""
        return self.endpoint.cache.counts(self.caller.entry) and self.endpoint.clock() < self.caller.until

    def recall(self, value: bytes) -> None:
        """Nothing: each token is a new one."""

    def tell(self, value: bytes, waiter: Told) -> bool:
        """Another token, where what was decided holds and nothing is to be waited for but the store."""
        endpoint, decision = self.endpoint, self.decision
        return (
            decision is not None
            and decision.holds is not None
            and decision.holds()
            and endpoint.repeat(self.caller.client, self.grant_type, decision, waiter)
        )

    def ask(self, value: bytes) -> Awaitable[Response]:
        """Another token."""
        endpoint, decision = self.endpoint, self.decision
        if decision is not None and decision.holds is not None and decision.holds():
            return endpoint.repeated(self.caller.client, self.grant_type, decision)
        parameters = self.parameters
        if self.parameter:
            said = value.decode("ascii")
            pairs = ((name, said if name == self.parameter else one) for name, one in parameters.pairs)
            parameters = Parameters(tuple(pairs))
        return endpoint.answer(self.caller, parameters, "")
