"""Discovery: OpenID Connect Discovery section 4 and RFC 8414, one document for both, computed from what is on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from oauthd.protocol import jose, response_modes
from oauthd.protocol.claims import CLAIMS_OF
from oauthd.protocol.messages import Request, Response
from oauthd.subjects import TYPES

GLOBAL_REVOCATION = "global_token_revocation_endpoint"
MAX_AGE = 300  # seconds a copy may be kept


@frozen
class Metadata:
    """The metadata document.

    :ivar endpoints: name of the metadata member to path, from the route table.
    :ivar grant_types: those that are on.
    :ivar authentication: members that tell how clients authenticate.
    :ivar id_token_algorithms: those that there are keys for.
    :ivar requests: the members about authorization requests.
    :ivar ciba: the members about backchannel authentication.
    :ivar certificates: are clients asked for certificates anywhere?
    :ivar aliases: members of `endpoints`, and where clients with certificates find them; empty where they find them at
        the same place.
    :ivar documents: may clients be described at the address that is their id?
    :ivar resources: those that are declared.
    :ivar proof_algorithms: those of DPoP proofs; () where there is no DPoP.
    """

    issuer: str
    endpoints: Mapping[str, str]
    grant_types: Sequence[str]
    authentication: Mapping[str, Any]
    id_token_algorithms: Sequence[str]
    acr_values: Sequence[str]
    requests: Mapping[str, Any]
    ciba: Mapping[str, Any] = field(factory=dict)
    proof_algorithms: Sequence[str] = ()
    certificates: bool = False
    aliases: Mapping[str, str] = field(factory=dict)
    documents: bool = False
    resources: Sequence[str] = ()
    prompts: Sequence[str] = ("none", "login", "consent", "select_account")
    body: bytes = field(init=False, repr=False)

    @body.default
    def _computed(self) -> bytes:
        return json.dumps(self.document(), indent=1).encode()

    async def __call__(self, request: Request) -> Response:
        """Answer with the document, the same bytes at every address of it."""
        headers = (("Content-Type", "application/json"), ("Cache-Control", f"public, max-age={MAX_AGE}"))
        return Response(200, headers, self.body)

    def document(self) -> dict[str, Any]:
        """The members of the document."""
        claims = sorted({name for names in CLAIMS_OF.values() for name in names} | {"username"})
        # RFC 9449 section 5.1
        proofs = {"dpop_signing_alg_values_supported": list(self.proof_algorithms)} if self.proof_algorithms else {}
        return {
            "issuer": self.issuer,
            **{name: self.issuer + path for name, path in self.endpoints.items()},
            "response_types_supported": ["code"],
            "response_modes_supported": list(response_modes.MODES),
            # JARM section 4
            "authorization_signing_alg_values_supported": list(self.id_token_algorithms),
            "authorization_encryption_alg_values_supported": list(jose.KEY_ENCRYPTION),
            "authorization_encryption_enc_values_supported": list(jose.CONTENT_ENCRYPTION),
            "grant_types_supported": list(self.grant_types),
            "subject_types_supported": list(TYPES),
            "id_token_signing_alg_values_supported": list(self.id_token_algorithms),
            "id_token_encryption_alg_values_supported": list(jose.KEY_ENCRYPTION),
            "id_token_encryption_enc_values_supported": list(jose.CONTENT_ENCRYPTION),
            "userinfo_signing_alg_values_supported": list(self.id_token_algorithms),
            "userinfo_encryption_alg_values_supported": list(jose.KEY_ENCRYPTION),
            "userinfo_encryption_enc_values_supported": list(jose.CONTENT_ENCRYPTION),
            # RFC 9701 section 7
            "introspection_signing_alg_values_supported": list(self.id_token_algorithms),
            "introspection_encryption_alg_values_supported": list(jose.KEY_ENCRYPTION),
            "introspection_encryption_enc_values_supported": list(jose.CONTENT_ENCRYPTION),
            **self.authentication,
            **self._revocation(),
            **proofs,
            **self._mutual_tls(),
            "code_challenge_methods_supported": ["S256"],  # RFC 8414 section 2
            "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access"],
            "claims_supported": [
                "iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "nonce", "at_hash", "sid", *claims,
            ],
            "acr_values_supported": list(self.acr_values),
            "claim_types_supported": ["normal"],
            "prompt_values_supported": list(self.prompts),
            "display_values_supported": ["page"],
            "claims_parameter_supported": True,
            "ui_locales_supported": ["en"],
            **self.requests,
            **self.ciba,
            # Back-Channel Logout section 2.1, Front-Channel Logout section 3
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
            "frontchannel_logout_supported": True,
            "frontchannel_logout_session_supported": True,
            "authorization_response_iss_parameter_supported": True,  # RFC 9207 section 3
            # draft-ietf-oauth-client-id-metadata-document section 5
            **({"protected_resources": list(self.resources)} if self.resources else {}),  # RFC 9728 section 4
            **({"client_id_metadata_document_supported": True} if self.documents else {}),
        }

    def _revocation(self) -> dict[str, Any]:
        # draft-parecki-oauth-global-token-revocation-06 section 5; a token type of RFC 6750
        on = GLOBAL_REVOCATION in self.endpoints
        return {f"{GLOBAL_REVOCATION}_auth_methods_supported": ["Bearer"]} if on else {}

    def _mutual_tls(self) -> dict[str, Any]:
        # RFC 8705 sections 3.3 and 5
        bound = {"tls_client_certificate_bound_access_tokens": True} if self.certificates else {}
        return bound | ({"mtls_endpoint_aliases": dict(self.aliases)} if self.aliases else {})
