"""JSON Web Tokens, signed and encrypted, and their keys (RFC 7515 to 7519, 7638, 8037, 9864, 9964).

`segments` reads the parts of a token within bounds, `algorithms` is the table of signatures, `pairs` makes our keys,
`public_keys` reads keys that others chose, `signing` and `verifying` make and judge signed tokens, `encryption`
encrypted ones. What each of them refuses stands in its own text; what a token may be is decided by the caller's lists
alone (RFC 8725 section 3.1).
"""

from typing import Final

from oauthd.protocol.jose.algorithms import ALGORITHMS, HMACS, RSA_BITS, PrivateKey, PublicKey
from oauthd.protocol.jose.encryption import (
    CONTENT_ENCRYPTION,
    KEY_ENCRYPTION,
    decrypt,
    encrypt,
    encrypts_with,
    is_encrypted,
    judge_encrypted,
)
from oauthd.protocol.jose.pairs import DECRYPTION, KeyPair, generate, load, private_jwk, public_jwk
from oauthd.protocol.jose.public_keys import MOST_RSA_BITS, fits, public_key, read_key, thumbprint
from oauthd.protocol.jose.segments import LONGEST, KeyUnknown, TokenRefused, decode, encode, peek
from oauthd.protocol.jose.signing import Signer, at_hash, head, sign_hmac
from oauthd.protocol.jose.verifying import verify, verify_embedded, verify_hmac, verify_with

ASYMMETRIC: Final = tuple(ALGORITHMS)
"""Every algorithm whose signatures a public key verifies."""
HMAC: Final = tuple(HMACS)
"""Those that are made and verified with a secret."""
SIGNING: Final = ASYMMETRIC + HMAC
"""Every signature algorithm that there is here."""

__all__ = [
    "ASYMMETRIC",
    "CONTENT_ENCRYPTION",
    "DECRYPTION",
    "HMAC",
    "KEY_ENCRYPTION",
    "LONGEST",
    "MOST_RSA_BITS",
    "RSA_BITS",
    "SIGNING",
    "KeyPair",
    "KeyUnknown",
    "PrivateKey",
    "PublicKey",
    "Signer",
    "TokenRefused",
    "at_hash",
    "decode",
    "decrypt",
    "encode",
    "encrypt",
    "encrypts_with",
    "fits",
    "generate",
    "head",
    "is_encrypted",
    "judge_encrypted",
    "load",
    "peek",
    "private_jwk",
    "public_jwk",
    "public_key",
    "read_key",
    "sign_hmac",
    "thumbprint",
    "verify",
    "verify_embedded",
    "verify_hmac",
    "verify_with",
]
