"""Signed backchannel authentication requests (CIBA Core section 7.1.1): by their client's key, each once.

What one must say is for `oauthd.protocol.ciba`. Refused here: one that is not signed where it must be, by a key or an
algorithm that is not its client's, encrypted (the text knows no such thing), or used before: it is spent when the
request is taken, so that nobody who has overheard it brings people another.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from oauthd.fetcher import FetchRefused
from oauthd.proofs.client_keys import ClientKeys
from oauthd.protocol import ciba, jose, request_object
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import Client
from oauthd.stores.once import Once

PURPOSE = "authentication request"


class Stated(Frozen, frozen=True):
    """A request, wherever its parameters stood.

    :ivar name: what a signed one is known by, "" for one that is not; `until`: when it is refused for its age.
    """

    secret = ("parameters",)

    parameters: Parameters
    name: str = ""
    until: int = 0


@frozen
class AuthenticationRequests:
    """Reads backchannel authentication requests.

    :ivar leeway: seconds by which a client's clock may differ.
    :ivar signed: every client must sign its authorization requests, and so these.
    :ivar profile: what the server holds every client to.
    """

    keys: ClientKeys
    once: Once
    issuer: str
    clock: Callable[[], float]
    leeway: int
    signed: bool
    profile: str

    async def stated(self, sent: Parameters, client: Client) -> Stated:
        """The request of an authenticated client.

        :raises OAuthError: `invalid_request`.
        """
        request = sent.one("request")
        if request is None:
            if self.signed or ciba.must_sign(client, self.profile):
                raise INVALID_REQUEST("this client must sign its authentication requests")
            return Stated(sent)
        try:
            header, _ = jose.peek(request)
            algorithms = ciba.algorithms(client, self.profile)
            if header.get("alg") not in algorithms:  # before anything is fetched for it
                raise jose.TokenRefused("its algorithm is not accepted")
            kid = header.get("kid")
            keys = await self.keys.of(client, kid if isinstance(kid, str) else None)
            _, claims = jose.verify_with(
                request, keys, algorithms, typ=request_object.TYPES, now=None, exp_optional=True
            )
        except jose.TokenRefused as error:
            raise INVALID_REQUEST(f"the signed request is refused: {error}") from None
        except FetchRefused as error:
            raise INVALID_REQUEST(f"the document at the client's jwks_uri {error.description}") from None
        parameters = ciba.judge(claims, client.client_id, self.issuer, self.clock(), self.leeway)
        return Stated(parameters, f"{client.client_id} {claims['jti']}", int(claims["exp"] + self.leeway) + 1)

    async def spend(self, stated: Stated) -> None:
        """Count a signed request; the last step before it is taken.

        :raises OAuthError: `invalid_request` when it was used before.
        """
        if stated.name and not await self.once.use(PURPOSE, stated.name, stated.until):
            raise INVALID_REQUEST("the signed request was used already: each needs a jti of its own")
