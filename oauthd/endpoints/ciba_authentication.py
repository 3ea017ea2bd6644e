"""The backchannel authentication endpoint (CIBA Core section 7): a client names a person, and is to be told later.

The client authenticates as at the token endpoint. What its request must say is for `oauthd.protocol.ciba` and the grid;
here it is found out whom it is about. Told is an auth_req_id, by which the client, and nobody else, learns the outcome.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from oauthd.ciba import CibaRequests
from oauthd.config import Settings
from oauthd.limits import Limits
from oauthd.proofs.authentication_request import AuthenticationRequests
from oauthd.proofs.binding import Bindings
from oauthd.proofs.client_authentication import ClientAuthentication
from oauthd.proofs.id_token_hint import IdTokenHint
from oauthd.protocol import authorization, ciba, jose, profile
from oauthd.protocol.authorization import Context
from oauthd.protocol.authorization_details import DetailsTypes
from oauthd.protocol.ciba import Waiting, Wanted
from oauthd.protocol.errors import (
    INVALID_REQUEST,
    INVALID_USER_CODE,
    MISSING_USER_CODE,
    TOO_MANY_REQUESTS,
    UNKNOWN_USER_ID,
    OAuthError,
)
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.protocol.records import UNBOUND, Client, User
from oauthd.sign_in import LONGEST_NAME, NOBODY
from oauthd.stores.clients import Clients
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.users import Users
from oauthd.user_codes import UserCodes

UNKNOWN = "the hint names nobody who could be asked"


@frozen
class CibaAuthentication:
    """Takes authentication requests."""

    authentication: ClientAuthentication
    bindings: Bindings
    requests: AuthenticationRequests
    ciba: CibaRequests
    clients: Clients
    users: Users
    scopes: ScopeCatalogue
    hints: IdTokenHint
    details: DetailsTypes
    settings: Settings
    limits: Limits
    codes: UserCodes

    async def __call__(self, request: Request) -> Response:
        """Answer an authentication request (section 7.3)."""
        form = request.form
        form.refuse_repeats(authorization.REPEATABLE)
        client = (await self.authentication.client(request)).client
        self.limits.begin("backchannel", client, self.settings.ciba.longest)
        authorization.backchannel_grant(Context(form, client, await self.scopes.all()))  # before anything is fetched
        ciba.check_mode(client, self.settings.server.profile)
        stated = await self.requests.stated(form, client)
        wanted = ciba.read(stated.parameters, client, self._waiting)
        resources = await self.clients.resources() if "resource" in stated.parameters else {}
        asked = authorization.check(
            authorization.BACKCHANNEL,
            Context(
                stated.parameters,
                client,
                await self.scopes.all(),
                resources=frozenset(resources),
                details=self.details,
            ),
        )
        binding = await self.bindings.of(request, client) if client.ciba_mode == ciba.PUSH else UNBOUND
        user = await self._let(await self._user(wanted, client), wanted, client)
        await self.requests.spend(stated)
        auth_req_id, record = await self.ciba.take(client, user, asked, wanted, binding)
        answer: dict[str, Any] = {"auth_req_id": auth_req_id, "expires_in": record.usable_until - record.asked_at}
        if client.ciba_mode != ciba.PUSH:  # section 7.3
            answer["interval"] = record.interval
        return json_response(answer)

    @property
    def _waiting(self) -> Waiting:
        settings = self.settings.ciba
        return Waiting(min(settings.lifetime, settings.longest), settings.longest, settings.message_length)

    async def _user(self, wanted: Wanted, client: Client) -> User | None:
        """Whom the request is about; None for nobody, where that is not told.

        :raises OAuthError: `unknown_user_id`; `invalid_request` for a hint that is none.
        """
        if wanted.hint == "id_token_hint":
            user = await self.users.find(self._hinted(wanted.value, client))
        else:
            known = len(wanted.value) <= LONGEST_NAME
            # Nobody is looked for as anybody is: the time does not tell who has an account.
            user = await self.users.find(await self.users.id_of(wanted.value) or NOBODY) if known else None
        if user is not None and user.is_active:
            return user
        if self.settings.ciba.tells_unknown or wanted.hint == "id_token_hint" or len(wanted.value) > LONGEST_NAME:
            raise UNKNOWN_USER_ID(UNKNOWN)
        return None

    async def _let(self, user: User | None, wanted: Wanted, client: Client) -> User | None:
        """The same person where the user code is right (section 7.1.2); None where nobody is told that it is not.

        Who has a user code is not asked by clients that are not registered for it: theirs do not count.

        :raises OAuthError: `missing_user_code`, `invalid_user_code`, `too_many_requests`.
        """
        silent = not self.settings.ciba.tells_unknown and wanted.hint == "login_hint"
        code = wanted.user_code if client.ciba_user_code else ""
        if not code:
            if user is None or not user.user_code:
                return user
            error = MISSING_USER_CODE("this person is asked by clients alone that send the person's user_code")
        else:
            try:
                if await self.codes.fits(user, user.username if user else wanted.value, client, code):
                    return user
                error = INVALID_USER_CODE("the user_code is wrong")
            except OAuthError as refused:
                if refused.kind is not TOO_MANY_REQUESTS:
                    raise
                error = refused
        if silent:
            return None
        raise error

    def _hinted(self, hint: str, client: Client) -> str:
        """The user that an id token of this client is about (section 7.1; section 14: meant for this client)."""
        if client.subject_type == "pairwise":
            raise INVALID_REQUEST("of a pairwise sub nobody can be found again: name the person by login_hint")
        claims = self.hints.claims(hint)  # our signature alone: what its secret signs the client may have made itself
        audience = claims.get("aud")
        if client.client_id not in (audience if isinstance(audience, list) else (audience,)):
            raise INVALID_REQUEST("the id_token_hint was issued to another client")
        return str(claims.get("sub", ""))

    def metadata(self, modes: tuple[str, ...]) -> dict[str, Any]:
        """What the metadata document says of it (section 4)."""
        strict = self.settings.server.profile == profile.FAPI2
        return {
            "backchannel_token_delivery_modes_supported": list(modes),
            "backchannel_authentication_request_signing_alg_values_supported": list(
                profile.SIGNING if strict else jose.ASYMMETRIC
            ),
            "backchannel_user_code_parameter_supported": True,
        }
