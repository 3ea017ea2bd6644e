"""A client with Authlib: private_key_jwt and client_secret_jwt, PAR, PKCE, refresh, introspection, revocation.

Arguments: the issuer, the redirect URI, and the authentication method.
"""

from __future__ import annotations

import json
import secrets
import sys
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from joserfc.jwt import JWTClaimsRegistry


def ask(question: dict[str, Any]) -> dict[str, Any]:
    """Say a line, and read one."""
    print(json.dumps(question), flush=True)
    answer: dict[str, Any] = json.loads(sys.stdin.readline())
    return answer


def main(issuer: str, redirect_uri: str, method: str) -> None:
    """Go through everything."""
    key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
    told = ask({"keys": {"keys": [key.as_dict(private=False)]}})
    session: Any = OAuth2Session(
        told["client_id"],
        key if method == "private_key_jwt" else told["client_secret"],
        scope="openid offline_access email",
        redirect_uri=redirect_uri,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        code_challenge_method="S256",
    )
    metadata = session.get(f"{issuer}/.well-known/openid-configuration", withhold_token=True).json()
    # The issuer as audience is what RFC 7523's successor asks for; Authlib's default is the token endpoint.
    proof = PrivateKeyJWT(issuer, alg="ES256") if method == "private_key_jwt" else ClientSecretJWT(issuer)
    session.register_client_auth_method(proof)

    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, prompt="consent"
    )
    pushed = session.post(
        metadata["pushed_authorization_request_endpoint"],
        data=dict(parse_qsl(urlsplit(url).query)),
        auth=session.client_auth(method),
        withhold_token=True,
    )
    pushed.raise_for_status()
    asked = {"client_id": told["client_id"], "request_uri": pushed.json()["request_uri"]}
    arrived = ask({"visit": f"{metadata['authorization_endpoint']}?{urlencode(asked)}"})["arrived"]

    tokens = session.fetch_token(
        metadata["token_endpoint"], authorization_response=arrived, state=state, code_verifier=verifier
    )
    published = session.get(metadata["jwks_uri"], withhold_token=True).json()
    claims = jwt.decode(tokens["id_token"], KeySet.import_key_set(published), algorithms=["RS256"]).claims
    client_id = told["client_id"]
    rules = JWTClaimsRegistry(iss={"essential": True, "value": issuer}, aud={"essential": True, "value": client_id})
    rules.validate(claims)
    userinfo = session.get(metadata["userinfo_endpoint"]).json()
    refreshed = session.refresh_token(metadata["token_endpoint"], refresh_token=tokens["refresh_token"])
    seen = session.introspect_token(metadata["introspection_endpoint"], token=refreshed["access_token"]).json()
    revoked = session.revoke_token(metadata["revocation_endpoint"], token=refreshed["refresh_token"])
    gone = session.introspect_token(metadata["introspection_endpoint"], token=refreshed["access_token"]).json()
    ask(
        {
            "done": {
                "sub": claims["sub"],
                "nonce": claims["nonce"] == nonce,
                "email": userinfo.get("email"),
                "seen": seen,
                "revoked": revoked.status_code,
                "gone": gone,
            }
        }
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
