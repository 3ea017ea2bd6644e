"""Settings of clients that a document describes at the address that is their id, and of documents about resources."""

from __future__ import annotations

from typing import Literal

import attrs

from oauthd.config import checks
from oauthd.config.algorithms import Signature
from oauthd.config.setting import setting
from oauthd.protocol.client_documents import is_pattern
from oauthd.protocol.resource_metadata import Resource


def _hosts(value: tuple[str, ...]) -> None:
    for name in value:
        if not is_pattern(name):
            raise ValueError(f"must be host names in lower case, or *. and the name of a domain, unlike {name!r}")
    checks.different(value)


@attrs.frozen
class ClientDocumentSettings:
    """Clients whose id is an https URL, at which a document describes them (Client ID Metadata Documents).

    The server fetches it as `fetch` says. Nothing is kept of such a client before a person has agreed to it.
    What such clients may be is said in `registration`: scopes, grant_types, auth_methods, require, unclaimed_after,
    unused_after.
    """

    allow: Literal["off", "listed", "open"] = setting(
        "off",
        help='Which there may be. "off": none. "listed": those at client_documents.hosts. "open": all, save those at '
        "client_documents.denied; everybody can then make the server call public hosts.",
        spec="draft-ietf-oauth-client-id-metadata-document section 3",
    )
    hosts: tuple[str, ...] = setting(
        (),
        help='The hosts of "listed": names, or *. and a domain for all hosts under it. Under "open" those of '
        "fetch.open_hosts that are called for such clients: no other one of these is.",
        spec="draft-ietf-oauth-client-id-metadata-document section 6.7",
        check=_hosts,
    )
    denied: tuple[str, ...] = setting(
        (),
        help="Hosts, written likewise, whose clients are never let in. Those that are there stop to exist; deleting "
        "them ends their tokens, too.",
        spec="draft-ietf-oauth-client-id-metadata-document section 6.7",
        check=_hosts,
    )
    redirects: Literal["any", "own"] = setting(
        "any",
        help='Where they may have people sent: "any", or "own" for the host of the document and people\'s own devices.',
        spec="draft-ietf-oauth-client-id-metadata-document section 6.1",
    )
    limit: int = setting(
        5120,
        help="The longest document that is read. One that holds its keys itself may need more.",
        unit="bytes",
        spec="draft-ietf-oauth-client-id-metadata-document section 6.6",
        between=(256, 65536),
    )
    most: int = setting(
        10_000,
        help="How many such clients are kept at a time.",
        unit="clients",
        between=(1, 100_000_000),
    )
    per_source: int = setting(
        60,
        help="How many documents that are not at hand one source address may have fetched.",
        unit="documents a minute",
        between=(1, 1_000_000),
    )
    per_user: int = setting(
        30,
        help="To how many such clients that were not kept before one person may agree.",
        unit="clients an hour",
        between=(1, 1_000_000),
    )


def _resources(value: tuple[str, ...]) -> None:
    checks.different(tuple(Resource.of(text).resource for text in value))


@attrs.frozen
class ResourceSettings:
    """Metadata of protected resources (RFC 9728), which resource servers point to or copy."""

    declared: tuple[str, ...] = setting(
        (),
        help="The resources, each as JSON: resource, its identifier, and whatever else RFC 9728 section 2 has, such as "
        "scopes_supported and resource_name. This server is added to authorization_servers. Told at "
        "/.well-known/oauth-protected-resource?resource=..., and where RFC 9728 section 3.1 says for those that are at "
        "this server's host; the metadata list them as protected_resources.",
        spec="RFC 9728 section 2",
        check=_resources,
    )
    signed: Signature | None = setting(
        None,
        help="The algorithm that signs them, as signed_metadata; one of keys.algorithms. When not set they are not "
        "signed.",
        spec="RFC 9728 section 2.2",
    )
