"""DPoP proofs by themselves: the examples of RFC 9449, addresses in all spellings, times and nonces."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import dpop
from oauthd.protocol.dpop import NonceNeeded, Nonces, ProofRefused, Rules
from oauthd.protocol.errors import OAuthError
from tests.possession import Holder, ath, encoded, resigned

NOW = 1_562_262_620.5
KEY = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19."
)
FOR_A_CODE = (
    KEY + "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwi"
    "aWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)  # section 5, figure 4
FOR_A_REFRESH = (
    KEY + "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwi"
    "aWF0IjoxNTYyMjY1Mjk2fQ.pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuKDYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA"
)  # section 5, figure 6
FOR_A_RESOURCE = (
    KEY + "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0"
    "ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9."
    "2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)  # section 7.1, figure 12
TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"  # section 6.1
ORIGIN = "https://server.example.com"
RESOURCE = "https://resource.example.org"


def nonces(key: bytes = b"key", lifetime: int = 300, *others: bytes) -> Nonces:
    """Nonces under a key."""
    return Nonces(lambda data: [hmac.digest(one, data, "sha256") for one in (key, *others)], lifetime)


def rules(**more: Any) -> Rules:
    """Rules of the examples' servers."""
    usual: dict[str, Any] = {
        "origins": (ORIGIN, RESOURCE),
        "algorithms": ("ES256", "PS256", "Ed25519"),
        "lifetime": 60,
        "ahead": 10,
        "nonce": "off",
        "nonces": nonces(),
    }
    return Rules(**(usual | more))


class ExampleTests(SynchronousTestCase):
    """The examples of RFC 9449."""

    def test_section_5_token_requests(self) -> None:
        """The proofs of both token requests count, and show the key of section 6.1."""
        for proof, made in ((FOR_A_CODE, 1562262616), (FOR_A_REFRESH, 1562265296)):
            found = rules().proof([proof], "POST", "/token", made + 1)
            self.assertEqual((found.jkt, found.until), (JKT, made + 61))
            self.assertIn("-BwC3ESc6acc2lTc", found.name)

    def test_section_7_1_resource_request(self) -> None:
        """The proof of the resource request counts with its access token and with no other one."""
        found = rules().proof([FOR_A_RESOURCE], "GET", "/protectedresource", 1562262618, token=TOKEN)
        self.assertEqual(found.jkt, JKT)
        self.assertEqual(ath(TOKEN), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")
        with self.assertRaisesRegex(ProofRefused, "ath"):
            rules().proof([FOR_A_RESOURCE], "GET", "/protectedresource", 1562262618, token=TOKEN + "x")
        with self.assertRaisesRegex(ProofRefused, "ath"):
            rules().proof([FOR_A_CODE], "POST", "/token", 1562262618, token=TOKEN)


class CheckTests(SynchronousTestCase):
    """Section 4.3, item by item, for proofs that are all signed."""

    def setUp(self) -> None:
        """A client."""
        self.holder = Holder()

    def made(self, holder: Holder | None = None, **more: Any) -> str:
        """A proof for the token endpoint."""
        return (holder or self.holder).proof("POST", "/token", NOW, **{"htu": f"{ORIGIN}/token", **more})

    def refused(self, why: str, *proofs: str, **more: Any) -> None:
        """These proofs do not count, for that reason."""
        with self.assertRaisesRegex(ProofRefused, why):
            rules(**more).proof(proofs, "POST", "/token", NOW)

    def test_it_counts(self) -> None:
        """A proper proof counts, by each algorithm that is on, with members that nobody knows."""
        for algorithm in ("ES256", "PS256", "Ed25519"):
            holder = Holder(algorithm=algorithm)
            proof = self.made(holder, header={"tx_id": 1}, tx_id_key=2)
            self.assertEqual(rules().proof([proof], "POST", "/token", NOW).jkt, holder.jkt)

    def test_item_1_and_2_one_jwt(self) -> None:
        """None, two, two in one field, something else, an empty one and a huge one are refused."""
        proof = self.made()
        self.refused("exactly one")
        self.refused("exactly one", proof, proof)
        for wrong in (f"{proof}, {proof}", f"{proof} ", "", "a.b", "é", proof.rsplit(".", 1)[0], "a" * 20000):
            self.refused("DPoP proof", wrong)

    def test_item_3_claims(self) -> None:
        """Each claim must be there, and of its type."""
        for name in ("jti", "htm", "htu", "iat"):
            values: tuple[Any, ...] = (None, [], {}, True, "")
            for value in values:
                self.refused(name, self.made(None, **{name: value}))
        self.refused("jti", self.made(jti="x" * 257))
        self.refused("iat", self.made(iat="1562262620"))

    def test_item_4_type(self) -> None:
        """A JWT of another type, or of none, is no proof (section 11.6)."""
        for typ in (None, "JWT", "at+jwt", "dpop+jwt+wrong"):
            self.refused("type", self.made(header={"typ": typ}))

    def test_item_5_algorithm(self) -> None:
        """None, HMAC with the public key, and what is not on or not for this client, are refused."""
        self.refused("algorithm", self.made(Holder(algorithm="RS256")))
        self.refused("algorithm", self.made(), algorithms=())
        with self.assertRaisesRegex(ProofRefused, "algorithm"):
            proof = self.made(Holder(algorithm="ES384"))
            rules(algorithms=("ES384",)).proof([proof], "POST", "/token", NOW, strict=True)
        claims = {"jti": "x", "htm": "POST", "htu": f"{ORIGIN}/token", "iat": int(NOW)}
        for algorithm in ("none", "None", "HS256", "ES256K", None, 7):
            head = {"typ": "dpop+jwt", "alg": algorithm, "jwk": self.holder.jwk}
            self.refused("algorithm", resigned(head, claims, b"x"))
        jwk = {"kty": "oct", "k": encoded(b"secret")}
        forged = resigned({"typ": "dpop+jwt", "alg": "HS256", "jwk": jwk}, claims).rpartition(".")[0]
        mac = hmac.digest(b"secret", forged.encode(), hashlib.sha256)
        self.refused("algorithm", f"{forged}.{encoded(mac)}")

    def test_item_6_signature(self) -> None:
        """A signature by another key than the one within, or over something else, is refused."""
        self.refused("signature", self.made(header={"jwk": Holder(1).jwk}))
        head, _, signature = self.made().split(".")
        other = self.made().split(".")[1]
        self.refused("signature", f"{head}.{other}.{signature}")
        claims = {"jti": "x", "htm": "POST", "htu": f"{ORIGIN}/token", "iat": int(NOW)}
        for jwk in (None, "x", {}, {"kty": "EC"}, {**self.holder.jwk, "crv": "P-384"}, {**self.holder.jwk, "x": "AA"}):
            self.refused("key", resigned({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}, claims, bytes(64)))

    def test_item_7_private_key(self) -> None:
        """A proof that gives its private key away proves nothing about who sent it."""
        for holder in (self.holder, Holder(algorithm="Ed25519"), Holder(algorithm="PS256")):
            self.refused("key", self.made(holder, header={"jwk": holder.private_jwk}))

    def test_item_8_method(self) -> None:
        """Another method, or the same in small letters, is refused."""
        for method in ("GET", "PUT", "post"):
            self.refused("htm", self.made(htm=method))

    def test_item_9_address(self) -> None:
        """Another path, host or scheme is refused; so is what a Host field could make of ours."""
        others = ("https://evil.example/token", "http://server.example.com/token")
        for uri in (f"{ORIGIN}/tokens", *others, "/token", ORIGIN):
            self.refused("htu", self.made(htu=uri))

    def test_item_11_time(self) -> None:
        """Without a nonce a proof counts for as long as it is set, with some seconds for clocks that are ahead."""
        offsets = {-3600: False, -61: False, -59: True, 0: True, 10: True, 12: False, 3600: False}
        for offset, good in offsets.items():
            proof = self.made(iat=int(NOW) + offset)
            if good:
                self.assertGreater(rules().proof([proof], "POST", "/token", NOW).until, NOW)
            else:
                self.refused("iat", proof)

    def test_it_is_remembered_as_long_as_it_counts(self) -> None:
        """When what is said of its age has passed, the same proof is refused for its age."""
        for nonce in (None, nonces().current(NOW)):
            proof = self.made(nonce=nonce)
            until = rules().proof([proof], "POST", "/token", NOW).until
            rules().proof([proof], "POST", "/token", until - 1)
            with self.assertRaises(ProofRefused):
                rules().proof([proof], "POST", "/token", until)

    def test_times_of_any_token(self) -> None:
        """`exp` and `nbf` need not be there; where they are, they hold."""
        rules().proof([self.made(exp=int(NOW) + 300, nbf=int(NOW))], "POST", "/token", NOW)
        self.refused("ended", self.made(exp=int(NOW) - 60))
        self.refused("ended", self.made(nbf=int(NOW) + 60))

    def test_other_keys_other_names(self) -> None:
        """The same jti of two keys, methods or places are two proofs; the same of one is one."""
        names = [
            rules().proof([holder.proof(method, path, NOW, jti="j", htu=ORIGIN + path)], method, path, NOW).name
            for holder, method, path in (
                (self.holder, "POST", "/token"),
                (Holder(1), "POST", "/token"),
                (self.holder, "GET", "/token"),
                (self.holder, "POST", "/par"),
                (self.holder, "POST", "/token"),
            )
        ]
        self.assertEqual((len(set(names)), names[0]), (4, names[-1]))


class NonceTests(SynchronousTestCase):
    """Section 8: nonces of a server, made and known without being stored."""

    def setUp(self) -> None:
        """A client."""
        self.holder = Holder()

    def judge(self, nonce: object, mode: str = "required", now: float = NOW, **claims: Any) -> None:
        """Judge a proof with that nonce."""
        proof = self.holder.proof("POST", "/token", NOW, htu=f"{ORIGIN}/token", nonce=nonce, **claims)
        rules(nonce=mode).proof([proof], "POST", "/token", now)

    def test_section_8_1_syntax(self) -> None:
        """A nonce has only characters that one may have, and enough of them."""
        self.assertRegex(nonces().current(NOW), r"\A[\x21\x23-\x5b\x5d-\x7e]{24}\Z")

    def test_required(self) -> None:
        """Where it is required, a proof without it is told so, in time or not; with it, no clock matters."""
        for offset in (0, -3600, 3600):
            with self.assertRaises(NonceNeeded):
                self.judge(None, iat=int(NOW) + offset)
            self.judge(nonces().current(NOW), iat=int(NOW) + offset)

    def test_strict(self) -> None:
        """FAPI 2.0 Security Profile section 5.3.2.1 item 13: whoever is held to it is told of a clock that is ahead."""
        for offset, right in ((-3600, True), (10, True), (61, False)):
            said: dict[str, Any] = {"nonce": nonces().current(NOW), "iat": int(NOW) + offset}
            proof = self.holder.proof("POST", "/token", NOW, htu=f"{ORIGIN}/token", **said)
            if right:
                rules(nonce="required").proof([proof], "POST", "/token", NOW, strict=True)
                continue
            with self.assertRaisesRegex(ProofRefused, "our clocks differ"):
                rules(nonce="required").proof([proof], "POST", "/token", NOW, strict=True)

    def test_optional(self) -> None:
        """Where it is optional, whoever has a wrong clock is offered one; others need none."""
        self.judge(None, "optional")
        for offset in (-3600, 3600):
            with self.assertRaises(NonceNeeded):
                self.judge(None, "optional", iat=int(NOW) + offset)
            self.judge(nonces().current(NOW), "optional", iat=int(NOW) + offset)

    def test_off(self) -> None:
        """Where it is off, whoever has a wrong clock is just refused; a strange nonce never passes."""
        try:
            self.judge(None, "off", iat=int(NOW) + 3600)
        except ProofRefused as error:
            self.assertNotIsInstance(error, NonceNeeded)
        for mode in ("off", "optional", "required"):
            strange: tuple[object, ...] = (nonces(b"another server").current(NOW), "", "é", 7, [])
            for nonce in strange:
                with self.assertRaises(NonceNeeded):
                    self.judge(nonce, mode)

    @given(st.integers(0, 10**10), st.integers(0, 1200))
    def test_lifetime(self, start: int, later: int) -> None:
        """A nonce counts as long as it should at least, at most twice as long, and everybody knows when it ends."""
        mine, theirs = nonces(), nonces()
        nonce = mine.current(start)
        end = theirs.end(nonce, start + later)
        self.assertEqual(end is not None, start + later < (start // 300 + 2) * 300)
        self.assertTrue(end is not None or later >= 300)
        if end is not None:
            self.assertIsNotNone(theirs.end(nonce, end - 1))
            self.assertIsNone(theirs.end(nonce, end))

    def test_a_clock_that_is_behind(self) -> None:
        """A node whose clock is a little behind knows the nonce that another one has begun to hand out."""
        self.assertIsNotNone(nonces().end(nonces().current(600), 599))

    def test_old_master_key(self) -> None:
        """A nonce made by an older master key still counts; new ones are made by the first."""
        self.assertIsNotNone(nonces(b"new", 300, b"old").end(nonces(b"old").current(NOW), NOW))
        self.assertEqual(nonces(b"new", 300, b"old").current(NOW), nonces(b"new").current(NOW))


class AddressTests(SynchronousTestCase):
    """RFC 3986 sections 6.2.2 and 6.2.3: one address in many spellings."""

    def test_equal(self) -> None:
        """Case of scheme and host, its own port, query, fragment, octets and dots make no difference."""
        for uri in (
            "https://server.example.com/a/token",
            "HTTPS://Server.EXAMPLE.com/a/token",
            "https://server.example.com:443/a/token",
            "https://server.example.com:/a/token",
            "https://server.example.com/a/token?x=y",
            "https://server.example.com/a/token?x=/../y#z",
            "https://server.example.com/a/token#",
            "https://server.example.com/a/tok%65n",
            "https://server.example.com/%61/t%6Fken",
            "https://server.example.com/a/./b/../token",
            "https://server.example.com/../a/%2e%2E/a/token",
        ):
            self.assertTrue(dpop.is_at(uri, [ORIGIN], "/a/token"), uri)
        self.assertTrue(dpop.is_at("http://localhost:8000", ["http://localhost:8000"], "/"))
        self.assertTrue(dpop.is_at("http://[::1]:80/x", ["http://[::1]"], "/x"))
        self.assertTrue(dpop.is_at("https://server.example.com/b%20%C3%A9", [ORIGIN], "/b é"))

    def test_different(self) -> None:
        """Another port, scheme, user, host or path is another address; so is whatever can be read in two ways."""
        for uri in (
            "https://server.example.com:444/a/token",
            "https://server.example.com:80/a/token",
            "http://server.example.com/a/token",
            "https://user@server.example.com/a/token",
            "https://server.example.com.evil.example/a/token",
            "https://evil.example/https://server.example.com/a/token",
            "https://server.example.com/a/token/",
            "https://server.example.com//a/token",
            "https://server.example.com/a/TOKEN",
            "https://server.example.com/a%2Ftoken",
            "https://server.example.com/a/token;x",
            "https://server.example.com/a/token/x/..%00",
            "https://server.example.com/a/%FFtoken",
            "https:/server.example.com/a/token",
            "//server.example.com/a/token",
            "https://server.example.com\\a/token",
            " https://server.example.com/a/token",
            "https://server.example.com/a/token\n",
            "",
            None,
            7,
        ):
            self.assertFalse(dpop.is_at(uri, [ORIGIN], "/a/token"), uri)

    def test_octets_that_would_begin_a_query(self) -> None:
        """A path in which a question mark stands is not the one before a query, nor the other way round."""
        for mark, encoded_mark in (("?", "%3F"), ("#", "%23")):
            self.assertTrue(dpop.is_at(f"{ORIGIN}/a{encoded_mark}b", [ORIGIN], f"/a{mark}b"))
            self.assertFalse(dpop.is_at(f"{ORIGIN}/a{mark}b", [ORIGIN], f"/a{mark}b"))
            self.assertFalse(dpop.is_at(f"{ORIGIN}/a{encoded_mark}b", [ORIGIN], "/a"))

    @given(st.text(max_size=40))
    def test_anything(self, text: str) -> None:
        """No text makes it fail."""
        dpop.is_at(text, [ORIGIN], "/a")
        dpop.is_at(ORIGIN + "/" + text, [ORIGIN], "/a")


class KeyTests(SynchronousTestCase):
    """Section 10: the key that a code is to be bound to."""

    def test_asked(self) -> None:
        """A thumbprint is taken as it is, none is none, and anything else is refused."""
        self.assertEqual(dpop.asked_key(JKT), JKT)
        self.assertEqual(dpop.asked_key(None), "")
        for wrong in (JKT[:-1], JKT + "A", JKT[:-1] + "+", "x"):
            error = self.assertRaises(OAuthError, dpop.asked_key, wrong)
            self.assertEqual(error.kind.code, "invalid_request")

