"""Proof Key for Code Exchange (RFC 7636), method S256 only.

Refuses `plain`, and so a challenge without a method, which would mean `plain` (section 4.3); a challenge that no
SHA-256 has; a verifier for a code that had no challenge, and the reverse (RFC 9700 section 4.8.2: a challenge
stripped from the request must not switch the check off). Whether a client must use it is for its policy to say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

from oauthd.protocol.errors import INVALID_GRANT, INVALID_REQUEST

METHODS: Final = ("S256",)
"""`code_challenge_methods_supported` (RFC 8414 section 2)."""

# 43 characters hold 258 bits: the last one has two bits to spare, which are zero in the one canonical spelling.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1


def accept(challenge: str | None, method: str | None) -> str:
    """The challenge of an authorization request, as a `Code` keeps it; "" where the request has none.

    :raises OAuthError: `invalid_request` for another method, a method without a challenge, or a malformed challenge.
    """
    if challenge is None:
        if method is not None:
            raise INVALID_REQUEST("code_challenge_method was sent without code_challenge")
        return ""
    if method not in METHODS:  # RFC 7636 section 4.4.1; an absent one means plain
        raise INVALID_REQUEST("code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(challenge):
        raise INVALID_REQUEST("code_challenge is not the base64url form of a SHA-256 digest")
    return challenge


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 section 4.2); the verifier is ASCII."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def verify(challenge: str, verifier: str | None) -> None:
    """Hold the verifier of a token request against the code's challenge ("" for none); comparison in constant time.

    :raises OAuthError: `invalid_grant` when they do not belong together (RFC 7636 section 4.6).
    """
    if not challenge:
        if verifier is not None:  # RFC 9700 section 4.8.2
            raise INVALID_GRANT("code_verifier was sent, but the authorization request had no code_challenge")
        return
    if verifier is None:
        raise INVALID_GRANT("code_verifier is missing")
    if not _VERIFIER.fullmatch(verifier):
        raise INVALID_GRANT("code_verifier must be 43 to 128 letters, digits, or any of -._~")
    if not hmac.compare_digest(challenge_of(verifier), challenge):
        raise INVALID_GRANT("code_verifier does not match code_challenge")
