"""Grants, tokens and codes, and all that ends with them."""

from __future__ import annotations

from typing import Any

from msgspec import field

from oauthd.protocol.records.record import Record


class Generations(Record, frozen=True):
    """The generation numbers that something was issued under, or that are in force now.

    A subject (the world, a client, a user) that does not exist or has ended has generation None today, and whatever
    was issued under it is dead. `user` is 0 where no user is involved.
    """

    world: int | None = field(name="w")
    client: int | None = field(name="c")
    user: int | None = field(name="u", default=0)

    def covers(self, issued: Generations) -> bool:
        """Is a thing issued under `issued` still alive, `self` being today's generations?"""
        return (
            _reaches(issued.world, self.world)
            and _reaches(issued.client, self.client)
            and (issued.user == 0 or _reaches(issued.user, self.user))
        )


def _reaches(issued: int | None, today: int | None) -> bool:
    return issued is not None and today is not None and issued >= today


class Binding(Record, frozen=True):
    """What a sender must prove to hold, for a token to be any good: the `cnf` of RFC 7800, as thumbprints.

    :ivar jkt: of a public key, shown by DPoP (RFC 9449 section 6.1); "" for none.
    :ivar x5t: of a client certificate, shown by mutual TLS (RFC 8705 section 3.1, `x5t#S256`); "" for none.
    """

    jkt: str = field(name="k", default="")
    x5t: str = field(name="x", default="")

    def __bool__(self) -> bool:
        return bool(self.jkt or self.x5t)


UNBOUND = Binding()


class Spent(Record, frozen=True):
    """Who spent a single-use record: the attempt recognises itself when a commit is retried after a lost reply."""

    attempt: str = field(name="a")
    at: int = field(name="t")


class Grant(Record, frozen=True):
    """One authorization by a user (or by a client for itself): the family of tokens that ends as a whole.

    :ivar grant_type: how it began.
    :ivar scope: all that was granted.
    :ivar audience: resources the tokens are for; () for the issuer alone.
    :ivar ends_at: absolute end of the family, which no refresh extends (ASVS 10.4.8).
    :ivar auth_time: when the user signed in; 0 for none.
    :ivar acr: how (OpenID Connect Core section 2); "" for none.
    :ivar details: authorization details that were granted (RFC 9396).
    :ivar claims: the `claims` parameter, as it was granted (OpenID Connect Core section 5.5).
    :ivar session: `sid` of the sign-in that it was granted in; "" for none.
    :ivar may_act: who may act for its subject (RFC 8693 section 4.4); {} for nobody in particular.
    :ivar act: who acts for its subject (section 4.1); {} for nobody.
    :ivar ends_with_session: it ends when that sign-in does.
    """

    client_id: str = field(name="c")
    user_id: str = field(name="u")
    grant_type: str = field(name="t")
    scope: tuple[str, ...] = field(name="s")
    generations: Generations = field(name="g")
    issued_at: int = field(name="ia")
    ends_at: int = field(name="ea")
    expires_at: int = field(name="e")
    audience: tuple[str, ...] = field(name="a", default=())
    username: str = field(name="n", default="")
    auth_time: int = field(name="at", default=0)
    nonce: str = field(name="no", default="")
    acr: str = field(name="ac", default="")
    details: tuple[dict[str, Any], ...] = field(name="d", default=())
    claims: dict[str, Any] = field(name="cl", default_factory=dict)
    session: str = field(name="se", default="")
    may_act: dict[str, Any] = field(name="ma", default_factory=dict)
    act: dict[str, Any] = field(name="A", default_factory=dict)
    ends_with_session: bool = field(name="es", default=False)


class AccessToken(Record, frozen=True):
    """An issued access token, found by the SHA-256 of the whole token string; self-sufficient for introspection.

    :ivar grant: id of its grant, "" for a machine token without one.
    :ivar audience: resources it is for; () for the issuer alone.
    :ivar subject: the `sub` that others are told; "" for the user or the client itself.
    :ivar acr: how the user signed in (RFC 9470 section 6.2); "" for none.
    :ivar details: authorization details (RFC 9396 section 9).
    :ivar act: who acts for the subject (RFC 8693 section 4.1); {} for nobody.
    :ivar may_act: who may (section 4.4); {} for nobody in particular.
    :ivar status: its place in the status lists, from 1; 0 for none.
    :ivar extra: claims that the operator has declared for such tokens.
    :ivar resource_generations: of each resource in `audience`, in its order; () where all are 0.
    :ivar under: further generations that it stands on, and `parents`: names (`oauthd.protocol.standing`), as those
        tokens did that it was exchanged for.
    :ivar parent: in place of both, in records of an earlier version: the digest of the access token that it was
        exchanged for, or the `jti` of one that was not written down; never written any more.
    """

    client_id: str = field(name="c")
    scope: tuple[str, ...] = field(name="s")
    issued_at: int = field(name="i")
    expires_at: int = field(name="e")
    jti: str = field(name="j")
    generations: Generations = field(name="g")
    user_id: str = field(name="u", default="")
    username: str = field(name="n", default="")
    grant: str = field(name="G", default="")
    audience: tuple[str, ...] = field(name="a", default=())
    auth_time: int = field(name="at", default=0)
    binding: Binding = field(name="b", default=UNBOUND)
    subject: str = field(name="sj", default="")
    acr: str = field(name="ac", default="")
    details: tuple[dict[str, Any], ...] = field(name="d", default=())
    act: dict[str, Any] = field(name="A", default_factory=dict)
    may_act: dict[str, Any] = field(name="ma", default_factory=dict)
    status: int = field(name="st", default=0)
    extra: dict[str, Any] = field(name="x", default_factory=dict)
    resource_generations: tuple[int, ...] = field(name="rg", default=())
    under: tuple[tuple[str, int], ...] = field(name="un", default=())
    parents: tuple[bytes, ...] = field(name="pa", default=())
    parent: bytes = field(name="pt", default=b"")


class RefreshToken(Record, frozen=True):
    """A refresh token of a grant; `spent` once it has a successor.

    :ivar scope: what it can give at most.
    :ivar binding: of a public client's, to whose key it is bound (RFC 9449 section 5, RFC 8705 section 4).
    """

    client_id: str = field(name="c")
    user_id: str = field(name="u")
    scope: tuple[str, ...] = field(name="s")
    issued_at: int = field(name="i")
    expires_at: int = field(name="e")
    generations: Generations = field(name="g")
    audience: tuple[str, ...] = field(name="a", default=())
    spent: Spent | None = field(name="S", default=None)
    binding: Binding = field(name="b", default=UNBOUND)


class Answer(Record, frozen=True):
    """A finished token answer for the grace window, sealed with a key derived from the presented refresh token."""

    secret = ("sealed",)

    sealed: bytes = field(name="s")
    expires_at: int = field(name="e")


class Code(Record, frozen=True):
    """An authorization code (RFC 6749 section 4.1.2); the authorization itself stands in its grant.

    :ivar redirect_uri: as sent in the authorization request, "" when it was left out.
    :ivar code_challenge: S256 challenge, "" for none (RFC 7636).
    :ivar jkt: of the key that its tokens must be bound to, "" for none (RFC 9449 section 10).
    """

    client_id: str = field(name="c")
    redirect_uri: str = field(name="r")
    code_challenge: str = field(name="cc")
    expires_at: int = field(name="e")
    spent: Spent | None = field(name="S", default=None)
    jkt: str = field(name="k", default="")


class PushedRequest(Record, frozen=True):
    """An authorization request that its client pushed (RFC 9126): checked, and waiting for a browser.

    :ivar parameters: as they are to be read, name to value; those of a request object in place of what held it.
    :ivar usable_until: when its request_uri ends; the record stays as long as a flow that began with it may last.
    :ivar jkt: of the DPoP key that was shown when it was pushed (RFC 9449 section 10.1).
    """

    client_id: str = field(name="c")
    parameters: dict[str, str] = field(name="q")
    expires_at: int = field(name="e")
    jkt: str = field(name="k", default="")
    spent: Spent | None = field(name="S", default=None)
    usable_until: int = field(name="u", default=0)


class Once(Record, frozen=True):
    """Something that counts once was used: an assertion, a proof or a request object, known by its digest."""

    expires_at: int = field(name="e")


class Revoked(Record, frozen=True):
    """A token that was not written down is revoked, known by its `jti`; kept until nobody would believe it anyway."""

    expires_at: int = field(name="e")


class Reused(Record, frozen=True):
    """A finished answer with a client's own token, to be given again; sealed with the master key."""

    secret = ("sealed",)

    sealed: bytes = field(name="s")
    issued_at: int = field(name="i")
    expires_at: int = field(name="e")


class DeviceCode(Record, frozen=True):
    """A device authorization (RFC 8628) on its way: `pending`, then `approved` or `denied`, both of them for good.

    :ivar interval: seconds the device must wait between polls.
    :ivar polled_at: when it last polled, with fractions; 0 for never.
    :ivar settled_in: digest of the browser flow in which it was decided, empty before.
    """

    client_id: str = field(name="c")
    scope: tuple[str, ...] = field(name="s")
    user_code: str = field(name="uc")
    interval: int = field(name="iv")
    expires_at: int = field(name="e")
    audience: tuple[str, ...] = field(name="a", default=())
    status: str = field(name="st", default="pending")
    polled_at: float = field(name="p", default=0.0)
    user_id: str = field(name="u", default="")
    auth_time: int = field(name="at", default=0)
    settled_in: bytes = field(name="si", default=b"")
    spent: Spent | None = field(name="S", default=None)
    details: tuple[dict[str, Any], ...] = field(name="d", default=())


class UserCode(Record, frozen=True):
    """User code -> its device authorization (grant id and digest of the device code)."""

    grant: str = field(name="g")
    digest: bytes = field(name="d")
    expires_at: int = field(name="e")


class BackchannelRequest(Record, frozen=True):
    """A backchannel authentication request (CIBA Core) on its way: `pending`, then `approved` or `denied`, for good.

    :ivar user_id: whom it is about; "" for nobody: it is never answered.
    :ivar mode: how its client is told of the outcome (`poll`, `ping`, `push`), as it was when it asked.
    :ivar usable_until: when it ends; the record stays a little longer, for it to be told.
    :ivar message: what people compare (`binding_message`).
    :ivar acr_values: what was wished of the sign-in.
    :ivar settled_in: digest of the browser flow in which it was decided, empty before and for decisions elsewhere.
    :ivar notify: where `mode` is not `poll`: the auth_req_id and the client_notification_token, sealed.
    :ivar binding: of the tokens that are pushed.
    """

    secret = ("notify",)

    client_id: str = field(name="c")
    user_id: str = field(name="u")
    scope: tuple[str, ...] = field(name="s")
    mode: str = field(name="mo")
    interval: int = field(name="iv")
    asked_at: int = field(name="ia")
    usable_until: int = field(name="ul")
    expires_at: int = field(name="e")
    audience: tuple[str, ...] = field(name="a", default=())
    details: tuple[dict[str, Any], ...] = field(name="d", default=())
    message: str = field(name="m", default="")
    acr_values: tuple[str, ...] = field(name="av", default=())
    status: str = field(name="st", default="pending")
    polled_at: float = field(name="p", default=0.0)
    settled_in: bytes = field(name="si", default=b"")
    notify: bytes = field(name="n", default=b"")
    binding: Binding = field(name="b", default=UNBOUND)
    spent: Spent | None = field(name="S", default=None)
