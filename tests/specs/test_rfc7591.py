"""RFC 7591, OAuth 2.0 Dynamic Client Registration: section by section, what holds of the running server."""

from __future__ import annotations

import json
from typing import Any

from jwcrypto.jwk import JWK

from oauthd.config import AuthorizationSettings, KeySettings, RegistrationSettings, ServerSettings, TokenSettings
from oauthd.protocol import jose, opaque
from oauthd.protocol.records import InitialAccess
from tests.details import ACCOUNTS
from tests.server import CHEAP, DEVICE_GRANT, ISSUER, NOW, REDIRECT, ok, together
from tests.specs.registering import KEY, PATH, RegisteringCase, public
from tests.wire import Answer

DAY = 86400
INNER = ("127.0.0.1", "[::1]", "localhost", "10.1.2.3", "169.254.169.254", "a.localhost", "db.internal", "a.example:22")


class MetadataTests(RegisteringCase):
    """Section 2: client metadata."""

    async def test_section_2_defaults(self) -> None:
        """Section 2: one redirect URI makes a confidential client with the authorization code grant."""
        told = await self.registered({"redirect_uris": [REDIRECT]})
        for name, value in {
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "client_name": "app.example",
            "client_id_issued_at": int(NOW),
            "client_secret_expires_at": 0,
        }.items():
            self.assertEqual(told[name], value, name)
        self.assertIsNotNone(opaque.parse(opaque.CLIENT_SECRET, told["client_secret"]))

    async def test_section_2_every_member(self) -> None:
        """Section 2: every member comes back as it was sent, and the client works with its secret."""
        sent = {
            "redirect_uris": [REDIRECT, "http://127.0.0.1/cb"],
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT],
            "response_types": ["code"],
            "client_name": "Fotos \U0001f4f7",
            "client_uri": "https://app.example/",
            "logo_uri": "https://app.example/logo.png",
            "scope": "openid read",
            "contacts": ["ada@app.example"],
            "tos_uri": "https://app.example/tos",
            "policy_uri": "https://app.example/policy",
            "jwks": {"keys": [public(KEY)]},
            "software_id": "4NRB1-0XZABZI9E6-5SM3R",
            "software_version": "2.1",
        }
        told = await self.registered(sent)
        self.assertEqual({name: told[name] for name in sent}, sent)
        form = {"client_id": told["client_id"], "client_secret": told["client_secret"], "token": "x"}
        self.assertEqual((await self.server.post("/oauth2/revoke", form)).status, 200)

    async def test_section_2_unknown_members(self) -> None:
        """Section 2: members that are not understood are ignored, and so are those that mean nothing."""
        sent = {"example_extension_parameter": "x", "client_name#fr": "y", "logo_uri": None, "client_id": "chosen"}
        told = await self.registered({**sent, "redirect_uris": [REDIRECT], "first_party": True, "client_secret": "z"})
        self.assertFalse({"example_extension_parameter", "client_name#fr", "logo_uri", "first_party"} & set(told))
        self.assertNotEqual((told["client_id"], told["client_secret"]), ("chosen", "z"))
        self.assertFalse((await self.record(told)).first_party)

    async def test_section_2_public(self) -> None:
        """Section 2: with the method none a client is public, and no secret is made that it would have to hide."""
        told = await self.registered({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"})
        self.assertEqual(told["token_endpoint_auth_method"], "none")
        self.assertFalse({"client_secret", "client_secret_expires_at"} & set(told))
        self.assertEqual((await self.record(told)).client_type, "public")

    async def test_section_2_device_and_machine(self) -> None:
        """Section 2: clients that are never redirected to have no redirect URIs and no response types."""
        nothing: list[dict[str, Any]] = [{}, {"response_types": [], "redirect_uris": []}]
        for sent in nothing:
            told = await self.registered({"grant_types": [DEVICE_GRANT], **sent})
            self.assertEqual((told["redirect_uris"], told["response_types"]), ([], []))

    async def test_section_2_1_consistency(self) -> None:
        """Section 2.1: response types and grant types fit each other, and only those that there are can be had."""
        for sent, error in (
            ({"response_types": ["token"]}, "invalid_client_metadata"),
            ({"response_types": ["code", "id_token"]}, "invalid_client_metadata"),
            ({"response_types": "code"}, "invalid_client_metadata"),
            ({"response_types": []}, "invalid_client_metadata"),
            ({"response_types": ["code"], "grant_types": [DEVICE_GRANT]}, "invalid_client_metadata"),
            ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
            ({"grant_types": ["password"]}, "invalid_client_metadata"),
            ({"grant_types": ["authorization_code", "implicit"]}, "invalid_client_metadata"),
            ({"redirect_uris": []}, "invalid_redirect_uri"),
            ({"redirect_uris": None}, "invalid_redirect_uri"),
        ):
            self.refused(await self.register({"redirect_uris": [REDIRECT], **sent}), error)

    async def test_section_2_keys(self) -> None:
        """Section 2: keys by value or by reference, not both; public ones, a bounded number, real ones."""
        odd: tuple[dict[str, Any], ...] = (
            {"jwks": {"keys": [public(KEY)]}, "jwks_uri": "https://app.example/jwks"},
            {"jwks_uri": "http://app.example/jwks"},
            {"jwks_uri": "https://app.example/jwks#x"},
            {"jwks_uri": "https://user@app.example/jwks"},
            {"jwks_uri": "file:///etc/passwd"},
            *({"jwks_uri": f"https://{host}/jwks"} for host in INNER),
            *({"request_uris": [f"https://{host}/request"]} for host in INNER),
            {"jwks": {"keys": [KEY.export(as_dict=True)]}},
            {"jwks": {"keys": [JWK.generate(kty="oct", size=256).export(as_dict=True)]}},
            {"jwks": {"keys": [public(KEY)] * 300}},
            {"jwks": {"keys": [{**public(KEY), "x5c": ["A" * 8000] * 4}]}},
            {"jwks": {"keys": [{**public(KEY), "x": "AAAA"}]}},
            {"jwks": []},
        )
        for sent in odd:
            self.refused(await self.register({"redirect_uris": [REDIRECT], **sent}), "invalid_client_metadata")

    async def test_section_2_forms(self) -> None:
        """Section 2: whatever is out of its form is refused, and named."""
        for name, value in (
            ("client_name", ""),
            ("client_name", "a\u202eb"),
            ("client_name", 5),
            ("logo_uri", "javascript:alert(1)"),
            ("logo_uri", "data:image/png;base64,AAAA"),
            ("logo_uri", "http://app.example/logo.png"),
            ("logo_uri", "https://localhost/oauth2/logout"),
            ("tos_uri", "https://app.example/ x"),
            ("policy_uri", "https://"),
            ("client_uri", "javascript:alert(1)"),
            ("contacts", "ada@app.example"),
            ("contacts", ["a"] * 1000),
            ("token_endpoint_auth_method", "magic"),
            ("token_endpoint_auth_method", ["none"]),
            ("grant_types", "authorization_code"),
            ("software_id", "a\nb"),
            ("scope", ["openid"]),
            ("scope", 'a"b'),
            ("scope", "nonsense"),
        ):
            answer = await self.register({"redirect_uris": [REDIRECT], name: value})
            self.refused(answer, "invalid_client_metadata")
            self.assertEqual([one.partition(".")[0] for one in answer.json()["errors"]], [name], value)
        self.assertEqual(self.server.told("client.created"), [])

    async def test_section_5_redirect_uris(self) -> None:
        """Section 5: redirect URIs that would give codes away are refused."""
        for uri in (
            "http://app.example/cb",
            "https://app.example/cb#f",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://user@app.example/",
            "https://0x7f.1/",
            "myapp:/cb",
            "/cb",
            "",
            5,
        ):
            self.refused(await self.register({"redirect_uris": [REDIRECT, uri]}), "invalid_redirect_uri")
        for native in ("http://localhost:3000/cb", "http://127.0.0.1/cb", "edu.example.agent:/redirect"):
            told = await self.registered({"redirect_uris": [native], "token_endpoint_auth_method": "none"})
            self.assertEqual(told["application_type"], "native")

    async def test_section_5_rights(self) -> None:
        """Section 5: a client that nobody knows gets no reserved scope, introspects nothing, and trusts nobody."""
        self.refused(
            await self.register({"redirect_uris": [REDIRECT], "scope": "openid admin"}), "invalid_client_metadata"
        )
        told = await self.registered({"redirect_uris": [REDIRECT]})
        basic = (told["client_id"], told["client_secret"])
        answer = await self.server.post("/oauth2/introspect", {"token": "x"}, basic=basic)
        self.assertIn(answer.status, (400, 403), answer.body)
        asked = {
            "response_type": "code", "client_id": told["client_id"], "redirect_uri": REDIRECT, "scope": "admin",
            "prompt": "none",
        }  # fmt: skip
        self.assertEqual((await self.server.get("/oauth2/authorize", asked)).redirected["error"], "invalid_scope")


class RequestTests(RegisteringCase):
    """Section 3: the endpoint."""

    async def test_section_3_1_body(self) -> None:
        """Section 3.1: a JSON object, and nothing else."""
        self.refused(await self.server.post(PATH, {"redirect_uris": REDIRECT}), "unsupported_media_type", 415)
        odd: list[Any] = [[], "x", 5, None]
        for body in odd:
            self.refused(await self.register(body), *BAD[body is None])
        self.refused(await self.register({"redirect_uris": [REDIRECT]}, path=f"{PATH}?a=b&a=c"), "invalid_request")

    async def test_section_3_2_1_answer(self) -> None:
        """Section 3.2.1: 201, not cached; the secret stands nowhere in the database or in an event."""
        answer = await self.register({"redirect_uris": [REDIRECT]})
        self.assertEqual((answer.status, answer.header("cache-control")), (201, "no-store"))
        told = answer.json()
        held = b"".join([key + value for key, value in (await self.server.dump()).items()]).decode("latin-1")
        for name in ("client_secret", "registration_access_token"):
            self.assertNotIn(told[name], held + repr(self.server.events) + repr(await self.record(told)))
        self.assertEqual(self.server.told("client.created"), [{"client_id": told["client_id"]}])

    async def test_metadata(self) -> None:
        """RFC 8414 section 2: the endpoint is advertised where clients can be registered."""
        document = ok(await self.server.get("/.well-known/openid-configuration"))
        self.assertEqual(document["registration_endpoint"], ISSUER + PATH)

    async def test_a_secret_that_must_be_known(self) -> None:
        """Section 3.2.1: a client that proves keys gets no secret."""
        sent = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt"}
        self.refused(await self.register(sent), "invalid_client_metadata")
        told = await self.registered({**sent, "jwks": {"keys": [public(KEY)]}})
        self.assertNotIn("client_secret", told)
        self.assertEqual((await self.record(told)).secrets, ())


BAD = {False: ("invalid_request", 400), True: ("unsupported_media_type", 415)}


class LimitTests(RegisteringCase):
    """Section 3.1 and 5: many registrations."""

    sections = {
        "users": CHEAP,
        "registration": RegistrationSettings(allow="open", per_source=20, most=30, unclaimed_after=DAY),
    }

    async def test_one_source(self) -> None:
        """Of hundreds of registrations from one source no more than the quota is carried out; an hour later more."""
        body = {"redirect_uris": [REDIRECT]}
        answers = await together(self.register(body, source="192.0.2.7") for _ in range(150))
        made = [answer for answer in answers if answer.status == 201]
        self.assertLessEqual(len(made), 20)
        refused = [answer for answer in answers if answer.status != 201]
        self.assertEqual({answer.status for answer in refused}, {429})
        for _ in range(20 - len(made)):
            await self.registered(body, source="192.0.2.7")
        answer = await self.register(body, source="192.0.2.7")
        self.refused(answer, "too_many_requests", 429)
        self.assertLessEqual(int(answer.header("retry-after")), 3600)
        await self.registered(body, source="192.0.2.8")
        self.server.clock.advance(3600)
        await self.registered(body, source="192.0.2.7")

    async def test_one_network(self) -> None:
        """Addresses of one IPv6 network are one source, and what is refused for its form does not count."""
        for n in range(30):
            answer = await self.register({"redirect_uris": ["x"]}, source=f"192.0.2.{n % 3}")
            self.refused(answer, "invalid_redirect_uri")
        for _ in range(20):
            await self.registered({"redirect_uris": [REDIRECT]}, source="192.0.2.1")

    async def test_upper_bound(self) -> None:
        """However many sources there are, there is an end to how many clients there are; an administrator has none."""
        for n in range(27):
            await self.registered({"redirect_uris": [REDIRECT]}, source=f"198.51.100.{n}")
        answer = await self.register({"redirect_uris": [REDIRECT]}, source="198.51.100.200")
        self.refused(answer, "too_many_requests", 429)
        await self.registered({"redirect_uris": [REDIRECT]}, bearer=await self.admin_token())

    async def test_unused_clients_end(self) -> None:
        """A client that nobody uses is gone after a day, for everybody at once, and swept with all that it had."""
        told = await self.registered({"redirect_uris": [REDIRECT]})
        basic = (told["client_id"], told["client_secret"])
        self.server.clock.advance(DAY)
        self.refused(await self.server.post("/oauth2/revoke", {"token": "x"}, basic=basic), "invalid_client", 401)
        clients = self.server.application.clients
        self.assertEqual(await clients.sweep(), (told["client_id"],))
        self.assertEqual(await clients.registered(), 0)
        self.assertEqual(await clients.sweep(), ())

    async def test_used_clients_stay(self) -> None:
        """One that is used stays, and its record is written once a day at most, however often it is used."""
        told = await self.registered({"redirect_uris": [REDIRECT]})
        basic = (told["client_id"], told["client_secret"])
        ends = set()
        for _ in range(10):
            self.server.clock.advance(DAY / 4)
            for _ in range(3):
                self.assertEqual((await self.server.post("/oauth2/revoke", {"token": "x"}, basic=basic)).status, 200)
            ends.add((await self.record(told)).unused_until)
        self.assertLessEqual(len(ends), 4)
        self.server.clock.advance(89 * DAY)
        self.assertEqual((await self.server.post("/oauth2/revoke", {"token": "x"}, basic=basic)).status, 200)
        self.assertEqual(await self.server.application.clients.sweep(), ())
        self.server.clock.advance(91 * DAY)
        self.refused(await self.server.post("/oauth2/revoke", {"token": "x"}, basic=basic), "invalid_client", 401)

    async def test_others_stay(self) -> None:
        """A client that an administrator made, or the simple registration, has no such end."""
        app = await self.server.client()
        self.server.clock.advance(1000 * DAY)
        self.assertEqual(await self.server.application.clients.sweep(), ())
        self.assertEqual((await self.server.post("/oauth2/revoke", {"token": "x"}, basic=app.basic)).status, 200)


class InitialAccessTests(RegisteringCase):
    """Section 3: initial access tokens."""

    sections = {"users": CHEAP, "registration": RegistrationSettings(allow="token", scopes=("openid", "read"))}

    async def issue(self, uses: int = 1, lives: int = 60, **more: Any) -> str:
        """A token."""
        record = InitialAccess("", uses, 0, int(self.server.clock.seconds()) + lives, **more)
        return (await self.server.application.initial_access.issue(record))[1]

    async def test_section_3_needed(self) -> None:
        """Section 3: without one it is 401, on this machine too; another kind of token is none."""
        answer = await self.register({"redirect_uris": [REDIRECT]})
        self.refused(answer, "invalid_token", 401)
        self.assertEqual(answer.header("www-authenticate").split()[0], "Bearer")
        wrong = opaque.make(opaque.INITIAL_ACCESS, self.server.entropy)
        for bearer in (wrong, wrong[:-1], "x", opaque.make(opaque.REGISTRATION, self.server.entropy)):
            self.refused(await self.register({"redirect_uris": [REDIRECT]}, bearer=bearer), "invalid_token", 401)

    async def test_section_3_uses(self) -> None:
        """Section 3: a token for three registers three, however many come at once; one refused for its form is none."""
        token = await self.issue(3)
        self.refused(await self.register({"redirect_uris": ["x"]}, bearer=token), "invalid_redirect_uri")
        asked = [self.register({"redirect_uris": [REDIRECT]}, bearer=token) for _ in range(20)]
        self.assertEqual(sorted(answer.status for answer in await together(asked)), [201] * 3 + [401] * 17)
        facts = self.server.told("client.created")[0]
        self.assertEqual(set(facts), {"client_id", "by_initial_access"})
        self.assertNotIn(token, repr(facts))

    async def test_section_3_end(self) -> None:
        """Section 3: a token is dead after its time, and when it is taken back."""
        token = await self.issue(5)
        self.server.clock.advance(60)
        self.refused(await self.register({"redirect_uris": [REDIRECT]}, bearer=token), "invalid_token", 401)
        token = await self.issue(5)
        await self.registered({"redirect_uris": [REDIRECT]}, bearer=token)
        page = await self.server.application.initial_access.page(None, 10)
        await self.server.application.initial_access.revoke(page.items[0].record.token_id)
        self.refused(await self.register({"redirect_uris": [REDIRECT]}, bearer=token), "invalid_token", 401)

    async def test_policies(self) -> None:
        """The settings say what a client may be; a token may say something else; an administrator has no limits."""
        wide = await self.issue(9, scopes=("admin",), grant_types=("client_credentials",), auth_methods=("none",))
        machine = {"grant_types": ["client_credentials"]}
        for bearer, sent, status in (
            (await self.issue(), {"redirect_uris": [REDIRECT], "scope": "read"}, 201),
            (await self.issue(), {"redirect_uris": [REDIRECT], "scope": "write"}, 400),
            (await self.issue(), machine, 400),
            (wide, {**machine, "scope": "admin"}, 400),
            (await self.issue(9, grant_types=("client_credentials",)), machine, 201),
            (await self.issue(9, scopes=("admin",)), {"redirect_uris": [REDIRECT], "scope": "admin"}, 201),
            (await self.issue(9, scopes=("admin",)), {"redirect_uris": [REDIRECT], "scope": "read"}, 400),
            (await self.admin_token(), {**machine, "scope": "admin write"}, 201),
        ):
            answer = await self.register(sent, bearer=bearer)
            self.assertEqual(answer.status, status, (sent, answer.body))
        told = await self.registered({"redirect_uris": [REDIRECT]}, bearer=await self.issue())
        self.assertEqual(told["scope"], "openid read")

    async def test_limits_last(self) -> None:
        """What a token allows its clients, more or less than the settings do, holds when they change themselves."""
        more: dict[str, Any] = {
            "scopes": ("read", "write"),
            "grant_types": ("client_credentials",),
            "auth_methods": ("private_key_jwt",),
        }
        keys = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [public(KEY)]}}
        sent: dict[str, Any] = {"grant_types": ["client_credentials"], "scope": "read", **keys}
        told = await self.registered(sent, bearer=await self.issue(**more))
        path, right = f"{PATH}/{told['client_id']}", told["registration_access_token"]
        for change, status in (
            ({"scope": "read openid"}, 400),
            ({"grant_types": ["authorization_code"], "redirect_uris": [REDIRECT]}, 400),
            ({"token_endpoint_auth_method": "client_secret_basic"}, 400),
            ({"scope": "write"}, 200),
        ):
            body = {"client_id": told["client_id"], **sent, **change}
            answer = await self.server.http.request("PUT", path, json_body=body, bearer=right)
            self.assertEqual(answer.status, status, (change, answer.body))
        right = answer.json()["registration_access_token"]
        body = {"client_id": told["client_id"], **sent, "scope": None}
        answer = await self.server.http.request("PUT", path, json_body=body, bearer=right)
        self.assertEqual(answer.json()["scope"], "read write")


class DetailsTests(RegisteringCase):
    """RFC 9396 section 10: types of authorization details."""

    sections = {
        "users": CHEAP,
        "registration": RegistrationSettings(allow="open", grant_types=("authorization_code", "client_credentials")),
        "authorization": AuthorizationSettings(details_types=(json.dumps(ACCOUNTS),)),
    }

    async def test_not_for_itself(self) -> None:
        """A client names types that people are asked for; for itself it has those that an administrator gave it."""
        names = [ACCOUNTS["type"]]
        asking = {"redirect_uris": [REDIRECT], "authorization_details_types": names}
        machine = {**asking, "grant_types": ["authorization_code", "client_credentials"]}
        self.refused(await self.register(machine), "invalid_client_metadata")
        told = await self.registered(asking)
        given = await self.registered(machine, bearer=await self.admin_token())
        for one, status in ((told, 400), (given, 200)):
            body = {**machine, "client_id": one["client_id"]}
            path, right = f"{PATH}/{one['client_id']}", one["registration_access_token"]
            answer = await self.server.http.request("PUT", path, json_body=body, bearer=right)
            self.assertEqual(answer.status, status, answer.body)


class OffTests(RegisteringCase):
    """Section 3: registration may be off."""

    sections = {"users": CHEAP, "registration": RegistrationSettings(allow="off")}

    async def test_off(self) -> None:
        """Nobody registers clients, an administrator neither, and nothing says that one could."""
        self.refused(await self.register({"redirect_uris": [REDIRECT]}), "forbidden", 403)
        answer = await self.register({"redirect_uris": [REDIRECT]}, bearer=await self.admin_token())
        self.refused(answer, "forbidden", 403)
        self.assertNotIn("registration_endpoint", ok(await self.server.get("/.well-known/openid-configuration")))


class LoopbackTests(RegisteringCase):
    """By default it is open to this machine alone."""

    sections = {"users": CHEAP}

    async def test_this_machine(self) -> None:
        """Programs here register clients; others, those behind proxies, and pages in browsers need a token."""
        body = {"redirect_uris": [REDIRECT]}
        await self.registered(body)
        for more in (
            {"source": "192.0.2.7"},
            {"headers": [("X-Forwarded-For", "127.0.0.1")]},
            {"headers": [("Origin", "http://localhost:8000")]},
        ):
            self.refused(await self.register(body, **more), "invalid_token", 401)


class RequiredTests(RegisteringCase):
    """Section 5: what an operator wants of every client."""

    sections = {
        "users": CHEAP,
        "registration": RegistrationSettings(
            allow="open", require=("contacts", "logo_uri"), auth_methods=("none",), unclaimed_after=0
        ),
    }

    async def test_required(self) -> None:
        """Members that must be there, and ways to authenticate that must be used."""
        good = {
            "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none", "contacts": ["a"],
            "logo_uri": "https://app.example/x",
        }  # fmt: skip
        told = await self.registered(good)
        self.assertIsNone((await self.record(told)).unused_until)
        changes: list[dict[str, Any]] = [{"contacts": []}, {"logo_uri": None}, {"token_endpoint_auth_method": None}]
        for change in changes:
            self.refused(await self.register({**good, **change}), "invalid_client_metadata")


class StatementCase(RegisteringCase):
    """Somebody who vouches for software."""

    pair = jose.generate("ES256")

    async def prepare(self) -> None:
        """Publish the issuer's keys."""
        await super().prepare()
        self.documents.at["https://trust.example/jwks"] = json.dumps({"keys": [self.pair.public]}).encode()

    def statement(self, pair: jose.KeyPair | None = None, typ: str = "JWT", **claims: Any) -> str:
        """A signed statement."""
        usual = {
            "iss": "https://trust.example",
            "exp": int(self.server.clock.seconds()) + 600,
            "jti": opaque.new_identifier(self.server.entropy),
            "redirect_uris": [REDIRECT],
            "client_name": "Vouched for",
        }
        told = {name: value for name, value in (usual | claims).items() if value is not None}
        used = pair or self.pair
        return jose.Signer(jose.load(used.private), used.algorithm, used.kid, typ).sign(told)


class SoftwareStatementTests(StatementCase):
    """Section 2.3: software statements."""

    sections = {
        "users": CHEAP,
        "registration": RegistrationSettings(
            allow="open",
            statement_issuers=("https://trust.example https://trust.example/jwks",),
            statements_once=True,
            require=("software_statement",),
        ),
    }

    async def test_section_2_3_members(self) -> None:
        """Section 2.3: what the statement says comes before what the client says; section 3.2.1: it is told again."""
        statement = self.statement(software_id="S")
        sent = {"software_statement": statement, "client_name": "Mine", "redirect_uris": ["https://evil.example/"]}
        told = await self.registered({**sent, "logo_uri": "https://app.example/logo"})
        expected = {
            "client_name": "Vouched for", "redirect_uris": [REDIRECT], "software_id": "S",
            "logo_uri": "https://app.example/logo", "software_statement": statement,
        }  # fmt: skip
        self.assertEqual({name: told[name] for name in expected}, expected)

    async def test_section_3_2_2_invalid(self) -> None:
        """Section 3.2.2: forged, unsigned, expired, foreign, malformed and unnamed statements are invalid."""
        head, body, tail = self.statement().split(".")
        other = jose.generate("ES256")
        for statement in (
            f"{head}.{body}.{tail[:-4]}AAAA",
            f"{head}.{self.statement(client_name='X').split('.')[1]}.{tail}",
            f"{jose.encode(json.dumps({'alg': 'none'}).encode())}.{body}.",
            self.statement(other),
            self.statement(exp=int(self.server.clock.seconds()) - 100),
            self.statement(aud="https://other.example"),
            self.statement(jti=None),
            self.statement(exp=None),
            self.statement(iss=None),
            *(self.statement(typ=typ) for typ in ("at+jwt", "dpop+jwt", "oauth-authz-req+jwt", "logout+jwt", "other")),
            self.statement(client_name=None, redirect_uris=None, sub="ada", scope="read", nonce="n"),
            "x",
            "a.b.c",
            5,
        ):
            answer = await self.register({"software_statement": statement})
            self.refused(answer, "invalid_software_statement")

    async def test_section_3_2_2_unapproved(self) -> None:
        """Section 3.2.2: one of an issuer whom nobody trusts is not approved, and is never looked up."""
        answer = await self.register({"software_statement": self.statement(iss="https://evil.example")})
        self.refused(answer, "unapproved_software_statement")
        self.assertEqual(self.documents.asked, [])

    async def test_replayed(self) -> None:
        """Where a statement counts once, of twenty copies at the same moment one registers a client."""
        statement = self.statement()
        asked = [self.register({"software_statement": statement}) for _ in range(20)]
        answers = await together(asked)
        self.assertEqual(sorted(answer.status for answer in answers), [201] + [400] * 19)
        errors = {answer.error for answer in answers if answer.status == 400}
        self.assertEqual(errors, {"unapproved_software_statement"})

    async def test_wrong_all_the_rest(self) -> None:
        """A mistake elsewhere in the request costs no statement."""
        statement = self.statement()
        for wrong in ({"logo_uri": "x"}, {"scope": "nonsense"}, {"sector_identifier_uri": "https://app.example/404"}):
            answer = await self.register({"software_statement": statement, **wrong})
            self.refused(answer, "invalid_client_metadata")
        await self.registered({"software_statement": statement})

    async def changed(self, told: dict[str, Any], **body: Any) -> Answer:
        """Change a registration; the new right to it goes to `told`."""
        answer = await self.server.http.request(
            "PUT",
            f"{PATH}/{told['client_id']}",
            json_body={"client_id": told["client_id"], **body},
            bearer=told["registration_access_token"],
        )
        if answer.status == 200:
            told["registration_access_token"] = answer.json()["registration_access_token"]
        return answer

    async def test_its_own_again(self) -> None:
        """A client changes itself with the statement that it was registered with, also when that is past its end and
        its key is gone; nobody else does, and with another one it is another matter."""
        statement = self.statement()
        told = await self.registered({"software_statement": statement})
        self.server.clock.advance(3600)
        del self.documents.at["https://trust.example/jwks"]
        for name in ("One", "Two"):
            answer = await self.changed(told, software_statement=statement, policy_uri=f"https://app.example/{name}")
            self.assertEqual((answer.status, answer.json()["client_name"]), (200, "Vouched for"), answer.body)
        await self.prepare()
        self.server.clock.advance(3600)
        self.refused(await self.register({"software_statement": statement}), "invalid_software_statement")
        other = self.statement(client_name="Other")
        self.assertEqual((await self.changed(told, software_statement=other)).json()["client_name"], "Other")
        self.refused(await self.changed(told, software_statement=statement), "invalid_software_statement")
        self.refused(await self.register({"software_statement": other}), "unapproved_software_statement")
        one = await self.registered({"software_statement": self.statement()})
        self.refused(await self.changed(one, software_statement=other), "unapproved_software_statement")

    async def test_decided_by_an_administrator(self) -> None:
        """What an administrator has decided since comes before what the statement says, and stops no change."""
        statement = self.statement()
        told = await self.registered({"software_statement": statement})
        path = f"/api/v1/oauth/clients/{told['client_id']}"
        bearer = await self.admin_token()
        self.assertEqual(
            (await self.server.http.request("PUT", path, json_body={"name": "Ours"}, bearer=bearer)).status, 200
        )
        answer = await self.changed(told, software_statement=statement)
        self.assertEqual((answer.status, answer.json()["client_name"]), (200, "Ours"), answer.body)

    async def test_a_far_end(self) -> None:
        """A statement that ends in the far future counts once all the same."""
        statement = self.statement(exp=2**52)
        await self.registered({"software_statement": statement})
        self.refused(await self.register({"software_statement": statement}), "unapproved_software_statement")

    async def test_required(self) -> None:
        """Where a statement must be there, a client without one is refused, and cannot shed its own later."""
        self.refused(await self.register({"redirect_uris": [REDIRECT]}), "invalid_client_metadata")
        told = await self.registered({"software_statement": self.statement()})
        change = {"client_id": told["client_id"], "redirect_uris": ["https://evil.example/"]}
        answer = await self.server.http.request(
            "PUT", f"{PATH}/{told['client_id']}", json_body=change, bearer=told["registration_access_token"]
        )
        self.refused(answer, "invalid_client_metadata")

    async def test_keys_away(self) -> None:
        """Where the issuer's keys cannot be had, the client is asked to come back."""
        del self.documents.at["https://trust.example/jwks"]
        answer = await self.register({"software_statement": self.statement()})
        self.refused(answer, "temporarily_unavailable", 503)


class StatementIssuersTests(StatementCase):
    """Section 2.3: what the operator wants of the statements of one issuer."""

    sections = {
        "users": CHEAP,
        "registration": RegistrationSettings(
            allow="open",
            statement_issuers=(
                "https://trust.example https://trust.example/jwks typ=ssa+jwt aud exp",
                "https://lax.example https://trust.example/jwks",
            ),
        ),
    }

    def statement(self, pair: jose.KeyPair | None = None, typ: str = "ssa+jwt", **claims: Any) -> str:
        """A statement as it is wanted."""
        return super().statement(pair, typ, **{"aud": ISSUER, **claims})

    async def test_wanted(self) -> None:
        """What the operator wants must be there; of another issuer he may want nothing of it."""
        for statement in (
            self.statement(typ="JWT"),
            self.statement(aud=None),
            self.statement(aud=["https://other.example"]),
            self.statement(exp=None),
        ):
            self.refused(await self.register({"software_statement": statement}), "invalid_software_statement")
        await self.registered({"software_statement": self.statement(aud=[ISSUER, "https://other.example"])})
        for typ in ("application/SSA+jwt", "ssa+jwt"):
            await self.registered({"software_statement": self.statement(typ=typ)})
        lax = self.statement(typ="JWT", iss="https://lax.example", aud=None, exp=None, jti=None)
        for _ in range(2):
            await self.registered({"software_statement": lax})


class StrictStatementTests(StatementCase):
    """FAPI 2.0 Security Profile section 5.4.1, where the server holds everybody to it."""

    pair = jose.generate("RS256")
    sections = {
        "users": CHEAP,
        "server": ServerSettings(profile="fapi2"),
        "registration": RegistrationSettings(
            allow="open", statement_issuers=("https://trust.example https://trust.example/jwks",)
        ),
    }

    async def test_algorithms(self) -> None:
        """A statement by RS256 is refused, one by ES256 is good."""
        good = jose.generate("ES256")
        keys = [self.pair.public, good.public]
        self.documents.at["https://trust.example/jwks"] = json.dumps({"keys": keys}).encode()
        client = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [public(KEY)]}}
        answer = await self.register({**client, "software_statement": self.statement()})
        self.refused(answer, "invalid_software_statement")
        await self.registered({**client, "software_statement": self.statement(good)})


class StrictTests(RegisteringCase):
    """FAPI 2.0 Security Profile sections 5.3.2.1 and 5.4.1, where the server holds everybody to it."""

    sections = {
        "users": CHEAP,
        "server": ServerSettings(profile="fapi2"),
        "registration": RegistrationSettings(allow="open"),
    }

    async def test_methods(self) -> None:
        """A client that nobody would let in is not registered: by a secret, as without a method, or by nothing."""
        keys = {"redirect_uris": [REDIRECT], "jwks": {"keys": [public(KEY)]}}
        for method in (None, "client_secret_basic", "client_secret_post", "client_secret_jwt", "none"):
            answer = await self.register({**keys, "token_endpoint_auth_method": method})
            self.refused(answer, "invalid_client_metadata")
        await self.registered({**keys, "token_endpoint_auth_method": "private_key_jwt"})

    async def test_algorithms(self) -> None:
        """What signs is told, and is of the profile; another cannot be had."""
        good = {"redirect_uris": [REDIRECT], "jwks": {"keys": [public(KEY)]}}
        good["token_endpoint_auth_method"] = "private_key_jwt"
        self.assertEqual((await self.registered(good))["id_token_signed_response_alg"], "PS256")
        for name in ("id_token", "userinfo", "authorization"):
            member = f"{name}_signed_response_alg"
            self.assertEqual((await self.registered({**good, member: "ES256"}))[member], "ES256")
            for algorithm in ("RS256", "HS256"):
                self.refused(await self.register({**good, member: algorithm}), "invalid_client_metadata")


class OtherKeysTests(RegisteringCase):
    """Section 3.2.1, where no key signs with RS256."""

    sections = {
        "users": CHEAP,
        "tokens": TokenSettings(id_token_algorithm="EdDSA"),
        "keys": KeySettings(algorithms=("ES256", "EdDSA")),
        "registration": RegistrationSettings(allow="open"),
    }

    async def test_section_3_2_1_told(self) -> None:
        """What signs id tokens in its place is told, since it is not what clients take for granted."""
        told = await self.registered({"redirect_uris": [REDIRECT]})
        self.assertEqual(told["id_token_signed_response_alg"], "EdDSA")
