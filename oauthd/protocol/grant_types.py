"""The grant types by name, and what of a registration depends on them (RFC 6749 section 4, RFC 8628 section 3.4,
CIBA Core section 4).

How each is redeemed is in `oauthd.grants`, a file each. A new one that stands in none of these sets is for
all clients, public ones included; what those that register themselves may use is a setting.
"""

from __future__ import annotations

from typing import Final

DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
CIBA: Final = "urn:openid:params:grant-type:ciba"  # CIBA Core section 4
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - RFC 8693 section 2.1
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 section 2.1
DEFAULT_GRANT_TYPES: Final = ("authorization_code", "refresh_token")
"""What an administrator's client may use when nothing is said."""
CONFIDENTIAL_ONLY: Final = frozenset({"client_credentials", TOKEN_EXCHANGE, JWT_BEARER, CIBA})
"""RFC 6749 section 4.4, CIBA Core section 7.1"""
WITHOUT_CONSENT: Final = frozenset({"client_credentials", "password", TOKEN_EXCHANGE, JWT_BEARER})
"""Those by which a client gets tokens that no person was asked for."""
PAST_REDIRECTS: Final = frozenset({"password", DEVICE_CODE, TOKEN_EXCHANGE, JWT_BEARER, CIBA})
"""Those by which a client learns of people at no redirect URI."""
