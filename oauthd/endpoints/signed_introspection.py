"""Signed answers about tokens (RFC 9701): what introspection says, as a JWT for the caller, encrypted where it wants.

The caller asks for one by its Accept field (section 4), naming the media type: a wildcard is no wish for it. The JWT
has `iss`, `aud` (the client id by which the caller is registered), `iat` and `token_introspection`, and no `sub` or
`exp` of its own, so that nobody takes it for an access token (sections 5 and 8.1). An inactive token is told alike.
Whoever registered an encryption gets no other answers, in JSON or in batches.

A signature is made once and repeated, for a few seconds, to the same caller whenever it is to be told the same of a
token: `iat` is when it was signed. Whether the token is alive is looked up for each request as for any other: what is
repeated is the signature, never the decision. Not repeated is a signature of a key that does not sign any more.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oauthd.keys import NoSigningKey
from oauthd.nested_jwt import NestedJwts
from oauthd.proofs.client_authentication import Caller
from oauthd.protocol import jose, profile
from oauthd.protocol.messages import NO_STORE, Headers, Lesson, Response
from oauthd.protocol.records import Client
from oauthd.stores.cache import TOO_LATE, TRIES
from oauthd.stores.entries import Entry
from oauthd.stores.interface import StoreUnavailable

TYPE: Final = "token-introspection+jwt"
MEDIA_TYPE: Final = f"application/{TYPE}"
JWT: Final = (("Content-Type", MEDIA_TYPE), *NO_STORE)
MOST_KEPT: Final = 8192  # signatures


def is_asked_for(headers: Headers) -> bool:
    """Is a signed answer wanted? (RFC 9701 section 4)"""
    for name, value in headers.pairs:
        if name == "accept" and TYPE in value.lower():
            for part in value.lower().split(","):
                kind, *parameters = (one.strip() for one in part.split(";"))
                if kind == MEDIA_TYPE and not {"q=0", "q=0.0", "q=0.00", "q=0.000"}.intersection(parameters):
                    return True
    return False


def jwt_response(token: bytes, lesson: Lesson | None = None) -> Response:
    """The response that is such a JWT."""
    return Response(200, JWT, token, lesson)


class _Kept:
    """A signed answer.

    :ivar aged: until when (monotonic) it is repeated.
    :ivar signer: who signed it; None for the client's secret.
    """

    __slots__ = ("aged", "signer", "token")

    def __init__(self, token: bytes, aged: float, signer: jose.Signer | None) -> None:
        self.token, self.aged, self.signer = token, aged, signer


@define(eq=False)
class SignedAnswers:
    """Signs answers, and keeps them for a moment.

    :ivar algorithm: for clients that have registered none (section 6).
    :ivar profile: what the server holds every client to.
    :ivar repeat: seconds for which a signature is repeated; 0 for none.
    """

    nested: NestedJwts
    monotonic: Callable[[], float]
    clock: Callable[[], float]
    issuer: str
    algorithm: str
    profile: str
    repeat: float
    _kept: dict[tuple[Entry, bytes], _Kept] = field(factory=dict, init=False, repr=False)
    _under_way: dict[tuple[Entry, bytes], list[Deferred[bytes]]] = field(factory=dict, init=False, repr=False)

    def algorithm_of(self, client: Client) -> str:
        """What signs for a client."""
        wanted = client.introspection_algorithm or self.algorithm
        return profile.signs(client, wanted, self.nested.keys.algorithms, self.profile)

    def recall(self, caller: Entry, algorithm: str, body: bytes) -> bytes | None:
        """The signed form of what a caller is told, where it may be repeated."""
        kept = self._kept.get((caller, body))
        if kept is None or self.monotonic() >= kept.aged:
            return None
        try:
            signs_still = kept.signer is None or kept.signer is self.nested.keys.signer(algorithm, TYPE)
        except NoSigningKey:
            return None
        return kept.token if signs_still else None

    async def answer(self, caller: Caller, body: bytes, again: Callable[[], Awaitable[bytes]]) -> bytes:
        """The signed form of what a caller is told.

        :param again: tells what it is told by then: a signature may have taken a while.
        :raises OAuthError: `invalid_request` where there is no key for it.
        :raises StoreUnavailable: where it is another answer each time.
        """
        algorithm = self.algorithm_of(caller.client)
        for _ in range(TRIES):
            kept = self.recall(caller.entry, algorithm, body)
            if kept is not None:
                return kept
            token = await self._shared(caller, algorithm, body)
            if not self.nested.waits(algorithm, caller.client.introspection_encryption):
                return token  # it is still the same moment
            former, body = body, await again()
            if body == former:
                return token
        raise StoreUnavailable(TOO_LATE)

    async def _shared(self, caller: Caller, algorithm: str, body: bytes) -> bytes:
        """The signature, made once for all who ask meanwhile."""
        key = caller.entry, body
        waiting = self._under_way.get(key)
        if waiting is not None:
            own: Deferred[bytes] = Deferred()
            waiting.append(own)
            return await own
        waiting = self._under_way[key] = []
        outcome: Any = None
        try:
            outcome = await self._made(caller, algorithm, body)
        except Exception:
            outcome = Failure()  # type: ignore[no-untyped-call]
            raise
        finally:
            del self._under_way[key]
            for one in waiting:
                if not one.called:
                    one.callback(outcome)  # a Failure here is an errback
        token: bytes = outcome
        return token

    async def _made(self, caller: Caller, algorithm: str, body: bytes) -> bytes:
        client, began = caller.client, self.monotonic()
        claims = {
            "iss": self.issuer,
            "aud": client.client_id,
            "iat": int(self.clock()),
            "token_introspection": json.loads(body),
        }
        signer = None
        with suppress(NoSigningKey):  # then signing says what is wrong
            signer = None if algorithm in jose.HMAC else self.nested.keys.signer(algorithm, TYPE)
        # Section 5: signed, and encrypted then.
        token = (await self.nested.signed(client, claims, algorithm, client.introspection_encryption, TYPE)).encode()
        if self.repeat:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()  # whoever comes back is signed for anew
            self._kept[caller.entry, body] = _Kept(token, began + self.repeat, signer)
        return token


class SignedLesson:
    """What a signed answer taught: the plain lesson, and how its answers are signed."""

    __slots__ = ("_algorithm", "_caller", "_entry", "_plain", "_signed")

    parameter = "token"

    def __init__(self, plain: Lesson, signed: SignedAnswers, caller: Caller) -> None:
        self._plain, self._signed, self._caller = plain, signed, caller
        self._entry, self._algorithm = caller.entry, signed.algorithm_of(caller.client)

    def holds(self) -> bool:
        """Would the same caller still be let in, for all that is known?"""
        return self._plain.holds()

    def recall(self, value: bytes) -> bytes | None:
        """The signed answer about a token, from memory; None where it must be looked up, or signed anew."""
        body = self._plain.recall(value)
        return None if body is None else self._signed.recall(self._entry, self._algorithm, body)

    async def ask(self, value: bytes) -> Response:
        """The signed answer, as the store has it."""
        body = await self._body(value)
        return jwt_response(await self._signed.answer(self._caller, body, lambda: self._body(value)))

    async def _body(self, value: bytes) -> bytes:
        return (await self._plain.ask(value)).body
