"""What the server remembers: frozen values, without any word on how they are stored.

Times are whole wall-clock seconds since the epoch unless a field says otherwise. A record with `expires_at` is gone
when the injected clock reaches it, whatever the store still holds. Each field has a short stored name (`as_`): a live
access token must cost little memory. Names once used for a field are never given another meaning; a new field needs a
default, so that readers of a neighbouring version understand both (rolling upgrades).

Nothing here holds a token, code, password or secret in clear: only digests, Argon2id hashes and sealed bytes.
"""

from __future__ import annotations

from typing import Any

from attrs import NOTHING, field, frozen


def as_(name: str, default: Any = NOTHING, factory: Any = None, secret: bool = False) -> Any:
    """A record field stored under `name`; a secret one stays out of repr."""
    if factory is not None:
        return field(factory=factory, metadata={"as": name}, repr=not secret)
    return field(default=default, metadata={"as": name}, repr=not secret)


@frozen
class Generations:
    """The generation numbers that something was issued under, or that are in force now.

    A subject (the world, a client, a user) that does not exist or has ended has generation None today, and whatever
    was issued under it is dead. `user` is 0 where no user is involved.
    """

    world: int | None = as_("w")
    client: int | None = as_("c")
    user: int | None = as_("u", 0)

    def covers(self, issued: Generations) -> bool:
        """Is a thing issued under `issued` still alive, `self` being today's generations?"""
        return (
            _reaches(issued.world, self.world)
            and _reaches(issued.client, self.client)
            and (issued.user == 0 or _reaches(issued.user, self.user))
        )


def _reaches(issued: int | None, today: int | None) -> bool:
    return issued is not None and today is not None and issued >= today


@frozen
class ClientSecret:
    """One of a client's live secrets: a keyed digest, and its end when it was rotated out."""

    digest: bytes = as_("d", secret=True)
    created_at: int = as_("c")
    expires_at: int | None = as_("e", None)


@frozen
class Client:
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

    client_id: str = as_("i")
    number: int = as_("n")
    name: str = as_("N")
    client_type: str = as_("t")
    created_at: int = as_("ca")
    updated_at: int = as_("ua")
    secrets: tuple[ClientSecret, ...] = as_("s", ())
    redirect_uris: tuple[str, ...] = as_("r", ())
    post_logout_redirect_uris: tuple[str, ...] = as_("pl", ())
    grant_types: tuple[str, ...] = as_("g", ())
    scopes: tuple[str, ...] | None = as_("sc", None)
    default_scopes: tuple[str, ...] = as_("ds", ())
    resources: tuple[str, ...] = as_("re", ())
    access_format: str = as_("af", "")
    id_token_algorithm: str = as_("ia", "")
    introspects: bool = as_("in", True)
    machine_refresh: bool = as_("mr", False)
    first_party: bool = as_("fp", False)
    pkce_required: bool = as_("pk", False)
    rotates_refresh: bool = as_("rr", True)
    client_uri: str = as_("cu", "")
    is_active: bool = as_("a", True)

    @property
    def confidential(self) -> bool:
        """Does it hold a secret? (RFC 6749 section 2.1)"""
        return self.client_type == "confidential"


@frozen
class User:
    """A person who signs in; `user_id` is the `sub` of tokens.

    :ivar username: as entered; `Username` records map its canonical form to the user.
    :ivar password: Argon2id hash in PHC form, "" for none.
    :ivar roles: free words; `admin` makes an administrator.
    :ivar claims: standard claims by their OpenID Connect names (Core section 5.1).
    """

    user_id: str = as_("i")
    username: str = as_("n")
    created_at: int = as_("ca")
    updated_at: int = as_("ua")
    password: str = as_("p", "", secret=True)
    roles: tuple[str, ...] = as_("r", ())
    claims: dict[str, Any] = as_("c", factory=dict)
    is_active: bool = as_("a", True)


@frozen
class Username:
    """Canonical username -> user."""

    user_id: str = as_("i")


@frozen
class Administrators:
    """The active administrators' user ids: one record, so that the last one cannot be removed by a race."""

    user_ids: tuple[str, ...] = as_("u", ())


@frozen
class Scope:
    """A scope; `reserved` ones must be allowed to a client by name, `administrators_only` ones go to no other user."""

    scope_id: int = as_("i")
    name: str = as_("n")
    description: str = as_("d", "")
    reserved: bool = as_("r", False)
    administrators_only: bool = as_("a", False)


@frozen
class Scopes:
    """Every scope, in one record: a token request reads them at once, and names stay unique."""

    scopes: tuple[Scope, ...] = as_("s", ())
    last_id: int = as_("l", 0)


@frozen
class Resources:
    """Resource indicators (RFC 8707) and the clients that own each: only the operator declares them."""

    owners: dict[str, Any] = as_("o", factory=dict)


@frozen
class Spent:
    """Who spent a single-use record: the attempt recognises itself when a commit is retried after a lost reply."""

    attempt: str = as_("a")
    at: int = as_("t")


@frozen
class Grant:
    """One authorization by a user (or by a client for itself): the family of tokens that ends as a whole.

    :ivar grant_type: how it began.
    :ivar scope: all that was granted.
    :ivar audience: resources the tokens are for; () for the issuer alone.
    :ivar ends_at: absolute end of the family, which no refresh extends (ASVS 10.4.8).
    :ivar auth_time: when the user signed in; 0 for none.
    """

    client_id: str = as_("c")
    user_id: str = as_("u")
    grant_type: str = as_("t")
    scope: tuple[str, ...] = as_("s")
    generations: Generations = as_("g")
    issued_at: int = as_("ia")
    ends_at: int = as_("ea")
    expires_at: int = as_("e")
    audience: tuple[str, ...] = as_("a", ())
    username: str = as_("n", "")
    auth_time: int = as_("at", 0)
    nonce: str = as_("no", "")


@frozen
class AccessToken:
    """An issued access token, found by the SHA-256 of the whole token string; self-sufficient for introspection.

    :ivar grant: id of its grant, "" for a machine token without one.
    :ivar audience: resources it is for; () for the issuer alone.
    """

    client_id: str = as_("c")
    scope: tuple[str, ...] = as_("s")
    issued_at: int = as_("i")
    expires_at: int = as_("e")
    jti: str = as_("j")
    generations: Generations = as_("g")
    user_id: str = as_("u", "")
    username: str = as_("n", "")
    grant: str = as_("G", "")
    audience: tuple[str, ...] = as_("a", ())
    auth_time: int = as_("at", 0)


@frozen
class RefreshToken:
    """A refresh token of a grant; `spent` once it has a successor.

    :ivar scope: what it can give at most.
    """

    client_id: str = as_("c")
    user_id: str = as_("u")
    scope: tuple[str, ...] = as_("s")
    issued_at: int = as_("i")
    expires_at: int = as_("e")
    generations: Generations = as_("g")
    audience: tuple[str, ...] = as_("a", ())
    spent: Spent | None = as_("S", None)


@frozen
class Answer:
    """A finished token answer for the grace window, sealed with a key derived from the presented refresh token."""

    sealed: bytes = as_("s", secret=True)
    expires_at: int = as_("e")


@frozen
class Code:
    """An authorization code (RFC 6749 section 4.1.2); the authorization itself stands in its grant.

    :ivar redirect_uri: as sent in the authorization request, "" when it was left out.
    :ivar code_challenge: S256 challenge, "" for none (RFC 7636).
    """

    client_id: str = as_("c")
    redirect_uri: str = as_("r")
    code_challenge: str = as_("cc")
    expires_at: int = as_("e")
    spent: Spent | None = as_("S", None)


@frozen
class DeviceCode:
    """A device authorization (RFC 8628) on its way: `pending`, then `approved` or `denied`, both of them for good.

    :ivar interval: seconds the device must wait between polls.
    :ivar polled_at: when it last polled, with fractions; 0 for never.
    :ivar settled_in: digest of the browser flow in which it was decided, empty before.
    """

    client_id: str = as_("c")
    scope: tuple[str, ...] = as_("s")
    user_code: str = as_("uc")
    interval: int = as_("iv")
    expires_at: int = as_("e")
    audience: tuple[str, ...] = as_("a", ())
    status: str = as_("st", "pending")
    polled_at: float = as_("p", 0.0)
    user_id: str = as_("u", "")
    auth_time: int = as_("at", 0)
    settled_in: bytes = as_("si", b"")
    spent: Spent | None = as_("S", None)


@frozen
class UserCode:
    """User code -> its device authorization (grant id and digest of the device code)."""

    grant: str = as_("g")
    digest: bytes = as_("d")
    expires_at: int = as_("e")


@frozen
class Session:
    """A signed-in browser. It ends with its user's generation, so a changed password signs out everywhere.

    :ivar ends_at: absolute end, which use does not extend.
    """

    user_id: str = as_("u")
    auth_time: int = as_("at")
    user_generation: int = as_("g")
    ends_at: int = as_("ea")
    expires_at: int = as_("e")
    amr: tuple[str, ...] = as_("m", ("pwd",))


@frozen
class Interaction:
    """The state of one browser flow: an authorization, device or logout request between pages.

    :ivar purpose: `authorize`, `device`, `logout` or `home`; `answered` for an authorization request that is over.
    :ivar parameters: the request as it was validated, name to value.
    :ivar browser: digest of the browser cookie it is bound to.
    :ivar signed_in_at: `auth_time` of the sign-in made within this interaction, 0 before.
    :ivar consented: scopes agreed to within it; None before the page was answered.
    :ivar denied: the person refused.
    :ivar tries: wrong entries made on its pages.
    """

    purpose: str = as_("p")
    parameters: dict[str, str] = as_("q")
    browser: bytes = as_("b")
    created_at: int = as_("c")
    expires_at: int = as_("e")
    signed_in_at: int = as_("si", 0)
    user_id: str = as_("u", "")
    consented: tuple[str, ...] | None = as_("co", None)
    denied: bool = as_("d", False)
    tries: int = as_("t", 0)


@frozen
class Consent:
    """What a user has agreed to for a client; `client_number` keeps it from a later client of the same id."""

    scope: tuple[str, ...] = as_("s")
    client_number: int = as_("n")
    expires_at: int = as_("e")


@frozen
class Lockout:
    """Failed sign-ins of one account or one source."""

    failures: int = as_("f")
    blocked_until: float = as_("b")
    expires_at: int = as_("e")


@frozen
class Tally:
    """How often something was tried within a window that ends at `expires_at`."""

    count: int = as_("n")
    expires_at: int = as_("e")


@frozen
class SealedKey:
    """A signing key: its public JWK, the sealed private one, and the stages of its life (seconds)."""

    kid: str = as_("k")
    algorithm: str = as_("a")
    public: dict[str, Any] = as_("p")
    sealed: bytes = as_("s", secret=True)
    created_at: int = as_("c")
    signs_from: int = as_("f")
    retires_at: int | None = as_("r", None)


@frozen
class KeyRing:
    """Every signing key, in one record: a rotation is one swap."""

    keys: tuple[SealedKey, ...] = as_("k", ())


@frozen
class World:
    """That the store was founded, and by which master key (fingerprint, not key)."""

    founded_at: int = as_("f")
    master: str = as_("m")
