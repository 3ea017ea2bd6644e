"""What the token endpoint answers (RFC 6749 section 5.1), and what is to be written for the answer to be true.

Everything is minted before anything is written: the step that spends what was redeemed stores the answer's tokens, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.grants.interface import OnBehalf, Redemption
from oauthd.minting import Draft, Minting, Order
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.json_text import text
from oauthd.protocol.records import UNBOUND, AccessToken, Binding, Client, Generations, Grant
from oauthd.protocol.standing import GRANT, NOWHERE, WORLD, Standing, of_resources
from oauthd.protocol.token_exchange import JWT
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, Write
from oauthd.stores.resources import ResourceGenerations
from oauthd.stores.status_lists import listing

Wanted = tuple[Client, Redemption, Binding]
"""Who asks, what was decided, and what the request has proved to hold."""

_Body = tuple[bytes, Write[AccessToken], list[Write[Any]]]


class TokenAnswer(Frozen, frozen=True):
    """A finished answer.

    :ivar access: the access token's record; `puts`: what is to be written of it, nothing where it is not written down.
    :ivar step: what must be carried out, the access token's record in it; None where that record is all there is.
    """

    secret = ("body",)

    body: bytes
    access: Write[AccessToken]
    step: Commit | None

    @property
    def puts(self) -> tuple[Write[Any], ...]:
        """What is to be written for the access token itself: its record, where it is written down."""
        return _puts(self.access)


@frozen
class TokenAnswers:
    """Makes answers."""

    minting: Minting
    resources: ResourceGenerations

    async def make(self, client: Client, redemption: Redemption, binding: Binding = UNBOUND) -> TokenAnswer:
        """The answer that a decision leads to."""
        wanted = client, redemption, binding
        numbers = await self.resources.today(redemption.audience) if redemption.audience else ()
        token, access = await self.minting.access_token(_order(wanted, numbers))
        grant, id_token = _told_of(redemption), ""
        if redemption.auth_req_id:
            return _finished(wanted, await self._pushed(wanted, token, access))
        if grant is not None:
            id_token = await self.minting.id_token(client, grant, token, redemption.nonce)
        return _finished(wanted, self._body(wanted, token, access, id_token))

    async def _pushed(self, wanted: Wanted, token: str, access: Write[AccessToken]) -> _Body:
        """An answer that its client has not asked for just now: its id token vouches for all of it.

        CIBA Core section 10.3.1: `at_hash`, which is there in any case, `rt_hash` and `auth_req_id`.
        """
        client, redemption, _ = wanted
        said, access, writes = self._body(wanted, token, access, "")
        answer: dict[str, Any] = {"auth_req_id": redemption.auth_req_id, **json.loads(said)}
        grant = _told_of(redemption)
        if grant is not None:
            refresh = answer.get("refresh_token", "")
            more = self.minting.vouching(client, redemption.auth_req_id, refresh)
            answer["id_token"] = await self.minting.id_token(client, grant, token, redemption.nonce, more)
        return text(answer).encode(), access, writes

    def waits(self, client: Client) -> bool:
        """Must a thread sign the client's access tokens?"""
        return self.minting.access_token_waits(client)

    def make_together(self, wanted: Sequence[Wanted]) -> list[TokenAnswer | None]:
        """As `make`, for many, without waiting; None for who must wait, or is to be refused.

        One step for all of them, then the next one: a signature among other work takes 58 us, one after another 35, and
        what other work finds in the processor's caches then is its own.
        """
        drafts = list(map(self._draft, wanted))
        tokens = [None if draft is None else draft.finished() for draft in drafts]
        bodies = [None if token is None else self._said(one, *token) for one, token in zip(wanted, tokens, strict=True)]
        return [None if body is None else _finished(one, body) for one, body in zip(wanted, bodies, strict=True)]

    def _draft(self, wanted: Wanted) -> Draft | None:
        client, redemption, _ = wanted
        grant = _told_of(redemption)
        numbers = self.resources.at_once(redemption.audience) if redemption.audience else ()
        if numbers is None:
            return None
        try:
            if grant is not None and self.minting.id_token_waits(client, grant):
                return None
        except OAuthError:
            return None
        return self.minting.draft(_order(wanted, numbers))

    def _said(self, wanted: Wanted, token: str, access: Write[AccessToken]) -> _Body | None:
        client, redemption, _ = wanted
        grant, id_token = _told_of(redemption), ""
        if grant is not None:
            try:
                id_token = self.minting.id_token_at_once(client, grant, token, redemption.nonce)
            except OAuthError:
                return None
        return self._body(wanted, token, access, id_token)

    def _body(self, wanted: Wanted, token: str, access: Write[AccessToken], id_token: str) -> _Body:
        client, redemption, binding = wanted
        record, grant = access.record, redemption.grant or redemption.standing
        answer: dict[str, Any] = {
            "access_token": token,
            "token_type": "DPoP" if record.binding.jkt else "Bearer",  # RFC 9449 section 5
            "expires_in": record.expires_at - record.issued_at,
        }
        if redemption.issued:
            answer["issued_token_type"] = redemption.issued  # RFC 8693 section 2.2.1
        if record.details:
            answer["authorization_details"] = list(record.details)  # RFC 9396 section 7
        writes = list(redemption.commit.writes)
        if redemption.grant is not None:
            writes.append(Write(kinds.grant(redemption.grant_id), redemption.grant))
        if redemption.refresh and grant is not None:
            answer["refresh_token"], refresh = self.minting.refresh_token(
                redemption.grant_id,
                grant,
                redemption.refresh_scope,
                redemption.refresh_audience,
                # RFC 9449 section 5, RFC 8705 section 4: those of other clients are bound by their authentication.
                UNBOUND if client.confidential else binding,
                client.refresh_lifetime,
            )
            writes.append(refresh)
        elif redemption.same_refresh:
            answer["refresh_token"] = redemption.same_refresh
        if redemption.scope:
            answer["scope"] = " ".join(redemption.scope)
        if id_token:
            answer["id_token"] = id_token
        return text(answer).encode(), access, writes


def _finished(wanted: Wanted, body: _Body) -> TokenAnswer:
    """With all that is to be written, under the grant's own conditions."""
    (_, redemption, _), (said, access, writes) = wanted, body
    if not writes and not (redemption.commit.alive or redemption.commit.absent):
        return TokenAnswer(said, access, None)
    if redemption.keeps is not None:
        writes.append(redemption.keeps(said))
    return TokenAnswer(said, access, redemption.commit.writing(writes, puts=_puts(access)))


def _puts(access: Write[AccessToken]) -> tuple[Write[Any], ...]:
    return (access, *listing(access)) if access.ref.kind is kinds.ACCESS_TOKEN else listing(access)


def _told_of(redemption: Redemption) -> Grant | None:
    """The grant that an id token tells of; None for no id token (OpenID Connect Core sections 3.1.3.3 and 12.2)."""
    grant = redemption.grant or redemption.standing
    if redemption.issued:  # one token is asked for, and is told of by its type
        return None
    return grant if grant is not None and grant.user_id and "openid" in redemption.scope else None


def _order(wanted: Wanted, resource_generations: tuple[int, ...]) -> Order:
    """What the access token is to say."""
    client, redemption, binding = wanted
    grant = redemption.grant or redemption.standing
    order = Order(
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
        resource_generations=resource_generations,
        act=grant.act if grant else {},
        may_act=grant.may_act if grant else {},
        as_jwt=redemption.issued == JWT,
    )
    if redemption.on_behalf is not None:
        order = _exchanged(order, redemption.on_behalf)
    return _standing(order, redemption.stands) if redemption.stands is not NOWHERE else order


def _exchanged(order: Order, other: OnBehalf) -> Order:
    """The same where it speaks of whom another token speaks of, whatever its grant says."""
    return replace(
        order,
        user_id=other.user_id,
        username=other.username,
        named=other.named,
        auth_time=other.auth_time,
        acr=other.acr,
        ends_at=other.until,
        act=other.act,
        may_act=other.may_act,
    )


def _standing(order: Order, stands: Standing) -> Order:
    """The same where it stands on more than its own: on all that the tokens stand on that were presented for it.

    With their numbers, whatever is in force now: what was ended meanwhile stays so.
    """
    issued, beside = order.generations, dict(stands.numbers)

    def lowest(subject: str, number: int | None) -> int | None:
        other = beside.pop(subject, number)
        return None if number is None or other is None else min(number, other)

    generations = Generations(
        lowest(WORLD, issued.world),
        lowest(f"client:{order.client.client_id}", issued.client),
        lowest(f"user:{order.user_id}", issued.user) if order.user_id and issued.user != 0 else issued.user,
    )
    numbers = [lowest(subject, at) for subject, at in of_resources(order.audience, order.resource_generations)]
    own = GRANT + order.grant_id.encode()
    return replace(
        order,
        generations=generations,
        resource_generations=tuple([number or 0 for number in numbers]) if any(numbers) else (),
        under=tuple([(subject, number) for subject, number in beside.items() if number is not None]),
        parents=tuple([name for name in stands.names if name != own]),
    )
