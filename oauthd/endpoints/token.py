"""The token endpoint (RFC 6749 section 3.2): every shared step, each a line; only `redeem` belongs to the grant.

Read, decide, mint, commit once: nothing is spent before the answer is ready, and one atomic step spends the record and
stores what the answer stands on. Whoever loses that step asks the grant again, which then sees what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import define, field, frozen
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime

from oauthd.endpoints.token_answer import TokenAnswer, TokenAnswers
from oauthd.endpoints.token_reuse import TokenReuse
from oauthd.endpoints.token_turns import Asked, TokenTurns
from oauthd.events import Events
from oauthd.grants.interface import Ask, GrantAtOnce, GrantType, Redemption, Repeated
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
from oauthd.protocol.messages import JSON, Parameters, Request, Response, Told
from oauthd.protocol.records import UNBOUND, AccessToken, Binding, Client
from oauthd.stores import kinds
from oauthd.stores.cache import Cache
from oauthd.stores.interface import IStore, Stored

ROUNDS = 4  # a loser of the commit asks again: once is enough, unless several others are at the same record
REPEATABLE = ("resource", "audience")  # RFC 8707 section 2, RFC 8693 section 2.1


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
    answers: TokenAnswers
    events: Events
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    reactor: IReactorTime
    reuse: TokenReuse
    turns: TokenTurns = field(init=False)
    at_once: Mapping[str, GrantAtOnce] = field(init=False)

    @turns.default
    def _turns(self) -> TokenTurns:
        return TokenTurns(self.store, self.answers, self.reactor, self._tell)

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
        await self.authentication.clients.used(caller.client)
        if binding or not caller.lasts:  # what was proved counts once, and teaches nobody anything
            return Response(200, (*JSON, *self.bindings.fields(binding)), body)
        grant = self.grants[parameters.required("grant_type")]
        lesson = None
        if grant.varies is not None:
            lesson = TokenLesson(self, caller, parameters, grant.varies, grant, decision)
        return Response(200, JSON, body, caller.limited(lesson) if lesson is not None else None)

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
            reuses = self.reuse.suits(ask, redemption)
            again = await self.reuse.find(ask, redemption) if reuses else None
            if again is not None:
                self.events.tell("token.reused", client_id=ask.client.client_id)
                return again, None
            answer = await self.answers.make(ask.client, redemption, ask.binding)
            if await self._write(answer) and await self._stands(redemption):
                if reuses:
                    await self.reuse.keep(ask, redemption, answer)
                    redemption = replace(redemption, holds=None)  # the next request is to be looked at, too
                self._tell(grant.grant_type, answer.access.record)
                return answer.body, redemption if redemption.holds is not None else None
        raise TEMPORARILY_UNAVAILABLE("the request is being repeated too often at once", headers={"Retry-After": "1"})

    def _detailed(self, ask: Ask, redemption: Redemption) -> Redemption:
        """The decision with the authorization details of its token (RFC 9396 section 6)."""
        if redemption.on_behalf is not None:
            return redemption
        parameter, grant = ask.parameters.one(PARAMETER), redemption.grant or redemption.standing
        if parameter is None and (grant is None or not grant.details):
            return redemption
        if grant is not None and kinds.grant(redemption.grant_id) not in redemption.commit.absent:
            return replace(redemption, details=self.details.narrowed(parameter, ask.client, grant.details))
        # What begins here was agreed to by nobody.
        details = self.details.of_client(parameter, ask.client)
        return replace(redemption, grant=replace(grant, details=details) if grant else None, details=details)

    async def _write(self, answer: TokenAnswer) -> bool:
        """Write what the answer stands on; the access token in any case: one that is never handed out harms nobody."""
        if answer.step is not None:
            return await self.store.commit(answer.step)
        await self.store.put(*answer.puts)
        return True

    async def _stands(self, redemption: Redemption) -> bool:
        """Does it still stand, now that whoever ends it finds the grant that began? Else that has ended, too."""
        if redemption.again is None or await redemption.again():
            return True
        await self.store.forget(kinds.grant(redemption.grant_id))
        return False

    # the same together with others, which costs a third

    def answer_together(self, caller: Caller, parameters: Parameters, grant: GrantAtOnce, waiter: Told) -> bool:
        """Answer as `answer`, a request of which nothing was proved that counts once; False where it must be that."""
        if self.answers.waits(caller.client):
            return False
        ask = self._ask(caller, parameters, "")
        refs = grant.reads(ask)
        if refs is None:
            return False
        decide, onward = partial(self._decide, grant, ask), partial(self._onward, ask)
        self.turns.add(Asked(caller.client, grant.grant_type, waiter, refs, decide, onward))
        return True

    def _decide(self, grant: GrantAtOnce, ask: Ask, found: Sequence[Stored[Any] | None]) -> Redemption | None:
        try:
            redemption = grant.redeem_at_once(ask, found)
            return None if redemption is None else self._detailed(ask, redemption)
        except OAuthError:
            return None  # to be refused like any other

    async def _onward(self, ask: Ask, decided: Redemption | None) -> bytes:
        body, _ = await self._granted(ask, decided)
        return body

    def repeat(self, client: Client, grant: GrantType, decision: Redemption, waiter: Told) -> bool:
        """Another token by a decision that still holds; False where a thread must sign."""
        if self.answers.waits(client):
            return False
        onward = partial(self.repeated, client, grant, decision)
        self.turns.add(Asked(client, grant.grant_type, waiter, (), lambda found: decision, onward))
        return True

    async def repeated(
        self, client: Client, grant: GrantType, decision: Redemption, decided: Redemption | None = None
    ) -> bytes:
        """Another token by a decision that still holds, whatever it takes."""
        answer = await self.answers.make(client, decision)
        await self.store.put(*answer.puts)
        self._tell(grant.grant_type, answer.access.record)
        return answer.body

    def _tell(self, grant_type: str, access: AccessToken) -> None:
        self.events.tell(
            "token.issued",
            grant_type=grant_type,
            client_id=access.client_id,
            user_id=access.user_id or None,
            scope=" ".join(access.scope),
            **({"actor": str(access.act["sub"])} if access.act else {}),
        )


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
        return grant is not None and endpoint.answer_together(self.caller, self._said(value), grant, waiter)

    async def ask(self, value: bytes) -> Response:
        """Another token."""
        endpoint, client, decision = self.endpoint, self.caller.client, self.decision
        if decision is not None and decision.holds is not None and decision.holds():
            return Response(200, JSON, await endpoint.repeated(client, self.grant, decision))
        return await endpoint.answer(self.caller, self._said(value), "")

    def _said(self, value: bytes) -> Parameters:
        """The parameters of the request."""
        if not self.parameter:
            return self.parameters
        said, differs = value.decode("ascii"), self.parameter
        return Parameters(tuple([(name, said if name == differs else one) for name, one in self.parameters.pairs]))
