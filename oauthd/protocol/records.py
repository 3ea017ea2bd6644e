"""What the server remembers: frozen values, without any word on how they are stored.

Times are whole wall-clock seconds since the epoch unless a field says otherwise. A record with `expires_at` is gone
when the injected clock reaches it, whatever the store still holds. Each field has a short stored name: a live
access token must cost little memory. Names once used for a field are never given another meaning; a new field needs a
default, so that readers of a neighbouring version understand both (rolling upgrades).

Nothing here holds a token, code, password or secret in clear: only digests, Argon2id hashes and sealed bytes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct, field


class Record(Struct, frozen=True, omit_defaults=True):
    """What is stored: frozen, compared by what it holds; a changed copy is made by `msgspec.structs.replace`.

    :cvar secret: the fields that stay out of repr.
    """

    secret: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.secret)
        return f"{type(self).__name__}({', '.join(shown)})"


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


class ClientSecret(Record, frozen=True):
    """One of a client's live secrets: a keyed digest, and its end when it was rotated out."""

    secret = ("digest",)

    digest: bytes = field(name="d")
    created_at: int = field(name="c")
    expires_at: int | None = field(name="e", default=None)


class Client(Record, frozen=True):
    """A registered client (RFC 6749 section 2).

    :ivar number: the integer `id` of the simple registration document.
    :ivar client_type: `confidential` or `public` (RFC 6749 section 2.1).
    :ivar scopes: what it may ask for; None: every scope that is not reserved.
    :ivar default_scopes: what a request without scope gets.
    :ivar resources: resource indicators it owns (RFC 8707); it may introspect tokens whose audience names them.
    :ivar access_format: `jwt`, `opaque` or "" for the server's setting.
    :ivar introspects: may call the introspection endpoint.
    :ivar machine_refresh: client_credentials answers carry a refresh token (against RFC 6749 section 4.4.3).
    :ivar first_party: consent is not asked.
    :ivar pkce_required: PKCE also though it is confidential.
    :ivar rotates_refresh: refresh tokens are rotated at use; those of public clients always are.
    """

    client_id: str = field(name="i")
    number: int = field(name="n")
    name: str = field(name="N")
    client_type: str = field(name="t")
    created_at: int = field(name="ca")
    updated_at: int = field(name="ua")
    secrets: tuple[ClientSecret, ...] = field(name="s", default=())
    redirect_uris: tuple[str, ...] = field(name="r", default=())
    post_logout_redirect_uris: tuple[str, ...] = field(name="pl", default=())
    grant_types: tuple[str, ...] = field(name="g", default=())
    scopes: tuple[str, ...] | None = field(name="sc", default=None)
    default_scopes: tuple[str, ...] = field(name="ds", default=())
    resources: tuple[str, ...] = field(name="re", default=())
    access_format: str = field(name="af", default="")
    id_token_algorithm: str = field(name="ia", default="")
    introspects: bool = field(name="in", default=True)
    machine_refresh: bool = field(name="mr", default=False)
    first_party: bool = field(name="fp", default=False)
    pkce_required: bool = field(name="pk", default=False)
    rotates_refresh: bool = field(name="rr", default=True)
    client_uri: str = field(name="cu", default="")
    is_active: bool = field(name="a", default=True)

    @property
    def confidential(self) -> bool:
        """Does it hold a secret? (RFC 6749 section 2.1)"""
        return self.client_type == "confidential"


class User(Record, frozen=True):
    """A person who signs in; `user_id` is the `sub` of tokens.

    :ivar username: as entered; `Username` records map its canonical form to the user.
    :ivar password: Argon2id hash in PHC form, "" for none.
    :ivar roles: free words; `admin` makes an administrator.
    :ivar claims: standard claims by their OpenID Connect names (Core section 5.1).
    """

    secret = ("password",)

    user_id: str = field(name="i")
    username: str = field(name="n")
    created_at: int = field(name="ca")
    updated_at: int = field(name="ua")
    password: str = field(name="p", default="")
    roles: tuple[str, ...] = field(name="r", default=())
    claims: dict[str, Any] = field(name="c", default_factory=dict)
    is_active: bool = field(name="a", default=True)


class Username(Record, frozen=True):
    """Canonical username -> user."""

    user_id: str = field(name="i")


class Administrators(Record, frozen=True):
    """The active administrators' user ids: one record, so that the last one cannot be removed by a race."""

    user_ids: tuple[str, ...] = field(name="u", default=())


class Scope(Record, frozen=True):
    """A scope; `reserved` ones must be allowed to a client by name, `administrators_only` ones go to no other user."""

    scope_id: int = field(name="i")
    name: str = field(name="n")
    description: str = field(name="d", default="")
    reserved: bool = field(name="r", default=False)
    administrators_only: bool = field(name="a", default=False)


class Scopes(Record, frozen=True):
    """Every scope, in one record: a token request reads them at once, and names stay unique."""

    scopes: tuple[Scope, ...] = field(name="s", default=())
    last_id: int = field(name="l", default=0)


class Resources(Record, frozen=True):
    """Resource indicators (RFC 8707) and the clients that own each: only the operator declares them."""

    owners: dict[str, Any] = field(name="o", default_factory=dict)


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


class AccessToken(Record, frozen=True):
    """An issued access token, found by the SHA-256 of the whole token string; self-sufficient for introspection.

    :ivar grant: id of its grant, "" for a machine token without one.
    :ivar audience: resources it is for; () for the issuer alone.
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


class RefreshToken(Record, frozen=True):
    """A refresh token of a grant; `spent` once it has a successor.

    :ivar scope: what it can give at most.
    """

    client_id: str = field(name="c")
    user_id: str = field(name="u")
    scope: tuple[str, ...] = field(name="s")
    issued_at: int = field(name="i")
    expires_at: int = field(name="e")
    generations: Generations = field(name="g")
    audience: tuple[str, ...] = field(name="a", default=())
    spent: Spent | None = field(name="S", default=None)


class Answer(Record, frozen=True):
    """A finished token answer for the grace window, sealed with a key derived from the presented refresh token."""

    secret = ("sealed",)

    sealed: bytes = field(name="s")
    expires_at: int = field(name="e")


class Code(Record, frozen=True):
    """An authorization code (RFC 6749 section 4.1.2); the authorization itself stands in its grant.

    :ivar redirect_uri: as sent in the authorization request, "" when it was left out.
    :ivar code_challenge: S256 challenge, "" for none (RFC 7636).
    """

    client_id: str = field(name="c")
    redirect_uri: str = field(name="r")
    code_challenge: str = field(name="cc")
    expires_at: int = field(name="e")
    spent: Spent | None = field(name="S", default=None)


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


class UserCode(Record, frozen=True):
    """User code -> its device authorization (grant id and digest of the device code)."""

    grant: str = field(name="g")
    digest: bytes = field(name="d")
    expires_at: int = field(name="e")


class Session(Record, frozen=True):
    """A signed-in browser. It ends with its user's generation, so a changed password signs out everywhere.

    :ivar ends_at: absolute end, which use does not extend.
    """

    user_id: str = field(name="u")
    auth_time: int = field(name="at")
    user_generation: int = field(name="g")
    ends_at: int = field(name="ea")
    expires_at: int = field(name="e")
    amr: tuple[str, ...] = field(name="m", default=("pwd",))


class Interaction(Record, frozen=True):
    """The state of one browser flow: an authorization, device or logout request between pages.

    :ivar purpose: `authorize`, `device`, `logout` or `home`; `answered` for an authorization request that is over.
    :ivar parameters: the request as it was validated, name to value.
    :ivar browser: digest of the browser cookie it is bound to.
    :ivar signed_in_at: `auth_time` of the sign-in made within this interaction, 0 before.
    :ivar consented: scopes agreed to within it; None before the page was answered.
    :ivar denied: the person refused.
    :ivar tries: wrong entries made on its pages.
    """

    purpose: str = field(name="p")
    parameters: dict[str, str] = field(name="q")
    browser: bytes = field(name="b")
    created_at: int = field(name="c")
    expires_at: int = field(name="e")
    signed_in_at: int = field(name="si", default=0)
    user_id: str = field(name="u", default="")
    consented: tuple[str, ...] | None = field(name="co", default=None)
    denied: bool = field(name="d", default=False)
    tries: int = field(name="t", default=0)


class Consent(Record, frozen=True):
    """What a user has agreed to for a client; `client_number` keeps it from a later client of the same id."""

    scope: tuple[str, ...] = field(name="s")
    client_number: int = field(name="n")
    expires_at: int = field(name="e")


class Lockout(Record, frozen=True):
    """Failed sign-ins of one account or one source."""

    failures: int = field(name="f")
    blocked_until: float = field(name="b")
    expires_at: int = field(name="e")


class Tally(Record, frozen=True):
    """How often something was tried within a window that ends at `expires_at`."""

    count: int = field(name="n")
    expires_at: int = field(name="e")


class SealedKey(Record, frozen=True):
    """A signing key: its public JWK, the sealed private one, and the stages of its life (seconds)."""

    secret = ("sealed",)

    kid: str = field(name="k")
    algorithm: str = field(name="a")
    public: dict[str, Any] = field(name="p")
    sealed: bytes = field(name="s")
    created_at: int = field(name="c")
    signs_from: int = field(name="f")
    retires_at: int | None = field(name="r", default=None)


class KeyRing(Record, frozen=True):
    """Every signing key, in one record: a rotation is one swap."""

    keys: tuple[SealedKey, ...] = field(name="k", default=())


class World(Record, frozen=True):
    """That the store was founded, and by which master key (fingerprint, not key)."""

    founded_at: int = field(name="f")
    master: str = field(name="m")
