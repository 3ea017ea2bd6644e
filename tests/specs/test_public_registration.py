"""Registration that is open to everybody, as whoever means no good would use it (RFC 7591 section 5, RFC 9700)."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Any

from jwcrypto.jwk import JWK

from oauthd.config import RegistrationSettings, ServerSettings
from oauthd.protocol.records import InitialAccess
from tests.server import CHEAP, ISSUER, REDIRECT
from tests.specs.registering import KEY, PATH, RegisteringCase, public
from tests.wire import Answer

BODY = {"redirect_uris": [REDIRECT]}
SEEN = (
    "Übersicht \U0001f4f7", "\u05e9\u05dc\u05d5\u05dd", "\u0645\u06cc\u200c\u062e\u0648\u0627", "I \u2764\ufe0f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 Family",
)  # fmt: skip
UNSEEN = (
    "", " ", "\u200b", "\u3164", "\u2800", "\u00ad", "\u200e", "\u115f", "\ufe0f", "\u200d", "\U000e0041",
    "Good\u200b", "Go\u200bod", "Go\u00adod", "Go\u2060od", "Good \u3164", "Good\U000e0041", "\u202eGood", "Good\u2066",
    "Go\u061cod", "Good\nBank", "Go\x00od", "Go\u2028od", "Go\ufffeod", " Good", "Good\u2003", "x" * 201,
)  # fmt: skip
DANGEROUS = (
    "javascript:alert(1)", "JavaScript:alert(1)", "javascript://app.example/%0aalert(1)", "java\nscript:alert(1)",
    "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://app.example/x", "about:blank",
    "intent://scan/#Intent;scheme=http;end", "intent:x", "view-source:https://app.example/", "filesystem:https://a/",
    "https://user@app.example/cb", "https://user:pass@app.example/cb", "https://app.example@evil.example/",
    "https://app.example/cb#f", "https://app.example/cb#", "https://app.example\\@evil.example/",
    "https://app.example/\u202e", "https://\u0430pp.example/cb", "https://*.example/cb", "https://app.example/ cb",
    "https://app.example:0/cb", "https://app.example:99999/cb", "https:app.example", "https:///cb", "//app.example/cb",
    "http://localhost.evil.example/cb", "http://127.0.0.1.evil.example/", "http://127.1/cb", "https://0x7f.1/",
    "https://2130706433/", "http://[::ffff:127.0.0.1]/", "ftp://app.example/", "urn:ietf:wg:oauth:2.0:oob",
    "myapp:/cb", "com.example.app:cb", "com.example.app://user@host/cb", "\tjavascript:alert(1)", "x" * 3000,
)  # fmt: skip


class AttackCase(RegisteringCase):
    """Refusals with their member."""

    async def wrong(self, **members: Any) -> None:
        """A registration with these members is refused for the last of them, and nothing is made or called."""
        answer = await self.register({**BODY, **members})
        self.assertEqual(answer.status, 400, (members, answer.body))
        self.assertIn(answer.error, ("invalid_client_metadata", "invalid_redirect_uri"))
        named = {one.partition(".")[0] for one in answer.json()["errors"]}
        self.assertEqual(named, {list(members)[-1]}, answer.body)
        self.assertEqual((self.server.told("client.created"), self.documents.asked), ([], []))


class NameTests(AttackCase):
    """What people see at consent."""

    async def test_seen(self) -> None:
        """Names in every writing, and pictures, are good."""
        for name in SEEN:
            self.assertEqual((await self.registered({**BODY, "client_name": name}))["client_name"], name)

    async def test_unseen(self) -> None:
        """What cannot be seen, turns the direction of others or breaks the line, is in no name."""
        for name in UNSEEN:
            await self.wrong(client_name=name)

    async def test_other_languages(self) -> None:
        """Section 2.2: names for other languages are not shown here, and so need not be judged; they are dropped."""
        told = await self.registered({**BODY, "client_name#de": "\u202e", "logo_uri#de": "javascript:alert(1)"})
        self.assertFalse([name for name in told if "#" in name])

    async def test_without_a_name(self) -> None:
        """Who says no name is shown by the host that the answer goes to, which nobody can choose freely."""
        told = await self.registered({"redirect_uris": ["https://xn--80ak6aa92e.example/cb"]})
        self.assertEqual(told["client_name"], "xn--80ak6aa92e.example")


class AddressTests(AttackCase):
    """Addresses that a browser, or this server, would be sent to."""

    async def test_redirects(self) -> None:
        """No redirect URI runs a script, reads a file, calls another application or has two readings."""
        for uri in DANGEROUS:
            await self.wrong(redirect_uris=[REDIRECT, uri])
            await self.wrong(post_logout_redirect_uris=[uri])

    async def test_pages(self) -> None:
        """Links and pictures on our pages are https, and nothing else; so is what others are sent to."""
        for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri", "initiate_login_uri", "jwks_uri"):
            for uri in (*DANGEROUS, "http://app.example/", "", ["https://app.example/"], {"x": 1}):
                await self.wrong(**{name: uri})

    async def test_documents(self) -> None:
        """Nobody has us call inner addresses, be they written in whatever way, nor other ports and schemes."""
        inner = (
            "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/x", "https://192.168.1.1/", "https://0.0.0.0/",
            "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://localhost/",
            "https://x.localhost/", "https://router.local/", "https://db.internal/", "https://nas.home.arpa/",
            "https://app.example:22/", "https://app.example:6379/", "http://app.example/", "https://0x7f.0.0.1/",
            "https://2130706433/", "https://127.1/", "https://metadata.google.internal/", "https://LOCALHOST/",
        )  # fmt: skip
        for uri in inner:
            await self.wrong(jwks_uri=uri)
            await self.wrong(request_uris=["https://app.example/r", uri])
            await self.wrong(subject_type="pairwise", sector_identifier_uri=uri)


class SizeTests(AttackCase):
    """More than anybody needs."""

    async def test_lists(self) -> None:
        """Lists have an end, and hold nothing twice."""
        many = [f"https://app.example/{number}" for number in range(51)]
        for name in ("redirect_uris", "post_logout_redirect_uris", "request_uris"):
            await self.wrong(**{name: many})
            await self.wrong(**{name: many[:1] * 2})
        await self.wrong(contacts=["a@app.example"] * 21)
        await self.wrong(default_acr_values=[str(number) for number in range(21)])
        await self.wrong(grant_types=["authorization_code"] * 2)
        await self.wrong(scope=" ".join(f"s{number}" for number in range(5000)))

    async def test_the_whole(self) -> None:
        """Deep nesting, members that come twice and what is no text or number is refused before it is read."""
        for text, error in (
            (b'{"redirect_uris":' + b"[" * 5000 + b"]" * 5000 + b"}", "invalid_request"),
            (b'{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}', "invalid_request"),
            (b'{"client_name":"\\ud800","redirect_uris":["https://a.example/"]}', "invalid_request"),
            (b'{"default_max_age":1e999,"redirect_uris":["https://a.example/"]}', "invalid_request"),
        ):
            head = f"POST {PATH} HTTP/1.1\r\nHost: localhost:8000\r\nConnection: close\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
            self.refused(await self.server.http.raw(head.encode() + text), error)

    async def test_what_is_kept(self) -> None:
        """The largest client there can be is not larger than what was sent."""
        uris = [f"https://app.example/{number}/{'x' * 1000}" for number in range(30)]
        before = sum(len(value) for value in (await self.server.dump()).values())
        await self.registered({"redirect_uris": uris, "unknown": "x" * 20_000, "jwks": {"keys": [public(KEY)] * 20}})
        after = sum(len(value) for value in (await self.server.dump()).values())
        self.assertLess(after - before, 65536)


class KeyTests(AttackCase):
    """Keys by value."""

    async def test_private(self) -> None:
        """A private or secret key is refused in whatever member it shows, and is neither kept nor repeated."""
        for key in (
            KEY.export(as_dict=True),
            JWK.generate(kty="RSA", size=2048).export(as_dict=True),
            JWK.generate(kty="OKP", crv="Ed25519").export(as_dict=True),
            JWK.generate(kty="oct", size=256).export(as_dict=True),
            {**public(KEY), "d": None},
            {**public(KEY), "k": "AAAA"},
            {**public(KEY), "priv": "AAAA"},
        ):
            await self.wrong(jwks={"keys": [public(KEY), key]})
            answer = await self.register({**BODY, "jwks": {"keys": [key]}})
            for name in ("d", "k"):
                if key.get(name):
                    self.assertNotIn(str(key[name]), answer.body.decode())

    async def test_many_and_odd(self) -> None:
        """A thousand keys, keys that are none, and keys that would make each verification an attack are refused."""
        good = public(KEY)
        modulus = "A" * 4 + "_" * 3000
        sets: tuple[list[Any], ...] = (
            [{}] * 1000,
            [good] * 21,
            [],
            [5],
            [{}],
            [{"kty": "EC"}],
            [{**good, "crv": "secp256k1"}],
            [{**good, "crv": "P-384"}],
            [{**good, "y": good["x"]}],
            [{**good, "kid": "x" * 300}],
            [{**good, "x5c": ["A" * 8192] * 6}],
            [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}],
            [{"kty": "RSA", "n": modulus, "e": "AQAB"}],
            [{"kty": "RSA", "n": public(JWK.generate(kty="RSA", size=2048))["n"], "e": "_" * 300}],
        )
        for keys in sets:
            await self.wrong(jwks={"keys": keys})
        odd: tuple[Any, ...] = ({}, {"keys": {}}, [], "x")
        for value in odd:
            await self.wrong(jwks=value)
        told = await self.registered({**BODY, "jwks": {"keys": [{**good, "evil": "x" * 100}], "evil": [1]}})
        self.assertEqual(told["jwks"], {"keys": [good]})


class SectorTests(AttackCase):
    """Sectors that belong to others."""

    async def test_another_sector(self) -> None:
        """Nobody joins a sector whose document does not name him, whatever else it looks like."""
        address = "https://victim.example/sector"
        sent = {"subject_type": "pairwise", "sector_identifier_uri": address}
        for document in (
            b"", b"[]", b"{}", b'"https://app.example/callback"', b"null", b"\xff", b"[" * 5000,
            b'["https://victim.example/cb"]', json.dumps([REDIRECT + "/", REDIRECT.upper(), [REDIRECT]]).encode(),
            json.dumps({REDIRECT: REDIRECT}).encode(), json.dumps([REDIRECT[:-1]]).encode(),
        ):  # fmt: skip
            self.documents.at[address] = document
            answer = await self.register({**BODY, **sent})
            self.refused(answer, "invalid_client_metadata")
            self.assertEqual(list(answer.json()["errors"]), ["sector_identifier_uri"])
        self.documents.at[address] = json.dumps([REDIRECT]).encode()
        mixed = {"redirect_uris": [REDIRECT, "https://evil.example/cb"]}
        self.refused(await self.register({**mixed, **sent}), "invalid_client_metadata")
        await self.registered({**BODY, **sent})

    async def test_a_sector_of_devices(self) -> None:
        """What leads to people's own devices is a sector of nobody's."""
        for uri in ("http://127.0.0.1/cb", "http://localhost/cb", "com.victim.app:/cb"):
            answer = await self.register({"redirect_uris": [uri], "subject_type": "pairwise"})
            self.refused(answer, "invalid_client_metadata")


class RightTests(RegisteringCase):
    """Registration access tokens where they open nothing."""

    async def configured(self, told: dict[str, Any], right: str, method: str = "GET", **body: Any) -> Answer:
        """Call the configuration endpoint of a client."""
        sent = {"client_id": told["client_id"], **BODY, **body} if method == "PUT" else None
        return await self.server.http.request(method, f"{PATH}/{told['client_id']}", json_body=sent, bearer=right)

    async def test_of_another(self) -> None:
        """With one's own token nobody reads, changes or ends another's client, also not by naming it in the body."""
        mine, other = await self.registered(BODY), await self.registered(BODY)
        right = mine["registration_access_token"]
        for method in ("GET", "PUT", "DELETE"):
            self.refused(await self.configured(other, right, method), "invalid_token", 401)
        answer = await self.configured(mine, right, "PUT", client_id=other["client_id"])
        self.refused(answer, "invalid_client_metadata")
        self.assertEqual((await self.configured(other, other["registration_access_token"])).status, 200)

    async def test_after_the_end(self) -> None:
        """After DELETE, after its time and while an administrator has it deactivated, a client's token opens nothing;
        and a client that is gone does not come back by a change."""
        gone, old, off = [await self.registered(BODY) for _ in range(3)]
        self.assertEqual((await self.configured(gone, gone["registration_access_token"], "DELETE")).status, 204)
        path = f"/api/v1/oauth/clients/{off['client_id']}"
        bearer = await self.admin_token()
        answer = await self.server.http.request("PUT", path, json_body={"is_active": False}, bearer=bearer)
        self.assertEqual(answer.status, 200)
        for told in (gone, off):
            for method in ("GET", "PUT", "DELETE"):
                answer = await self.configured(told, told["registration_access_token"], method)
                self.refused(answer, "invalid_token", 401)
        self.server.clock.advance(RegistrationSettings().unclaimed_after)
        for method in ("GET", "PUT", "DELETE"):
            answer = await self.configured(old, old["registration_access_token"], method)
            self.refused(answer, "invalid_token", 401)
        self.assertIsNone(await self.server.application.clients.find(gone["client_id"]))

    async def test_in_other_places(self) -> None:
        """The token counts in the Authorization header alone."""
        told = await self.registered(BODY)
        path, right = f"{PATH}/{told['client_id']}", told["registration_access_token"]
        for answer in (
            await self.server.http.request("GET", path, query={"access_token": right}),
            await self.server.http.request("GET", path, headers=[("Authorization", f"DPoP {right}")]),
            await self.server.http.request("GET", path, headers=[("Cookie", f"access_token={right}")]),
        ):
            self.refused(answer, "invalid_token", 401)


class SourceTests(RegisteringCase):
    """The quota of a source."""

    sections = {
        "users": CHEAP,
        "registration": RegistrationSettings(allow="open", per_source=3, most=20, unclaimed_after=7200),
        "server": ServerSettings(issuer=ISSUER, trusted_proxies=(ip_network("10.0.0.0/8"),)),
    }

    async def test_behind_a_proxy(self) -> None:
        """Who comes through a trusted proxy is counted by his own address, and cannot make up another."""
        for number in range(3):
            head = [("X-Forwarded-For", f"198.51.100.{number}, 192.0.2.1")]
            await self.registered(BODY, source="10.0.0.1", headers=head)
        head = [("X-Forwarded-For", "203.0.113.9, 192.0.2.1")]
        self.refused(await self.register(BODY, source="10.0.0.1", headers=head), "too_many_requests", 429)
        await self.registered(BODY, source="10.0.0.1", headers=[("X-Forwarded-For", "192.0.2.2")])
        for number in range(3):
            await self.registered(BODY, source="192.0.2.3", headers=[("X-Forwarded-For", f"198.51.100.{number}")])
        head = [("X-Forwarded-For", "198.51.100.77")]
        self.refused(await self.register(BODY, source="192.0.2.3", headers=head), "too_many_requests", 429)

    async def test_a_network(self) -> None:
        """All addresses of one IPv6 network are one source, and an IPv4 address is one however it is written."""
        proxy: dict[str, Any] = {"source": "10.0.0.1"}
        for number in range(3):
            await self.registered(BODY, **proxy, headers=[("X-Forwarded-For", f"2001:db8:0:1:{number}::1")])
        head = [("X-Forwarded-For", "2001:db8:0:1:ffff::9")]
        self.refused(await self.register(BODY, **proxy, headers=head), "too_many_requests", 429)
        await self.registered(BODY, **proxy, headers=[("X-Forwarded-For", "2001:db8:0:2::1")])
        for text in ("::ffff:192.0.2.9", "192.0.2.9", "192.0.2.9:1234"):
            await self.registered(BODY, **proxy, headers=[("X-Forwarded-For", text)])
        head = [("X-Forwarded-For", "192.0.2.9")]
        self.refused(await self.register(BODY, **proxy, headers=head), "too_many_requests", 429)

    async def test_when_strangers_fill_it(self) -> None:
        """Strangers with any number of sources leave room for those that hold a token; and it is theirs alone."""
        issued = InitialAccess("", 9, 0, int(self.server.clock.seconds()) + 600)
        _, token = await self.server.application.initial_access.issue(issued)
        for number in range(18):
            await self.registered(BODY, source=f"198.51.100.{number}")
        self.refused(await self.register(BODY, source="198.51.100.99"), "too_many_requests", 429)
        for _ in range(2):
            await self.registered(BODY, bearer=token)
        self.refused(await self.register(BODY, bearer=token), "too_many_requests", 429)
        self.server.clock.advance(7200)
        await self.server.application.clients.sweep()
        await self.registered(BODY, source="198.51.100.99")


class SiteTests(RegisteringCase):
    """The quota of a site that has many IPv6 networks."""

    sections = {
        "users": CHEAP,
        "registration": RegistrationSettings(allow="open", per_source=1),
        "server": ServerSettings(issuer=ISSUER, trusted_proxies=(ip_network("10.0.0.0/8"),)),
    }

    async def test_a_site(self) -> None:
        """Whoever has a whole /48 has no more than sixteen networks' share, and takes nothing from another."""
        for number, status in ((*((each, 201) for each in range(16)), (16, 429), (0, 429))):
            head = [("X-Forwarded-For", f"2001:db8:7:{number:x}::1")]
            self.assertEqual((await self.register(BODY, source="10.0.0.1", headers=head)).status, status)
        await self.registered(BODY, source="10.0.0.1", headers=[("X-Forwarded-For", "2001:db8:8::1")])
        for number in range(20):
            await self.registered(BODY, source=f"192.0.2.{number}")
