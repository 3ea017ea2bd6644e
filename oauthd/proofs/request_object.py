"""Request objects as they come in: by value, by reference, signed by their client, encrypted to us (RFC 9101).

What an object must say is for `oauthd.protocol.request_object`. Refused here: an object by a key or an algorithm that
is not its client's, an unsigned one unless the client registered `none` (OpenID Connect Registration section 2), an
address that the client has not registered: nobody makes us call another (RFC 9101 section 10.4). Encryption says
nothing about who made an object: what is inside is verified all the same.

An object that has a `jti` and an end counts once, which is what a `jti` is for (RFC 7519 section 4.1.7). It is spent
when what it asks for is given, so that a page can be loaded again before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

from attrs import field, frozen

from oauthd.fetcher import Fetcher, FetchRefused
from oauthd.proofs.client_keys import ClientKeys
from oauthd.protocol import jose, request_object
from oauthd.protocol.errors import INVALID_REQUEST_OBJECT, INVALID_REQUEST_URI
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import Client
from oauthd.protocol.seals import SealBroken
from oauthd.stores import kinds
from oauthd.stores.once import Once

PURPOSE = "request object"
NOW = 1.0
"""Seconds for which a document is as good as new, whatever version of it is asked for."""
FARTHEST = 86400
"""Seconds that the end of an object may lie ahead that counts once: so long it is remembered that it was used."""


@frozen
class Opened:
    """What a request object holds.

    :ivar name: what it is known by, "" where it does not count once.
    :ivar until: when it is refused for its age, whole seconds.
    """

    parameters: Parameters = field(repr=False)
    name: str = ""
    until: int = 0


@frozen
class RequestObjects:
    """Opens request objects.

    :ivar secrets: the live secrets of a client that are known themselves; raises `SealBroken`.
    :ivar decrypt: what is encrypted to one of our keys; raises `jose.TokenRefused`.
    :ivar leeway: seconds by which a client's clock may differ.
    """

    keys: ClientKeys
    fetcher: Fetcher
    secrets: Callable[[Client], Sequence[bytes]]
    decrypt: Callable[[str], Awaitable[bytes]]
    once: Once
    issuer: str
    clock: Callable[[], float]
    leeway: float

    async def fetched(self, client: Client, request_uri: str) -> str:
        """The object that stands at an address.

        :raises OAuthError: `invalid_request_uri`.
        """
        if len(request_uri) > request_object.LONGEST_URI:
            raise INVALID_REQUEST_URI("the request_uri is too long")
        place, _, digest = request_uri.partition("#")
        # The fragment names a version of what is there, not another place.
        if place not in [registered.partition("#")[0] for registered in client.request_uris]:
            raise INVALID_REQUEST_URI("the request_uri is not registered for this client")
        try:
            return (await self._document(client, place, digest)).decode("ascii").strip()
        except FetchRefused as error:
            raise INVALID_REQUEST_URI(f"the document at the request_uri {error.description}") from None
        except UnicodeDecodeError:
            raise INVALID_REQUEST_URI("there is no request object at the request_uri") from None

    async def _document(self, client: Client, place: str, digest: str) -> bytes:
        """What is there now; or what was there, where that is the version meant (OpenID Connect Core section 6.2).

        Whoever makes up digests makes us call no more often than without any, and fills no memory with them.
        """
        get = partial(self.fetcher.get, place, request_object.MEDIA_TYPES, stranger=client.registered_itself)
        if not digest:
            return await get(oldest=0)
        known = await get()
        if jose.encode(sha256(known).digest()) == digest:
            return known
        return await get(oldest=NOW)

    async def open(self, client: Client, token: str, strict: bool, signed: bool) -> Opened:
        """What an object asks for, once it is proved to be the client's.

        :param strict: the client is held to FAPI 2.0.
        :param signed: the client must sign.
        :raises OAuthError: `invalid_request_object`.
        """
        try:
            claims = await self._claims(client, token, strict, signed)
        except jose.TokenRefused as error:
            raise INVALID_REQUEST_OBJECT(f"the request object is refused: {error}") from None
        except FetchRefused as error:
            raise INVALID_REQUEST_OBJECT(f"the document at the client's jwks_uri {error.description}") from None
        demanding = strict or signed
        request_object.judge(claims, client.client_id, self.issuer, self.clock(), self.leeway, demanding)
        parameters = request_object.parameters(claims)
        name, ends = claims.get("jti"), claims.get("exp")
        if not isinstance(name, str) or ends is None:
            return Opened(parameters)
        if ends > self.clock() + FARTHEST:
            raise INVALID_REQUEST_OBJECT("the request object has a jti, and an exp that is more than a day ahead")
        digest = kinds.digest(f"{client.client_id}\0{name}").hex()  # it is kept, and may be anything
        return Opened(parameters, digest, int(ends + self.leeway) + 1)

    async def spend(self, name: str, until: int) -> bool:
        """Count an object; False when it was used before."""
        return await self.once.use(PURPOSE, name, until)

    async def was_used(self, name: str) -> bool:
        """Was an object counted?"""
        return await self.once.was_used(PURPOSE, name)

    async def _claims(self, client: Client, token: str, strict: bool, signed: bool) -> Mapping[str, Any]:
        if jose.is_encrypted(token):
            try:
                token = (await self.decrypt(token)).decode("ascii")
            except UnicodeDecodeError:
                raise jose.TokenRefused("it is not a signed token inside") from None
        if request_object.is_unsigned(token):
            if client.request_algorithm != "none" or strict or signed:
                raise jose.TokenRefused("it is not signed")
            return request_object.unsigned(token)
        header, _ = jose.peek(token)
        algorithms = request_object.algorithms(client, strict)
        if header.get("alg") not in algorithms:  # before anything is fetched for it
            raise jose.TokenRefused("its algorithm is not accepted")
        if header["alg"] in request_object.BY_SECRET:
            return self._by_secret(client, token, algorithms)
        kid = header.get("kid")
        keys = await self.keys.of(client, kid if isinstance(kid, str) else None)
        _, claims = jose.verify_with(
            token, keys, algorithms, typ=request_object.TYPES, now=None, exp_optional=True
        )
        return claims

    def _by_secret(self, client: Client, token: str, algorithms: Collection[str]) -> Mapping[str, Any]:
        """The claims of an object that is authenticated by a live secret of its client (Core section 6.1)."""
        refused = jose.TokenRefused("the client has no secret that is known here itself: it must be given another")
        try:
            secrets = self.secrets(client)
        except SealBroken:
            raise refused from None
        for secret in secrets:
            try:
                _, claims = jose.verify_hmac(
                    token, secret, algorithms, typ=request_object.TYPES, now=None, exp_optional=True
                )
            except jose.TokenRefused as error:
                refused = error
            else:
                return claims
        raise refused
