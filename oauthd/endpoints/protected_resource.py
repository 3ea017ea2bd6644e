"""Protected resource metadata of the resources that the operator has declared (RFC 9728 section 3).

At their well-known place where they are at this server's host; any of them by its identifier in the query, which is
what the challenge of a resource elsewhere may point to (section 5.1). For what this server itself protects (userinfo,
the admin API) there is none: section 3.3 wants a `resource` that is the URL which was called, and tokens for these are
for the issuer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from attrs import field, frozen

from oauthd.keys import Keys
from oauthd.protocol import resource_metadata
from oauthd.protocol.errors import NOT_FOUND
from oauthd.protocol.messages import Request, Response
from oauthd.protocol.resource_metadata import Resource

MAX_AGE = 300  # seconds a copy may be kept; so long a signature is used again, too


@frozen
class ProtectedResources:
    """The documents.

    :ivar algorithm: what signs them; "" where they are not signed.
    :ivar proof_algorithms: of DPoP proofs.
    """

    issuer: str
    resources: Sequence[Resource]
    keys: Keys
    algorithm: str
    proof_algorithms: Sequence[str]
    clock: Callable[[], float]
    _made: dict[str, tuple[float, bytes]] = field(factory=dict, init=False, repr=False)

    async def __call__(self, request: Request) -> Response:
        """Answer with one.

        :raises OAuthError: `not_found`.
        """
        request.query.refuse_repeats()
        named = request.query.one("resource")
        for resource in self.resources:
            here = resource.place(self.issuer)
            if resource.resource == named or (named is None and here == request.path):
                headers = (("Content-Type", "application/json"), ("Cache-Control", f"public, max-age={MAX_AGE}"))
                return Response(200, headers, self._body(resource))
        raise NOT_FOUND("there is no such resource")

    def _body(self, resource: Resource) -> bytes:
        now = self.clock()
        until, body = self._made.get(resource.resource, (0.0, b""))
        if now >= until or until > now + MAX_AGE:
            body = json.dumps(self._document(resource, now), indent=1).encode()
            self._made[resource.resource] = now + MAX_AGE, body
        return body

    def _document(self, resource: Resource, now: float) -> dict[str, Any]:
        told = resource.document(self.issuer, self.proof_algorithms)
        if not self.algorithm:
            return told
        # Section 2.2: it must say who signed it, and should not hold itself.
        claims = {"iss": self.issuer, "iat": int(now), **told}
        signed = self.keys.signer(self.algorithm, resource_metadata.TYP).sign(claims)
        return {**told, "signed_metadata": signed}
