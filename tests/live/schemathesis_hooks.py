"""Authentication for schemathesis, loaded by it through SCHEMATHESIS_HOOKS: a good token for every case.

The cases rotate the secret, end the tokens and change the users that they meet, ours among them; so a token is looked
at before it is used and got anew when it is dead, and a new secret is remembered. From the environment:
ADMIN_API (the server's address), ADMIN_CREDENTIALS (the file that the server wrote at its first start).
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any

import requests
import schemathesis

SERVER = os.environ["ADMIN_API"]
CREDENTIALS: dict[str, str] = json.loads(Path(os.environ["ADMIN_CREDENTIALS"]).read_text())
PASSWORD = secrets.token_urlsafe(24)
held = {"admin": "", "user": ""}
http = requests.Session()


def token(**parameters: str) -> str:
    """A token of the token endpoint, by the administrator's client."""
    client = (CREDENTIALS["client_id"], CREDENTIALS["client_secret"])
    answer = http.post(f"{SERVER}/oauth2/token", auth=client, data=parameters, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def is_live(value: str, path: str) -> bool:
    """Does the API take it?"""
    return bool(value) and http.get(SERVER + path, headers=bearer(value), timeout=30).status_code == 200


def bearer(value: str) -> dict[str, str]:
    """The header."""
    return {"Authorization": f"Bearer {value}"}


def administrator() -> str:
    """A live token with the scope admin."""
    if not is_live(held["admin"], "/api/v1/oauth/scopes"):
        held["admin"] = token(grant_type="client_credentials", scope="admin")
    return held["admin"]


def person() -> str:
    """A live token of some user; a new user when the one before has lost it."""
    if not is_live(held["user"], "/api/v1/users/profile"):
        username = f"person-{secrets.token_hex(8)}"
        body = {"username": username, "password": PASSWORD}
        made = http.post(f"{SERVER}/api/v1/users", json=body, headers=bearer(administrator()), timeout=30)
        made.raise_for_status()
        held["user"] = token(grant_type="password", username=username, password=PASSWORD, scope="account")
    return held["user"]


@schemathesis.auth(refresh_interval=None)
class Token:
    """The token that the operation wants."""

    def get(self, case: Any, context: Any) -> str:
        """Get it."""
        return person() if case.operation.path.startswith("/api/v1/users/profile") else administrator()

    def set(self, case: Any, data: str, context: Any) -> None:
        """Send it."""
        case.headers = {**(case.headers or {}), **bearer(data)}


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Remember our own new secret."""
    if response.status_code == 200 and case.operation.path.endswith("/secret"):
        told = response.json()
        if told["client_id"] == CREDENTIALS["client_id"]:
            CREDENTIALS["client_secret"] = told["client_secret"]
