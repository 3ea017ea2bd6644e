"""The introspection endpoint (RFC 7662).

Only authenticated confidential clients that may introspect get an answer; what it says, and to whom, is for
`oauthd.protocol.introspection`. Answers about access tokens come from memory where that is proven to be fresh. What a
caller demands of a token (`oauthd.protocol.requirements`) and signed answers (RFC 9701) are left to others, who judge
and sign what is found here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256

from attrs import frozen
from twisted.python.failure import Failure

from oauthd.endpoints.signed_introspection import SignedAnswers, SignedLesson, is_asked_for, jwt_response
from oauthd.metrics import IntrospectionCounts
from oauthd.proofs.client_authentication import Caller, ClientAuthentication
from oauthd.protocol import introspection, opaque
from oauthd.protocol.errors import (
    INVALID_CLIENT,
    INVALID_REQUEST,
    UNAUTHENTICATED_CALLER,
    UNAUTHORIZED_CLIENT,
    OAuthError,
)
from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.messages import JSON, Request, Response, Told
from oauthd.protocol.requirements import Requirements, Verdicts
from oauthd.stores.answers import Answers
from oauthd.stores.cache import Cache
from oauthd.stores.entries import Entry
from oauthd.stores.tokens import LONGEST_TOKEN, Tokens
from oauthd.subjects import Subjects

REFRESH = opaque.REFRESH_TOKEN.encode()


@frozen
class Introspect:
    """Tells a resource server what a token is good for."""

    authentication: ClientAuthentication
    tokens: Tokens
    answers: Answers
    cache: Cache
    clock: Callable[[], float]
    issuer: str
    counts: IntrospectionCounts
    subjects: Subjects
    verdicts: Verdicts
    signed: SignedAnswers

    async def __call__(self, request: Request) -> Response:
        """Answer an introspection request (RFC 7662 section 2.1), signed where that is asked for (RFC 9701)."""
        request.form.refuse_repeats()
        is_signed = is_asked_for(request.headers)
        caller = await self.caller(request, is_signed)
        token = request.form.required("token")  # token_type_hint changes nothing: the token tells what it is
        required = self.verdicts.required(request.form)
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        kept = self.cache.find(digest)
        body = seen_by(caller, kept) if kept is not None else await self.answer(caller, token, digest)
        if required is not None:
            body = self.verdicts.judged(body, required, self.clock())
        if kept is None:
            self.counts.misses += 1
        elif body == INACTIVE:
            self.counts.inactive += 1
        else:
            self.counts.hits += 1
        lesson = IntrospectionLesson(self, caller) if required is None else RequiringLesson(self, caller, required)
        if is_signed:
            again = partial(lesson.body, token, digest)
            taught = caller.limited(SignedLesson(lesson, self.signed, caller)) if caller.lasts else None
            return jwt_response(await self.signed.answer(caller, body, again), taught)
        return Response(200, JSON, body, caller.limited(lesson) if caller.lasts else None)

    async def caller(self, request: Request, is_signed: bool = False) -> Caller:
        """Who asks, and may.

        :param is_signed: a signed answer is asked for.
        :raises OAuthError: `invalid_client`, `unauthorized_client`, `too_many_requests`; `invalid_request` where its
            answers are encrypted and this one is not to be.
        """
        try:
            caller = await self.authentication.client(request, scope="caller")
            if not caller.client.confidential:  # it has proved nothing (RFC 7662 section 2.1)
                raise INVALID_CLIENT("a client must authenticate to introspect tokens")
        except OAuthError as error:
            # RFC 9701 section 5: who does not authenticate at all gets another status than one that fails to.
            if is_signed and error.kind == INVALID_CLIENT and not _shows_anything(request):
                raise UNAUTHENTICATED_CALLER("a client must authenticate to introspect tokens") from None
            raise
        if not caller.client.introspects:
            raise UNAUTHORIZED_CLIENT("the client may not introspect tokens")
        if caller.client.introspection_encryption and not is_signed:
            # Else whoever found its secret would read without its key what is encrypted for that key's owner.
            raise INVALID_REQUEST("the client has its answers encrypted, and must ask for signed ones by Accept")
        return caller

    async def answer(self, caller: Caller, token: str, digest: bytes) -> bytes:
        """What this caller is told of the token, as the store has it."""
        if opaque.parse(opaque.REFRESH_TOKEN, token):
            found = await self.cache.timely(partial(self.tokens.find_refresh, token))
            # A refresh token is nobody's business but its client's (RFC 6749 section 10.4).
            if found is None or found[1].client_id != caller.client.client_id:
                return INACTIVE
            return introspection.active(found[1], self.issuer, self.subjects.of(caller.client, found[1].user_id))
        if len(token) > LONGEST_TOKEN:
            return INACTIVE
        return seen_by(caller, await self.answers.find(digest, token.encode("utf-8", "surrogatepass")))


def _shows_anything(request: Request) -> bool:
    """Does a request hold anything that proves a client?"""
    return request.headers.one("authorization") is not None or any(
        name in request.form for name in ("client_secret", "client_assertion")
    )


def seen_by(caller: Caller, entry: Entry) -> bytes:
    """What the caller is told, given what is known of the token."""
    answer: bytes = entry.value
    if entry.views is None:
        return answer
    view = introspection.told_to(caller.client, answer)
    if len(entry.views) >= MOST_VIEWS:
        entry.views.clear()
    entry.views[caller.entry] = view
    return view


MOST_VIEWS = 16  # callers of one token that are remembered


class IntrospectionLesson:
    """What an answered introspection taught: this caller, proved in this way, may ask about tokens.

    It holds as long as the caller is kept in memory as it was then, and its proof has not ended.
    """

    __slots__ = ("_cache", "_caller", "_clock", "_endpoint", "_entry", "_monotonic", "_until")

    parameter = "token"

    def __init__(self, endpoint: Introspect, caller: Caller) -> None:
        self._endpoint, self._caller = endpoint, caller
        self._entry, self._until = caller.entry, caller.until
        self._cache, self._monotonic, self._clock = endpoint.cache, endpoint.cache.monotonic, endpoint.clock

    def holds(self) -> bool:
        """Would the same caller still be let in, for all that is known?"""
        return self._cache.counts(self._entry) and self._clock() < self._until

    def recall(self, value: bytes) -> bytes | None:
        """The answer about a token, from memory; None when it is not there or does not count."""
        cache = self._cache
        entry = cache.entries.get(sha256(value).digest())
        if entry is None:
            return None
        # As `Cache.counts` for both entries, in one look at the clocks: this is what most requests cost.
        caller, now, wall = self._entry, self._monotonic(), self._clock()
        if not (
            now < cache.lease
            and now < entry.aged
            and now < caller.aged
            and wall < entry.until
            and wall < self._until
            and entry.first.stands
            and entry.second.stands
            and entry.third.stands
            and entry.fourth.stands
            and caller.first.stands
        ):
            return None
        entry.hot = caller.hot = True
        answer: bytes | None = entry.value if entry.views is None else entry.views.get(caller)
        return answer

    def tell(self, value: bytes, waiter: Told) -> bool:
        """The answer about an access token, as the store has it."""
        if value.startswith(REFRESH):
            return False
        self._endpoint.answers.ask(sha256(value).digest(), partial(self._pass_on, waiter), value)
        return True

    def _pass_on(self, waiter: Told, outcome: Entry | Failure) -> None:
        waiter(seen_by(self._caller, outcome) if isinstance(outcome, Entry) else outcome)

    async def ask(self, value: bytes) -> Response:
        """The answer about a token of any kind, as the store has it."""
        return Response(200, JSON, await self.body(value.decode("ascii"), sha256(value).digest()))

    async def body(self, token: str, digest: bytes) -> bytes:
        """The same, as it is told."""
        return await self._endpoint.answer(self._caller, token, digest)


class RequiringLesson(IntrospectionLesson):
    """The same, of who demands something of the tokens: the demands stand in the form, around the token."""

    __slots__ = ("_required", "_verdicts")

    def __init__(self, endpoint: Introspect, caller: Caller, required: Requirements) -> None:
        super().__init__(endpoint, caller)
        self._required, self._verdicts = required, endpoint.verdicts

    def recall(self, value: bytes) -> bytes | None:
        """The answer about a token, from memory; None when it is not there or does not count."""
        answer = super().recall(value)
        return None if answer is None else self._verdicts.judged(answer, self._required, self._clock())

    def _pass_on(self, waiter: Told, outcome: Entry | Failure) -> None:
        if isinstance(outcome, Entry):
            waiter(self._verdicts.judged(seen_by(self._caller, outcome), self._required, self._clock()))
        else:
            waiter(outcome)

    async def body(self, token: str, digest: bytes) -> bytes:
        """The answer about a token of any kind, as the store has it and as it is demanded."""
        return self._verdicts.judged(await super().body(token, digest), self._required, self._clock())
