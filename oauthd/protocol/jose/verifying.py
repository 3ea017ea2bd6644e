"""Verifying signed tokens (RFC 7515 section 5.2, RFC 7519 section 7.2), ours and others'.

`verify` is for tokens that we signed, `verify_with` for those that a client signed with a registered key,
`verify_hmac` for those that it signed with its secret, `verify_embedded` for a proof that brings its key (RFC 9449).

All of them refuse: more than 16 KiB, or other than three parts; base64url that is not canonical, JSON that is not
strict; every algorithm that the caller has not named, `none` always (RFC 8725 section 3.1); headers that bring or point
to a key (`jwk` but for a proof, `jku`, `x5c`, `x5u`) or change the meaning of the token (`crit`, `b64`, `zip`, `enc`,
`p2c`, `p2s`); a key made for another algorithm or too short; a signature of unusual length; times that are none.
HMAC is known to `verify_hmac` alone, and asymmetric algorithms to the others alone, so no public key is ever a secret.

It does not refuse an ES256 signature (r, n - s) in place of (r, s), which RFC 7518 allows: a token is not to be known
by the hash of its string where only the signature vouches for it. `aud`, `sub` and every other claim are for the
caller, as is whether the token was revoked or seen before.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from oauthd.protocol.jose.algorithms import HMACS, Algorithm, InvalidSignature, rules
from oauthd.protocol.jose.public_keys import fits, public_key
from oauthd.protocol.jose.segments import KeyUnknown, TokenRefused, parts

_FORBIDDEN = frozenset({"jku", "x5c", "x5u", "crit", "b64", "zip", "enc", "p2c", "p2s"})
_MOST_KEYS = 4
"""Keys of one client that are tried for a token which does not say which it is."""
_HMAC_OCTETS: Mapping[str, int] = {"HS256": 32, "HS384": 48, "HS512": 64}

Header = dict[str, Any]
Claims = dict[str, Any]


def verify(
    token: str,
    keys: Iterable[Mapping[str, Any]],
    algorithms: Collection[str],
    *,
    issuer: str,
    typ: str = "JWT",
    now: float | None,
    leeway: float = 5.0,
) -> Claims:
    """The claims of a token that we signed.

    :param keys: public JWKs; the token's `kid` picks one.
    :param algorithms: those that are accepted; never taken from the token.
    :param issuer: the `iss` that it must have.
    :param typ: the type that it must have; for `JWT` the header may be missing (RFC 7519 section 5.1).
    :param now: wall-clock seconds; None accepts a token that has ended (an `id_token_hint`).
    :param leeway: seconds by which clocks may differ.
    :raises TokenRefused: when it is not such a token.
    :raises ValueError: for an accepted algorithm that is none of ours.
    """
    header, claims, signature = _read(token, {name: rules(name) for name in algorithms}, (typ,))
    kid, algorithm = header.get("kid"), header["alg"]
    if not isinstance(kid, str):
        raise TokenRefused("it names no key")
    found = [key for key in keys if key.get("kid") == kid]
    if len(found) != 1:
        raise KeyUnknown("its key is not one of the known ones")
    if not fits(found[0], algorithm):
        raise TokenRefused("its key is for something else")
    _check_signature(token, signature, found, algorithm)
    if claims.get("iss") != issuer:
        raise TokenRefused("it is from another issuer")
    _check_times(claims, now, leeway)
    return claims


def verify_with(
    token: str,
    keys: Iterable[Mapping[str, Any]],
    algorithms: Collection[str],
    *,
    typ: Collection[str] = (),
    now: float | None,
    leeway: float = 5.0,
    kid_optional: bool = True,
    exp_optional: bool = False,
) -> tuple[Header, Claims]:
    """Header and claims of a token that somebody else signed: a client assertion, a request object.

    :param keys: the signer's public JWKs as registered or fetched, never those that a token brings.
    :param algorithms: those that are accepted, asymmetric ones; never taken from the token.
    :param typ: the types that it may have; `JWT` among them also lets the header be missing (RFC 7519 section 5.1).
        With none the type is not looked at.
    :param now: wall-clock seconds; None looks at no time.
    :param leeway: seconds by which clocks may differ.
    :param kid_optional: without a `kid`, or where the keys have none, those that fit the algorithm are tried, a few.
    :param exp_optional: it may be without an end.
    :raises KeyUnknown: when its `kid` is none of the keys'.
    :raises TokenRefused: when it is not such a token.
    :raises ValueError: for an accepted algorithm that is none of ours; HMAC is none here.
    """
    header, claims, signature = _read(token, {name: rules(name) for name in algorithms}, typ)
    found = _keys_of(header.get("kid"), keys, header["alg"], kid_optional)
    _check_signature(token, signature, found, header["alg"])
    _check_times(claims, now, leeway, exp_optional, others=True)
    return header, claims


def verify_hmac(
    token: str,
    secret: bytes,
    algorithms: Collection[str],
    *,
    typ: Collection[str] = (),
    now: float | None,
    leeway: float = 5.0,
    exp_optional: bool = False,
) -> tuple[Header, Claims]:
    """Header and claims of a token that a client signed with its secret (OpenID Connect Core section 9).

    :param secret: the octets of the secret as UTF-8 (Core section 10.1).
    :param algorithms: those that are accepted, HS256 and its like.
    :raises TokenRefused: when it is not such a token, or when the secret is too short for its algorithm.
    :raises ValueError: for an accepted algorithm that is no HMAC.
    """
    if not HMACS.keys() >= set(algorithms):
        raise ValueError("not one of our HMAC algorithms")
    header, claims, signature = _read(token, dict.fromkeys(algorithms), typ)
    algorithm = header["alg"]
    if len(secret) < _HMAC_OCTETS[algorithm]:  # RFC 7518 section 3.2
        raise TokenRefused("the secret is too short for its algorithm")
    data = token.rpartition(".")[0].encode("ascii")
    if not hmac.compare_digest(hmac.digest(secret, data, HMACS[algorithm]), signature):
        raise TokenRefused("its signature does not verify")
    _check_times(claims, now, leeway, exp_optional, others=True)
    return header, claims


def verify_embedded(token: str, algorithms: Collection[str], typ: str) -> tuple[dict[str, Any], Header, Claims]:
    """The key that a proof brings in its header, the header and the claims (RFC 9449 section 4.3).

    It proves that the sender holds that key, and nothing about who that is. Of the times it is only looked whether they
    are times.

    :param typ: the type that it must have.
    :raises TokenRefused: when it is not such a proof, or when its key is private or unfit.
    :raises ValueError: for an accepted algorithm that is none of ours; HMAC is none here.
    """
    header, claims, signature = _read(token, {name: rules(name) for name in algorithms}, (typ,), embedded=True)
    key = header.get("jwk")
    if not isinstance(key, dict):
        raise TokenRefused("it brings no key")
    if not fits(key, header["alg"]):
        raise TokenRefused("its key is for something else")
    _check_signature(token, signature, [key], header["alg"])
    _check_times(claims, None, 0)
    return key, header, claims


def _read(
    token: str, accepted: Mapping[str, Algorithm | None], typ: Collection[str], *, embedded: bool = False
) -> tuple[Header, Claims, bytes]:
    """The parts of a token whose header is acceptable."""
    header, claims, signature = parts(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in accepted:
        raise TokenRefused("its algorithm is not accepted")
    if not _FORBIDDEN.isdisjoint(header) or ("jwk" in header and not embedded):
        raise TokenRefused("its header has a parameter that is not accepted")
    if typ:
        _check_type(header.get("typ"), typ)
    return header, claims, signature


def _check_type(given: object, accepted: Collection[str]) -> None:
    if given is None and "JWT" in accepted:
        return
    # RFC 7515 section 4.1.9: media types ignore case, and application/ may be left out.
    if isinstance(given, str) and given.lower().removeprefix("application/") in [name.lower() for name in accepted]:
        return
    raise TokenRefused("it is of another type")


def _keys_of(
    kid: object, keys: Iterable[Mapping[str, Any]], algorithm: str, kid_optional: bool
) -> list[Mapping[str, Any]]:
    """The few keys that may have signed it."""
    if kid is None and not kid_optional:
        raise TokenRefused("it names no key")
    if kid is not None and not isinstance(kid, str):
        raise TokenRefused("its kid is no string")
    known = list(keys)
    if kid is not None:
        named = [key for key in known if key.get("kid") == kid]
        # RFC 7515 section 4.1.4: a hint. Keys that have no name may be meant by any.
        known = named or [key for key in known if kid_optional and "kid" not in key]
        if not known:
            raise KeyUnknown("its key is not one of the known ones")
    found = [key for key in known if fits(key, algorithm)]
    if not found:
        raise TokenRefused("its key is for something else")
    if len(found) > _MOST_KEYS:
        raise TokenRefused("it does not say which of many keys it is signed with")
    return found


def _check_signature(token: str, signature: bytes, keys: Iterable[Mapping[str, Any]], algorithm: str) -> None:
    """One of the keys verifies it. What is wrong with a single key is said; of several only that none does."""
    rule = rules(algorithm)
    data = token.rpartition(".")[0].encode("ascii")
    refused = None
    for jwk in keys:
        try:
            key = public_key(jwk)
            if len(signature) != (rule.octets or (getattr(key, "key_size", 0) + 7) // 8):
                raise TokenRefused("its signature has another length")
            rule.verify(key, signature, data)
            return
        except (InvalidSignature, ValueError):  # ValueError: whatever the library makes of a strange signature
            refused = refused or TokenRefused("its signature does not verify")
        except TokenRefused as error:
            refused = refused or error
    raise refused or TokenRefused("no key fits") from None


def _check_times(
    claims: Claims, now: float | None, leeway: float, exp_optional: bool = False, *, others: bool = False
) -> None:
    for name in ("exp", "nbf", "iat"):
        time = claims.get(name, 0)
        if type(time) not in (int, float) or not abs(time) < 2**53:  # a bool is no time, and 1e999 no end
            raise TokenRefused(f"its {name} is not a time")
    if now is None:
        return
    if "exp" not in claims and not exp_optional:
        raise TokenRefused("it has no end")
    if claims.get("exp", now) + leeway <= now and "exp" in claims:
        raise TokenRefused("it has ended")
    if claims.get("nbf", now) - leeway > now:
        raise TokenRefused("it is not valid yet")
    if others and claims.get("iat", now) - leeway > now:
        raise TokenRefused("it was issued in the future")
