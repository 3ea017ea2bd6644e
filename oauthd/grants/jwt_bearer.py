"""JWTs as grants (RFC 7523 sections 2.1 and 3, RFC 7521 section 4.1): a trusted issuer vouches for a person.

Each counts once, by its `jti`; the token lasts no longer than it (RFC 7521 section 4.1), and there is no refresh token.
Refused are JWTs that end too far ahead, or are for another client by their `client_id`. A scope that the issuer says
(`scope`) is the most that the token gets.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.grants.interface import Ask, Redemption
from oauthd.grants.resources import asked_audience
from oauthd.grants.vouched import Beginning, People, end_of
from oauthd.protocol import jose, scopes
from oauthd.protocol.errors import INVALID_GRANT, INVALID_SCOPE, UNAUTHORIZED_CLIENT
from oauthd.protocol.grant_types import JWT_BEARER
from oauthd.stores.clients import Clients
from oauthd.stores.once import Once
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.users import is_administrator
from oauthd.trusted_jwt import TrustedJwts, Vouched

LONGEST_JTI = 512


@frozen
class JwtBearer:
    """The grant type of RFC 7523.

    :ivar longest: seconds that the end of a JWT may lie ahead.
    :ivar leeway: seconds by which clocks may differ.
    """

    jwts: TrustedJwts
    people: People
    beginning: Beginning
    clients: Clients
    scopes: ScopeCatalogue
    once: Once
    longest: int
    leeway: int

    grant_type = JWT_BEARER
    varies = None

    async def redeem(self, ask: Ask) -> Redemption:
        """A token for whom the JWT means."""
        if not ask.client.confidential:
            raise UNAUTHORIZED_CLIENT("only a confidential client may use this grant")
        try:
            vouched = await self.jwts.read(ask.parameters.required("assertion"))
            person = await self.people.meant(vouched)
        except jose.TokenRefused as error:
            raise INVALID_GRANT(f"the assertion is refused: {error}") from None  # RFC 7523 section 3.1
        jti, until = self._judged(ask, vouched), end_of(vouched.claims)
        if person is None:
            raise INVALID_GRANT("the assertion means nobody who is known here")
        scope = await self._scope(ask, vouched, is_administrator(person.user))
        audience = await asked_audience(ask, self.clients)
        # Section 3 rule 7; last, when all the rest was found to be right.
        if not await self.once.use("jwt bearer", f"{vouched.issuer.issuer}\0{jti}", until + self.leeway + 1):
            raise INVALID_GRANT("the assertion was used before: each needs a jti of its own")
        return self.beginning.redemption(ask, person, scope, audience, until, grant_type=self.grant_type)

    async def _scope(self, ask: Ask, vouched: Vouched, administrator: bool) -> tuple[str, ...]:
        """What the client may have of what it asks for, and of what the issuer says."""
        asked, said = ask.parameters.one("scope"), vouched.claims.get("scope")
        granted = scopes.granted(asked, ask.client, await self.scopes.all(), administrator)
        if said is None:
            return granted
        most = scopes.parse(said) if isinstance(said, str) else ()
        if asked is not None and not set(granted) <= set(most):
            raise INVALID_SCOPE("a requested scope is more than the assertion says")
        return tuple(one for one in granted if one in most)

    def _judged(self, ask: Ask, vouched: Vouched) -> str:
        """What its `jti` is, when all that it says of itself is right."""
        claims, until = vouched.claims, end_of(vouched.claims)
        if until <= ask.now:  # within what clocks may differ: there would be no time left for a token
            raise INVALID_GRANT("the assertion has ended")
        if until > ask.now + self.longest + self.leeway:
            raise INVALID_GRANT(f"the assertion ends more than {self.longest} seconds ahead")
        if claims.get("client_id", ask.client.client_id) != ask.client.client_id:
            raise INVALID_GRANT("the assertion is for another client")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_JTI:
            raise INVALID_GRANT(f"the assertion must have a jti of 1 to {LONGEST_JTI} characters")
        return jti
