"""Encrypted tokens (RFC 7516) in the compact form: what we encrypt to a client's key, what clients encrypt to ours.

The algorithms (RFC 7518 sections 4 and 5) are few: RSA-OAEP-256 and ECDH-ES, alone or wrapping; AES-GCM of 128 and 256
bits and A128CBC-HS256. RSA1_5 and RSA-OAEP with SHA-1, passwords (`PBES2`), shared secrets (`dir`, AES key wrap) and
compression are not among them: whoever asks for them is refused before anything is computed (RFC 8725 section 3.2,
3.6). The work itself is jwcrypto's.

`decrypt` refuses: more than 32 KiB, or other than five parts; a header that is not strict JSON, names other algorithms
than the caller, a key of its own but the ephemeral one, `crit` or `zip`; parts of unusual lengths; an ephemeral key
that is not on our key's curve, or has other members than a key. All that fails later fails with one text, so that it
tells nothing. Being encrypted says nothing about who made it: what is inside is to be verified as a signed token is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from jwcrypto.common import JWException
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from oauthd.protocol.jose.public_keys import read_key
from oauthd.protocol.jose.segments import TokenRefused, decode, members
from oauthd.protocol.json_text import text

LONGEST_ENCRYPTED: Final = 32768
"""Characters of an encrypted token: one that is signed and as long as it may be, and encrypted then."""
KEY_ENCRYPTION: Final = ("RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
"""How the content's key is encrypted, or agreed upon (RFC 7518 section 4)."""
CONTENT_ENCRYPTION: Final = ("A128CBC-HS256", "A128GCM", "A256GCM")
"""How the content is encrypted (RFC 7518 section 5)."""

_FORBIDDEN = frozenset({"jwk", "jku", "x5c", "x5u", "crit", "zip", "p2c", "p2s", "b64", "iv", "tag"})
_CURVES = ("P-256", "P-384", "P-521", "X25519")
_MEMBERS = ("kty", "n", "e", "crv", "x", "y")
"""What jwcrypto is told of a key that others chose: other members (`generate`, `size`) it takes for an order to make a
key, as large as they like."""
_EPHEMERAL = frozenset({"kty", "crv", "x", "y", "kid", "use", "alg"})
"""What an ephemeral key may have (RFC 7518 section 4.6.1.1): its public part, and what some libraries write beside."""
_KEY_LENGTHS = {"A128CBC-HS256": 32, "A128GCM": 16, "A256GCM": 32}
_IV_LENGTHS = {"A128CBC-HS256": 16, "A128GCM": 12, "A256GCM": 12}
_MOST_KEYS = 4


def encrypt(payload: bytes, key: Mapping[str, Any], alg: str, enc: str, *, cty: str = "", iss: str = "") -> str:
    """A compact JWE for whoever holds the private part of that key.

    :param key: a public JWK that somebody else gave us; it is judged as `encrypts_with` does.
    :param cty: type of the content, `JWT` for a signed token inside (RFC 7519 section 5.2).
    :param iss: who made it, for all to read (RFC 7519 section 5.3).
    :raises ValueError: for algorithms that are none of ours.
    :raises TokenRefused: when the key is not one for the algorithm.
    """
    if alg not in KEY_ENCRYPTION or enc not in CONTENT_ENCRYPTION:
        raise ValueError("not one of our encryption algorithms")
    if not encrypts_with(key, alg):
        raise TokenRefused("the key is not one to encrypt with")
    header = {"alg": alg, "enc": enc}
    if cty:
        header["cty"] = cty
    if iss:
        header["iss"] = iss
    if isinstance(key.get("kid"), str):
        header["kid"] = key["kid"]
    try:
        sealed = JWE(payload, text(header), algs=[alg, enc])
        sealed.add_recipient(JWK(**{name: key[name] for name in _MEMBERS if name in key}))
        return sealed.serialize(compact=True)
    except (JWException, ValueError, TypeError):  # whatever the library makes of a strange key
        raise TokenRefused("the key is not one to encrypt with") from None


def encrypts_with(jwk: Mapping[str, Any], alg: str) -> bool:
    """Is it a public key for this algorithm? It is read as strictly as one that verifies: others chose it."""
    if jwk.get("use", "enc") != "enc" or jwk.get("alg", alg) != alg:
        return False
    if alg.startswith("RSA") != (jwk.get("kty") == "RSA") or not (alg.startswith("RSA") or jwk.get("crv") in _CURVES):
        return False
    try:
        read_key(jwk)
    except TokenRefused:
        return False
    return True


def is_encrypted(token: str) -> bool:
    """Does it have the five parts of an encrypted token?"""
    return token.count(".") == 4


def decrypt(token: str, keys: Iterable[Mapping[str, Any]], algs: Collection[str], encs: Collection[str]) -> bytes:
    """What was encrypted to one of our keys; with RSA, a matter of milliseconds that belongs in a thread.

    :param keys: private JWKs, `JWK` of jwcrypto where they are to be read once only; the token's `kid` picks one, and
        without it those that fit are tried, a few.
    :param algs: the key encryptions that are accepted, `encs` the content encryptions.
    :raises TokenRefused: when it is no such token.
    """
    header, fitting = judge_encrypted(token, keys, algs, encs)
    for key in fitting:
        opened = JWE(algs=[header["alg"], header["enc"]])
        try:
            opened.deserialize(token, key if isinstance(key, JWK) else JWK(**key))
        except (JWException, ValueError, TypeError):
            continue
        if opened.payload:
            return bytes(opened.payload)
    raise TokenRefused("it does not decrypt")


def judge_encrypted(
    token: str, keys: Iterable[Mapping[str, Any]], algs: Collection[str], encs: Collection[str]
) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """All that `decrypt` refuses without computing: the header, and the few keys that it can have been encrypted to.

    :raises TokenRefused: for what is not worth a thread.
    """
    header, octets = _judged(token, algs, encs)
    kid = header.get("kid")
    fitting = [key for key in keys if _holds(key, header, octets) and kid in (None, key.get("kid"))]
    if not 0 < len(fitting) <= _MOST_KEYS:
        raise TokenRefused("it is not encrypted to one of our keys")
    return header, fitting


def _judged(token: str, algs: Collection[str], encs: Collection[str]) -> tuple[dict[str, Any], int]:
    """The header of an acceptable token, and the length of its encrypted key."""
    if len(token) > LONGEST_ENCRYPTED or not is_encrypted(token):
        raise TokenRefused("not a compact JWE of reasonable size")
    pieces = token.split(".")
    header = members(decode(pieces[0]))
    alg, enc = header.get("alg"), header.get("enc")
    if alg not in KEY_ENCRYPTION or alg not in algs or enc not in CONTENT_ENCRYPTION or enc not in encs:
        raise TokenRefused("its algorithm is not accepted")
    if not _FORBIDDEN.isdisjoint(header) or ("epk" in header) != alg.startswith("ECDH"):
        raise TokenRefused("its header has a parameter that is not accepted")
    lengths = [len(decode(piece)) if piece else 0 for piece in pieces]
    if lengths[2] != _IV_LENGTHS[enc] or lengths[4] != 16:
        raise TokenRefused("its parts have other lengths")
    wrapped = {"ECDH-ES": 0, "ECDH-ES+A128KW": 8, "ECDH-ES+A256KW": 8}.get(alg)
    # RFC 7518 section 4.6: nothing is there when the key was agreed upon; wrapped, it is eight octets longer.
    if wrapped is not None and lengths[1] != (wrapped and _KEY_LENGTHS[enc] + wrapped):
        raise TokenRefused("its parts have other lengths")
    return header, lengths[1]


def _holds(key: Mapping[str, Any], header: Mapping[str, Any], octets: int) -> bool:
    """Is it a key that this token can have been encrypted to?"""
    if header["alg"].startswith("RSA"):
        return key.get("kty") == "RSA" and len(decode(str(key.get("n")))) == octets
    ephemeral = header["epk"]
    return (
        isinstance(ephemeral, dict)
        and ephemeral.keys() <= _EPHEMERAL
        and all(ephemeral.get(name) == key.get(name) for name in ("kty", "crv"))
        and key.get("crv") in _CURVES
    )
