"""Token exchange (RFC 8693): a client that was given somebody's token gets one of its own for what lies behind it.

Who may exchange what is said of each client in rules (`Client.exchanges`); of several that are about a token the first
by which the request can be granted counts. The new token speaks of the same subject, is the asking client's, is bound
to what that proves, and never lasts longer than the tokens that were presented. It stands in the grant of the subject
token, and on all that the subject token and the actor token stand on, themselves too (`oauthd.protocol.standing`): it
ends with any of that, whoever ends it and at whatever moment.

A JWT of somebody else, or an id token, is in no grant of ours: one begins, that ends with it unless the rule gives a
refresh token.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen
from msgspec.structs import replace

from oauthd.grants.interface import Ask, OnBehalf, Redemption
from oauthd.grants.presented import Presented, PresentedTokens
from oauthd.grants.vouched import Beginning
from oauthd.protocol import scopes, token_exchange
from oauthd.protocol.authorization_details import PARAMETER, Details, DetailsTypes
from oauthd.protocol.errors import INVALID_REQUEST, UNAUTHORIZED_CLIENT, OAuthError
from oauthd.protocol.grant_types import TOKEN_EXCHANGE
from oauthd.protocol.records import Generations, Scopes
from oauthd.protocol.token_exchange import ACCESS_TOKEN, JWT, TYPES, Rule, identity
from oauthd.stores.clients import Clients
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.users import is_administrator
from oauthd.subjects import Subjects

# RFC 8693 section 2.2.2; the same words whatever it is, for tokens are not to be tried out here.
NOT_THIS = "the {} is expired, revoked or unknown, or no rule lets this client use it so"


@frozen
class _Actor:
    """Who acts.

    :ivar told: as it stands in tokens.
    :ivar known: all that `may_act` can mean it by.
    """

    told: dict[str, str]
    known: dict[str, str]


@frozen
class TokenExchange:
    """The grant type of RFC 8693.

    :ivar issuer: our own name.
    """

    presented: PresentedTokens
    clients: Clients
    scopes: ScopeCatalogue
    subjects: Subjects
    details: DetailsTypes
    beginning: Beginning
    issuer: str

    grant_type = TOKEN_EXCHANGE
    varies = None

    async def redeem(self, ask: Ask) -> Redemption:
        """A token for another one."""
        if not ask.client.confidential:  # section 2.1: else whoever finds a token could exchange it
            raise UNAUTHORIZED_CLIENT("only a confidential client may use this grant")
        issued = _requested(ask)
        rules = [Rule.of(one) for one in ask.client.exchanges]
        if not rules:
            raise INVALID_REQUEST("no rule lets this client exchange tokens")
        subject = await self._read(ask, "subject_token")
        if subject is None:  # section 2.1: required
            raise INVALID_REQUEST("the parameter subject_token is missing")
        actor = await self._read(ask, "actor_token")
        refused: OAuthError | None = None
        for rule in rules:
            if rule.fits(subject.kind, subject.source, subject.foreign) and self._may_act_so(ask, rule, actor):
                try:
                    return await self._by(rule, ask, subject, actor, issued)
                except OAuthError as error:
                    refused = refused or error
        raise refused or INVALID_REQUEST(NOT_THIS.format("subject_token"))

    async def _read(self, ask: Ask, name: str) -> Presented | None:
        """The token that a parameter holds, alive; None where there is no such parameter."""
        token, named = ask.parameters.one(name), ask.parameters.one(f"{name}_type")
        if (token is None) != (named is None):  # section 2.1: together, or not at all
            raise INVALID_REQUEST(f"{name} and {name}_type must be sent together")
        if token is None or named is None:
            return None
        kind = TYPES.get(named)
        if kind is None:
            raise INVALID_REQUEST(f"the {name}_type is not supported")
        found = await self.presented.read(ask, token, kind)
        if found is None:
            raise INVALID_REQUEST(NOT_THIS.format(name))
        return found

    def _may_act_so(self, ask: Ask, rule: Rule, actor: Presented | None) -> bool:
        """Does the rule let the request say who acts as it does?"""
        if actor is None:
            return True
        own = not actor.foreign and actor.source == ask.client.client_id
        return rule.act != "impersonate" and (own or actor.source in rule.actors) and not actor.act

    async def _by(
        self, rule: Rule, ask: Ask, subject: Presented, actor: Presented | None, issued: str
    ) -> Redemption:
        """What the request gets by a rule.

        :raises OAuthError: `invalid_request`, `invalid_scope`, `invalid_target`, `invalid_authorization_details`.
        """
        asking = self._client(ask.client.client_id)
        acting = self._actor(ask, actor) if actor else asking if rule.act == "delegate" else None
        # Section 4.4; a name without an issuer is one of ours: a foreign one says whose it is.
        if subject.may_act and not token_exchange.may({"iss": self.issuer} | subject.may_act, (acting or asking).known):
            raise INVALID_REQUEST("the subject_token says who may act for its subject, and it is somebody else")
        act = subject.act
        if acting is not None and {name: one for name, one in act.items() if name != "act"} != acting.told:
            act = token_exchange.chained(acting.told, subject.act)
        scope, audience = await self._narrowed(rule, ask, subject)
        until = min(subject.until, actor.until) if actor else subject.until
        stands = subject.standing.joined(actor.standing) if actor else subject.standing
        if not stands.bounded:
            raise INVALID_REQUEST("the tokens stand on too many others, one exchanged for the other")
        if subject.issued is None:
            begun = self._begun(rule, ask, subject, scope, audience, until, act, issued)
            return replace(begun, stands=stands, again=subject.again)
        within = self._within(subject.issued, ask, subject, scope, audience, until, act, issued)
        return replace(within, stands=stands)

    async def _narrowed(
        self, rule: Rule, ask: Ask, subject: Presented
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Scope and audience of the new token; by what memory knows, which is no reason to refuse anything.

        :raises OAuthError: `invalid_scope`, `invalid_target`.
        """
        known, owners = (await self.scopes.kept()).value, await self.clients.resources_kept()
        if not set(rule.scope or subject.scope or ()) <= known.names:
            known = await self.scopes.all()
        try:
            return self._narrowed_by(known, owners, rule, ask, subject)
        except OAuthError:
            owners = await self.clients.resources_kept(fresh=True)
            return self._narrowed_by(await self.scopes.all(), owners, rule, ask, subject)

    def _narrowed_by(
        self, known: Scopes, owners: Mapping[str, tuple[str, ...]], rule: Rule, ask: Ask, subject: Presented
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        entitled = subject.person is None or is_administrator(subject.person.user)
        allowed = scopes.allowed(ask.client, known, entitled)
        scope = token_exchange.scope_of(ask.parameters.one("scope"), subject.scope, rule.scope, allowed)
        targets = token_exchange.targets_of(ask.parameters.all("resource"), ask.parameters.all("audience"), owners)
        return scope, token_exchange.audience_of(targets, subject.audience, rule.audience, owners)

    def _within(
        self,
        under: Generations,
        ask: Ask,
        subject: Presented,
        scope: tuple[str, ...],
        audience: tuple[str, ...],
        until: int,
        act: dict[str, object],
        issued: str,
    ) -> Redemption:
        """A token beside one of ours, in the same grant."""
        return Redemption(
            scope=scope,
            # The subject's own, whatever is in force now: what was ended meanwhile stays so.
            generations=Generations(under.world, ask.generations.client, under.user),
            grant_id=subject.grant_id,
            audience=audience,
            details=self._details(ask, subject.details),
            issued=issued,
            on_behalf=OnBehalf(
                until=until,
                user_id=subject.user_id,
                username=subject.username,
                named=subject.subject,
                auth_time=subject.auth_time,
                acr=subject.acr,
                act=act,
                may_act=subject.may_act,
            ),
        )

    def _begun(
        self,
        rule: Rule,
        ask: Ask,
        subject: Presented,
        scope: tuple[str, ...],
        audience: tuple[str, ...],
        until: int,
        act: dict[str, object],
        issued: str,
    ) -> Redemption:
        """A token of a new grant, for a person of ours whom somebody vouches for."""
        if subject.person is None:
            raise INVALID_REQUEST(NOT_THIS.format("subject_token"))
        return self.beginning.redemption(
            ask,
            subject.person,
            scope,
            audience,
            until,
            refresh=rule.refresh and "refresh_token" in ask.client.grant_types,
            issued=issued,
            grant_type=self.grant_type,
            auth_time=subject.auth_time,
            acr=subject.acr,
            session=subject.session,
            act=act,
            may_act=subject.may_act,
        )

    def _details(self, ask: Ask, held: Details) -> Details:
        """What of the subject token's authorization details is asked for, and the client may have."""
        parameter, types = ask.parameters.one(PARAMETER), ask.client.details_types
        if parameter is None and not held:
            return ()
        mine = tuple(one for one in held if types is None or one["type"] in types)
        return self.details.narrowed(parameter, ask.client, mine)

    def _actor(self, ask: Ask, actor: Presented) -> _Actor:
        if actor.foreign:
            named = identity(actor.subject, actor.source)
            return _Actor(named, named)
        if not actor.user_id:
            return self._client(actor.subject)
        told = identity(self.subjects.of(ask.client, actor.user_id), client_id=actor.source)
        return _Actor(told, told | {"iss": self.issuer})

    def _client(self, client_id: str) -> _Actor:
        return _Actor(identity(client_id), identity(client_id, self.issuer, client_id))


def _requested(ask: Ask) -> str:
    """The type of the new token: an access token, or one that is a JWT (section 2.1).

    :raises OAuthError: `invalid_request` for others.
    """
    wanted = ask.parameters.one("requested_token_type") or ACCESS_TOKEN
    if wanted not in (ACCESS_TOKEN, JWT):
        raise INVALID_REQUEST("the requested_token_type is not supported: an access token or a JWT is")
    return wanted
