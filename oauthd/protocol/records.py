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
    """One of a client's live secrets: a keyed digest, and its end when it was rotated out.

    :ivar sealed: the secret itself, for methods that need it (HMAC); empty where none does.
    """

    secret = ("digest", "sealed")

    digest: bytes = field(name="d")
    created_at: int = field(name="c")
    expires_at: int | None = field(name="e", default=None)
    sealed: bytes = field(name="s", default=b"")


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
    :ivar auth_method: `token_endpoint_auth_method` (RFC 7591 section 2); "" for a secret, by header or form.
    :ivar auth_algorithm: `token_endpoint_auth_signing_alg`; "" for any that is on.
    :ivar jwks: the client's public keys, given with it; `jwks_uri`: where they are to be fetched.
    :ivar tls_subject: what a certificate of `tls_client_auth` must show: one of `subject_dn`, `san_dns`, `san_uri`,
        `san_ip`, `san_email`, and its value (RFC 8705 section 2.1.2).
    :ivar certificate_bound: `tls_client_certificate_bound_access_tokens` (RFC 8705 section 3.4).
    :ivar dpop_bound: `dpop_bound_access_tokens` (RFC 9449 section 5.2).
    :ivar par_required: `require_pushed_authorization_requests` (RFC 9126 section 6).
    :ivar request_signed: `require_signed_request_object` (RFC 9101 section 10.5).
    :ivar request_algorithm: `request_object_signing_alg`; `request_encryption`: what it encrypts with to us.
    :ivar request_uris: the only ones that it may name (OpenID Connect Registration section 2).
    :ivar response_algorithm: `authorization_signed_response_alg` (JARM section 3); `response_encryption`: to it.
    :ivar id_token_encryption: as all encryptions: `alg` and `enc`, () for none.
    :ivar userinfo_algorithm: `userinfo_signed_response_alg`; "" for plain JSON.
    :ivar subject_type: `public` or `pairwise`; `sector`: the host that pairwise subjects are made for.
    :ivar default_max_age: seconds; None for none.
    :ivar details_types: `authorization_details_types` (RFC 9396 section 10); None: every type that is declared.
    :ivar profile: "" for the server's, or `fapi2` or `fapi1`.
    :ivar registration: digest of the registration access token (RFC 7592 section 3); empty where there is none.
    :ivar unused_until: when a client that registered itself ends, if it is not used; None for never.
    """

    secret = ("registration",)

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
    auth_method: str = field(name="am", default="")
    auth_algorithm: str = field(name="aa", default="")
    jwks: dict[str, Any] = field(name="jw", default_factory=dict)
    jwks_uri: str = field(name="ju", default="")
    tls_subject: dict[str, str] = field(name="ts", default_factory=dict)
    certificate_bound: bool = field(name="cb", default=False)
    dpop_bound: bool = field(name="db", default=False)
    par_required: bool = field(name="pr", default=False)
    request_signed: bool = field(name="rs", default=False)
    request_algorithm: str = field(name="ra", default="")
    request_encryption: tuple[str, ...] = field(name="rx", default=())
    request_uris: tuple[str, ...] = field(name="ru", default=())
    response_algorithm: str = field(name="ma", default="")
    response_encryption: tuple[str, ...] = field(name="mx", default=())
    id_token_encryption: tuple[str, ...] = field(name="ix", default=())
    userinfo_algorithm: str = field(name="va", default="")
    userinfo_encryption: tuple[str, ...] = field(name="vx", default=())
    subject_type: str = field(name="sj", default="public")
    sector_identifier_uri: str = field(name="su", default="")
    sector: str = field(name="sr", default="")
    default_max_age: int | None = field(name="dm", default=None)
    require_auth_time: bool = field(name="rt", default=False)
    default_acr_values: tuple[str, ...] = field(name="da", default=())
    initiate_login_uri: str = field(name="il", default="")
    logo_uri: str = field(name="lo", default="")
    policy_uri: str = field(name="po", default="")
    tos_uri: str = field(name="to", default="")
    contacts: tuple[str, ...] = field(name="co", default=())
    application_type: str = field(name="at", default="web")
    software_id: str = field(name="sw", default="")
    software_version: str = field(name="sv", default="")
    details_types: tuple[str, ...] | None = field(name="dt", default=None)
    profile: str = field(name="pf", default="")
    registration: bytes = field(name="rg", default=b"")
    unused_until: int | None = field(name="uu", default=None)
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
    :ivar acr: how (OpenID Connect Core section 2); "" for none.
    :ivar details: authorization details that were granted (RFC 9396).
    :ivar claims: the `claims` parameter, as it was granted (OpenID Connect Core section 5.5).
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


class AccessToken(Record, frozen=True):
    """An issued access token, found by the SHA-256 of the whole token string; self-sufficient for introspection.

    :ivar grant: id of its grant, "" for a machine token without one.
    :ivar audience: resources it is for; () for the issuer alone.
    :ivar subject: the `sub` that others are told; "" for the user or the client itself.
    :ivar acr: how the user signed in (RFC 9470 section 6.2); "" for none.
    :ivar details: authorization details (RFC 9396 section 9).
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


class RefreshToken(Record, frozen=True):
    """A refresh token of a grant; `spent` once it has a successor.

    :ivar scope: what it can give at most.
    :ivar binding: of a public client's, to whose key it is bound (RFC 9449 section 5, RFC 8705 section 7.1).
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


class Salt(Record, frozen=True):
    """What pairwise subjects are made with (OpenID Connect Core section 8.1), sealed."""

    secret = ("sealed",)

    sealed: bytes = field(name="s")


class World(Record, frozen=True):
    """That the store was founded, and by which master key (fingerprint, not key)."""

    founded_at: int = field(name="f")
    master: str = field(name="m")
