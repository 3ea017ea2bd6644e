"""OpenID Connect Core sections 8 and 8.1: pairwise subjects, everywhere that a person is named."""

from __future__ import annotations

import base64
import json
from typing import Any

from joserfc import jwt
from twisted.internet.defer import Deferred

from oauthd.protocol.client_rules import flaws
from oauthd.protocol.records import Client
from oauthd.protocol.seals import Seals
from oauthd.sealed_keys import MasterKeyMismatch
from oauthd.subjects import Subjects, sector
from tests.server import App, ServerCase, ok, with_fields
from tests.specs.tokens import published, verified


def client(**fields: Any) -> Client:
    """A client that is to know people by pairwise subjects."""
    return Client("c", 1, "C", "confidential", 0, 0, **({"subject_type": "pairwise"} | fields))


class PairwiseCase(ServerCase):
    """Pairwise clients of two sectors, and a user."""

    async def prepare(self) -> None:
        """Two clients of one sector, one of another, a public one."""
        self.here = await self.server.client("here", subject_type="pairwise", sector="sector.example")
        self.beside = await self.server.client("beside", subject_type="pairwise", sector="sector.example")
        self.there = await self.server.client("there", subject_type="pairwise", sector="other.example")
        self.open = await self.server.client("open")
        self.alice = await self.server.user()

    async def tokens(self, app: App, **more: Any) -> dict[str, Any]:
        """What the client gets."""
        return await self.server.signed_in(app, self.alice, **more)

    async def sub(self, app: App) -> str:
        """What the client's id token calls alice."""
        tokens = await self.tokens(app)
        return str((await verified(self.server, tokens["id_token"], "RS256")).claims["sub"])


class SubjectTests(PairwiseCase):
    """Section 8.1: what subjects are like."""

    async def test_by_sector(self) -> None:
        """Clients of one sector see one subject, those of another sector another; public ones the user id."""
        here, beside, there = await self.sub(self.here), await self.sub(self.beside), await self.sub(self.there)
        self.assertEqual(here, beside)
        self.assertEqual(len({here, there, await self.sub(self.open)}), 3)
        self.assertEqual(await self.sub(self.open), self.alice.user_id)

    async def test_on_the_own_device(self) -> None:
        """Loopback addresses stand for no sector: every application on the device has them."""
        made = [
            await self.server.client(name, subject_type="pairwise", redirect_uris=("http://127.0.0.1/cb",))
            for name in ("one", "two")
        ]
        self.assertEqual([sector(app.record) for app in made], ["one", "two"])
        self.assertIn("sector_identifier_uri", flaws(made[0].record))

    async def test_what_it_is_made_of(self) -> None:
        """A subject is short ASCII and neither user id nor a plain hash of anything known."""
        told = await self.sub(self.here)
        self.assertRegex(told, r"\A[A-Za-z0-9_-]{43}\Z")
        other = await self.server.user("bob")
        tokens = await self.server.signed_in(self.here, other)
        self.assertNotEqual((await verified(self.server, tokens["id_token"], "RS256")).claims["sub"], told)

    async def test_everywhere_the_same(self) -> None:
        """Id token, userinfo, JWT access token and introspection tell one subject, and none of them the user id."""
        tokens = await self.tokens(self.here, scope="openid profile email")
        told = await self.sub(self.here)
        keys = await published(self.server)
        access = jwt.decode(tokens["access_token"], keys, algorithms=["ES256"]).claims
        identity = (await verified(self.server, tokens["id_token"], "RS256")).claims
        userinfo = ok(await self.server.userinfo(tokens["access_token"]))
        introspected = await self.server.introspect(tokens["access_token"])
        own = await self.server.introspect(tokens["refresh_token"], self.here)
        for where in (access, identity, userinfo, introspected, own):
            self.assertEqual(where["sub"], told)
            self.assertNotIn(self.alice.user_id, json.dumps(where))
        self.assertNotIn("username", introspected)

    async def test_from_memory(self) -> None:
        """Introspection tells the same from memory, and for an opaque token."""
        await self.server.application.clients.update("here", with_opaque)
        tokens = await self.tokens(self.here)
        told = await self.sub(self.here)
        for _ in range(3):
            self.assertEqual((await self.server.introspect(tokens["access_token"]))["sub"], told)

    async def test_openid_alone_names_nobody(self) -> None:
        """`openid` alone does not bring username and email to a pairwise client, and the consent page says so."""
        browser = self.server.browser()
        page = await browser.sign_in(
            await browser.open("/oauth2/authorize", self.server.asking(self.here)), self.alice
        )
        self.assertNotIn("email address", page.text)
        tokens = await self.tokens(self.here)
        self.assertEqual(set(ok(await self.server.userinfo(tokens["access_token"]))), {"sub"})

    async def test_own_profile(self) -> None:
        """The admin API, where a client may ask for the profile of its user, calls it by the same subject."""
        app = await self.server.client("keeper", subject_type="pairwise", sector="keeper.example", scopes=("account",))
        token = (await self.tokens(app, scope="account"))["access_token"]
        path = "/api/v1/users/profile"
        told = [await self.server.get(path, bearer=token)]
        told.append(await self.server.http.request("PUT", path, json_body={"nickname": "Al"}, bearer=token))
        for answer in map(ok, told):
            self.assertEqual(answer["user_id"], (await self.server.introspect(token))["sub"])
            self.assertNotIn(self.alice.user_id, json.dumps(answer))

    async def test_after_a_refresh(self) -> None:
        """A refresh keeps the subject (section 12.2)."""
        tokens = await self.tokens(self.here)
        again = ok(await self.server.refresh(self.here, tokens["refresh_token"]))
        claims = (await verified(self.server, again["id_token"], "RS256")).claims
        self.assertEqual(claims["sub"], await self.sub(self.here))

    async def test_a_client_for_itself(self) -> None:
        """A token without a user is about the client."""
        tokens = ok(await self.server.token(self.here, "client_credentials", scope="read"))
        self.assertEqual((await self.server.introspect(tokens["access_token"]))["sub"], "here")


class NamedTests(PairwiseCase):
    """A subject that a client sends back."""

    async def test_hint(self) -> None:
        """An id_token_hint names the person by the client's own subject; one of another sector is another person's."""
        browser = self.server.browser()
        tokens = await self.tokens(self.here, browser=browser)
        asking = self.server.asking(self.here, id_token_hint=tokens["id_token"], prompt="none")
        self.assertIn("code", (await browser.get("/oauth2/authorize", asking)).redirected)
        await self.tokens(self.there, browser=browser)
        asking = self.server.asking(self.there, id_token_hint=tokens["id_token"], prompt="none")
        self.refused_by_redirect((await browser.get("/oauth2/authorize", asking)).redirected, "login_required")

    async def test_claims(self) -> None:
        """A `sub` in the claims parameter is the client's own subject, and the user id names nobody to it."""
        browser = self.server.browser()
        await self.tokens(self.here, browser=browser)
        for value, outcome in ((await self.sub(self.here), "code"), (self.alice.user_id, "error")):
            claims = json.dumps({"id_token": {"sub": {"value": value}}})
            asking = self.server.asking(self.here, claims=claims, prompt="none")
            self.assertIn(outcome, (await browser.get("/oauth2/authorize", asking)).redirected)

    async def test_sign_out(self) -> None:
        """RP-initiated logout takes the hint of a pairwise client without asking."""
        browser = self.server.browser()
        tokens = await self.tokens(self.here, browser=browser)
        answer = await browser.get("/oauth2/logout", {"id_token_hint": tokens["id_token"]})
        self.assertEqual(answer.location, "/logout")
        asking = self.server.asking(self.here, prompt="none")
        self.refused_by_redirect((await browser.get("/oauth2/authorize", asking)).redirected, "login_required")


class SaltTests(PairwiseCase):
    """What subjects stand on, and what they outlive."""

    def subjects(self, *masters: bytes) -> Subjects:
        """A node with these master keys."""
        return Subjects(self.server.store, Seals(masters, self.server.entropy), self.server.entropy)

    async def test_another_node(self) -> None:
        """Every node of a store, and a node that starts again, makes the same subjects."""
        told = self.server.application.subjects.of(self.here.record, "u1")
        sibling = self.server.sibling().application.subjects
        await sibling.open()
        self.assertEqual(sibling.of(self.here.record, "u1"), told)

    async def test_rotated_master_key(self) -> None:
        """Subjects stay when the master key is rotated: the new one seals the salt anew, and the old one may go."""
        old, new = bytes(range(32)), b"n" * 32
        told = self.server.application.subjects.of(self.here.record, "u1")
        for masters in ((new, old), (new,)):
            subjects = self.subjects(*masters)
            await subjects.open()
            self.assertEqual(subjects.of(self.here.record, "u1"), told)

    async def test_lost_master_key(self) -> None:
        """Without the master key there are no other subjects, but an error that says what is missing."""
        await self.assertFailure(self.deferred(self.subjects(b"x" * 32)), MasterKeyMismatch)

    def deferred(self, subjects: Subjects) -> Any:
        """The opening, as trial waits for it."""
        return Deferred.fromCoroutine(subjects.open())

    async def test_founded_by_two(self) -> None:
        """Of two nodes that begin on an empty store at once, one salt counts."""
        (name,) = [key for key in await self.server.keys() if key.startswith(b"salt")]
        await self.server.connection.call(("DEL", name))
        one, other = self.subjects(bytes(range(32))), self.subjects(bytes(range(32)))
        await one.open()
        await other.open()
        self.assertEqual(one.of(client(), "u"), other.of(client(), "u"))

    async def test_unread(self) -> None:
        """No subject is made before the salt was read."""
        self.assertRaises(RuntimeError, self.subjects(bytes(32)).of, client(), "u")

    async def test_not_to_be_found_in_the_store(self) -> None:
        """The salt is sealed: not a subject can be computed from the store, and its record shows nothing."""
        subjects = self.server.application.subjects
        salt = subjects._salt
        dump = await self.server.dump()
        self.assertFalse(any(salt in value or base64.b64encode(salt) in value for value in dump.values()))
        self.assertNotIn(repr(salt), repr(subjects))


class SectorTests(ServerCase):
    """Section 8.1: the sector identifier."""

    async def test_sectors(self) -> None:
        """What was registered, else the host that all redirect URIs share, else the client alone."""
        one, two = "https://app.example/cb", "https://app.example:8443/other"
        self.assertEqual(sector(client(sector="s.example", redirect_uris=(one,))), "s.example")
        self.assertEqual(sector(client(redirect_uris=(one, two))), "app.example")
        self.assertEqual(sector(client(redirect_uris=(one, "https://evil.example/cb"))), "c")
        self.assertEqual(sector(client(redirect_uris=("com.example.app:/cb",))), "c")
        self.assertEqual(sector(client()), "c")

    async def test_no_two_pairs_are_one(self) -> None:
        """Where a sector ends and a user begins is not to be shifted."""
        of = self.server.application.subjects.of
        self.assertNotEqual(of(client(sector="a.b"), "cu1"), of(client(sector="a.bc"), "u1"))


def with_opaque(now: Client) -> Client:
    """The same client with opaque tokens."""
    return with_fields(App(now, ""), access_format="opaque").record
