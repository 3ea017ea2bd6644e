"""Encrypted tokens: what we encrypt another library decrypts, and the reverse."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from jwcrypto.jwk import JWK
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import jose

CONTENT = b'{"sub":"ada"}'
OWN = {name: jose.generate(name) for name in jose.DECRYPTION}
RING = [jose.private_jwk(jose.load(pair.private)) for pair in OWN.values()]
THEIRS: dict[str, Any] = {
    "RSA": RSAKey.generate_key(2048),
    "P-256": ECKey.generate_key("P-256"),
    "P-384": ECKey.generate_key("P-384"),
    "P-521": ECKey.generate_key("P-521"),
    "X25519": OKPKey.generate_key("X25519"),
}
NAMES = [*jose.KEY_ENCRYPTION, *jose.CONTENT_ENCRYPTION]


def read(token: str) -> bytes:
    """What was encrypted to us."""
    return jose.decrypt(token, RING, jose.KEY_ENCRYPTION, jose.CONTENT_ENCRYPTION)


class AnotherLibraryTests(SynchronousTestCase):
    """joserfc at the other end."""

    def test_what_we_encrypt(self) -> None:
        """Every algorithm to every kind of key of a client; the header names algorithms, kind of content and key."""
        for kind, key in THEIRS.items():
            public = {**key.as_dict(private=False), "kid": "k1", "use": "enc"}
            for alg in jose.KEY_ENCRYPTION:
                if alg.startswith("RSA") != (kind == "RSA"):
                    continue
                for enc in jose.CONTENT_ENCRYPTION:
                    token = jose.encrypt(CONTENT, public, alg, enc, cty="JWT")
                    opened = jwe.decrypt_compact(token, key, algorithms=NAMES)
                    self.assertEqual(opened.plaintext, CONTENT)
                    told = {name: opened.protected[name] for name in ("alg", "enc", "cty", "kid")}
                    self.assertEqual(told, {"alg": alg, "enc": enc, "cty": "JWT", "kid": "k1"})

    def test_what_they_encrypt(self) -> None:
        """The key is found in our published set by its use, and what is encrypted to it opens, with kid and without."""
        keys = KeySet.import_key_set({"keys": [pair.public for pair in OWN.values()]})
        for alg in jose.KEY_ENCRYPTION:
            pair = OWN["RSA-OAEP-256" if alg.startswith("RSA") else "ECDH-ES"]
            self.assertEqual((pair.public["use"], pair.public["kid"]), ("enc", pair.kid))
            for enc in jose.CONTENT_ENCRYPTION:
                for kid in ({}, {"kid": pair.kid}):
                    key = keys.get_by_kid(pair.kid)
                    token = jwe.encrypt_compact({"alg": alg, "enc": enc, **kid}, CONTENT, key, algorithms=NAMES)
                    self.assertEqual(read(token), CONTENT)

    def test_nothing_twice(self) -> None:
        """Equal contents look different each time."""
        key = THEIRS["P-256"].as_dict(private=False)
        self.assertEqual(len({jose.encrypt(CONTENT, key, "ECDH-ES", "A128GCM") for _ in range(20)}), 20)


class FormTests(SynchronousTestCase):
    """What goes in and comes out."""

    def test_a_token_inside(self) -> None:
        """The longest signed token that is read, encrypted, is read as well; five parts tell one from the other."""
        inner = "a" * (jose.LONGEST - 2) + ".."
        token = jose.encrypt(inner.encode(), OWN["ECDH-ES"].public, "ECDH-ES", "A256GCM", cty="JWT")
        self.assertEqual(read(token).decode(), inner)
        self.assertEqual((jose.is_encrypted(token), jose.is_encrypted(inner)), (True, False))

    def test_private_keys_do_not_show(self) -> None:
        """A private key's repr names it and tells nothing else."""
        for key in RING:
            for member in ("d", "p", "q"):
                self.assertNotIn(str(key.get(member, "nothing")), repr(key))

    def test_keys_from_dictionaries(self) -> None:
        """Private keys may be plain JWKs, too."""
        plain = json.loads(JWK.from_pyca(jose.load(OWN["ECDH-ES"].private)).export())
        token = jose.encrypt(CONTENT, OWN["ECDH-ES"].public, "ECDH-ES", "A128GCM")
        found = jose.decrypt(token, [{**plain, "kid": OWN["ECDH-ES"].kid}], ["ECDH-ES"], ["A128GCM"])
        self.assertEqual(found, CONTENT)

    def test_keys_that_are_orders(self) -> None:
        """Nobody who chooses a key makes the library make one: such members of an ephemeral key are refused before
        anything is computed, and those of a client's key mean nothing.
        """
        order = {"generate": "oct", "size": -1}  # os.urandom raises ValueError for that: it would be refused otherwise
        head, _, rest = _TOKEN.partition(".")
        header = json.loads(jose.decode(head))
        header["epk"] |= order
        token = f"{jose.encode(json.dumps(header).encode())}.{rest}"
        with self.assertRaises(jose.TokenRefused):
            jose.judge_encrypted(token, RING, jose.KEY_ENCRYPTION, jose.CONTENT_ENCRYPTION)
        public = {**THEIRS["P-256"].as_dict(private=False), **order}
        opened = jwe.decrypt_compact(
            jose.encrypt(CONTENT, public, "ECDH-ES", "A128GCM"), THEIRS["P-256"], algorithms=NAMES
        )
        self.assertEqual(opened.plaintext, CONTENT)

    def test_keys_that_cost(self) -> None:
        """What we encrypt to is bounded as what we verify with is: modulus and exponent of RSA, spelling, points."""
        good, point = OWN["RSA-OAEP-256"].public, OWN["ECDH-ES"].public
        self.assertTrue(jose.encrypts_with(good, "RSA-OAEP-256"))
        self.assertTrue(jose.encrypts_with(point, "ECDH-ES+A128KW"))
        self.assertTrue(jose.encrypts_with(THEIRS["X25519"].as_dict(private=False), "ECDH-ES"))
        huge = jose.encode(b"\x7f" + b"\xff" * 255)
        numbers: tuple[dict[str, Any], ...] = (
            {"e": huge}, {"e": "AAEAAQ"}, {"e": "AQ"}, {"e": "BA"}, {"e": 3}, {"n": huge + "AAAA"}, {"d": "AAAA"},
            {"n": jose.encode(b"\0" + jose.decode(good["n"]))}, {"n": jose.encode(b"\xff" * 1025)}, {"kty": "EC"},
        )  # fmt: skip
        for changed in numbers:
            self.assertFalse(jose.encrypts_with(good | changed, "RSA-OAEP-256"), changed)
            with self.assertRaises(jose.TokenRefused):
                jose.encrypt(CONTENT, good | changed, "RSA-OAEP-256", "A128GCM")
        points: tuple[dict[str, Any], ...] = (
            {"y": point["x"]}, {"x": point["x"][:-3]}, {"crv": "secp256k1"}, {"crv": "Ed25519"}, {"y": None},
        )  # fmt: skip
        for changed in points:
            self.assertFalse(jose.encrypts_with(point | changed, "ECDH-ES"), changed)

    @settings(max_examples=200)
    @given(st.lists(st.text("AQ_-.=e30", max_size=12), min_size=5, max_size=5))
    def test_any_parts_are_survived(self, parts: list[str]) -> None:
        """Whatever is presented is refused, and by no other exception."""
        for token in (".".join(parts), ".".join([_HEAD, *parts[1:]])):
            self.assertRaises(jose.TokenRefused, read, token)

    @settings(max_examples=200)
    @given(
        st.dictionaries(
            st.sampled_from(["alg", "enc", "epk", "kid", "cty", "typ", "apu", "apv"]),
            st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
            | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y"]), st.text(max_size=5) | st.none(), max_size=4),
        )
    )  # fmt: skip
    def test_any_header_is_survived(self, members: dict[str, Any]) -> None:
        """A good token with any other members in its header is refused, and by no other exception."""
        head, _, rest = _TOKEN.partition(".")
        changed = json.loads(jose.decode(head)) | members
        token = f"{jose.encode(json.dumps(changed).encode())}.{rest}"
        self.assertRaises(jose.TokenRefused, read, token)


_TOKEN = jose.encrypt(CONTENT, OWN["ECDH-ES"].public, "ECDH-ES", "A128GCM")
_HEAD = _TOKEN.partition(".")[0]
