"""JSON Web Token Best Current Practices: what attackers present, and that each is refused for its own reason.

The tokens are truly signed by the key that the attack needs; beside each stands a control, which differs in that one
thing and is accepted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import jose
from oauthd.protocol.jose.algorithms import rules
from oauthd.protocol.json_text import text

NOW = 1_800_000_000.0
CLAIMS: Mapping[str, Any] = {"iss": "app", "sub": "app", "exp": int(NOW) + 60, "iat": int(NOW)}
PAIRS = {name: jose.generate(name) for name in ("RS256", "ES256", "ES384", "EdDSA")}
KEYS = [pair.public for pair in PAIRS.values()]
STRANGER = jose.generate("ES256")
SECRET = b"a secret of a client, long enough for SHA-512: it has 64 octets."
OWN = {name: jose.generate(name) for name in jose.DECRYPTION}
RING = [jose.private_jwk(jose.load(pair.private)) for pair in OWN.values()]
TAKEN = (jose.KEY_ENCRYPTION, jose.CONTENT_ENCRYPTION)


def part(value: object) -> str:
    """A value as a part of a token."""
    return jose.encode(value if isinstance(value, bytes) else json.dumps(value).encode())


def header(algorithm: str = "ES256", **changes: object) -> dict[str, object]:
    """A good header with changes; None removes a member."""
    members = {"alg": algorithm, "kid": PAIRS[algorithm].kid if algorithm in PAIRS else "k", **changes}
    return {name: value for name, value in members.items() if value is not None}


def signed(head: object, claims: object = CLAIMS, pair: jose.KeyPair = PAIRS["ES256"], by: str = "") -> str:
    """A token with any header and content at all, truly signed by that key."""
    data = f"{part(head)}.{part(claims)}"
    return f"{data}.{jose.encode(rules(by or pair.algorithm).sign(jose.load(pair.private), data.encode()))}"


def mac(head: object, secret: bytes, claims: object = CLAIMS, digest: str = "sha256") -> str:
    """The same by HMAC."""
    data = f"{part(head)}.{part(claims)}"
    return f"{data}.{jose.encode(hmac.digest(secret, data.encode(), digest))}"


class AttackCase(SynchronousTestCase):
    """How tokens are presented."""

    def verified(self, token: str, **more: Any) -> None:
        """It is accepted."""
        jose.verify_with(token, more.pop("keys", KEYS), more.pop("algorithms", jose.ASYMMETRIC), now=NOW, **more)

    def refused(self, token: str, why: str, **more: Any) -> None:
        """It is refused for that reason, in words that quote nothing of it."""
        error = self.assertRaises(jose.TokenRefused, self.verified, token, **more)
        self.assertIn(why, str(error))
        self.assertNotIn("app", str(error))


class AlgorithmTests(AttackCase):
    """Sections 2.1, 3.1, 3.2: algorithms."""

    def test_section_2_1_none(self) -> None:
        """`none` in any spelling, with a signature and without, is not among what is accepted, and cannot be."""
        self.verified(signed(header()))
        for name in ("none", "None", "nOnE", "", None, ["none"], 0):
            self.refused(signed(header(alg=name)), "algorithm")
        bare = f"{part(header(alg='none'))}.{part(CLAIMS)}."
        self.refused(bare, "base64url")
        self.assertRaises(ValueError, self.verified, bare, algorithms=("none",))

    def test_section_2_1_hmac_with_a_public_key(self) -> None:
        """HMAC keyed with what everybody knows: the key as PEM, as DER, as JSON, its modulus, its coordinate."""
        for pair in PAIRS.values():
            public = JWK(**pair.public)
            pem = public.export_to_pem()
            der = b"".join(pem.splitlines()[1:-1])
            for known in (pem, pem.strip(), der, public.export_public().encode(), text(pair.public).encode()):
                token = mac(header("HS256", kid=pair.kid), known)
                self.refused(token, "algorithm")
                self.assertRaises(ValueError, self.verified, token, algorithms=("ES256", "HS256"))

    def test_section_2_1_a_secret_where_a_key_belongs(self) -> None:
        """A key set with a shared secret in it: it is no key for any asymmetric algorithm, nor HMAC for any reader."""
        secret = {"kty": "oct", "k": jose.encode(SECRET), "kid": "k"}
        self.refused(mac(header("HS256"), SECRET), "algorithm", keys=[secret])
        self.refused(signed(header(kid="k")), "something else", keys=[secret])
        self.assertRaises(jose.TokenRefused, jose.public_key, secret)

    def test_signatures_where_a_secret_belongs(self) -> None:
        """A reader that knows secrets takes nothing else: not a good signature of a good key, not `none`."""
        good = mac({"alg": "HS256"}, SECRET)
        jose.verify_hmac(good, SECRET, jose.HMAC, now=NOW)
        for token in (signed(header()), f"{part({'alg': 'none'})}.{part(CLAIMS)}.AAAA"):
            self.assertRaises(jose.TokenRefused, jose.verify_hmac, token, SECRET, jose.HMAC, now=NOW)
        for algorithms in (("ES256",), ("HS256", "none")):
            self.assertRaises(ValueError, jose.verify_hmac, good, SECRET, algorithms, now=NOW)

    def test_section_3_5_short_secrets(self) -> None:
        """A secret that is shorter than the hash is none (RFC 7518 section 3.2), a missing one all the more."""
        for name, digest, octets in (("HS256", "sha256", 32), ("HS384", "sha384", 48), ("HS512", "sha512", 64)):
            token = mac({"alg": name}, SECRET[:octets], digest=digest)
            jose.verify_hmac(token, SECRET[:octets], [name], now=NOW)
            for short in (SECRET[: octets - 1], b""):
                wrong = mac({"alg": name}, short, digest=digest)
                error = self.assertRaises(jose.TokenRefused, jose.verify_hmac, wrong, short, [name], now=NOW)
                self.assertIn("too short", str(error))

    def test_section_3_1_algorithm_and_key(self) -> None:
        """One key, one algorithm: families, curves and hashes do not mix, and a key says what it is for."""
        rsa_key, p384 = PAIRS["RS256"], PAIRS["ES384"]
        self.verified(signed(header("RS256"), pair=rsa_key))
        self.refused(signed(header("PS256", kid=rsa_key.kid), pair=rsa_key, by="PS256"), "something else")
        bare = {name: rsa_key.public[name] for name in ("kty", "n", "e")}
        self.verified(signed(header("PS256", kid=None), pair=rsa_key, by="PS256"), keys=[bare])
        self.refused(signed(header("ES256", kid=p384.kid), pair=p384), "something else")
        self.refused(signed(header(), pair=p384), "length")
        for changed in ({"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": "verify"}, {"alg": "ES384"}, {"alg": 5}):
            self.refused(signed(header()), "something else", keys=[PAIRS["ES256"].public | changed])
        self.verified(signed(header()), keys=[PAIRS["ES256"].public | {"key_ops": ["verify"]}])

    def test_algorithms_are_the_readers(self) -> None:
        """A good signature by an algorithm that was not named."""
        self.refused(signed(header()), "algorithm", algorithms=("RS256", "PS256"))
        self.refused(signed(header()), "algorithm", algorithms=())


class KeyTests(AttackCase):
    """Sections 3.3 to 3.5, 3.10: keys."""

    def test_section_3_10_keys_that_tokens_bring(self) -> None:
        """A key in the header, or an address to fetch one from, even beside a good signature."""
        brought: tuple[dict[str, Any], ...] = (
            {"jwk": STRANGER.public},
            {"jku": "https://evil.example/keys"},
            {"x5u": "https://evil.example/chain"},
            {"x5c": ["MIIB"]},
        )
        for members in brought:
            self.refused(signed(header(**members), pair=STRANGER), "header")
            self.refused(signed(header(**members)), "header")

    def test_embedded_keys_are_for_proofs(self) -> None:
        """A proof brings its key, a public one that fits; jku and its like are refused there, too."""
        public = {name: STRANGER.public[name] for name in ("kty", "crv", "x", "y")}
        head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": public}
        key, _, claims = jose.verify_embedded(signed(head, pair=STRANGER), ["ES256"], "dpop+jwt")
        self.assertEqual((key, claims["iss"]), (public, "app"))
        private = json.loads(JWK.from_pyca(jose.load(STRANGER.private)).export())
        for changed, why in (
            ({"jwk": None}, "no key"),
            ({"jwk": []}, "no key"),
            ({"jwk": private}, "private"),
            ({"jwk": public | {"crv": "P-384"}}, "something else"),
            ({"jwk": {"kty": "oct", "k": "AAAA"}}, "something else"),
            ({"jwk": public | {"x": public["y"]}}, "not one"),
            ({"jwk": public | {"x": public["x"] + "A"}}, "not one"),
            ({"jwk": {"kty": "EC"}}, "something else"),
            ({"jku": "https://evil.example"}, "header"),
            ({"alg": "none"}, "algorithm"),
            ({"alg": "HS256"}, "algorithm"),
            ({"alg": "RS256"}, "algorithm"),
            ({"typ": "JWT"}, "type"),
            ({"typ": None}, "type"),
            ({"crit": ["jwk"]}, "header"),
        ):
            token = signed(head | changed, pair=STRANGER)
            error = self.assertRaises(jose.TokenRefused, jose.verify_embedded, token, ["ES256"], "dpop+jwt")
            self.assertIn(why, str(error))
        other = signed(head)  # signed by another key than it brings
        self.assertRaises(jose.TokenRefused, jose.verify_embedded, other, ["ES256"], "dpop+jwt")
        self.assertRaises(ValueError, jose.verify_embedded, other, ["HS256"], "dpop+jwt")

    def test_section_3_4_points_off_the_curve(self) -> None:
        """Coordinates that are no point of the curve, too short, too long, padded, or above the field."""
        good = PAIRS["ES256"].public
        prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
        above = (int.from_bytes(jose.decode(good["x"]), "big") + prime).to_bytes(33, "big")
        for changed in (
            {"y": good["x"]},
            {"x": jose.encode(bytes(32)), "y": jose.encode(bytes(32))},
            {"x": jose.encode(b"\0" + jose.decode(good["x"]))},
            {"x": jose.encode(above)},
            {"x": jose.encode(jose.decode(good["x"])[:-1])},
            {"x": good["x"] + "="},
            {"x": jose.encode(b"\xff" * 32)},
            {"x": 5},
        ):
            self.refused(signed(header()), "key", keys=[good | changed])

    def test_section_3_5_sizes_of_rsa(self) -> None:
        """RSA below 2048 bits is broken, above 8192 too slow, and so are exponents that are large, even or one."""
        small = rsa.generate_private_key(65537, 1024)
        data = f"{part(header('RS256', kid=None))}.{part(CLAIMS)}"
        token = f"{data}.{jose.encode(rules('RS256').sign(small, data.encode()))}"
        jwk = JWK.from_pyca(small.public_key()).export_public(as_dict=True)
        self.refused(token, "too short", keys=[{name: jwk[name] for name in ("kty", "n", "e")}])
        good = {name: PAIRS["RS256"].public[name] for name in ("kty", "n", "e")}
        token = signed(header("RS256", kid=None), pair=PAIRS["RS256"])
        self.verified(token, keys=[good])
        self.refused(token, "too long", keys=[good | {"n": jose.encode(b"\xff" * 1025)}])
        for exponent in (1, 2, 65536, 2**32 + 1, 2**2047 + 1):
            octets = exponent.to_bytes((exponent.bit_length() + 7) // 8, "big")
            self.refused(token, "not one", keys=[good | {"e": jose.encode(octets)}])

    def test_keys_that_anybody_signs_for(self) -> None:
        """Section 3.4: an Ed25519 key of a point of small order, for which one signature fits every message."""
        identity = (1).to_bytes(32, "little")
        data = f"{part({'alg': 'EdDSA'})}.{part(CLAIMS)}"
        forged = f"{data}.{jose.encode(identity + bytes(32))}"
        ed25519.Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), data.encode())
        eighth = 2707385501144840649318225287225658788936804267575313519463743609750303402022
        prime = 2**255 - 19
        for y in (1, 0, prime - 1, eighth, prime - eighth, prime, prime + 1):
            for sign in (0, 2**255):
                key = {"kty": "OKP", "crv": "Ed25519", "x": jose.encode((y + sign).to_bytes(32, "little"))}
                self.refused(forged, "not one", keys=[key])

    def test_wrong_kid(self) -> None:
        """A kid that none of the keys has, one that is no string, and none where one is demanded."""
        error = self.assertRaises(jose.KeyUnknown, self.verified, signed(header(kid="other")))
        self.assertIn("known", str(error))
        odd: tuple[Any, ...] = (5, [], {}, True)
        for kid in odd:
            self.refused(signed(header(kid=kid)), "kid")
        self.verified(signed(header(kid=None)))
        self.refused(signed(header(kid=None)), "names no key", kid_optional=False)
        self.refused(signed(header(kid="")), "known")
        self.refused(signed(header(kid=PAIRS["EdDSA"].kid)), "something else")
        self.refused(signed(header(), pair=STRANGER), "does not verify")

    def test_keys_without_names(self) -> None:
        """Where keys have no kid, those that fit are tried, a few of them; a token cannot make us try many."""
        strangers = [jose.generate("ES256").public for _ in range(4)]
        nameless = [{name: key[name] for name in ("kty", "crv", "x", "y")} for key in strangers]
        own = {name: PAIRS["ES256"].public[name] for name in ("kty", "crv", "x", "y")}
        self.verified(signed(header()), keys=[*nameless[:3], own])
        self.verified(signed(header(kid=None)), keys=[*nameless[:3], own, *KEYS[:1]])
        self.refused(signed(header(kid=None)), "many keys", keys=[*nameless, own])
        self.refused(signed(header()), "known", keys=[*nameless[:3], own], kid_optional=False)
        self.refused(signed(header(kid=None)), "does not verify", keys=nameless)
        self.verified(signed(header()), keys=[*nameless, *KEYS])  # named: the others are not looked at

    def test_a_bad_key_beside_a_good_one(self) -> None:
        """A client's key that is none does not stand in the way of another that verifies."""
        broken = PAIRS["ES256"].public | {"y": "AAAA"}
        self.verified(signed(header()), keys=[broken, PAIRS["ES256"].public])


class FormTests(AttackCase):
    """Sections 2.4 to 2.7, 3.7: what is inside is read one way, and not for long."""

    def test_critical_extensions(self) -> None:
        """RFC 7515 section 4.1.11: we understand no extension, so `crit` is refused whatever it names."""
        forbidden: tuple[dict[str, Any], ...] = (
            {"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"crit": "exp"},
        )  # fmt: skip
        for changes in forbidden:
            self.refused(signed(header(**changes)), "header")

    def test_members_of_encrypted_tokens(self) -> None:
        """Compression, an iteration count of a password, and unencoded payloads have no place in a signed token."""
        for changes in ({"zip": "DEF"}, {"p2c": 2**31 - 1}, {"p2s": "AAAA"}, {"enc": "A128GCM"}, {"b64": True}):
            self.refused(signed(header(**changes)), "header")

    def test_section_2_4_duplicate_members(self) -> None:
        """A member that is there twice could be read as either: in header, claims, and within them."""
        kid = PAIRS["ES256"].kid.encode()
        for head in (b'{"alg":"none","alg":"ES256","kid":"%b"}' % kid, b'{"alg":"ES256","kid":"x","kid":"%b"}' % kid):
            self.refused(signed(head), "JSON")
        for claims in (b'{"exp":1,"exp":9999999999}', b'{"exp":9999999999,"a":{"b":1,"b":2}}'):
            self.refused(signed(header(), claims), "JSON")

    def test_section_3_7_odd_json(self) -> None:
        """Anything but strict UTF-8 JSON objects; nesting and numbers that take long."""
        for odd in (b"\xff", b"[]", b'"x"', b"null", b'{"a":NaN}', b"{}{}", b"\xef\xbb\xbf{}", "{}".encode("utf-16"),
                    b"[" * 9000, b'{"a":' * 1500, b'{"exp":' + b"9" * 9000 + b"}"):  # fmt: skip
            self.refused(signed(odd), "JSON")
            self.refused(signed(header(), odd), "JSON")

    def test_section_3_7_half_characters(self) -> None:
        """Unpaired surrogates, which are no text that could be written in UTF-8; pairs and other escapes are read."""
        self.verified(signed(header(), {**CLAIMS, "name": "\U0001f511 \u00e9 \\ud800"}))
        for half in ("\ud800", "x\udfff", "\udfff\ud800"):
            odd: tuple[dict[str, Any], ...] = ({"name": half}, {"a": [{"b": half}]}, {half: 1})
            for claims in odd:
                self.refused(signed(header(), {**CLAIMS, **claims}), "JSON")
            self.refused(signed(header(x=half)), "JSON")

    def test_size_comes_first(self) -> None:
        """Too many octets or parts are refused unread, for all readers alike; nothing is split or decoded before."""
        long, dots = "." * 10_000_000, f"{part(header())}.{part(CLAIMS)}" + ".AAAA" * 3000
        for token in (long, dots, "A" * 20_000_000, "e30.e30.e30.e30", "", "A", "..", "A" * 17_000 + ".e30.e30"):
            for read in (
                lambda t: jose.verify_with(t, KEYS, jose.ASYMMETRIC, now=NOW),
                lambda t: jose.verify_hmac(t, SECRET, jose.HMAC, now=NOW),
                lambda t: jose.verify_embedded(t, jose.ASYMMETRIC, "dpop+jwt"),
                lambda t: jose.decrypt(t, RING, *TAKEN),
                jose.peek,
            ):
                self.assertRaises(jose.TokenRefused, read, token)

    def test_one_spelling(self) -> None:
        """Padding, blanks, other alphabets and slack bits make no second token of a first one."""
        token = signed(header())
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        slack = token[:-1] + last[last.index(token[-1]) ^ 1]
        for other in (slack, token + "=", token + "\n", " " + token, token.replace(".", ". ", 1), token[:-4] + "+/+/"):
            self.refused(other, "base64url")

    def test_signatures_of_odd_length(self) -> None:
        """Empty, cut, longer, in DER, of zeros."""
        data = signed(header()).rpartition(".")[0]
        key = jose.load(PAIRS["ES256"].private)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        der = key.sign(data.encode(), ec.ECDSA(SHA256()))
        for signature in (b"\0", bytes(63), bytes(65), bytes(128), der):
            self.refused(f"{data}.{jose.encode(signature)}", "length")
        for signature in (bytes(64), b"\xff" * 64):
            self.refused(f"{data}.{jose.encode(signature)}", "verify")

    def test_section_3_11_types(self) -> None:
        """A token of one kind is none of another; without a type only what may be a plain JWT."""
        self.verified(signed(header(typ="client-authentication+jwt")), typ=("JWT", "client-authentication+jwt"))
        self.verified(signed(header()), typ=("JWT",))
        self.verified(signed(header(typ="application/OAUTH-AUTHZ-REQ+jwt")), typ=("oauth-authz-req+jwt",))
        self.refused(signed(header(typ="dpop+jwt")), "type", typ=("JWT", "client-authentication+jwt"))
        self.refused(signed(header()), "type", typ=("oauth-authz-req+jwt",))
        self.refused(signed(header(typ=5)), "type", typ=("JWT",))

    def test_times(self) -> None:
        """Ended, not begun, issued in the future beyond the leeway, endless; a time that is no number."""
        self.verified(signed(header(), {"exp": NOW + 1, "iat": NOW + 10, "nbf": NOW + 10}), leeway=10)
        for claims, why in (
            ({"exp": NOW - 10}, "ended"),
            ({"exp": NOW + 99, "nbf": NOW + 11}, "yet"),
            ({"exp": NOW + 99, "iat": NOW + 11}, "future"),
            ({"iat": NOW}, "no end"),
            ({"exp": "9999999999"}, "not a time"),
            ({"exp": True}, "not a time"),
            ({"exp": NOW + 99, "iat": None}, "not a time"),
        ):
            self.refused(signed(header(), claims), why, leeway=10)
        self.verified(signed(header(), {"iat": NOW}), exp_optional=True)
        self.refused(signed(header(), {"exp": NOW - 10}), "ended", leeway=10, exp_optional=True)


class EncryptionTests(SynchronousTestCase):
    """Sections 2.3, 3.6 and RFC 7516 section 11: encrypted tokens."""

    def encrypted(self, alg: str = "RSA-OAEP-256", enc: str = "A128GCM", content: bytes = b"x", **members: Any) -> str:
        """A token encrypted by another library to our key, with members in its header."""
        key = OWN["RSA-OAEP-256" if alg.startswith("RSA") else "ECDH-ES"].public
        sealed = JWE(content, json.dumps({"alg": alg, "enc": enc} | members))
        sealed.allowed_algs = [alg, enc]
        sealed.add_recipient(JWK(**{name: key[name] for name in key if name in ("kty", "n", "e", "crv", "x", "y")}))
        return sealed.serialize(compact=True)

    def refused(self, token: str, why: str) -> None:
        """It is refused for that reason."""
        error = self.assertRaises(jose.TokenRefused, jose.decrypt, token, RING, *TAKEN)
        self.assertIn(why, str(error))

    def test_control(self) -> None:
        """Every algorithm that is taken, from another library's hand; empty content aside."""
        for alg in jose.KEY_ENCRYPTION:
            for enc in jose.CONTENT_ENCRYPTION:
                self.assertEqual(jose.decrypt(self.encrypted(alg, enc, b"content"), RING, *TAKEN), b"content")

    def test_algorithms_are_the_readers(self) -> None:
        """Algorithms that jwcrypto knows and the reader has not named."""
        for alg, enc in (("RSA-OAEP", "A128GCM"), ("RSA1_5", "A128GCM"), ("RSA-OAEP-256", "A192GCM")):
            token = self.encrypted(alg, enc) if alg != "RSA1_5" else self.renamed(self.encrypted(), alg=alg)
            self.refused(token, "algorithm")
        token = self.encrypted("ECDH-ES")
        for algs, encs in ((("RSA-OAEP-256",), jose.CONTENT_ENCRYPTION), (jose.KEY_ENCRYPTION, ("A256GCM",))):
            self.assertRaises(jose.TokenRefused, jose.decrypt, token, RING, algs, encs)
        for name in ("dir", "A128KW", "PBES2-HS256+A128KW", "none", ["RSA-OAEP-256"], None, 5):
            self.refused(self.renamed(self.encrypted(), alg=name), "algorithm")
            self.refused(self.renamed(self.encrypted(), enc=name), "algorithm")

    def renamed(self, token: str, **members: Any) -> str:
        """The token with other members in its header."""
        head, _, rest = token.partition(".")
        return f"{part(json.loads(jose.decode(head)) | members)}.{rest}"

    def test_section_3_6_compression(self) -> None:
        """A bomb of 64 MiB in few octets, and anything compressed at all, is refused before it is decrypted."""
        packed = zlib.compressobj(9, wbits=-15)
        bomb = packed.compress(bytes(2**26)) + packed.flush()
        self.refused(self.encrypted(zip="DEF"), "header")
        self.refused(self.renamed(self.encrypted(content=bomb[:16_000]), zip="DEF"), "header")

    def test_huge_iteration_count(self) -> None:
        """A password's iteration count of two thousand million is refused, whatever algorithm it stands beside."""
        for alg in ("PBES2-HS256+A128KW", "RSA-OAEP-256"):
            token = self.renamed(self.encrypted(), alg=alg, p2c=2**31 - 1, p2s="AAAAAAAAAAAAAAAAAAAAAA")
            self.assertRaises(jose.TokenRefused, jose.decrypt, token, RING, *TAKEN)

    def test_header(self) -> None:
        """Keys and addresses of keys, `crit`, an ephemeral key where none belongs, members that are there twice."""
        forbidden: tuple[dict[str, Any], ...] = (
            {"jwk": STRANGER.public}, {"jku": "https://e"}, {"x5c": ["M"]}, {"x5u": "https://e"}, {"crit": ["exp"]},
            {"crit": []}, {"p2c": 1}, {"epk": STRANGER.public},
        )  # fmt: skip
        for members in forbidden:
            self.refused(self.renamed(self.encrypted(), **members), "header")
        rest = self.encrypted().partition(".")[2]
        twice = part(b'{"alg":"RSA-OAEP-256","enc":"A128GCM","enc":"A128GCM"}')
        self.refused(f"{twice}.{rest}", "JSON")

    def test_ephemeral_keys(self) -> None:
        """Section 3.4: of another curve, off the curve (which would tell our key bit by bit), private, or missing."""
        token = self.encrypted("ECDH-ES")
        self.assertEqual(jose.decrypt(token, RING, *TAKEN), b"x")
        good = json.loads(jose.decode(token.partition(".")[0]))["epk"]
        foreign = JWK.generate(kty="EC", crv="P-384").export_public(as_dict=True)
        for epk, why in (
            (foreign, "our keys"),
            ({"kty": "OKP", "crv": "X25519", "x": good["x"]}, "our keys"),
            (good | {"d": "AAAA"}, "our keys"),
            ([], "our keys"),
            (good | {"x": good["y"]}, "decrypt"),
            (good | {"x": jose.encode(bytes(32)), "y": jose.encode(bytes(32))}, "decrypt"),
            (good | {"x": 5}, "decrypt"),
        ):
            self.refused(self.renamed(token, epk=epk), why)
        head = {"alg": "ECDH-ES", "enc": "A128GCM"}
        self.refused(f"{part(head)}.{token.partition('.')[2]}", "header")

    def test_parts(self) -> None:
        """Parts of other lengths than the algorithms', more and fewer parts, too much of all."""
        pieces = self.encrypted().split(".")
        for at, changed in ((1, pieces[1][:-4]), (1, ""), (2, "AAAA"), (2, ""), (4, "AAAA"), (4, "")):
            self.assertRaises(
                jose.TokenRefused, jose.decrypt, ".".join((*pieces[:at], changed, *pieces[at + 1 :])), RING, *TAKEN
            )
        agreed = self.encrypted("ECDH-ES").split(".")
        self.refused(".".join((agreed[0], "AAAA", *agreed[2:])), "lengths")
        wrapped = self.encrypted("ECDH-ES+A128KW").split(".")
        self.refused(".".join((wrapped[0], wrapped[1] + "AAAA", *wrapped[2:])), "lengths")
        self.refused(".".join((*pieces, "AAAA")), "size")
        self.refused(".".join(pieces[:4]), "size")
        self.refused(self.encrypted(content=bytes(40_000)), "size")

    def test_one_word_for_all_failures(self) -> None:
        """RFC 7516 section 11.5: an encrypted key of another, a changed one, a changed tag and content fail alike."""
        pieces = self.encrypted().split(".")
        other = self.encrypted().split(".")
        said = set()
        for at in (1, 2, 3, 4):
            for changed in (other[at], jose.encode(bytes(len(jose.decode(pieces[at]))))):
                token = ".".join((*pieces[:at], changed, *pieces[at + 1 :]))
                error = self.assertRaises(jose.TokenRefused, jose.decrypt, token, RING, *TAKEN)
                said.add(str(error))
        self.assertEqual(said, {"it does not decrypt"})

    def test_kid(self) -> None:
        """A kid that is none of our keys', or is no string, is refused before anything is computed."""
        token = self.encrypted(kid=OWN["RSA-OAEP-256"].kid)
        self.assertEqual(jose.decrypt(token, RING, *TAKEN), b"x")
        kids: tuple[Any, ...] = ("other", 5, [], OWN["ECDH-ES"].kid)
        for kid in kids:
            self.refused(self.renamed(token, kid=kid), "our keys")
        self.assertRaises(jose.TokenRefused, jose.decrypt, self.encrypted(), RING * 5, *TAKEN)
        self.assertRaises(jose.TokenRefused, jose.decrypt, token, [], *TAKEN)

    def test_keys_to_encrypt_to(self) -> None:
        """What a client calls its key: too short, private, for signing, for another algorithm, off its curve."""
        p256, modulus = OWN["ECDH-ES"].public, OWN["RSA-OAEP-256"].public
        short = JWK.from_pyca(rsa.generate_private_key(65537, 1024).public_key()).export_public(as_dict=True)
        jose.encrypt(b"x", p256, "ECDH-ES", "A128GCM")
        for key, alg in (
            (short, "RSA-OAEP-256"),
            (modulus | {"n": jose.encode(b"\xff" * 1025)}, "RSA-OAEP-256"),
            (modulus | {"use": "sig"}, "RSA-OAEP-256"),
            (modulus, "ECDH-ES"),
            (p256, "RSA-OAEP-256"),
            (p256 | {"alg": "ECDH-ES+A128KW"}, "ECDH-ES"),
            (p256 | {"y": p256["x"]}, "ECDH-ES"),
            (p256 | {"crv": "secp256k1"}, "ECDH-ES"),
            (dict(RING[1]), "ECDH-ES"),
            ({"kty": "oct", "k": jose.encode(hashlib.sha256(b"").digest())}, "ECDH-ES"),
            ({}, "ECDH-ES"),
            ({"kty": "RSA", "n": 5, "e": "AQAB"}, "RSA-OAEP-256"),
        ):
            self.assertRaises(jose.TokenRefused, jose.encrypt, b"x", key, alg, "A128GCM")
        for alg, enc in (("RSA-OAEP", "A128GCM"), ("dir", "A128GCM"), ("ECDH-ES", "A192GCM"), ("ECDH-ES", "none")):
            self.assertRaises(ValueError, jose.encrypt, b"x", p256, alg, enc)
