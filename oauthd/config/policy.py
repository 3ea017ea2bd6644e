"""Settings of what is granted to whom: tokens, devices, sessions, clients, users and what is said about them.

Times are in seconds unless a unit says otherwise.
"""

from __future__ import annotations

from typing import Literal

import attrs

from oauthd.config import checks
from oauthd.config.algorithms import Signature, signature, signatures_and_hmacs, signatures_if_any
from oauthd.config.setting import DAY, HOUR, MINUTE, YEAR, setting
from oauthd.protocol import auth_methods


@attrs.frozen
class TokenSettings:
    """Lifetimes and formats of what the server issues. A client's own settings come first where it has any."""

    access_lifetime: int = setting(
        30 * MINUTE,
        help="How long an access token lives.",
        unit="seconds",
        spec="RFC 6749 section 5.1",
        between=(1, 30 * DAY),
    )
    access_longest: int = setting(
        1 * HOUR,
        help="How long an access token lives at most where a client has a lifetime of its own; never shorter than "
        "access_lifetime. Keys stay published for that long after they have signed.",
        unit="seconds",
        spec="RFC 6749 section 5.1",
        between=(1, 30 * DAY),
    )
    access_format: Literal["jwt", "opaque"] = setting(
        "jwt",
        help="Access tokens as signed JWTs, or opaque. Both can be introspected and revoked.",
        spec="RFC 9068 section 2",
    )
    access_algorithm: Signature = setting(
        "ES256",
        help="The algorithm that signs JWT access tokens, one of keys.algorithms. RSA costs more than ten times the "
        "CPU.",
        spec="RFC 9068 section 2.1",
        check=signature,
    )
    refresh_idle: int = setting(
        7 * DAY,
        help="How long a refresh token lives when nobody uses it.",
        unit="seconds",
        spec="RFC 9700 section 4.14.2",
        between=(1, 10 * YEAR),
    )
    refresh_absolute: int = setting(
        30 * DAY,
        help="How long a grant can be refreshed in all, however often that is done.",
        unit="seconds",
        spec="RFC 9700 section 4.14.2",
        between=(1, 10 * YEAR),
    )
    refresh_grace: int = setting(
        10,
        help="How long a used refresh token is still answered with the same successor, for clients that lost the "
        "answer or raced themselves. Later use ends the grant. With 0 a lost answer locks the client out.",
        unit="seconds",
        spec="RFC 9700 section 4.14.2",
        between=(0, 300),
    )
    code_lifetime: int = setting(
        60,
        help="How long an authorization code can be redeemed.",
        unit="seconds",
        spec="RFC 6749 section 4.1.2",
        between=(1, 600),
    )
    id_token_lifetime: int = setting(
        1 * HOUR,
        help="How long an id_token is valid.",
        unit="seconds",
        spec="OpenID Connect Core section 2",
        between=(1, 30 * DAY),
    )
    id_token_algorithm: Signature = setting(
        "RS256",
        help="The algorithm that signs id_tokens for clients that ask for none in particular, one of keys.algorithms.",
        spec="OpenID Connect Core section 3.1.3.7",
        check=signature,
    )
    claims: tuple[str, ...] = setting(
        (),
        help="Claims that access tokens, and introspection, may carry, each a JSON text with the members name, and "
        "either from (what it tells of the user: roles, username or a standard claim) or value (the same for all). A "
        "client gets those that its token_claims name.",
        spec="RFC 9068 section 2.2",
        check=checks.claims,
    )
    resources: tuple[str, ...] = setting(
        (),
        help="What holds of access tokens for some resource, each a JSON text with the members resource, its "
        "indicator, and any of access_lifetime, access_format, access_algorithm and claims. It comes before what the "
        "client has; of lifetimes the shortest counts.",
        spec="RFC 8707 section 2",
        check=checks.resources,
    )
    leeway: int = setting(
        10,
        help="How far clocks may differ when a time in somebody else's token is judged. The FAPI 2.0 Security Profile "
        "(section 5.3.2.1) demands at least 10 seconds and at most 60.",
        unit="seconds",
        spec="RFC 7519 section 4.1.4",
        between=(0, 300),
    )


@attrs.frozen
class AuthorizationSettings:
    """How clients may ask for an authorization. What is demanded here is demanded of every client."""

    pushed_lifetime: int = setting(
        1 * MINUTE,
        help="How long the request_uri of a pushed authorization request can be used. A person who has been sent to "
        "the sign-in page by then may take longer.",
        unit="seconds",
        spec="RFC 9126 section 2.2",
        between=(5, 599),
    )
    pushed_required: bool = setting(
        False,
        help="Demand that authorization requests are pushed by their clients before the browser comes.",
        spec="RFC 9126 section 5",
    )
    signed_required: bool = setting(
        False,
        help="Demand that authorization requests stand in a signed request object.",
        spec="RFC 9101 section 10.5",
    )
    details_types: tuple[str, ...] = setting(
        (),
        help="The types of authorization_details that clients may ask for, each a JSON text with these members: type, "
        "its name in requests; title, what people read at consent; schema, the JSON Schema (2020-12) of its objects, "
        "in which titles of members are what people read for their names; sentence, if wanted, what people read "
        "besides, with values as {path.to.member}; additive, if wanted, the members whose entries add up, so that a "
        "token request may name fewer of them.",
        spec="RFC 9396 section 2.1",
        check=checks.details_types,
    )


@attrs.frozen
class DpopSettings:
    """Proofs by which tokens are bound to a key of their client (DPoP)."""

    algorithms: tuple[
        Literal[
            "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512",
            "ML-DSA-44", "ML-DSA-65", "ML-DSA-87",
        ],
        ...,
    ] = setting(
        ("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256"),
        help="The algorithms that proofs may be signed with. With none of them every proof is refused, and nothing "
        "says that there is DPoP here.",
        spec="RFC 9449 section 4.3",
        check=signatures_if_any,
    )  # fmt: skip
    proof_lifetime: int = setting(
        60,
        help="How long after it was made a proof counts that carries no nonce.",
        unit="seconds",
        spec="RFC 9449 section 11.1",
        between=(10, 600),
    )
    nonce: Literal["off", "optional", "required"] = setting(
        "optional",
        help='Nonces that clients put into their proofs, so that proofs are not made in advance. "required": no proof '
        'counts without one. "optional": they are offered to clients whose clock is wrong, whose proofs would be '
        'refused otherwise. "off": they are not offered.',
        spec="RFC 9449 section 8",
    )
    nonce_lifetime: int = setting(
        300,
        help="How long such a nonce counts at least; it does so at most for twice as long.",
        unit="seconds",
        spec="RFC 9449 section 8",
        between=(30, 86400),
    )


@attrs.frozen
class DeviceSettings:
    """Codes for devices without a browser, and how often they may be guessed at."""

    lifetime: int = setting(
        30 * MINUTE,
        help="How long device code and user code live.",
        unit="seconds",
        spec="RFC 8628 section 3.2",
        between=(1, 1 * DAY),
    )
    interval: int = setting(
        5,
        help="How long a device must wait between polls; one that asks sooner is told to slow down.",
        unit="seconds",
        spec="RFC 8628 section 3.5",
        between=(1, 300),
    )
    session_tries: int = setting(
        5,
        help="How many wrong user codes may be entered on one opened device page; then it must be opened anew.",
        unit="wrong codes",
        spec="RFC 8628 section 5.1",
        between=(1, 100),
    )
    source_tries: int = setting(
        10,
        help="How many wrong user codes one source address may enter.",
        unit="wrong codes a minute",
        spec="RFC 8628 section 5.1",
        between=(1, 100000),
    )
    total_tries: int = setting(
        300,
        help="How many wrong user codes may be entered by everybody together.",
        unit="wrong codes a minute",
        spec="RFC 8628 section 5.1",
        between=(1, 1000000),
    )


@attrs.frozen
class SessionSettings:
    """How long people stay signed in, and what is remembered of them."""

    idle: int = setting(
        8 * HOUR, help="How long a session lives when nobody uses it.", unit="seconds", between=(1, 1 * YEAR)
    )
    absolute: int = setting(
        30 * DAY,
        help="How long after signing in a session ends, however much it is used.",
        unit="seconds",
        between=(1, 1 * YEAR),
    )
    interaction_lifetime: int = setting(
        30 * MINUTE,
        help="How long a person may take from the authorization request to its answer.",
        unit="seconds",
        between=(1, 1 * DAY),
    )
    consent_lifetime: int = setting(
        1 * YEAR,
        help="How long consent is remembered for a user, client and scopes. With 0 people are always asked.",
        unit="seconds",
        between=(0, 10 * YEAR),
    )
    administrator_max_age: int = setting(
        0,
        help="How long ago an administrator may have signed in whose token is used at the admin API. Later the answer "
        "is 401 with insufficient_user_authentication, upon which the application asks for a new sign-in. Clients that "
        "act for themselves are not asked. With 0 it may be any time ago.",
        unit="seconds",
        spec="RFC 9470 section 3",
        between=(0, 1 * YEAR),
    )


@attrs.frozen
class ClientSettings:
    """How applications are registered and what is asked of them."""

    pkce_required: bool = setting(
        False,
        help="Demand PKCE of every client, confidential ones too.",
        spec="RFC 9700 section 2.1.1",
    )
    pkce_public: bool = setting(
        True,
        help="Demand PKCE of public clients. Leave it on: without it whoever gets hold of such a client's code has its "
        "tokens. Off is for clients that cannot do it.",
        spec="RFC 9700 section 2.1.1",
    )
    registration: Literal["loopback", "administrator", "off"] = setting(
        "loopback",
        help='Who may register clients at /oauth2/register_client. "loopback": anybody while issuer, listener and '
        'caller are all loopback and nothing was forwarded, otherwise an administrator. "administrator": only with an '
        'administrator\'s token. "off": nobody.',
    )
    secret_overlap: int = setting(
        1 * DAY,
        help="How long the old client secret still works after a rotation.",
        unit="seconds",
        between=(0, 1 * YEAR),
    )
    machine_refresh: bool = setting(
        False,
        help="Give refresh tokens for client_credentials also to clients made by the admin API. Clients registered at "
        "/oauth2/register_client get them in any case.",
        spec="RFC 6749 section 4.4.3",
    )


@attrs.frozen
class AuthenticationSettings:
    """How applications prove who they are, at the token endpoint and at all others that they call."""

    off: tuple[auth_methods.Name, ...] = setting(
        (),
        help='The methods that are off. Those with certificates work where a listener, or a proxy, asks for them. '
        'Under server.profile = "fapi2" those with secrets, and none, are off in any case.',
        spec="OpenID Connect Core section 9",
        check=checks.different,
    )
    algorithms: tuple[str, ...] = setting(
        ("PS256", "ES256", "EdDSA", "Ed25519", "RS256", "ES384", "ES512", "PS384", "PS512", "HS256"),
        help="The algorithms that may sign client assertions: HS256 and its like for client_secret_jwt, the others for "
        "private_key_jwt. Under FAPI 2.0 only PS256, ES256 and EdDSA (Ed25519) of them work.",
        spec="RFC 8414 section 2",
        check=signatures_and_hmacs,
    )
    assertion_lifetime: int = setting(
        5 * MINUTE,
        help="How long a client assertion counts at most from when it was issued (its iat), whatever its exp says; "
        "without iat its exp may lie no farther ahead than this.",
        unit="seconds",
        spec="RFC 7523 section 3",
        between=(10, 1 * HOUR),
    )


@attrs.frozen
class UserSettings:
    """Passwords: how they are hashed, and what happens to those who guess."""

    hash_threads: int = setting(
        2,
        help="How many passwords are hashed at once. Memory is this many times hash_memory.",
        unit="threads",
        between=(1, 64),
    )
    hash_queue: int = setting(
        64, help="How many sign-ins may wait for a thread; further ones are 503.", unit="sign-ins", between=(1, 10000)
    )
    hash_memory: int = setting(
        65536,
        # The least is far above the eight KiB that each lane needs (RFC 9106 section 3.1).
        help="Argon2id memory for one hash.",
        unit="KiB",
        spec="RFC 9106 section 4",
        between=(7168, 4194304),
    )
    hash_time: int = setting(3, help="Argon2id passes.", unit="passes", spec="RFC 9106 section 4", between=(1, 100))
    hash_parallelism: int = setting(4, help="Argon2id lanes.", unit="lanes", spec="RFC 9106 section 4", between=(1, 64))
    lock_free_failures: int = setting(
        4,
        help="How many wrong passwords in a row go without delay, for each account and for each source. From the next "
        "one on the delay grows.",
        unit="failures",
        between=(0, 100),
    )
    lock_after: int = setting(
        10, help="After how many wrong passwords in a row sign-in is locked.", unit="failures", between=(1, 1000)
    )
    lock_time: int = setting(15 * MINUTE, help="How long that lock lasts.", unit="seconds", between=(1, 1 * DAY))
    password_min_length: int = setting(
        8, help="The shortest password that may be chosen.", unit="characters", between=(1, 128)
    )
    password_max_length: int = setting(
        1024, help="The longest password that is looked at.", unit="bytes", between=(64, 4096)
    )
    global_revocation: bool = setting(
        False,
        help="Whether others, such as an identity provider or a monitoring tool, may end all tokens and sessions of a "
        "user at /oauth2/global-token-revocation, with an access token whose scope is global_token_revocation.",
        spec="draft-parecki-oauth-global-token-revocation-06 section 3",
    )


@attrs.frozen
class UserinfoSettings:
    """What an application learns about a person."""

    identity_with_openid: bool = setting(
        True,
        help="Give username and email to every client that was granted openid, and say so at consent. When off they "
        "need the scopes profile and email.",
        spec="OpenID Connect Core section 5.4",
    )
    account_by_read_write: bool = setting(
        True,
        help="Let the scope read_write, like account, change the user's own profile and password.",
    )
