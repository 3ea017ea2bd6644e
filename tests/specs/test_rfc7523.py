"""RFC 7523, JWTs that authenticate clients, with RFC 7521 section 4.2, OpenID Connect Core section 9 and rfc7523bis."""

from __future__ import annotations

import json
from typing import Any

from authlib.oauth2.rfc7523 import client_secret_jwt_sign, private_key_jwt_sign
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey
from msgspec.structs import replace
from treq.testing import RequestTraversalAgent

from oauthd.config import AuthenticationSettings, DpopSettings, MtlsSettings, ServerSettings
from oauthd.protocol.messages import Headers, Parameters, Request
from tests.proofs.signing import ASSERTION_TYPE, Key, b64, claims, form, key, key_set
from tests.proofs.test_client_keys import KeyPage
from tests.server import ISSUER, NOW, App, Server, ServerCase, ok, together
from tests.wire import Answer

TOKEN = f"{ISSUER}/oauth2/token"
ENDPOINTS = ("token", "introspect", "revoke", "device_authorize", "par")


class AssertionCase(ServerCase):
    """A client that signs."""

    key = key("ES256")

    async def prepare(self) -> None:
        """Register it."""
        self.app = await self.signer("app", self.key)

    async def signer(self, name: str, *keys: Key, method: str = "private_key_jwt", **fields: Any) -> App:
        """A client with these keys."""
        facts = {"auth_method": method, "jwks": key_set(*keys)} | fields
        return await self.server.client(name, **facts)

    def assertion(self, *, by: Any = None, header: Any = None, **said: Any) -> str:
        """An assertion of the client, with other claims than usual; None leaves one out."""
        usual: dict[str, Any] = {"audience": ISSUER, "client_id": "app", "now": self.server.clock.seconds()}
        signing: Key = by or self.key
        return signing.token(claims(**(usual | said)), **(header or {}))

    async def ask(self, assertion: str, **more: str) -> Answer:
        """A token request with that assertion."""
        return await self.server.post("/oauth2/token", form(assertion, grant_type="client_credentials") | more)

    async def accepted(self, assertion: str, **more: str) -> dict[str, Any]:
        """It is accepted."""
        return ok(await self.ask(assertion, **more))

    async def unproven(self, assertion: str, why: str = "client authentication failed", **more: str) -> None:
        """It is refused, and it is said why."""
        answer = await self.ask(assertion, **more)
        self.refused(answer, "invalid_client", 401)
        self.assertIn(why, answer.json()["detail"])
        self.assertNotIn(assertion, repr(self.server.events))


class Section22Tests(AssertionCase):
    """Section 2.2, RFC 7521 section 4.2: how an assertion is presented."""

    async def test_section_2_2_at_every_endpoint(self) -> None:
        """An assertion authenticates at every endpoint that clients call."""
        token = (await self.accepted(self.assertion()))["access_token"]
        challenge = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
        asked = {
            "token": {"grant_type": "client_credentials"},
            "introspect": {"token": token},
            "revoke": {"token": token},
            "device_authorize": {"scope": "openid"},
            "par": {"response_type": "code", "redirect_uri": "https://app.example/cb", "scope": "openid", **challenge},
        }
        for endpoint in ENDPOINTS:
            place, forged = f"/oauth2/{endpoint}", self.assertion(by=key(kid="x"))
            answer = await self.server.post(place, form(self.assertion(), **asked[endpoint]))
            self.assertIn(answer.status, (200, 201), (endpoint, answer.body))
            self.refused(await self.server.post(place, form(forged, **asked[endpoint])), "invalid_client", 401)

    async def test_section_2_2_client_id_beside_it(self) -> None:
        """A client_id may stand beside it, and must then be the same (FAPI 1.0 Baseline section 5.2.2 item 19)."""
        await self.accepted(self.assertion(), client_id="app")
        await self.server.client("other")
        for client_id in ("other", "nobody", "App"):
            self.refused(await self.ask(self.assertion(), client_id=client_id), "invalid_client", 401)

    async def test_section_2_2_the_two_go_together(self) -> None:
        """Assertion and type must both be there, once, and the type must be the one of JWTs."""
        asked = {"grant_type": "client_credentials"}
        saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
        for sent in (
            {"client_assertion": self.assertion()},
            {"client_assertion_type": ASSERTION_TYPE},
            {"client_assertion_type": ASSERTION_TYPE, "client_id": "app"},
            form(self.assertion()) | {"client_assertion_type": saml},
            form(self.assertion()) | {"client_assertion_type": ASSERTION_TYPE.upper()},
        ):
            self.refused(await self.server.post("/oauth2/token", asked | sent), "invalid_client", 401)
        pairs = [*form(self.assertion()).items(), ("client_assertion", self.assertion()), *asked.items()]
        self.refused(await self.server.post("/oauth2/token", pairs), "invalid_request")

    async def test_section_2_2_not_in_a_query(self) -> None:
        """An assertion in the query, which logs keep, is refused, and does not count as used."""
        assertion = self.assertion()
        asked = {"grant_type": "client_credentials"}
        self.refused(await self.server.post("/oauth2/token", asked, query=form(assertion)), "invalid_client", 401)
        answer = await self.server.post("/oauth2/token", form(self.assertion()) | asked, query=form(assertion))
        self.refused(answer, "invalid_client", 401)
        await self.accepted(assertion)

    async def test_section_2_2_one_method_in_a_request(self) -> None:
        """RFC 6749 section 2.3: an assertion together with a secret, in a header or the form, is refused."""
        asked = {"grant_type": "client_credentials"}
        answer = await self.server.post("/oauth2/token", form(self.assertion()) | asked, basic=("app", "secret"))
        self.refused(answer, "invalid_request")
        answer = await self.ask(self.assertion(), client_secret="secret", client_id="app")
        self.refused(answer, "invalid_request")

    async def test_section_2_2_what_is_no_jwt(self) -> None:
        """What is no JWT is refused before anything is asked of the store, and so is one that is far too long."""
        good = self.assertion()
        head, body, signature = good.split(".")
        sub = b64(json.dumps({"sub": 1}).encode())
        for text in (
            "x", "..", f"{head}.{body}", f"{good}.{signature}", f"{head}.{body}.", f"{head}..{signature}",
            f"{head}.{body}.{signature}=", f"[].{body}.{signature}", f"{head}.{sub}.{signature}", "a" * 9000,
            self.assertion(padding="x" * 9000), b64(b"[" * 5000) + f".{body}.{signature}",
            head + "." + b64(b'{"sub":"app","sub":"app"}') + "." + signature,
        ):  # fmt: skip
            self.refused(await self.ask(text), "invalid_client", 401)


class Section3Tests(AssertionCase):
    """Section 3: what an assertion must say."""

    async def test_section_3_rules_1_and_2(self) -> None:
        """Issuer and subject are both the client, and nobody else."""
        await self.signer("other", self.key)
        await self.accepted(self.assertion())
        await self.unproven(self.assertion(iss="other"), "the iss of the client_assertion")
        await self.unproven(self.assertion(iss=None), "the iss")
        await self.unproven(self.assertion(iss=["app"]), "the iss")
        await self.unproven(self.assertion(sub="other"), "the iss")
        await self.unproven(self.assertion(sub=None), "has no sub")
        await self.unproven(self.assertion(sub=["app"]), "has no sub")

    async def test_section_3_rule_3_audience(self) -> None:
        """The audience is our issuer, our token endpoint at any of its paths, or the endpoint that is called."""
        for audience in (ISSUER, TOKEN, f"{ISSUER}/oauth/token", [ISSUER], [TOKEN], [ISSUER, TOKEN]):
            await self.accepted(self.assertion(audience=audience))
        pushing = {"response_type": "code", "redirect_uri": "https://app.example/cb", "scope": "openid"}
        answer = await self.server.post("/oauth2/par", form(self.assertion(audience=f"{ISSUER}/oauth2/par"), **pushing))
        self.assertEqual(answer.status, 201, answer.body)

    async def test_section_3_rule_3_other_audiences(self) -> None:
        """Any other audience is refused, and so is one of several that is not us (rfc7523bis section 4)."""
        for audience in (
            "https://other.example", f"{ISSUER}/", ISSUER.upper(), f"{ISSUER}/oauth2/par",
            f"{ISSUER}/oauth2/introspect", [], "", None, 1, True, {"0": ISSUER},
            [ISSUER, "https://other.example"], [[ISSUER]], f"{ISSUER} {TOKEN}",
            f"{ISSUER}.other.example", "https://other.example/oauth2/token", "app",
        ):  # fmt: skip
            await self.unproven(self.assertion(audience=audience), "the aud of the client_assertion")

    async def test_section_3_rule_3_typed(self) -> None:
        """Whoever types its assertion, as rfc7523bis section 4 wants it, must name the issuer and nothing else."""
        header = {"typ": "Client-Authentication+jwt"}
        for audience in (ISSUER, [ISSUER]):
            await self.accepted(self.assertion(audience=audience, header=header))
        for audience in (TOKEN, [TOKEN], [ISSUER, TOKEN], [ISSUER, ISSUER], []):
            await self.unproven(self.assertion(audience=audience, header=header), f"must be {ISSUER} alone")

    async def test_section_3_rule_4_end(self) -> None:
        """It has an end, which is not past, and not far away."""
        now = int(NOW)
        await self.unproven(self.assertion(exp=None), "no exp")
        await self.unproven(self.assertion(exp=now - 10), "has ended")
        await self.accepted(self.assertion(exp=now - 9))  # as far as clocks may differ
        await self.accepted(self.assertion(exp=now + 3600))  # as some libraries write
        for exp in (now + 3700, now + 10**6, 2**53 - 1):
            await self.unproven(self.assertion(exp=exp), "too far ahead")
        for strange in ("soon", True, [now + 60], 1e300, -1):
            await self.unproven(self.assertion(exp=strange), "")

    async def test_section_3_rule_4_without_iat(self) -> None:
        """Without a time of issue, its end is not farther away than an assertion may live."""
        now = int(NOW)
        await self.accepted(self.assertion(iat=None, exp=now + 300))
        await self.unproven(self.assertion(iat=None, exp=now + 311), "too far ahead")

    async def test_section_3_rule_5_not_before(self) -> None:
        """A clock may be ten seconds ahead; who is valid from a minute on is refused (FAPI 2.0 section 5.3.2.1)."""
        now = int(NOW)
        for name in ("nbf", "iat"):
            await self.accepted(self.assertion(**{name: now + 10}))
            await self.accepted(self.assertion(**{name: now - 30}))
            for time in (now + 12, now + 61):
                await self.unproven(self.assertion(**{name: time}), f"the {name} of the client_assertion lies in the")
            for strange in ("now", True, [now], 1e300):
                await self.unproven(self.assertion(**{name: strange}))

    async def test_section_3_rule_6_old_ones(self) -> None:
        """It counts no longer than an assertion may live, whatever its end is."""
        assertion = self.assertion(exp=int(NOW) + 3000)
        self.server.clock.advance(311)
        await self.unproven(assertion, "issued (iat) more than 300 seconds ago")

    async def test_section_3_rule_7_id(self) -> None:
        """It has an id, of bounded length."""
        for jti in (None, "", 1, ["x"], "x" * 513):
            await self.unproven(self.assertion(jti=jti), "must have a jti")
        await self.accepted(self.assertion(jti="x" * 512))

    async def test_section_3_rule_7_once(self) -> None:
        """It counts once, at whatever endpoint, and its id for no other assertion of this client, but of others."""
        assertion = self.assertion(jti="the same")
        await self.accepted(assertion)
        await self.unproven(assertion, "was used before")
        self.refused(await self.server.post("/oauth2/revoke", form(assertion, token="x")), "invalid_client", 401)
        await self.unproven(self.assertion(jti="the same", exp=int(NOW) + 61), "was used before")
        await self.signer("other", self.key)
        await self.accepted(self.assertion(client_id="other", jti="the same"))
        self.server.clock.advance(69)
        await self.unproven(self.assertion(jti="the same", exp=int(NOW) + 200), "was used before")

    async def test_section_3_rule_7_only_what_is_good_is_used_up(self) -> None:
        """A refused assertion uses no id up: neither a stranger's, nor one that says something else than it must."""
        await self.unproven(self.assertion(by=key(kid="x"), jti="the same"))
        await self.unproven(self.assertion(jti="the same", audience="https://other.example"), "aud")
        await self.unproven(self.assertion(jti="the same", exp=int(NOW) - 60), "ended")
        await self.accepted(self.assertion(jti="the same"))

    async def test_section_3_rule_7_copies_at_two_workers(self) -> None:
        """Of a hundred copies that arrive together at two workers one is let in, and one token issued."""
        other = self.server.sibling()
        await other.application.keys.open()
        assertion = self.assertion()
        asked = form(assertion, grant_type="client_credentials")
        servers: list[Server] = [self.server, other]
        answers = await together(servers[n % 2].post("/oauth2/token", asked) for n in range(100))
        self.assertEqual(sorted(answer.status for answer in answers), [200] + [401] * 99)
        self.assertEqual(len(self.server.told("token.issued") + other.told("token.issued")), 1)

    async def test_section_3_rule_7_no_store_no_token(self) -> None:
        """Where nobody knows whether it was used it is not let in, and no token is issued."""
        self.server.store.crash_after = 1
        answer = await self.ask(assertion := self.assertion())
        self.refused(answer, "temporarily_unavailable", 503)
        await self.unproven(assertion, "was used before")

    async def test_section_3_rule_9_signature(self) -> None:
        """Every algorithm that is on verifies, with the client's own key."""
        for algorithm in ("ES256", "PS256", "RS256", "EdDSA"):
            signing = key(algorithm, f"k-{algorithm}")
            app = await self.signer(f"by-{algorithm}", signing)
            await self.accepted(self.assertion(by=signing, client_id=app.client_id))
            await self.accepted(self.assertion(by=signing, client_id=app.client_id, header={"kid": None}))

    async def test_section_3_rule_10_everything_else_is_ignored(self) -> None:
        """Claims that nobody knows are ignored."""
        await self.accepted(self.assertion(events={"a": 1}, azp="x", scope="admin", client_secret="x"))


class AttackTests(AssertionCase):
    """What forgers try. Each is told the same as someone who names no client."""

    async def test_unsigned(self) -> None:
        """An unsigned assertion is refused, in every spelling of none."""
        for name in ("none", "None", "NONE", "", None, 1, ["ES256"]):
            whole = self.assertion(header={"alg": name})
            for token in (whole, whole.rpartition(".")[0] + "."):
                self.refused(await self.ask(token), "invalid_client", 401)

    async def test_odd_headers(self) -> None:
        """Extensions, compression, unencoded content, names of keys that are none: refused, and nothing is used up."""
        said = {"jti": "one"}
        odd: tuple[dict[str, Any], ...] = (
            {"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"zip": "DEF"}, {"enc": "A128GCM"},
            {"p2c": 2**31}, {"kid": "k" * 4000}, {"kid": []}, {"kid": {}}, {"alg": []}, {"alg": {}}, {"typ": []},
            {"alg": "ES384"}, {"alg": "EdDSA"}, {"alg": "PS256"},
        )  # fmt: skip
        for header in odd:
            self.refused(await self.ask(self.assertion(header=header, **said)), "invalid_client", 401)
        await self.accepted(self.assertion(**said))

    async def test_other_forms(self) -> None:
        """JSON serialization, many signatures, detached content, tokens within tokens: one form alone is read."""
        good = self.assertion()
        head, body, signature = good.split(".")
        one = {"protected": head, "signature": signature}
        for other in (
            json.dumps({"payload": body, "signatures": [one] * 20}),
            json.dumps({"payload": body, **one}),
            good + f".{signature}" * 20,
            f"{head}..{signature}",
            f"{good}.AA.AA",
            ".".join([head, b64(good.encode()), signature]),
            "A" * 8193,
        ):
            self.refused(await self.ask(other), "invalid_client", 401)
        await self.accepted(good)

    async def test_keys_that_are_none(self) -> None:
        """A document at a jwks_uri may hold anything: what is no key verifies nothing, and harms no other key."""
        good = self.key.jwk
        odd: list[dict[str, Any]] = [
            {"kid": "one"}, good | {"kty": []}, good | {"kty": {}}, good | {"crv": []}, good | {"use": []},
            good | {"key_ops": {}}, good | {"alg": {}}, good | {"x": 5}, good | {"y": good["x"]}, good | {"d": "AAAA"},
            good | {"crv": "P-384"}, {"kid": "one", "kty": "oct", "k": "AAAA"},
        ]  # fmt: skip
        for one in odd:
            for keys, status in (([one], 401), ([one, good], 200)):
                await self.server.application.clients.update(
                    "app", lambda client, keys=keys: replace(client, jwks={"keys": keys})  # type: ignore[misc]
                )
                self.assertEqual((await self.ask(self.assertion())).status, status, one)

    async def test_a_public_key_as_a_secret(self) -> None:
        """The client's public key is no HMAC secret, in whatever form."""
        signing = key("RS256", "rsa")
        await self.signer("rsa", signing)
        public = signing.private.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for secret in (pem, pem.strip(), der, json.dumps(signing.jwk).encode(), signing.jwk["n"].encode()):
            await self.unproven(self.assertion(by=Key("HS256", "rsa", secret), client_id="rsa"))

    async def test_another_algorithm_of_the_key(self) -> None:
        """A client that registered an algorithm is let in with no other, though its key could."""
        signing = key("RS256", "rsa")
        await self.signer("rsa", signing, auth_algorithm="PS256")
        await self.unproven(self.assertion(by=signing, client_id="rsa"))
        pss = Key("PS256", "rsa", signing.private)
        await self.accepted(self.assertion(by=pss, client_id="rsa"))

    async def test_keys_from_the_assertion(self) -> None:
        """A key that the assertion brings or points to is never used, nor is what changes its meaning."""
        evil = key(kid="evil")
        for header in (
            {"jwk": evil.jwk}, {"jwk": evil.jwk, "kid": None}, {"jku": "https://evil.example/jwks"},
            {"x5u": "https://evil.example/x"}, {"x5c": ["AA=="]}, {"crit": ["exp"]}, {"b64": False, "crit": ["b64"]},
            {"zip": "DEF"}, {"enc": "A128GCM"}, {"p2c": 10**9},
        ):  # fmt: skip
            await self.unproven(self.assertion(by=evil, header=header))
            await self.unproven(self.assertion(header=header))

    async def test_another_clients_key(self) -> None:
        """A key proves its own client alone, also where another client has one of the same name."""
        other = key(kid=self.key.kid + "2")
        await self.signer("other", other)
        await self.unproven(self.assertion(by=other))
        await self.unproven(self.assertion(by=Key("ES256", self.key.kid, other.private)))
        await self.unproven(self.assertion(by=other, header={"kid": None}))

    async def test_our_own_tokens(self) -> None:
        """What we have signed, and proofs of other kinds, are no assertions."""
        signing = self.server.application.keys.signer("ES256")
        said = claims("app", ISSUER, NOW)
        await self.unproven(signing.sign(said))
        for other in ("at+jwt", "dpop+jwt", "logout+jwt", "oauth-authz-req+jwt", "", 1):
            await self.unproven(self.assertion(header={"typ": other}), "the typ of the client_assertion")
        for typ in (None, "JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"):
            await self.accepted(self.assertion(header={"typ": typ}))

    async def test_tampered(self) -> None:
        """Another signature, another body, a cut signature: all are refused alike."""
        good = self.assertion()
        head, body, signature = good.split(".")
        other = self.assertion(jti="x").split(".")[1]
        for forged in (signature[:-6], "A" * 86, b64(b"\xff" * 64), b64(bytes(65))):
            self.refused(await self.ask(f"{head}.{body}.{forged}"), "invalid_client", 401)
        await self.unproven(f"{head}.{other}.{signature}")
        await self.accepted(good)

    async def test_everybody_is_told_the_same(self) -> None:
        """An unknown client, an inactive one, one without keys, a wrong key and a wrong signature: one answer."""
        await self.signer("idle", self.key, is_active=False)
        await self.server.client("keyless", auth_method="private_key_jwt")
        await self.server.client("secretive", auth_method="client_secret_jwt")
        await self.server.client("usual")
        answers = [
            await self.ask(self.assertion(client_id=name, by=by))
            for name in ("nobody", "idle", "keyless", "secretive", "usual", "app")
            for by in (key(kid="one-more"), Key("ES256", "one", key(kid="x").private), Key("HS256", "one", b"x" * 32))
        ]
        self.assertEqual(len({(answer.status, answer.body) for answer in answers}), 1)

    async def test_a_decoy_is_nobody(self) -> None:
        """Who signs with a key that is tried for unknown clients is no client, and learns nothing by it."""
        decoy = Key("ES256", "one", ec.derive_private_key(1, ec.SECP256R1()))
        await self.unproven(self.assertion(client_id="nobody", by=decoy))
        await self.unproven(self.assertion(client_id="nobody", by=decoy, header={"kid": None}, audience="x"))
        await self.unproven(self.assertion(by=decoy))
        await self.unproven(self.assertion(client_id="nobody", by=Key("HS256", "one", bytes(64))))


class MethodTests(AssertionCase):
    """OpenID Connect Core section 9: a client is let in by the method that it registered, and by no other."""

    async def test_no_other_method(self) -> None:
        """A client that signs is let in by no secret, not even its own; one with a secret by no signature."""
        app = await self.signer("both", self.key, secret="s" * 43)
        asked = {"grant_type": "client_credentials"}
        self.refused(await self.server.post("/oauth2/token", asked, basic=("both", "s" * 43)), "invalid_client", 401)
        answer = await self.server.post("/oauth2/token", asked | {"client_id": "both", "client_secret": "s" * 43})
        self.refused(answer, "invalid_client", 401)
        self.refused(await self.server.post("/oauth2/token", asked | {"client_id": "both"}), "invalid_client", 401)
        self.assertEqual(app.record.auth_method, "private_key_jwt")
        for method in ("", "client_secret_basic", "client_secret_post", "client_secret_jwt"):
            name = f"with-{method}"
            await self.signer(name, self.key, method=method)
            await self.unproven(self.assertion(client_id=name))

    async def test_basic_or_post_alone(self) -> None:
        """A client that registered one place for its secret is not let in by the other; without a method by both."""
        asked = {"grant_type": "client_credentials"}
        for method, good in (("client_secret_basic", (200, 401)), ("client_secret_post", (401, 200)), ("", (200, 200))):
            app = await self.server.client(f"with-{method}", auth_method=method)
            by_header = await self.server.post("/oauth2/token", asked, basic=app.basic)
            sent = {"client_id": app.client_id, "client_secret": app.secret}
            by_form = await self.server.post("/oauth2/token", asked | sent)
            self.assertEqual((by_header.status, by_form.status), good)

    async def test_a_change_of_method_at_once(self) -> None:
        """A client whose method is changed is let in by the new one at once, and by the old one no more."""
        app = await self.server.client("changing")
        asked = {"grant_type": "client_credentials"}
        ok(await self.server.post("/oauth2/token", asked, basic=app.basic))
        change = {"auth_method": "private_key_jwt", "jwks": key_set(self.key)}
        await self.server.application.clients.update("changing", lambda client: replace(client, **change))
        self.refused(await self.server.post("/oauth2/token", asked, basic=app.basic), "invalid_client", 401)
        await self.accepted(self.assertion(client_id="changing"))

    async def test_nothing_is_learned(self) -> None:
        """An answer to an assertion teaches the fast lane nothing, and no proof is remembered."""
        request = form(self.assertion(), grant_type="client_credentials")
        ok(await self.server.post("/oauth2/token", request))
        known = (await self.server.application.clients.known("app")).value
        self.assertEqual(known.proofs, {})
        for _ in range(3):
            self.refused(await self.server.post("/oauth2/token", request), "invalid_client", 401)

    async def test_no_lesson_of_introspection(self) -> None:
        """A resource server that signs is answered as ever, and its request is no pattern for others."""
        token = (await self.accepted(self.assertion()))["access_token"]
        endpoint = self.server.application.endpoints["introspect"]
        for _ in range(2):
            sent = tuple(form(self.assertion(), token=token).items())
            answer = await endpoint(Request("POST", "/oauth2/introspect", form=Parameters(sent), headers=Headers()))
            self.assertTrue(json.loads(answer.body)["active"])
            self.assertIsNone(answer.lesson)

    async def test_retired_key(self) -> None:
        """A key that the client has taken away lets nobody in, a new one does at once."""
        await self.accepted(self.assertion())
        new = key(kid="two")
        await self.server.application.clients.update("app", lambda client: replace(client, jwks=key_set(new)))
        await self.unproven(self.assertion())
        await self.accepted(self.assertion(by=new))

    async def test_metadata(self) -> None:
        """RFC 8414 section 2: methods and algorithms stand in the metadata for each endpoint."""
        told = ok(await self.server.get("/.well-known/openid-configuration"))
        for endpoint in ("token", "introspection", "revocation"):
            self.assertIn("private_key_jwt", told[f"{endpoint}_endpoint_auth_methods_supported"])
            self.assertIn("client_secret_jwt", told[f"{endpoint}_endpoint_auth_methods_supported"])
            algorithms = told[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
            self.assertLess({"ES256", "PS256", "EdDSA", "RS256", "HS256"}, set(algorithms))
            self.assertNotIn("none", algorithms)
        self.assertNotIn("none", told["introspection_endpoint_auth_methods_supported"])
        self.assertIn("none", told["token_endpoint_auth_methods_supported"])


class SecretTests(AssertionCase):
    """OpenID Connect Core section 9: client_secret_jwt."""

    async def prepare(self) -> None:
        """Register a client that proves its secret without sending it."""
        self.app = await self.server.client("app", auth_method="client_secret_jwt")
        self.key = Key("HS256", "", self.app.secret.encode())

    def by_secret(self, secret: str, **said: Any) -> str:
        """An assertion made with a secret."""
        return self.assertion(by=Key("HS256", "", secret.encode()), header={"kid": None}, **said)

    async def test_by_its_secret(self) -> None:
        """Its secret authenticates an assertion, and no other secret does; each counts once."""
        assertion = self.by_secret(self.app.secret)
        await self.accepted(assertion)
        await self.unproven(assertion, "was used before")
        for secret in ("", "x" * 32, self.app.secret[:-1], self.app.secret + "x"):
            await self.unproven(self.by_secret(secret))
        await self.unproven(self.by_secret(self.app.secret, audience="https://other.example"), "aud")

    async def test_the_secret_is_not_sent(self) -> None:
        """The secret itself lets nobody in: whoever saw it sent would have it."""
        answer = await self.server.post("/oauth2/token", {"grant_type": "client_credentials"}, basic=self.app.basic)
        self.refused(answer, "invalid_client", 401)

    async def test_sealed(self) -> None:
        """The database holds the secret sealed: it cannot be read there."""
        held = b"\n".join((await self.server.dump()).values())
        self.assertNotIn(self.app.secret.encode(), held)
        self.assertNotIn("sealed=", repr(self.app.record))

    async def test_rotated(self) -> None:
        """During the overlap both secrets work, afterwards the new one alone."""
        _, new = await self.server.application.clients.rotate_secret("app", 100)
        for secret in (self.app.secret, new):
            await self.accepted(self.by_secret(secret))
        self.server.clock.advance(100)
        await self.unproven(self.by_secret(self.app.secret))
        await self.accepted(self.by_secret(new))

    async def test_a_secret_of_before(self) -> None:
        """A secret that was made while only its digest was needed does not do; one that is made now does."""
        app = await self.server.client("older")
        await self.server.application.clients.update("older", lambda one: replace(one, auth_method="client_secret_jwt"))
        await self.unproven(self.by_secret(app.secret, client_id="older"))
        _, new = await self.server.application.clients.rotate_secret("older", 100)
        await self.accepted(self.by_secret(new, client_id="older"))

    async def test_by_a_key(self) -> None:
        """No key will do in place of the secret."""
        await self.unproven(self.assertion(by=key("ES256")))


class FetchedKeysTests(AssertionCase):
    """Keys at the client's jwks_uri."""

    async def prepare(self) -> None:
        """A client whose keys are somewhere."""
        self.page = KeyPage()
        self.page.body = json.dumps(key_set(self.key)).encode()
        self.server.application.fetcher.agent = RequestTraversalAgent(self.page)
        self.uri = f"https://app.example/{self.id()}"  # what is fetched is kept from one test to the next
        self.app = await self.signer("app", jwks={}, jwks_uri=self.uri)

    async def test_fetched_once(self) -> None:
        """Keys are fetched at first use, and used from then on."""
        for _ in range(3):
            await self.accepted(self.assertion())
        self.assertEqual(self.page.asked, 1)

    async def test_forgers_cannot_make_us_call(self) -> None:
        """However many unknown keys are named, the document is fetched no second time within a minute."""
        for number in range(10):
            await self.unproven(self.assertion(by=key(kid="evil"), header={"kid": f"k{number}"}))
        self.assertEqual(self.page.asked, 1)

    async def test_a_document_that_cannot_be_had(self) -> None:
        """Nobody learns by it that there is such a client: what is wrong with the document stands in our log."""
        self.page.code = 404
        answers = [await self.ask(self.assertion()) for _ in range(2)]
        answers.append(await self.ask(self.assertion(client_id="nobody")))
        told = {(answer.status, answer.body, answer.header("www-authenticate")) for answer in answers}
        self.assertEqual((len(told), answers[0].status), (1, 401))
        self.refused(answers[0], "invalid_client", 401)

    async def test_an_address_that_is_not_called(self) -> None:
        """Whatever a client registers, we do not call ourselves."""
        await self.signer("inner", jwks={}, jwks_uri="http://127.0.0.1:8000/oauth2/jwks")
        await self.unproven(self.assertion(client_id="inner"))
        self.assertEqual(self.page.asked, 0)


class StrictTests(AssertionCase):
    """FAPI 2.0 Security Profile section 5.3.2.1, for one client."""

    async def prepare(self) -> None:
        """A client that is held to it."""
        self.app = await self.signer("app", self.key, profile="fapi2", dpop_bound=False, certificate_bound=False)

    async def revoked(self, assertion: str) -> Answer:
        """A revocation request: it needs authentication and nothing else."""
        return await self.server.post("/oauth2/revoke", form(assertion, token="x"))

    async def test_the_issuer_alone(self) -> None:
        """Item 8: the audience is the issuer, as a string."""
        self.assertEqual((await self.revoked(self.assertion())).status, 200)
        for audience in (TOKEN, [ISSUER], [ISSUER, TOKEN], f"{ISSUER}/oauth2/revoke", None):
            answer = await self.revoked(self.assertion(audience=audience))
            self.refused(answer, "invalid_client", 401)
            self.assertIn(f"must be {ISSUER}, as a string", answer.json()["detail"])

    async def test_algorithms(self) -> None:
        """Section 5.4.1: RS256 is none of its algorithms, PS256 and EdDSA are."""
        for algorithm, status in (("RS256", 401), ("PS256", 200), ("EdDSA", 200)):
            signing = key(algorithm, f"k-{algorithm}")
            name = f"by-{algorithm}"
            await self.signer(name, signing, profile="fapi2")
            answer = await self.revoked(self.assertion(by=signing, client_id=name))
            self.assertEqual(answer.status, status, (algorithm, answer.body))

    async def test_keys_of_one_name(self) -> None:
        """Section 5.4.3: of keys with one kid the one that fits the assertion counts, of several that fit each does."""
        keys = [Key(one.algorithm, "same", one.private) for one in map(key, ("PS256", "ES256", "EdDSA"))]
        keys.append(Key("ES256", "same", ec.generate_private_key(ec.SECP256R1())))
        await self.signer("many", *keys, profile="fapi2")
        for one in keys:
            self.assertEqual((await self.revoked(self.assertion(by=one, client_id="many"))).status, 200)
        other = self.assertion(by=Key("ES256", "same", ec.generate_private_key(ec.SECP256R1())), client_id="many")
        self.refused(await self.revoked(other), "invalid_client", 401)

    async def test_no_secrets(self) -> None:
        """Item 6: no client that is held to it is let in by a secret, in whatever way, or by nothing."""
        for method in ("", "client_secret_basic", "client_secret_post", "client_secret_jwt"):
            app = await self.server.client(f"with-{method}", auth_method=method, profile="fapi2")
            answer = await self.server.post("/oauth2/revoke", {"token": "x"}, basic=app.basic)
            self.refused(answer, "invalid_client", 401)
            by_hmac = self.assertion(by=Key("HS256", "", app.secret.encode()), client_id=app.client_id)
            self.refused(await self.revoked(by_hmac), "invalid_client", 401)
        app = await self.server.client("open", public=True, profile="fapi2")
        answer = await self.server.post("/oauth2/revoke", {"token": "x", "client_id": "open"})
        self.refused(answer, "invalid_client", 401)


class OlderProfileTests(AssertionCase):
    """FAPI 1.0 Advanced section 8.6, for one client."""

    async def test_algorithms(self) -> None:
        """PS256 and ES256 alone sign its assertions, whatever else is on."""
        for algorithm, status in (("RS256", 401), ("EdDSA", 401), ("PS256", 200), ("ES256", 200)):
            signing = key(algorithm, f"k-{algorithm}")
            name = f"by-{algorithm}"
            await self.signer(name, signing, profile="fapi1")
            assertion = self.assertion(by=signing, client_id=name)
            answer = await self.server.post("/oauth2/revoke", form(assertion, token="x"))
            self.assertEqual(answer.status, status, (algorithm, answer.body))


class NonceTests(AssertionCase):
    """RFC 9449 section 8: a request that is sent again with a nonce may carry the same assertion."""

    sections = {"dpop": DpopSettings(nonce="required")}

    async def test_the_same_assertion_with_a_nonce(self) -> None:
        """An assertion is not used up by a proof that lacks a nonce, at either endpoint; it is by what comes after."""
        challenge = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
        pushed = {"response_type": "code", "redirect_uri": "https://app.example/cb", "scope": "openid", **challenge}
        for path, asked in (("/oauth2/token", {"grant_type": "client_credentials"}), ("/oauth2/par", pushed)):
            assertion = self.assertion()
            answer = await self.proving(path, form(assertion, **asked))
            self.refused(answer, "use_dpop_nonce")
            nonce = answer.header("dpop-nonce")
            answer = await self.proving(path, form(assertion, **asked), nonce=nonce)
            self.assertIn(answer.status, (200, 201), answer.body)
            self.refused(await self.proving(path, form(assertion, **asked), nonce=nonce), "invalid_client", 401)

    async def test_strange_proofs(self) -> None:
        """What is wrong with a proof besides is told as ever, and breaks nothing."""
        for proof in ("x", "..", self.key.token({"iat": "x"}), self.key.token({"iat": [1], "exp": {}})):
            asked = form(self.assertion(), grant_type="client_credentials")
            answer = await self.server.post("/oauth2/token", asked, headers=[("DPoP", proof)])
            self.assertIn(answer.error, ("invalid_dpop_proof", "use_dpop_nonce"))

    async def proving(self, path: str, sent: dict[str, str], **said: str) -> Answer:
        """A request with a proof."""
        now = int(self.server.clock.seconds())
        proof = {"htm": "POST", "htu": ISSUER + path, "iat": now, "jti": f"{path}{len(said)}{sent}"[:200]} | said
        jwk = {name: value for name, value in self.key.jwk.items() if name in ("kty", "crv", "x", "y")}
        field = self.key.token(proof, typ="dpop+jwt", jwk=jwk, kid=None)
        return await self.server.post(path, sent, headers=[("DPoP", field)])


class AliasTests(AssertionCase):
    """RFC 8705 section 5: our endpoints may have a second address, for clients with certificates."""

    sections = {"mtls": MtlsSettings(base="https://mtls.example", proxy_header="Client-Cert")}

    async def test_the_token_endpoint_there(self) -> None:
        """The token endpoint at either address is an audience; that address by itself is no issuer."""
        for base in (ISSUER, "https://mtls.example"):
            await self.accepted(self.assertion(audience=f"{base}/oauth2/token"))
        await self.unproven(self.assertion(audience="https://mtls.example"), "the aud of the client_assertion")


class StrictServerTests(AssertionCase):
    """The same, for all clients of a server."""

    sections = {"server": ServerSettings(profile="fapi2")}

    async def test_everybody(self) -> None:
        """A client that says nothing of it is held to it too, and the metadata say so."""
        answer = await self.server.post("/oauth2/revoke", form(self.assertion(audience=TOKEN), token="x"))
        self.refused(answer, "invalid_client", 401)
        answer = await self.server.post("/oauth2/revoke", form(self.assertion(), token="x"))
        self.assertEqual(answer.status, 200)
        told = ok(await self.server.get("/.well-known/openid-configuration"))
        self.assertIn("private_key_jwt", told["token_endpoint_auth_methods_supported"])
        secrets = {"client_secret_basic", "client_secret_post", "client_secret_jwt", "none"}
        self.assertEqual(secrets & set(told["token_endpoint_auth_methods_supported"]), set())
        algorithms = set(told["token_endpoint_auth_signing_alg_values_supported"])
        self.assertEqual(algorithms, {"PS256", "ES256", "EdDSA", "Ed25519"})


class OffTests(AssertionCase):
    """Methods and algorithms that the operator does not want."""

    sections = {
        "authentication": AuthenticationSettings(off=("client_secret_jwt", "none"), algorithms=("PS256", "HS256"))
    }

    async def test_off(self) -> None:
        """What is off lets nobody in and is not announced."""
        await self.unproven(self.assertion(), "the alg of the client_assertion is none that is accepted here: PS256")
        signing = key("PS256", "pss")
        await self.signer("pss", signing)
        await self.accepted(self.assertion(by=signing, client_id="pss"))
        app = await self.server.client("hmac", auth_method="client_secret_jwt")
        await self.unproven(self.assertion(by=Key("HS256", "", app.secret.encode()), client_id="hmac"))
        await self.server.client("open", public=True)
        answer = await self.server.post("/oauth2/revoke", {"token": "x", "client_id": "open"})
        self.refused(answer, "invalid_client", 401)
        told = ok(await self.server.get("/.well-known/openid-configuration"))
        methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
        self.assertEqual(
            [name for name in told["token_endpoint_auth_methods_supported"] if "tls" not in name], methods
        )
        self.assertEqual(told["token_endpoint_auth_signing_alg_values_supported"], ["PS256"])


class LibraryTests(AssertionCase):
    """What libraries send by themselves."""

    async def test_authlib(self) -> None:
        """Authlib names the token endpoint and lets assertions last an hour."""
        pem = self.key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        await self.accepted(private_key_jwt_sign(pem, "app", TOKEN, alg="ES256", issued_at=int(NOW)))
        app = await self.server.client("hmac", auth_method="client_secret_jwt")
        await self.accepted(client_secret_jwt_sign(app.secret, "hmac", TOKEN, issued_at=int(NOW)))

    async def test_joserfc(self) -> None:
        """Assertions that another library signs verify."""
        signing = ECKey.generate_key("P-256", {"kid": "lib"})
        await self.server.client("lib", auth_method="private_key_jwt", jwks={"keys": [signing.as_dict(private=False)]})
        said = claims("lib", ISSUER, self.server.clock.seconds())
        await self.accepted(jwt.encode({"alg": "ES256", "kid": "lib"}, said, signing))
