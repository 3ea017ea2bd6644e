"""Signed JSON Web Tokens and the keys that sign them (RFC 7515, 7517, 7518, 7519, 7638, 8037).

Signing is ours: the header is prepared once for each key and type, claims become compact JSON, and `cryptography`
signs. ES256 and EdDSA take some twenty microseconds and may run anywhere; RS256 and PS256 are `slow` and belong in a
thread. Verifying leans on jwcrypto, behind checks of our own that come before anything is parsed.

`verify` takes the compact form with exactly three parts and refuses: more than 16 KiB; base64url in any but its one
canonical spelling (RFC 4648 section 3.5: other slack bits make another string with the same signature); JSON that
names a member twice, holds NaN or nests too deep; every algorithm that the caller has not named, `none` and the HS
family always (RFC 8725 section 3.1); headers that bring or point to a key (`jwk`, `jku`, `x5c`, `x5u`) or change the
meaning of the token (`crit`, `b64`, `zip`); a token without `kid`, or whose `kid` is not exactly one of the given keys;
a key made for another algorithm; a signature of unusual length; another `typ`, `iss`, or time than was asked for.

It does not refuse an ES256 signature (r, n - s) in place of (r, s), which RFC 7518 allows: a token is not to be known
by the hash of its string where only the signature vouches for it. `aud`, `sub` and every other claim are for the
caller, as is whether the token was revoked. Random numbers for keys and signatures are OpenSSL's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from oauthd.protocol.json_text import text

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

LONGEST: Final = 16384
_RSA_BITS = 2048
_FORBIDDEN = frozenset({"jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc"})
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_LEAST_RSA_OCTETS = _RSA_BITS // 8


class TokenRefused(Exception):
    """A token that is not what it should be; the text says why and quotes nothing of it."""


@frozen
class _Algorithm:
    """What a JWS algorithm needs.

    :ivar family: members that its public keys have, with their values.
    :ivar octets: length of a signature; None for that of the modulus.
    :ivar digest: the hash within the signature, for `at_hash`.
    """

    family: Mapping[str, str]
    octets: int | None
    digest: str
    slow: bool
    generate: Callable[[], PrivateKey]
    sign: Callable[[Any, bytes], bytes]


_SHA256 = hashes.SHA256()
_ECDSA = ec.ECDSA(_SHA256)
_PKCS1 = padding.PKCS1v15()
_PSS = padding.PSS(padding.MGF1(_SHA256), 32)  # RFC 7518 section 3.5: salt as long as the digest


def _sign_es256(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(data, _ECDSA))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")  # RFC 7518 section 3.4


def _sign_eddsa(key: ed25519.Ed25519PrivateKey, data: bytes) -> bytes:
    return key.sign(data)  # RFC 8037 section 3.1


def _sign_rs256(key: rsa.RSAPrivateKey, data: bytes) -> bytes:
    return key.sign(data, _PKCS1, _SHA256)


def _sign_ps256(key: rsa.RSAPrivateKey, data: bytes) -> bytes:
    return key.sign(data, _PSS, _SHA256)


def _new_rsa() -> PrivateKey:
    return rsa.generate_private_key(65537, _RSA_BITS)


def _new_p256() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


_ALGORITHMS: Mapping[str, _Algorithm] = {
    "RS256": _Algorithm({"kty": "RSA"}, None, "sha256", True, _new_rsa, _sign_rs256),
    "ES256": _Algorithm({"kty": "EC", "crv": "P-256"}, 64, "sha256", False, _new_p256, _sign_es256),
    # Ed25519 hashes with SHA-512, and so does its at_hash.
    "EdDSA": _Algorithm(
        {"kty": "OKP", "crv": "Ed25519"}, 64, "sha512", False, ed25519.Ed25519PrivateKey.generate, _sign_eddsa
    ),
    "PS256": _Algorithm({"kty": "RSA"}, None, "sha256", True, _new_rsa, _sign_ps256),
}
ALGORITHMS: Final = tuple(_ALGORITHMS)
"""Every algorithm that we sign with and verify."""

_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@frozen
class KeyPair:
    """A signing key.

    :ivar public: its public JWK with `kid` (RFC 7638 thumbprint), `alg` and `use`.
    :ivar private: PKCS #8 in DER.
    """

    kid: str
    algorithm: str
    public: dict[str, Any]
    private: bytes = field(repr=False)


def generate(algorithm: str) -> KeyPair:
    """A fresh key for one algorithm; RSA takes long enough to belong in a thread.

    :raises ValueError: for an algorithm that is none of ours.
    """
    key = _rules(algorithm).generate()
    public = public_jwk(key.public_key(), algorithm)
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(public["kid"], algorithm, public, private)


def load(private: bytes) -> PrivateKey:
    """A private key as `generate` gave it; RSA ones are checked, which takes tens of milliseconds.

    :raises ValueError: when it is none.
    """
    key = serialization.load_der_private_key(private, None)
    if not isinstance(key, PrivateKey):
        raise ValueError("not a key that we sign with")
    return key


def public_jwk(key: PublicKey, algorithm: str) -> dict[str, Any]:
    """A public key as JWK, called by its thumbprint.

    :raises ValueError: when the key is not one for that algorithm.
    """
    exported: dict[str, Any] = JWK.from_pyca(key).export_public(as_dict=True)
    exported.pop("kid", None)
    if any(exported.get(member) != value for member, value in _rules(algorithm).family.items()):
        raise ValueError("the key is not one for this algorithm")
    return {**exported, "kid": JWK(**exported).thumbprint(), "use": "sig", "alg": algorithm}


class Signer:
    """Signs with one key, under headers prepared once.

    :ivar slow: `signature` is to be called in a thread, and nothing else there: what a thread does in Python holds up
        all the others.
    """

    __slots__ = ("_encoded", "_key", "_sign", "algorithm", "kid", "slow", "typ")

    def __init__(self, key: PrivateKey, algorithm: str, kid: str, typ: str = "JWT") -> None:
        rules = _rules(algorithm)
        self.algorithm = algorithm
        self.kid = kid
        self.typ = typ
        self.slow = rules.slow
        self._key = key
        self._sign = rules.sign
        self._encoded = _encode(_compact({"alg": algorithm, "typ": typ, "kid": kid}).encode()) + b"."

    def __repr__(self) -> str:
        return f"<Signer {self.algorithm} {self.kid} {self.typ}>"

    def typed(self, typ: str) -> Signer:
        """The same key under another `typ` (RFC 8725 section 3.11)."""
        return Signer(self._key, self.algorithm, self.kid, typ)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The token.

        :raises ValueError, TypeError: for claims that JSON cannot hold.
        """
        data = self.unsigned(claims)
        return self.signed(data, self._sign(self._key, data))

    def unsigned(self, claims: Mapping[str, Any]) -> bytes:
        """What is to be signed (RFC 7515 section 5.1, the signing input).

        :raises ValueError, TypeError: for claims that JSON cannot hold.
        """
        return self._encoded + _encode(text(claims).encode())

    def signature(self, data: bytes) -> bytes:
        """The signature over what is `unsigned`."""
        return self._sign(self._key, data)

    def signed(self, data: bytes, signature: bytes) -> str:
        """The token that the two make."""
        return (data + b"." + _encode(signature)).decode("ascii")


def verify(
    token: str,
    keys: Iterable[Mapping[str, Any]],
    algorithms: Collection[str],
    *,
    issuer: str,
    typ: str = "JWT",
    now: float | None,
    leeway: float = 5.0,
) -> dict[str, Any]:
    """The claims of a signed token.

    :param keys: public JWKs; the token's `kid` picks one.
    :param algorithms: those that are accepted; never taken from the token.
    :param issuer: the `iss` that it must have.
    :param typ: the type that it must have; for `JWT` the header may be missing (RFC 7519 section 5.1).
    :param now: wall-clock seconds; None accepts a token that has ended (an `id_token_hint`).
    :param leeway: seconds by which clocks may differ.
    :raises TokenRefused: when it is not such a token.
    :raises ValueError: for an accepted algorithm that is none of ours.
    """
    accepted = {name: _rules(name) for name in algorithms}
    if len(token) > LONGEST or token.count(".") != 2:
        raise TokenRefused("not a compact JWS of reasonable size")
    head, body, signature = (decode(part) for part in token.split("."))
    header, claims = _members(head), _members(body)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in accepted:
        raise TokenRefused("its algorithm is not accepted")
    if not _FORBIDDEN.isdisjoint(header):
        raise TokenRefused("its header has a parameter that is not accepted")
    _check_type(header.get("typ"), typ)
    key = _key_of(header.get("kid"), keys, algorithm)
    if len(signature) != (accepted[algorithm].octets or len(decode(str(key.get("n"))))):
        raise TokenRefused("its signature has another length")
    _check_signature(token, key, algorithm)
    if claims.get("iss") != issuer:
        raise TokenRefused("it is from another issuer")
    _check_times(claims, now, leeway)
    return claims


def at_hash(value: str, algorithm: str) -> str:
    """`at_hash` of an access token, `c_hash` of a code (OpenID Connect Core sections 3.1.3.6 and 3.3.2.11)."""
    digest = hashlib.new(_rules(algorithm).digest, value.encode("ascii")).digest()
    return encode(digest[: len(digest) // 2])


def encode(octets: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return _encode(octets).decode("ascii")


def decode(text: str) -> bytes:
    """What a canonical base64url string stands for.

    :raises TokenRefused: when it is empty, padded, of other characters, or not the canonical spelling.
    """
    if _BASE64URL.fullmatch(text) and len(text) % 4 != 1:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode(octets) == text:
            return octets
    raise TokenRefused("a part is not canonical base64url")


def _encode(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def _rules(algorithm: str) -> _Algorithm:
    rules = _ALGORITHMS.get(algorithm)
    if rules is None:
        raise ValueError("not one of our signature algorithms")
    return rules


def _members(octets: bytes) -> dict[str, Any]:
    """A JSON object, read strictly."""
    try:
        value = json.loads(octets.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # deep nesting; numbers of thousands of digits
        raise TokenRefused("a part is not strict JSON") from None
    if not isinstance(value, dict):
        raise TokenRefused("a part is not a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):  # RFC 7515 section 4: two readers could see two tokens
        raise ValueError
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _check_type(given: object, typ: str) -> None:
    if given is None and typ == "JWT":
        return
    # RFC 7515 section 4.1.9: media types ignore case, and application/ may be left out.
    if not isinstance(given, str) or given.lower().removeprefix("application/") != typ.lower():
        raise TokenRefused("it is of another type")


def _key_of(kid: object, keys: Iterable[Mapping[str, Any]], algorithm: str) -> Mapping[str, Any]:
    if not isinstance(kid, str):
        raise TokenRefused("it names no key")
    found = [key for key in keys if key.get("kid") == kid]
    if len(found) != 1:
        raise TokenRefused("its key is not one of the known ones")
    key = found[0]
    fits = key.get("alg", algorithm) == algorithm and key.get("use", "sig") == "sig"
    if not fits or any(key.get(member) != value for member, value in _rules(algorithm).family.items()):
        raise TokenRefused("its key is for something else")
    if key["kty"] == "RSA" and len(decode(str(key.get("n")))) < _LEAST_RSA_OCTETS:  # RFC 7518 section 3.3
        raise TokenRefused("its key is too short")
    return key


def _check_signature(token: str, key: Mapping[str, Any], algorithm: str) -> None:
    signed = JWS()
    signed.allowed_algs = [algorithm]
    try:
        signed.deserialize(token, JWK(**key), algorithm)
    except (JWException, ValueError, TypeError):  # whatever the library makes of a strange key or signature
        raise TokenRefused("its signature does not verify") from None


def _check_times(claims: Mapping[str, Any], now: float | None, leeway: float) -> None:
    for name in ("exp", "nbf", "iat"):
        time = claims.get(name, 0)
        if type(time) not in (int, float) or not abs(time) < 2**53:  # a bool is no time, and 1e999 no end
            raise TokenRefused(f"its {name} is not a time")
    if now is None:
        return
    if "exp" not in claims:
        raise TokenRefused("it has no end")
    if claims["exp"] + leeway <= now:
        raise TokenRefused("it has ended")
    if claims.get("nbf", now) - leeway > now:
        raise TokenRefused("it is not valid yet")
