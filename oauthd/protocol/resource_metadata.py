"""Protected resource metadata (RFC 9728): what a resource tells of itself, written by the operator, completed here.

A resource publishes its metadata itself, at its own host (section 3). What this server does for it: a document that is
right to point to from its challenge (section 5.1) or to copy, with this server among its authorization servers; and the
same signed, where this server is to vouch for it (section 2.2).

Refused in a declaration: a resource that is no https URL without fragment (section 1.2; http on loopback is for trying
out), members of another type than section 2 gives them, empty lists (section 3.2), a signature by somebody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from oauthd.protocol.client_metadata import HTTPS_URI

PATH: Final = "/.well-known/oauth-protected-resource"
TYP: Final = "resource-metadata+jwt"
"""Explicit, so that nobody takes it for another token of ours (RFC 8725 section 3.11)."""
LONGEST: Final = 8192

_RESOURCE = re.compile(
    rf"{HTTPS_URI}|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[1-9][0-9]{{0,4}})?(?:/[!$%&'()*+,./:;=?@\w~-]*)?",
    re.ASCII,
)
_LISTS: Final = frozenset(
    {"authorization_servers", "scopes_supported", "bearer_methods_supported", "resource_signing_alg_values_supported"}
    | {"authorization_details_types_supported", "dpop_signing_alg_values_supported"}
)
_FLAGS: Final = frozenset({"tls_client_certificate_bound_access_tokens", "dpop_bound_access_tokens_required"})
_TEXTS: Final = frozenset(
    {"resource", "jwks_uri", "resource_name", "resource_documentation", "resource_policy_uri", "resource_tos_uri"}
)
_BEARER: Final = frozenset({"header", "body", "query"})
_EMPTY_MEANS: Final = "bearer_methods_supported"  # section 2: an empty list says that there is no such method


@frozen
class Resource:
    """A declared resource.

    :ivar resource: its identifier.
    :ivar members: of its metadata, `resource` among them.
    """

    resource: str
    members: Mapping[str, Any]

    @classmethod
    def of(cls, text: str) -> Resource:
        """From a declaration: JSON with members of section 2.

        :raises ValueError: with what is wrong.
        """
        if len(text) > LONGEST:
            raise ValueError(f"must be shorter than {LONGEST} characters")
        try:
            members = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError("must be JSON") from None
        if not isinstance(members, dict):
            raise ValueError("must be a JSON object")
        resource = members.get("resource")
        if not isinstance(resource, str) or not _RESOURCE.fullmatch(resource):
            raise ValueError("must have a resource: an https URL without a fragment")
        for name, value in members.items():
            flaw = _flaw(name.partition("#")[0], value)  # section 2.1: a language may follow
            if flaw:
                raise ValueError(f"{name} of {resource} {flaw}")
        return cls(resource, members)

    def document(self, issuer: str, proof_algorithms: Sequence[str]) -> dict[str, Any]:
        """Its metadata.

        :param issuer: of this server, the first of its authorization servers.
        :param proof_algorithms: of DPoP proofs, where the resource takes them and says no other.
        """
        servers = [one for one in self.members.get("authorization_servers", ()) if one != issuer]
        found = {"bearer_methods_supported": ["header"], **self.members, "authorization_servers": [issuer, *servers]}
        if self.members.get("dpop_bound_access_tokens_required") and proof_algorithms:
            found.setdefault("dpop_signing_alg_values_supported", list(proof_algorithms))
        return found

    def place(self, issuer: str) -> str:
        """The path of its metadata at this server's host (section 3.1); "" where the resource is at another one."""
        mine, here = urlsplit(self.resource), urlsplit(issuer)
        if (mine.scheme, mine.netloc) != (here.scheme, here.netloc) or mine.query:
            return ""
        return PATH + mine.path.rstrip("/") if mine.path == "/" else PATH + mine.path


def _flaw(name: str, value: object) -> str:
    if name == "signed_metadata":
        return "cannot be written by hand"
    if name in _FLAGS and not isinstance(value, bool):
        return "must be true or false"
    if name in _TEXTS and not (isinstance(value, str) and value):
        return "must be a text"
    if name in _LISTS:
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            return "must be a list of texts"
        if not value and name != _EMPTY_MEANS:
            return "must not be empty; leave it out"
        if name == _EMPTY_MEANS and not set(value) <= _BEARER:
            return "must be of header, body and query"
        if "none" in value and name.endswith("alg_values_supported"):
            return "must not hold none"
    if name == "jwks_uri" and not str(value).startswith("https://"):
        return "must be an https URL"
    return ""
