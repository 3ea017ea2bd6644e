"""Clients, their secrets, and the tokens by which they may register (RFC 7591)."""

from __future__ import annotations

from typing import Any

from msgspec import field

from oauthd.protocol.records.record import Record


class ClientSecret(Record, frozen=True):
    """One of a client's live secrets: a keyed digest, and its end when it was rotated out.

    :ivar sealed: the secret itself, for methods that need it (HMAC); empty where none does.
    :ivar master: fingerprint of the master key that the digest was made with; "" where nobody wrote it down.
    """

    secret = ("digest", "sealed")

    digest: bytes = field(name="d")
    created_at: int = field(name="c")
    expires_at: int | None = field(name="e", default=None)
    sealed: bytes = field(name="s", default=b"")
    master: str = field(name="m", default="")


class Limits(Record, frozen=True):
    """What an initial access token lets the clients be that are registered with it; None for what the settings say.

    :ivar scopes: what they may ask for.
    """

    scopes: tuple[str, ...] | None = field(name="s", default=None)
    grant_types: tuple[str, ...] | None = field(name="g", default=None)
    auth_methods: tuple[str, ...] | None = field(name="a", default=None)


UNLIMITED = Limits()


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
    :ivar first_party: consent is not asked, where it can be shown that it is this client.
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
    :ivar response_modes: the only ones that it may ask for (FAPI 2.0 Message Signing section 5.3.3); none: all.
    :ivar id_token_encryption: as all encryptions: `alg` and `enc`, () for none.
    :ivar userinfo_algorithm: `userinfo_signed_response_alg`; "" for plain JSON.
    :ivar subject_type: `public` or `pairwise`; `sector`: the host that pairwise subjects are made for.
    :ivar default_max_age: seconds; None for none.
    :ivar details_types: `authorization_details_types` (RFC 9396 section 10); None: every type that is declared.
    :ivar profile: "" for the server's, or `fapi2` or `fapi1`.
    :ivar registration: digest of the registration access token (RFC 7592 section 3); empty where there is none.
    :ivar limits: those of the initial access token that it was registered with; they hold when it changes itself.
    :ivar held: fields of this record that an administrator has decided, so that it does not change them itself.
    :ivar statement: digest of the software statement that it was registered with; empty where there is none.
    :ivar exchanges: whose tokens it may exchange, and for what (RFC 8693): rules, none of which is nothing.
    :ivar introspection_algorithm: `introspection_signed_response_alg` (RFC 9701 section 6); "" for the server's.
    :ivar introspection_encryption: with what such answers are encrypted to it.
    :ivar access_algorithm: what signs its JWT access tokens; "" for the server's setting.
    :ivar access_lifetime: seconds, as `refresh_lifetime` (idle); None for the server's.
    :ivar token_claims: names of declared claims that its access tokens carry.
    :ivar reuses_tokens: client_credentials answers repeat a live token of the same request.
    :ivar stateless: its JWT access tokens are not written down; only their revocations are.
    :ivar status_listed: its JWT access tokens name their place in a status list.
    :ivar backchannel_logout_uri: `backchannel_logout_session`, as the other names of logout, leave out `_required`
        (OpenID Connect Back-Channel Logout section 2.2, Front-Channel Logout section 2).
    :ivar logout_ends_tokens: its grants of a session end with it.
    :ivar ciba_mode: `backchannel_token_delivery_mode` (CIBA Core section 4): poll, ping, push; "" for none.
    :ivar ciba_notification_uri: `backchannel_client_notification_endpoint`.
    :ivar ciba_algorithm: `backchannel_authentication_request_signing_alg`; "" for unsigned or any.
    :ivar ciba_user_code: `backchannel_user_code_parameter`: it asks people for their user codes.
    :ivar described: what it is stands in a document, whose address is its id (Client ID Metadata Documents).
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
    response_modes: tuple[str, ...] = field(name="mo", default=())
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
    limits: Limits = field(name="li", default=UNLIMITED)
    held: tuple[str, ...] = field(name="hd", default=())
    statement: bytes = field(name="sm", default=b"")
    exchanges: tuple[dict[str, Any], ...] = field(name="ex", default=())
    introspection_algorithm: str = field(name="na", default="")
    introspection_encryption: tuple[str, ...] = field(name="nx", default=())
    access_lifetime: int | None = field(name="al", default=None)
    refresh_lifetime: int | None = field(name="rl", default=None)
    token_claims: tuple[str, ...] = field(name="tc", default=())
    reuses_tokens: bool = field(name="ru2", default=False)
    stateless: bool = field(name="sl", default=False)
    status_listed: bool = field(name="sq", default=False)
    backchannel_logout_uri: str = field(name="bl", default="")
    backchannel_logout_session: bool = field(name="bs", default=False)
    frontchannel_logout_uri: str = field(name="fl", default="")
    frontchannel_logout_session: bool = field(name="fs", default=False)
    logout_ends_tokens: bool = field(name="lt", default=False)
    ciba_mode: str = field(name="cm", default="")
    ciba_notification_uri: str = field(name="cn", default="")
    ciba_algorithm: str = field(name="ca2", default="")
    ciba_user_code: bool = field(name="cc", default=False)
    described: bool = field(name="dd", default=False)
    access_algorithm: str = field(name="ag", default="")
    unused_until: int | None = field(name="uu", default=None)
    is_active: bool = field(name="a", default=True)

    @property
    def confidential(self) -> bool:
        """Does it hold a secret? (RFC 6749 section 2.1)"""
        return self.client_type == "confidential"

    @property
    def registered_itself(self) -> bool:
        """Has no administrator made it? (RFC 7591)"""
        return bool(self.registration) or self.described


class InitialAccess(Record, frozen=True):
    """An initial access token (RFC 7591 section 3): who holds it may register clients.

    :ivar uses: how many it may still register.
    :ivar by: the client or user who issued it.
    :ivar scopes: what its clients may ask for; None for what the settings say, as with the other two.
    """

    token_id: str = field(name="i")
    uses: int = field(name="u")
    created_at: int = field(name="c")
    expires_at: int = field(name="e")
    note: str = field(name="n", default="")
    by: str = field(name="b", default="")
    scopes: tuple[str, ...] | None = field(name="s", default=None)
    grant_types: tuple[str, ...] | None = field(name="g", default=None)
    auth_methods: tuple[str, ...] | None = field(name="a", default=None)
