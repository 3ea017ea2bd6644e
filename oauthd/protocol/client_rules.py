"""What of a client's registration goes together, whoever registers it: pure rules over the finished record.

RFC 7591 section 2 (`jwks` or `jwks_uri`), RFC 8705 section 2 (a certificate's subject, or keys), OpenID Connect
Registration sections 2 and 5 and Core section 8.1 (sectors of pairwise subjects), RFC 6749 section 4.4.

`application_type` refuses no redirect URI beyond what `redirects` refuses: what OpenID Connect Registration section 2
forbids to web applications, it forbids where tokens come in redirects, which they never do here; and a claimed https
address of a native one is RFC 8252 section 7.2. What a sector's document holds is for whoever can fetch it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from oauthd.protocol import auth_methods, key_sets, logout
from oauthd.protocol.ciba import PING, PUSH
from oauthd.protocol.client_metadata import hides
from oauthd.protocol.grant_types import CIBA, CONFIDENTIAL_ONLY
from oauthd.protocol.profile import FAPI1, FAPI2
from oauthd.protocol.records import Client, Scopes
from oauthd.protocol.redirects import RedirectUri

PAIRWISE: Final = "pairwise"


def is_hmac(algorithm: str) -> bool:
    """Is its key a secret that both know?"""
    return algorithm.startswith("HS")


def needs_secret(client: Client) -> bool:
    """Must it have a secret?"""
    by_secret = auth_methods.of(client.auth_method).secret
    return client.confidential and (by_secret or any(map(is_hmac, _algorithms(client))))


def needs_secret_itself(client: Client) -> bool:
    """Must this server know the secret as it is, and not its digest alone?"""
    hmac = any(map(is_hmac, (*_algorithms(client), client.auth_algorithm)))
    return client.confidential and (auth_methods.of(client.auth_method).itself or hmac)


def _algorithms(client: Client) -> tuple[str, ...]:
    return (
        client.id_token_algorithm,
        client.userinfo_algorithm,
        client.request_algorithm,
        client.response_algorithm,
        client.introspection_algorithm,
    )


def loses_scope(before: Client, after: Client, known: Scopes) -> bool:
    """Is a scope taken from a client that its tokens may still carry?"""
    everything = {scope.name for scope in known.scopes if not scope.reserved}
    had = everything if before.scopes is None else set(before.scopes)
    return not had <= (everything if after.scopes is None else set(after.scopes))


def loses_details(before: Client, after: Client) -> bool:
    """Is a type of authorization details taken from a client that its tokens, and refreshes, may still carry?"""
    if after.details_types is None:
        return False
    return before.details_types is None or not set(before.details_types) <= set(after.details_types)


def completed(client: Client, application_type: str | None = None) -> Client:
    """The client with what follows from the rest: its sector, and its type where none was given.

    :param application_type: what was given.
    """
    kind = application_type or ("native" if _is_native(client) else "web")
    sector = _sector(client) if client.subject_type == PAIRWISE else ""
    return replace(client, sector=sector, application_type=kind)


def _is_native(client: Client) -> bool:
    return bool(client.redirect_uris) and all(RedirectUri(uri).native for uri in client.redirect_uris)


def _sector(client: Client) -> str:
    """The host that stands for it (Core section 8.1); "" where there is not exactly one.

    What leads to the person's own device stands for nobody: all applications there have it.
    """
    uris = (client.sector_identifier_uri,) if client.sector_identifier_uri else client.redirect_uris
    hosts = {"" if RedirectUri(uri).native else urlsplit(uri).hostname or "" for uri in uris}
    return hosts.pop() if len(hosts) == 1 else ""


def flaws(client: Client) -> dict[str, str]:
    """What does not go together: name of a member on the wire -> why. Empty when all is well."""
    return dict((*_keys(client), *_method(client), *_secrets(client), *_others(client), *_ciba(client)))


def flaws_here(client: Client, issuer: str) -> dict[str, str]:
    """What does not go together with the server that this is.

    A browser that shows its picture sends this host's cookies there: on our own pages a client could have it call us.
    """
    if is_of(client.logo_uri, issuer):
        return {"logo_uri": "is at this server's own host"}
    return {}


def is_of(uri: str, issuer: str) -> bool:
    """Is it at the host of the issuer, whatever its port? Cookies know no ports (RFC 6265 section 8.5)."""
    try:
        host = (urlsplit(uri).hostname or "").rstrip(".")
    except ValueError:  # brackets that are no address: no browser goes there
        return False
    return bool(host) and host == (urlsplit(issuer).hostname or "").rstrip(".")


def _keys(client: Client) -> Iterator[tuple[str, str]]:
    if client.jwks and client.jwks_uri:
        yield "jwks_uri", "cannot be together with jwks"  # RFC 7591 section 2
    if client.jwks:
        flaw = key_sets.flaw(client.jwks)
        if flaw:
            yield "jwks", flaw
    for name, encryption in (
        ("id_token_encrypted_response_alg", client.id_token_encryption),
        ("userinfo_encrypted_response_alg", client.userinfo_encryption),
        ("authorization_encrypted_response_alg", client.response_encryption),
        ("introspection_encrypted_response_alg", client.introspection_encryption),
    ):
        if encryption and not encryption[0]:
            yield name, "is missing beside enc"  # OpenID Connect Registration section 2
        elif encryption and not _has_keys(client):
            yield name, "needs jwks or jwks_uri, to encrypt to"
    if client.request_encryption and not client.request_encryption[0]:
        yield "request_object_encryption_alg", "is missing beside enc"


def _has_keys(client: Client) -> bool:
    return bool(client.jwks or client.jwks_uri)


def _method(client: Client) -> Iterator[tuple[str, str]]:
    name = "token_endpoint_auth_method"
    method = client.auth_method
    if not client.confidential and method not in ("", "none"):
        yield name, "is for confidential clients"
    needs = auth_methods.of(method)
    if needs.keys and not _has_keys(client):
        yield name, f"{method} needs jwks or jwks_uri"
    if needs.subject and len(client.tls_subject) != 1:
        yield name, f"{method} needs exactly one of the members that name a subject"  # RFC 8705 section 2.1.2
    if client.tls_subject and not needs.subject:
        yield f"tls_client_auth_{next(iter(client.tls_subject))}", "is for tls_client_auth"
    algorithm = client.auth_algorithm
    if algorithm and needs.signs and is_hmac(algorithm) != (needs.signs == "mac"):
        yield "token_endpoint_auth_signing_alg", f"does not go with {method}"


def _secrets(client: Client) -> Iterator[tuple[str, str]]:
    names = (
        "id_token_signed_response_alg",
        "userinfo_signed_response_alg",
        "request_object_signing_alg",
        "authorization_signed_response_alg",
        "introspection_signed_response_alg",
    )
    for name, algorithm in zip(names, _algorithms(client), strict=True):
        if is_hmac(algorithm) and not client.confidential:
            yield name, "needs a secret, which a public client does not have"
    if client.request_signed and client.request_algorithm == "none":
        yield "request_object_signing_alg", "cannot be none where request objects must be signed"


def _others(client: Client) -> Iterator[tuple[str, str]]:
    if hides(client.name):
        yield "client_name", "holds characters that cannot be seen"
    if not client.confidential and CONFIDENTIAL_ONLY & set(client.grant_types):
        named = " and ".join(sorted(CONFIDENTIAL_ONLY & set(client.grant_types)))
        yield "grant_types", f"{named} is for confidential clients"  # RFC 6749 section 4.4
    if not client.confidential and client.exchanges:
        yield "exchanges", "is for confidential clients"
    uri = client.frontchannel_logout_uri
    if uri and not logout.fits(uri, client.redirect_uris):  # Front-Channel Logout section 2
        yield "frontchannel_logout_uri", "must have the scheme, host and port of a redirect URI"
    if client.subject_type == PAIRWISE and not _sector(client):
        yield "sector_identifier_uri", "is needed for pairwise subjects, unless all redirect URIs have one host"


def _ciba(client: Client) -> Iterator[tuple[str, str]]:
    """CIBA Core section 4: the mode is required with the grant type, and what it is told at with ping and push."""
    mode = "backchannel_token_delivery_mode"
    if CIBA in client.grant_types and not client.ciba_mode:
        yield mode, "is needed for the grant type ciba"
    if client.ciba_mode in (PING, PUSH) and not client.ciba_notification_uri:
        yield "backchannel_client_notification_endpoint", f"is needed for {client.ciba_mode}"
    if client.ciba_mode == PUSH and (client.dpop_bound or client.profile in (FAPI1, FAPI2)):
        yield mode, "cannot be push for a client that is held to FAPI, or whose tokens are bound by DPoP"
    signs = client.ciba_algorithm or client.profile in (FAPI1, FAPI2)
    if signs and CIBA in client.grant_types and not _has_keys(client):
        yield "backchannel_authentication_request_signing_alg", "needs jwks or jwks_uri, to be verified with"
