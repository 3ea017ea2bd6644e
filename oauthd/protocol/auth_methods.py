"""The client authentication methods by name, and what each of them needs of a registration.

RFC 7591 section 2, OpenID Connect Core section 9, RFC 8705 section 2; which of them FAPI 2.0 allows: Security Profile
section 5.3.2.1 item 6. Nothing is refused here. How each is carried out is in `oauthd.proofs`, a file each; what does
not go together is told in `client_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attrs import frozen

Name = Literal[
    "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth",
    "self_signed_tls_client_auth", "none",
]  # fmt: skip


@frozen
class AuthMethod:
    """One row.

    :ivar name: in metadata, registrations and settings.
    :ivar secret: it proves a secret; `itself`: this server must know that as it is, where else a digest would do.
    :ivar keys: it proves a registered key (`jwks`, `jwks_uri`).
    :ivar subject: it proves a registered name (RFC 8705 section 2.1.2).
    :ivar signs: what an assertion is signed with: a MAC with the secret or a key; "" where there is none.
    :ivar strict: clients that are held to FAPI 2.0 may use it.
    """

    name: Name | Literal[""]
    secret: bool = False
    itself: bool = False
    keys: bool = False
    subject: bool = False
    signs: Literal["", "mac", "key"] = ""
    strict: bool = False


METHODS: Final[Mapping[str, AuthMethod]] = {
    row.name: row
    for row in (
        AuthMethod("client_secret_basic", secret=True),
        AuthMethod("client_secret_post", secret=True),
        AuthMethod("client_secret_jwt", secret=True, itself=True, signs="mac"),
        AuthMethod("private_key_jwt", keys=True, signs="key", strict=True),
        AuthMethod("tls_client_auth", subject=True, strict=True),
        AuthMethod("self_signed_tls_client_auth", keys=True, strict=True),
        AuthMethod("none"),
    )
}
BY_SECRET: Final = AuthMethod("", secret=True)
"""What a client that has registered none may use: its secret, in the header or in the form."""


def of(name: str) -> AuthMethod:
    """The row of a method, by what a client has registered: "" for none."""
    return METHODS.get(name, BY_SECRET)
