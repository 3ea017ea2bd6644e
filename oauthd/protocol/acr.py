"""Authentication context classes (OpenID Connect Core section 2, `acr`) and the methods they stand for (`amr`).

A class is what a session has shown. There is one as long as people sign in by password alone. With `openid`, the
`acr_values` of a request are wishes, as a client's `default_acr_values` are (Core section 3.1.2.1): they ask for
nothing that is not done anyway. What other requests name is needed (RFC 9470 section 5): see
`oauthd.protocol.authorization`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

PASSWORD: Final = "urn:oauthd:pwd"  # noqa: S105 - a name
"""A sign-in by password."""

AMR: Final[Mapping[str, tuple[str, ...]]] = {PASSWORD: ("pwd",)}
"""Each class, and the authentication methods that make it (RFC 8176 section 2)."""


ELSEWHERE: Final = "urn:oauthd:elsewhere"
"""A sign-in that the operator's own application has seen to, and has said no more of."""


def reached(amr: Collection[str]) -> str:
    """The class of a sign-in by these methods; "" for none."""
    return next((acr for acr, methods in AMR.items() if set(methods) <= set(amr)), "")
