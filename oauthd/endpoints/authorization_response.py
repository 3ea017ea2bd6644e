"""The authorization response (RFC 6749 sections 4.1.2 and 4.1.2.1) on its way to the client, in the mode it asked for.

Success and error go alike. Outside a signed response the issuer is a parameter of its own (RFC 9207 section 2); in one
it is a claim, and stands for that (RFC 9207 section 2.4). A client registered for signed responses gets no others,
also where its request does not say so or cannot be read. A response that is to be signed or encrypted and cannot be is
not sent in clear: the person is told on a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from attrs import frozen

from oauthd.keys import NoSigningKey
from oauthd.nested_jwt import NestedJwts
from oauthd.protocol import profile, response_modes
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.messages import Parameters, Response, see_other
from oauthd.protocol.records import Client
from oauthd.protocol.redirects import RedirectUri

DEFAULT: Final = "RS256"
"""What signs for clients that have registered no algorithm (JARM section 3)."""


@frozen
class AuthorizationResponses:
    """Sends responses to clients.

    :ivar algorithm: signs for clients that registered none where no key does with their default.
    :ivar profile: what the server holds all clients to.
    :ivar form: makes the page that posts parameters to a redirect URI.
    """

    issuer: str
    nested: NestedJwts
    algorithm: str
    form: Callable[[RedirectUri, Iterable[tuple[str, str]]], Response]
    clock: Callable[[], float]
    profile: str

    async def send(
        self, client: Client, redirect: RedirectUri, parameters: Parameters, *pairs: tuple[str, str]
    ) -> Response:
        """The response that takes parameters to the client.

        :param parameters: those of the request: its `response_mode` and its `state`.
        :raises OAuthError: when it cannot be signed or encrypted; not to be redirected.
        """
        mode = response_modes.taken(parameters, redirect, response_modes.wants_signed(client))
        states = [value for name, value in parameters if name == "state"]
        answer = (*pairs, *((("state", states[0]),) if len(states) == 1 and states[0] else ()))
        if mode.signed:
            answer = ((response_modes.RESPONSE, await self._signed(client, answer)),)
        else:
            answer = (*answer, ("iss", self.issuer))
        return self.form(redirect, answer) if mode.by_form else see_other(mode.location(redirect, answer))

    async def _signed(self, client: Client, pairs: Iterable[tuple[str, str]]) -> str:
        """The response as a JWT, encrypted where the client wants it so (JARM section 2.2)."""
        claims = response_modes.claims(self.issuer, client.client_id, int(self.clock()), pairs)
        try:
            return await self.nested.signed(client, claims, self._algorithm(client), client.response_encryption)
        except NoSigningKey:
            raise INVALID_REQUEST("no key signs as the application wants it; tell its makers") from None

    def _algorithm(self, client: Client) -> str:
        available = self.nested.keys.algorithms
        default = DEFAULT if DEFAULT in available else self.algorithm
        return profile.signs(client, client.response_algorithm or default, available, self.profile)
