"""Signed tokens: what we sign, others verify; what we did not sign, we refuse."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt as joserfc_jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import jose
from oauthd.protocol.jose.algorithms import rules

ALGORITHMS = ("RS256", "ES256", "EdDSA", "PS256")
NOW = 1_800_000_000.0
ISSUER = "https://as.example"
CLAIMS: Mapping[str, Any] = {"iss": ISSUER, "sub": "ada", "exp": int(NOW) + 60, "iat": int(NOW), "nested": {"é": [1]}}

PAIRS = {algorithm: jose.generate(algorithm) for algorithm in ALGORITHMS}
STRANGER = jose.generate("ES256")
KEYS = [pair.public for pair in PAIRS.values()]


def signer(pair: jose.KeyPair, typ: str = "JWT") -> jose.Signer:
    """The signer of a key pair."""
    return jose.Signer(jose.load(pair.private), pair.algorithm, pair.kid, typ)


SIGNERS = {algorithm: signer(pair) for algorithm, pair in PAIRS.items()}


def segment(value: object) -> str:
    """A value as a part of a token."""
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def crafted(header: object, claims: object = CLAIMS, pair: jose.KeyPair = PAIRS["ES256"]) -> str:
    """A token with any header and claims at all, truly signed with ES256 by one of our keys."""
    data = f"{segment(header)}.{segment(claims)}"
    key = jose.load(pair.private)
    signature = rules("ES256").sign(key, data.encode())
    return f"{data}.{segment(signature)}"


def header(**changes: object) -> dict[str, object]:
    """A good ES256 header with changes; None removes a member."""
    members: dict[str, object] = {"alg": "ES256", "typ": "JWT", "kid": PAIRS["ES256"].kid, **changes}
    return {name: value for name, value in members.items() if value is not None}


class HashTests(SynchronousTestCase):
    """`at_hash`."""

    def test_openid_connect_core_a4(self) -> None:
        """The hashes of access token and code in the examples of OpenID Connect Core, appendix A.4."""
        token, code = (
            "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y",
            "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk",
        )
        self.assertEqual(jose.at_hash(token, "RS256"), "77QmUPtjPfzWtF2AnpK9RQ")
        self.assertEqual(jose.at_hash(code, "ES256"), "LDktKdoQak3Pk0cnXxCltA")
        self.assertEqual(len(jose.decode(jose.at_hash(token, "EdDSA"))), 32)  # half of SHA-512


class SigningTests(SynchronousTestCase):
    """`generate` and `Signer`."""

    def test_an_independent_library_verifies(self) -> None:
        """joserfc, given our key set, finds the key by kid and the same claims, for each algorithm."""
        keys = KeySet.import_key_set({"keys": KEYS})
        for algorithm, one in SIGNERS.items():
            token = joserfc_jwt.decode(one.sign(CLAIMS), keys, algorithms=[algorithm])
            self.assertEqual(token.claims, CLAIMS)
            self.assertEqual(token.header, {"alg": algorithm, "typ": "JWT", "kid": PAIRS[algorithm].kid})

    # RFC 9864 renames EdDSA to Ed25519; OpenID Connect clients still know it by its first name.
    test_an_independent_library_verifies.suppress = [(["ignore"], {"category": SecurityWarning})]  # type: ignore[attr-defined]

    def test_jwcrypto_verifies(self) -> None:
        """jwcrypto verifies them too, and by no other key of the set."""
        for algorithm, one in SIGNERS.items():
            for pair in PAIRS.values():
                jws = JWS()
                jws.allowed_algs = [algorithm]
                if pair.algorithm == algorithm:
                    jws.deserialize(one.sign(CLAIMS), JWK(**pair.public))
                    self.assertEqual(json.loads(jws.payload), CLAIMS)
                else:
                    self.assertRaises(JWException, jws.deserialize, one.sign(CLAIMS), JWK(**pair.public))

    def test_own_verification(self) -> None:
        """What we sign we verify."""
        for algorithm, one in SIGNERS.items():
            self.assertEqual(jose.verify(one.sign(CLAIMS), KEYS, [algorithm], issuer=ISSUER, now=NOW), CLAIMS)

    def test_step_by_step(self) -> None:
        """A token whose signature was made by itself is one that is signed at once; of no other input it is one."""
        for algorithm, one in SIGNERS.items():
            data = one.unsigned(CLAIMS)
            token = one.signed(data, one.signature(data))
            self.assertEqual(jose.verify(token, KEYS, [algorithm], issuer=ISSUER, now=NOW), CLAIMS)
            other = one.signed(data, one.signature(one.unsigned({**CLAIMS, "sub": "eve"})))
            with self.assertRaises(jose.TokenRefused):
                jose.verify(other, KEYS, [algorithm], issuer=ISSUER, now=NOW)

    def test_public_keys_are_public(self) -> None:
        """A public JWK has no private member; it is called by its thumbprint and says what it is for."""
        for algorithm, pair in PAIRS.items():
            self.assertEqual((pair.public["alg"], pair.public["use"], pair.public["kid"]), (algorithm, "sig", pair.kid))
            self.assertEqual(pair.kid, JWK(**pair.public).thumbprint())
            self.assertLessEqual(set(pair.public), {"kty", "crv", "x", "y", "n", "e", "kid", "use", "alg"})

    def test_nothing_secret_in_repr(self) -> None:
        """Neither pair nor signer shows the private key."""
        for pair in PAIRS.values():
            self.assertNotIn("private", repr(pair))
            self.assertNotIn(repr(pair.private)[2:20], repr(pair))
        self.assertEqual(repr(SIGNERS["ES256"]), f"<Signer ES256 {PAIRS['ES256'].kid} JWT>")

    def test_only_rsa_is_slow(self) -> None:
        """The two RSA algorithms ask for a thread."""
        self.assertEqual({name for name, one in SIGNERS.items() if one.slow}, {"RS256", "PS256"})

    def test_type_per_purpose(self) -> None:
        """The same key signs under another `typ`; the first signer keeps its own."""
        token = SIGNERS["ES256"].typed("at+jwt").sign(CLAIMS)
        self.assertEqual(json.loads(jose.decode(token.split(".")[0]))["typ"], "at+jwt")
        self.assertEqual(SIGNERS["ES256"].typ, "JWT")

    def test_keys_are_two_thousand_bits(self) -> None:
        """RSA keys have 2048 bits, and no two keys are the same."""
        self.assertEqual(len(jose.decode(PAIRS["RS256"].public["n"])), 256)
        self.assertEqual(len({pair.kid for pair in PAIRS.values()}), 4)

    def test_refuses_what_json_cannot_hold(self) -> None:
        """NaN and foreign objects are bugs, told at once."""
        self.assertRaises(ValueError, SIGNERS["ES256"].sign, {"exp": float("nan")})
        self.assertRaises(TypeError, SIGNERS["ES256"].sign, {"sub": b"ada"})

    def test_key_and_algorithm_must_fit(self) -> None:
        """An algorithm of ours for a key of another family, another curve, or no algorithm of ours."""
        key = jose.load(PAIRS["ES256"].private).public_key()
        for algorithm in ("RS256", "EdDSA", "none", "HS256", "ES384"):
            self.assertRaises(ValueError, jose.public_jwk, key, algorithm)
        other_curve = ec.generate_private_key(ec.SECP384R1()).public_key()
        self.assertRaises(ValueError, jose.public_jwk, other_curve, "ES256")
        self.assertRaises(ValueError, jose.generate, "none")
        self.assertRaises(ValueError, jose.load, b"no key")


class VerifyTests(SynchronousTestCase):
    """What `verify` refuses."""

    def refused(self, token: str, why: str = "", **changes: Any) -> None:
        """The token is refused, for that reason, and nothing of it is quoted."""
        options: dict[str, Any] = {"issuer": ISSUER, "now": NOW, "typ": "JWT", **changes}
        keys, algorithms = options.pop("keys", KEYS), options.pop("algorithms", ALGORITHMS)
        error = self.assertRaises(jose.TokenRefused, jose.verify, token, keys, algorithms, **options)
        self.assertIn(why, str(error))
        self.assertNotIn("ada", str(error))

    def verified(self, token: str, **changes: Any) -> None:
        """The token is accepted: the control for a refusal that differs in one thing."""
        options: dict[str, Any] = {"issuer": ISSUER, "now": NOW, **changes}
        jose.verify(token, options.pop("keys", KEYS), options.pop("algorithms", ALGORITHMS), **options)

    def test_control(self) -> None:
        """A crafted token with a good header is accepted, so each refusal below is for its own reason."""
        self.verified(crafted(header()))
        self.verified(crafted(header(x5t="abc", cty="x")))

    def test_none(self) -> None:
        """`alg: none` in every spelling, with and without a signature."""
        for name in ("none", "None", "NONE", "nOnE", ""):
            self.refused(crafted(header(alg=name)), "algorithm")
            self.refused(crafted(header(alg=name)).rpartition(".")[0] + ".", "base64url")

    def test_hmac_with_the_public_key(self) -> None:
        """HS256 keyed with our public key in any of its forms."""
        public = JWK(**PAIRS["RS256"].public)
        for secret in (public.export_to_pem(), public.export_public().encode(), PAIRS["RS256"].public["n"].encode()):
            forged = JWS(json.dumps(CLAIMS))
            forged.add_signature(
                JWK(kty="oct", k=segment(secret)), "HS256", json.dumps(header(alg="HS256", kid=PAIRS["RS256"].kid))
            )
            self.refused(forged.serialize(compact=True), "algorithm")

    def test_algorithms_come_from_the_caller(self) -> None:
        """A good token of an algorithm that the caller has not named is refused; naming HS256 or none is a bug."""
        self.refused(SIGNERS["RS256"].sign(CLAIMS), "algorithm", algorithms=["ES256"])
        self.refused(SIGNERS["ES256"].sign(CLAIMS), "algorithm", algorithms=[])
        for name in ("HS256", "none", "ES256K"):
            self.assertRaises(
                ValueError, jose.verify, SIGNERS["ES256"].sign(CLAIMS), KEYS, ["ES256", name], issuer=ISSUER, now=NOW
            )

    def test_algorithm_is_a_string(self) -> None:
        """A missing one, a list, a number."""
        for value in (None, ["ES256"], 1, {"ES256": 1}):
            self.refused(crafted(header(alg=value)), "algorithm")

    def test_key_of_the_token(self) -> None:
        """A token that brings its own key, or says where to fetch it."""
        for name, value in (
            ("jwk", STRANGER.public),
            ("jku", "https://evil.example/jwks"),
            ("x5u", "https://evil.example/chain"),
            ("x5c", ["MIIB"]),
        ):
            self.refused(crafted(header(**{name: value}), pair=STRANGER), "header")
            self.refused(crafted(header(**{name: value})), "header")

    def test_critical_extensions(self) -> None:
        """`crit`, known or not, empty or not; unencoded and compressed payloads."""
        forbidden: tuple[dict[str, object], ...] = (
            {"crit": ["exp"]},
            {"crit": []},
            {"crit": ["b64"], "b64": False},
            {"b64": True},
            {"zip": "DEF"},
        )
        for changes in forbidden:
            self.refused(crafted(header(**changes)), "header")

    def test_signed_by_a_stranger(self) -> None:
        """Our kid over a stranger's signature, and a stranger's kid."""
        self.refused(crafted(header(), pair=STRANGER), "signature")
        self.refused(signer(STRANGER).sign(CLAIMS), "key")

    def test_kid_picks_the_key(self) -> None:
        """No kid, an empty or unknown one, one that is no string, one that two keys have."""
        for kid in (None, "", "unknown", 7, [PAIRS["ES256"].kid]):
            self.refused(crafted(header(kid=kid)), "key")
        self.refused(SIGNERS["ES256"].sign(CLAIMS), "key", keys=[])
        self.refused(SIGNERS["ES256"].sign(CLAIMS), "key", keys=[PAIRS["ES256"].public, PAIRS["ES256"].public])

    def test_key_is_for_its_algorithm(self) -> None:
        """An RS256 key does not verify PS256, an encryption key nothing, and families do not mix."""
        ps256 = jose.Signer(jose.load(PAIRS["RS256"].private), "PS256", PAIRS["RS256"].kid)
        self.refused(ps256.sign(CLAIMS), "something else")
        for changed in ({"use": "enc"}, {"alg": "ES384"}, {"kty": "RSA"}, {"crv": "P-384"}):
            self.refused(SIGNERS["ES256"].sign(CLAIMS), "something else", keys=[{**PAIRS["ES256"].public, **changed}])
        self.verified(
            SIGNERS["ES256"].sign(CLAIMS), keys=[{k: v for k, v in PAIRS["ES256"].public.items() if k != "alg"}]
        )

    def test_short_rsa_keys(self) -> None:
        """1024 bits are not enough, though the signature is good."""
        small = rsa.generate_private_key(65537, 1024)
        public = jose.public_jwk(small.public_key(), "RS256")
        token = jose.Signer(small, "RS256", public["kid"]).sign(CLAIMS)
        self.refused(token, "too short", keys=[public])

    def test_spellings_of_a_signature(self) -> None:
        """Slack bits, padding, leading zeros, DER: one signature has one spelling."""
        token = SIGNERS["ES256"].sign(CLAIMS)
        data, _, signature = token.rpartition(".")
        octets = jose.decode(signature)
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        slack = alphabet[alphabet.index(signature[-1]) + 1]
        self.refused(f"{data}.{signature[:-1]}{slack}", "base64url")
        self.refused(f"{token}==", "base64url")
        self.refused(f"{token}\n", "base64url")
        padded = b"\x00" + octets[:32] + b"\x00" + octets[32:]
        self.refused(f"{data}.{jose.encode(padded)}", "length")
        self.refused(f"{data}.{jose.encode(octets[:63])}", "length")
        self.refused(f"{data}.", "base64url")
        rs256 = SIGNERS["RS256"].sign(CLAIMS)
        data, _, signature = rs256.rpartition(".")
        self.refused(f"{data}.{jose.encode(bytes(1) + jose.decode(signature))}", "length")

    def test_zero_signature(self) -> None:
        """r = s = 0 verifies nothing."""
        data = SIGNERS["ES256"].sign(CLAIMS).rpartition(".")[0]
        self.refused(f"{data}.{jose.encode(bytes(64))}", "signature")

    def test_any_changed_character(self) -> None:
        """A token with any one character exchanged is refused."""
        for algorithm in ("ES256", "EdDSA"):
            token = SIGNERS[algorithm].sign({"iss": ISSUER, "exp": int(NOW) + 60})
            for place, letter in enumerate(token):
                self.refused(token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :])

    def test_parts(self) -> None:
        """Not three parts, JSON serialization, an encrypted token's five, and nothing."""
        token = SIGNERS["ES256"].sign(CLAIMS)
        head, body, signature = token.split(".")
        flattened = json.dumps({"protected": head, "payload": body, "signature": signature})
        for text in ("", ".", "..", "...", token + ".", "." + token, f"{head}.{body}", f"{token}.a.b", flattened):
            self.refused(text)
        self.refused("." * 1_000_000, "size")

    def test_size(self) -> None:
        """More than 16 KiB is refused, though it is signed; a little less is read."""
        for octets, accepted in ((11_000, True), (13_000, False)):
            token = SIGNERS["ES256"].sign({**CLAIMS, "pad": "x" * octets})
            (self.verified if accepted else self.refused)(token)

    def test_json_bombs(self) -> None:
        """Nesting to the limit of the size, and a number of thousands of digits."""
        for octets in (b"[" * 12_000, b'{"a":' * 2_000, b'{"exp":' + b"9" * 9_000 + b"}"):
            self.refused(f"{segment(octets)}.{segment(CLAIMS)}.AAAA", "JSON")
            self.refused(crafted(header(), octets), "JSON")

    def test_strict_json(self) -> None:
        """A member named twice, NaN, a byte order mark, UTF-16, no object, something behind the object."""
        good = json.dumps(CLAIMS)
        for octets in (
            good[:-1].encode() + b', "sub": "eve"}',
            good[:-1].encode() + b', "n": NaN}',
            good[:-1].encode() + b', "n": -Infinity}',
            b"\xef\xbb\xbf" + good.encode(),
            good.encode("utf-16"),
            b'"ada"',
            b"null",
            b"[]",
            good.encode() + b"{}",
            b"\xff",
        ):
            self.refused(crafted(header(), octets), "JSON")
        kid = PAIRS["ES256"].kid.encode()
        self.refused(crafted(b'{"alg":"none","alg":"ES256","kid":"' + kid + b'"}'), "JSON")

    def test_type(self) -> None:
        """An access token is no id token, and the reverse; a missing type is only a JWT."""
        access = SIGNERS["ES256"].typed("at+jwt").sign(CLAIMS)
        self.refused(access, "type")
        self.refused(SIGNERS["ES256"].sign(CLAIMS), "type", typ="at+jwt")
        self.refused(crafted(header(typ=None)), "type", typ="at+jwt")
        self.refused(crafted(header(typ=["JWT"])), "type")
        self.verified(access, typ="at+jwt")
        self.verified(crafted(header(typ=None)))
        self.verified(crafted(header(typ="application/AT+JWT")), typ="at+jwt")

    def test_issuer(self) -> None:
        """Another issuer, one that is alike, or none."""
        for issuer in (ISSUER + "/", ISSUER.upper(), "", None, [ISSUER]):
            self.refused(SIGNERS["ES256"].sign({**CLAIMS, "iss": issuer}), "issuer")
        self.refused(SIGNERS["ES256"].sign({"exp": int(NOW) + 60}), "issuer")

    def test_times(self) -> None:
        """Ended, not begun, without end; with five seconds of leeway; None looks at no time."""
        for claims, why in (({"exp": NOW - 5}, "ended"), ({"exp": NOW + 60, "nbf": NOW + 6}, "yet"), ({}, "no end")):
            token = SIGNERS["ES256"].sign({"iss": ISSUER, **claims})
            self.refused(token, why)
            self.verified(token, now=None)
        for claims in ({"exp": NOW - 4}, {"exp": NOW + 60, "nbf": NOW + 5}):
            self.verified(SIGNERS["ES256"].sign({"iss": ISSUER, **claims}))

    def test_times_are_numbers(self) -> None:
        """A string, a bool, infinity by overflow, or a number no clock will reach is no time, whoever asks."""
        for value in (b'"9999999999"', b"true", b"1e999", b"-1e999", b"null", b"[1]", b"1" * 400):
            for name in (b"exp", b"nbf", b"iat"):
                claims = b'{"iss": "%s", "%s": %s}' % (ISSUER.encode(), name, value)
                self.refused(crafted(header(), claims), "not a time")
                self.refused(crafted(header(), claims), "not a time", now=None)

    @settings(max_examples=300)
    @given(st.text(max_size=200), st.text(max_size=50), st.text(max_size=50))
    def test_any_text_is_survived(self, first: str, second: str, third: str) -> None:
        """Whatever is presented is refused, and by no other exception."""
        for text in (first, f"{first}.{second}.{third}", f"{segment(header())}.{second}.{third}"):
            self.refused(text)

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )

    @settings(max_examples=300)
    @given(
        st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "jwk", "x"]), json_values, max_size=4),
        st.dictionaries(st.sampled_from(["iss", "exp", "nbf", "iat", "sub"]), json_values, max_size=4),
    )
    def test_any_json_is_survived(self, head: dict[str, object], claims: dict[str, object]) -> None:
        """A truly signed token with any JSON in header and claims is accepted or refused, never an accident."""
        token = crafted({**header(), **head}, {**CLAIMS, **claims})
        try:
            found = jose.verify(token, KEYS, ALGORITHMS, issuer=ISSUER, now=NOW)
        except jose.TokenRefused:
            return
        self.assertEqual(found["iss"], ISSUER)
        self.assertGreater(found["exp"], NOW - 5)

    def test_strange_keys(self) -> None:
        """A key set with keys that are none verifies nothing and breaks nothing."""
        good = PAIRS["ES256"].public
        for changed in ({"x": "AAAA"}, {"x": 5}, {"y": None}, {"x": good["y"]}, {"x": "!"}):
            self.refused(SIGNERS["ES256"].sign(CLAIMS), "key", keys=[{**good, **changed}])
        strange = {**PAIRS["RS256"].public, "n": 17}
        self.refused(SIGNERS["RS256"].sign(CLAIMS), keys=[strange])
        self.refused(SIGNERS["ES256"].sign(CLAIMS), keys=[{"kid": good["kid"]}])
