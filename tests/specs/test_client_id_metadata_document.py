"""Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document), section by section.

Section numbers are those of revision 01, unless 02 is named.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.config import ClientDocumentSettings, FetchSettings, RegistrationSettings
from oauthd.fetcher import FetchRefused
from oauthd.fetcher.refusal import BUSY
from oauthd.protocol.client_documents import Hosts
from oauthd.protocol.records import Client
from oauthd.stores.interface import StoreUnavailable
from tests.proofs.signing import b64, claims, form, key, key_set
from tests.server import CHEAP, ISSUER, REDIRECT, VERIFIER, App, form_of, ok
from tests.specs.describing import HERE, DescribedCase, described

AGENTS = Path(__file__).parent / "vectors" / "agents"
OPEN = ClientDocumentSettings(allow="open")


class IdentifierTests(DescribedCase):
    """Section 3: the address."""

    async def test_flow(self) -> None:
        """A client that nobody has registered gets tokens by its address alone, refreshes and loses them."""
        app = self.publish()
        tokens = await self.server.signed_in(app, self.alice)
        told = await self.server.introspect(tokens["access_token"])
        self.assertEqual((told["active"], told["client_id"]), (True, HERE))
        again = ok(await self.server.refresh(app, tokens["refresh_token"]))
        self.assertTrue(await self.server.active(again["access_token"]))
        await self.server.post("/oauth2/revoke", {"token": again["refresh_token"], "client_id": HERE})
        self.assertFalse(await self.server.active(again["access_token"]))

    async def test_forms(self) -> None:
        """Nobody is called for an address that can be no client's id."""
        wrong = (
            "https://agent.example", "https://agent.example/", "https://agent.example/a/../client.json",
            "https://agent.example/./client.json", "https://agent.example/%2e%2E/client.json",
            "https://agent.example/a%2fclient.json", "https://agent.example/client.json#x",
            "https://agent.example/client.json#", "https://user@agent.example/client.json",
            "https://user:secret@agent.example/client.json", "https://agent.example/client.json?a=b",
            "https://Agent.example/client.json", "https://agent.example:443/client.json",
            "https://agent.example:70000/client.json", "https://203.0.113.7/client.json",
            "https://0x7f.1/client.json", "https://[2001:db8::1]/client.json", "https://agent.example/a\\b",
            "https://agent..example/client.json", "https:///client.json", "https://agent.example/" + "x" * 255,
        )  # fmt: skip
        for client_id in wrong:
            await self.told(self.publish(client_id))
        self.assertEqual(self.documents.asked, [])

    async def test_another_port(self) -> None:
        """A port that goes not without saying belongs to the address."""
        app = self.publish("https://agent.example:8443/client.json")
        self.assertTrue(await self.server.active((await self.server.signed_in(app, self.alice))["access_token"]))

    async def test_not_ours(self) -> None:
        """This machine, inner networks and their names are not called, though one could write a document there."""
        for host in ("localhost", "a.localhost", "127.0.0.1", "10.0.0.1", "printer.local", "metadata.internal"):
            await self.told(self.publish(f"https://{host}/client.json"))
        self.assertEqual(self.documents.asked, [])


class DiscoveryTests(DescribedCase):
    """Sections 4 and 4.1: the document."""

    async def test_another_client(self) -> None:
        """A document that says to be another's describes nobody, whatever the difference."""
        others = (f"{HERE}/", "https://agent.example/oauth/Client.json", "https://evil.example/client.json", "", None)
        for said in others:
            app = self.publish()
            self.documents.at[HERE] = json.dumps(described() | {"client_id": said}).encode()
            self.assertIn("is not the address", await self.told(app))

    async def test_secrets(self) -> None:
        """There is no secret in what everybody reads, nor a method or a signature that needs one."""
        for members in (
            {"client_secret": "x" * 43},
            {"client_secret_expires_at": 0},
            {"token_endpoint_auth_method": "client_secret_basic"},
            {"token_endpoint_auth_method": "client_secret_post"},
            {"token_endpoint_auth_method": "client_secret_jwt"},
            {"token_endpoint_auth_method": "client_secret_of_my_own"},
            {"id_token_signed_response_alg": "HS256"},
            {
                "id_token_signed_response_alg": "HS256",
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks": key_set(key()),
            },
        ):
            self.assertIn("document", await self.told(self.publish(**members)), members)

    async def test_private_keys(self) -> None:
        """Revision 02 section 4.1: what everybody reads holds no private key, and describes nobody if it does."""
        public = key()
        secret = b64(public.private.private_numbers().private_value.to_bytes(32, "big"))
        for private in (public.jwk | {"d": secret}, {"kty": "oct", "k": "AAAA"}):
            jwks = {"keys": [*key_set(key(kid="other"))["keys"], private]}
            app = self.publish(token_endpoint_auth_method="private_key_jwt", jwks=jwks)
            self.assertIn("jwks", await self.told(app))
        self.assertIsNone(await self.record())

    async def test_no_object(self) -> None:
        """What is no JSON object, or too long, describes nobody."""
        for body in (b"", b"[]", b"null", b"{", b'{"client_id": "a", "client_id": "b"}', b"\xff", b"[" * 5000,
                     b'{"client_id": "' + HERE.encode() + b'", "x": "' + b"x" * 5120 + b'"}'):  # fmt: skip
            app = self.publish()
            self.documents.at[HERE] = body
            await self.told(app)

    async def test_redirects(self) -> None:
        """People are sent nowhere but where the document says, and without such a place there is no client."""
        app = self.publish()
        await self.told(app, redirect_uri="https://evil.example/cb")
        await self.told(app, redirect_uri=f"{REDIRECT}/x")
        for uris in ("x", [], None, [1], ["javascript:alert(1)"], ["http://app.example/cb"]):
            self.publish(redirect_uris=uris)
            page = await self.told(app)
            self.assertIn("redirect_uris", page, uris)

    async def test_narrowed(self) -> None:
        """What there is not here is left out: grant types, scopes, redirect URIs, links; the rest stands."""
        app = self.publish(
            grant_types=["authorization_code", "refresh_token", "client_credentials", "urn:x"],
            response_types=["code", "token"],
            redirect_uris=[REDIRECT, "cursor://agent/callback"],
            scope="openid read of-another-server",
            client_uri="http://[broken",
            contacts=7,
            logo_uri="http://agent.example/logo.png",
            software_statement="x.y.z",
            unheard_of={"a": 1},
        )
        await self.server.signed_in(app, self.alice, scope="openid read")
        record = await self.record()
        assert record is not None
        self.assertEqual(record.grant_types, ("authorization_code", "refresh_token"))
        self.assertEqual(record.redirect_uris, (REDIRECT,))
        self.assertEqual(record.scopes, ("openid", "read"))
        self.assertEqual((record.client_uri, record.logo_uri, record.contacts), ("", "", ()))
        self.assertFalse(record.introspects)

    async def test_without_a_name(self) -> None:
        """One that has no name, or one that cannot be seen, is called by its host."""
        for name in (None, "", "\u200b", 7, " x"):
            page = await self.begin(self.publish(client_name=name))
            self.assertIn("agent.example", page.body.decode())

    async def test_content_type(self) -> None:
        """JSON of a more specific type is a document; what says to be a page is none."""
        app = self.publish()
        self.patch(self.documents, "content_type", b"application/client-metadata+json; charset=utf-8")
        self.assertEqual((await self.begin(app)).status, 200)
        self.patch(self.documents, "content_type", b"text/html")
        self.forget()
        self.assertIn("content type", await self.told(app))

    async def test_errors(self) -> None:
        """Section 4.3: a document that cannot be had ends the request, also of a client that is kept."""
        app = self.publish()
        await self.server.signed_in(app, self.alice)
        del self.documents.at[HERE]
        self.forget()
        self.assertIn("404", await self.told(app))

    async def test_tokens_need_no_document(self) -> None:
        """What is given already is refreshed and introspected though the document is away: nobody waits for it."""
        app = self.publish()
        tokens = await self.server.signed_in(app, self.alice)
        del self.documents.at[HERE]
        self.forget()
        asked = len(self.documents.asked)
        again = ok(await self.server.refresh(app, tokens["refresh_token"]))
        self.assertTrue(await self.server.active(again["access_token"]))
        self.assertEqual(len(self.documents.asked), asked)


@frozen
class Ahead:
    """A reactor on whose clock it is later."""

    reactor: Any
    by: float

    def seconds(self) -> float:
        """Its clock."""
        return float(self.reactor.seconds()) + self.by

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reactor, name)


class CachingTests(DescribedCase):
    """Section 4.4."""

    async def test_kept(self) -> None:
        """A document is fetched once for the flows of a while."""
        app = self.publish()
        for _ in range(3):
            self.assertEqual((await self.begin(app)).status, 200)
        self.assertEqual(self.documents.asked, [HERE])

    async def test_errors_are_not_kept(self) -> None:
        """A failure is no answer for the next one who asks, and neither is a document that is wrong."""
        app = self.publish()
        good = self.documents.at.pop(HERE)
        await self.told(app)
        self.documents.at[HERE] = b"{}"
        await self.told(app)
        self.documents.at[HERE] = good
        fetcher = self.server.application.fetcher
        self.patch(fetcher, "reactor", Ahead(fetcher.reactor, 2.0))
        self.assertEqual((await self.begin(app)).status, 200)

    async def test_one_source(self) -> None:
        """Who has one document after the other fetched is stopped, and what is at hand is still there for him."""
        app = self.publish()
        browser = self.server.browser(source="198.51.100.9")
        answer = await browser.open("/oauth2/authorize", self.server.asking(app))
        self.assertEqual(answer.status, 200)
        for number in range(59):
            asking = self.server.asking(app) | {"client_id": f"https://agent.example/{number}"}
            self.refused_page(await browser.open("/oauth2/authorize", asking))
        asking = self.server.asking(app) | {"client_id": "https://agent.example/60"}
        self.refused_page(await browser.open("/oauth2/authorize", asking), 429)
        answer = await browser.open("/oauth2/authorize", self.server.asking(app))
        self.assertEqual(answer.status, 200)

    async def test_one_source_and_good_once(self) -> None:
        """That a document was good once lets nobody have its host called more often."""
        app = self.publish()
        browser = self.server.browser(source="198.51.100.9")
        self.assertEqual((await browser.open("/oauth2/authorize", self.server.asking(app))).status, 200)
        del self.documents.at[HERE]
        self.forget()
        for _ in range(70):
            await browser.open("/oauth2/authorize", self.server.asking(app))
        self.assertEqual(len(self.documents.asked), 60)

    async def test_wrong_metadata(self) -> None:
        """Of what is wrong only for registration the same holds: the next who asks finds what is there now."""
        app = self.publish(redirect_uris=["ftp://app.example/cb"])
        await self.told(app)
        self.change()
        fetcher = self.server.application.fetcher
        self.patch(fetcher, "reactor", Ahead(fetcher.reactor, 2.0))
        self.assertEqual((await self.begin(self.publish())).status, 200)


class KeepingTests(DescribedCase):
    """What is left behind, and for how long."""

    async def test_nothing_before_a_person_agrees(self) -> None:
        """Whoever only comes, or is sent, with addresses leaves no record; one is made when a person has agreed."""
        app = self.publish()
        browser = self.server.browser()
        page = await browser.open("/oauth2/authorize", self.server.asking(app))
        page = await browser.sign_in(page, self.alice)
        silent = await browser.get("/oauth2/authorize", self.server.asking(app, prompt="none"))
        self.assertEqual(silent.redirected["error"], "consent_required")
        self.assertIsNone(await self.record())
        answer = await browser.submit(page, "allow")
        self.assertIn("code", answer.redirected)
        record = await self.record()
        assert record is not None
        self.assertTrue(record.described and record.registered_itself)
        self.assertEqual(await self.server.application.clients.described(), 1)

    async def test_unclaimed(self) -> None:
        """One that never got a code ends after a day, and comes again at its next sign-in; one that did stays."""
        app = self.publish()
        browser = self.server.browser()
        page = await browser.open("/oauth2/authorize", self.server.asking(app))
        await browser.press(await browser.sign_in(page, self.alice), "allow")
        self.assertIsNotNone(await self.record())
        self.server.clock.advance(86401)
        self.assertIsNone(await self.record())
        self.assertEqual(await self.server.application.clients.sweep(), (HERE,))
        self.assertEqual(await self.server.application.clients.described(), 0)
        await self.server.code(app, self.alice)
        self.server.clock.advance(86401)
        self.assertEqual(await self.server.application.clients.sweep(), ())
        self.server.clock.advance(90 * 86400)
        self.assertEqual(await self.server.application.clients.sweep(), (HERE,))

    async def test_naming_is_no_use(self) -> None:
        """Whoever names one, at whatever endpoint, does not make it live on; what is issued to it does."""
        app = self.publish()
        tokens = await self.server.signed_in(app, self.alice)
        for _ in range(5):
            self.server.clock.advance(2 * 86400)
            tokens = ok(await self.server.refresh(app, tokens["refresh_token"]))
        record = await self.record()
        assert record is not None and record.unused_until is not None
        self.assertGreater(record.unused_until, self.server.clock.seconds() + 88 * 86400)
        for _ in range(13):
            self.server.clock.advance(7 * 86400)
            wrong = {"grant_type": "authorization_code", "code": "x", "client_id": HERE}
            await self.server.post("/oauth2/token", wrong)
            await self.server.post("/oauth2/revoke", {"token": "x", "client_id": HERE})
            await self.begin(app)
        self.assertEqual(await self.server.application.clients.sweep(), (HERE,))

    async def test_switched_off(self) -> None:
        """One that an administrator has switched off stays so, however long nobody uses it."""
        app = self.publish()
        await self.server.signed_in(app, self.alice)
        clients = self.server.application.clients
        await clients.update(HERE, lambda one: replace(one, is_active=False))
        self.assertIn("unknown", await self.told(app))
        self.server.clock.advance(400 * 86400)
        self.assertEqual(await clients.sweep(), ())
        self.assertIn("unknown", await self.told(app))

    async def test_one_person(self) -> None:
        """One person makes only so many of them."""
        browser = self.server.browser()
        for number in range(30):
            asking = self.server.asking(self.publish(f"https://agent.example/{number}"))
            answer = await browser.finish(await browser.get("/oauth2/authorize", asking), self.alice)
            self.assertTrue(answer.location.startswith(REDIRECT))
        app = self.publish("https://agent.example/30")
        page = await browser.open("/oauth2/authorize", self.server.asking(app))
        self.refused_page(await browser.submit(page, "allow"), 429)
        self.assertIsNone(await self.record("https://agent.example/30"))

    async def test_deleted(self) -> None:
        """Deleting one ends its tokens; it may come again, and they stay dead."""
        app = self.publish()
        tokens = await self.server.signed_in(app, self.alice)
        await self.server.application.clients.delete(HERE)
        self.assertFalse(await self.server.active(tokens["access_token"]))
        again = await self.server.signed_in(app, self.alice)
        self.assertTrue(await self.server.active(again["access_token"]))
        self.assertFalse(await self.server.active(tokens["access_token"]))


class FewTests(DescribedCase):
    """An end to how many there are."""

    sections = {"users": CHEAP, "client_documents": ClientDocumentSettings(allow="open", most=1)}

    async def test_most(self) -> None:
        """One too many is refused on a page; those that are there go on."""
        app = self.publish()
        await self.server.signed_in(app, self.alice)
        browser = self.server.browser()
        other = self.publish("https://other.example/client.json")
        page = await browser.open("/oauth2/authorize", self.server.asking(other))
        self.refused_page(await browser.finish(page, self.alice), 429)
        self.assertTrue(await self.server.active((await self.server.signed_in(app, self.alice))["access_token"]))


class ChangeTests(DescribedCase):
    """Section 6.3: documents change."""

    async def test_redirects(self) -> None:
        """A redirect URI counts as long as the document has it; tokens go on."""
        app = self.publish(redirect_uris=[REDIRECT, "https://app.example/other"])
        tokens = await self.server.signed_in(app, self.alice)
        self.publish(redirect_uris=["https://app.example/other"])
        await self.told(app)
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_within_a_flow(self) -> None:
        """A redirect URI that goes while somebody signs in gets no code."""
        app = self.publish()
        browser = self.server.browser()
        page = await browser.open("/oauth2/authorize", self.server.asking(app))
        self.publish(redirect_uris=["https://evil.example/cb"])
        self.refused_page(await browser.sign_in(page, self.alice))

    async def test_between_push_and_browser(self) -> None:
        """The same between a pushed request and the browser that comes with it."""
        app = self.publish()
        answer = await self.server.post("/oauth2/par", self.server.asking(app))
        self.assertEqual(answer.status, 201, answer.body)
        request_uri = answer.json()["request_uri"]
        self.publish(redirect_uris=["https://evil.example/cb"])
        query = {"client_id": HERE, "request_uri": request_uri}
        self.refused_page(await self.server.browser().open("/oauth2/authorize", query))

    async def test_looks(self) -> None:
        """Who agreed to what had another name is asked anew; who agreed to the same is not."""
        app = self.publish(token_endpoint_auth_method="private_key_jwt", jwks=key_set(key()))
        browser = self.server.browser()
        asking = self.server.asking(app)
        page = await browser.open("/oauth2/authorize", asking)
        answer = await browser.finish(page, self.alice)
        self.assertTrue(answer.location.startswith(REDIRECT))
        answer = await browser.open("/oauth2/authorize", asking)
        self.assertTrue(answer.location.startswith(REDIRECT), answer.body)
        self.publish(client_name="Bank", token_endpoint_auth_method="private_key_jwt", jwks=key_set(key()))
        answer = await browser.open("/oauth2/authorize", asking)
        self.assertEqual(answer.status, 200)
        self.assertIn("Bank", answer.body.decode())

    async def test_another_proof(self) -> None:
        """Another way to authenticate ends the tokens, so that nobody gets them by the weaker one."""
        app = self.publish(token_endpoint_auth_method="private_key_jwt", jwks=key_set(key()))
        browser = self.server.browser()
        answer = await browser.finish(await browser.get("/oauth2/authorize", self.server.asking(app)), self.alice)
        self.publish()
        await self.begin(app)
        asked = {"grant_type": "authorization_code", "code": answer.redirected["code"], "redirect_uri": REDIRECT}
        asked |= {"client_id": HERE, "code_verifier": VERIFIER}
        self.refused(await self.server.post("/oauth2/token", asked), "invalid_grant")

    async def test_scope(self) -> None:
        """A scope that goes ends the tokens that may carry it."""
        app = self.publish(scope="openid read")
        tokens = await self.server.signed_in(app, self.alice, scope="openid read")
        self.publish(scope="openid")
        await self.begin(app)
        self.assertFalse(await self.server.active(tokens["access_token"]))

    async def test_scope_and_a_store_that_fails(self) -> None:
        """Such tokens are dead, too, where the store fails as soon as the record says what the document says."""
        app = self.publish(scope="openid read")
        tokens = await self.server.signed_in(app, self.alice, scope="openid read")
        self.publish(scope="openid")
        raise_generation = self.server.store.raise_generation

        async def lost(subject: str) -> int:
            record = await self.record()
            if record is not None and record.scopes == ("openid",):
                raise StoreUnavailable("away")
            return await raise_generation(subject)

        patched = self.patch(self.server.store, "raise_generation", lost)
        self.assertEqual((await self.begin(app)).status, 503)
        patched.restore()
        await self.begin(app)
        self.assertFalse(await self.server.active(tokens["access_token"]))

    async def test_memory_of_another_process(self) -> None:
        """What one process remembers is never put in the place of what another one has found since."""
        app = self.publish(redirect_uris=[REDIRECT, "https://app.example/stolen"], scope="openid read")
        await self.server.signed_in(app, self.alice, scope="openid read")
        self.change(scope="openid read write")
        other = await self.another()
        tokens = await other.signed_in(app, self.alice, scope="openid write")
        await self.begin(app)
        record = await self.record()
        assert record is not None
        self.assertEqual(record.redirect_uris, (REDIRECT,))
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_overtaken(self) -> None:
        """Who finds that somebody else has changed the record meanwhile leaves it and the tokens as they are."""
        app = self.publish(scope="openid read")
        await self.server.signed_in(app, self.alice, scope="openid read")
        before = await self.record()
        assert before is not None
        self.publish(scope="openid read write")
        tokens = await self.server.signed_in(app, self.alice, scope="openid write")
        now = await self.record()
        await self.server.application.described._follow(before, replace(before, scopes=("openid",)))
        self.assertEqual(await self.record(), now)
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_deleted_meanwhile(self) -> None:
        """One that is deleted while its document is followed is as one that was never there."""
        app = self.publish()
        await self.server.signed_in(app, self.alice)
        self.publish(client_name="Other")
        described: Any = self.server.application.described
        fetch = described.fetch

        async def deleting(*args: Any, **more: Any) -> bytes:
            if await self.record() is not None:
                await self.server.application.clients.delete(HERE)
            return bytes(await fetch(*args, **more))

        self.patch(described, "fetch", deleting)
        page = await self.begin(app)
        self.assertEqual(page.status, 200)
        self.assertIn("Other", page.body.decode())

    async def test_held(self) -> None:
        """What an administrator has decided stays, whatever the document says."""
        app = self.publish()
        await self.server.signed_in(app, self.alice)
        decided = lambda one: replace(one, name="Approved", held=("name",), first_party=True)  # noqa: E731
        await self.server.application.clients.update(HERE, decided)
        self.publish(client_name="Something else", client_uri="https://agent.example/home")
        self.assertIn("Approved", (await self.begin(app)).body.decode())
        record = await self.record()
        assert record is not None
        self.assertEqual((record.name, record.client_uri), ("Approved", "https://agent.example/home"))
        self.assertTrue(record.first_party)


class SectorTests(DescribedCase):
    """OpenID Connect Registration section 5: the document that their sector identifier leads to."""

    SECTOR = "https://sector.example/uris"

    def pairwise(self, **members: Any) -> App:
        """A client of that sector."""
        return self.publish(subject_type="pairwise", sector_identifier_uri=self.SECTOR, **members)

    async def test_bound(self) -> None:
        """Whoever names such a client, however often, does not have the host of another called each time."""
        app = self.pairwise()
        self.documents.at[self.SECTOR] = json.dumps([REDIRECT]).encode()
        for _ in range(5):
            self.assertEqual((await self.begin(app)).status, 200)
        self.assertEqual(self.documents.asked, [HERE, self.SECTOR])

    async def test_counted(self) -> None:
        """Where it cannot be had, and is asked for again each time, that is counted for who asks."""
        app = self.pairwise()
        browser = self.server.browser(source="198.51.100.9")
        for _ in range(70):
            answer = await browser.open("/oauth2/authorize", self.server.asking(app))
        self.assertEqual((answer.status, len(self.documents.asked)), (429, 60))

    async def test_passing(self) -> None:
        """That there is too much to be fetched just now is said so, and is no word about the client."""
        app = self.pairwise()
        described: Any = self.server.application.described
        fetch = described.fetch

        async def busy(url: str, *args: Any, **more: Any) -> bytes:
            if url == self.SECTOR:
                raise FetchRefused(BUSY, passing=True)
            return bytes(await fetch(url, *args, **more))

        self.patch(described, "fetch", busy)
        self.refused_page(await self.begin(app), 503)

    async def test_of_one_that_is_kept(self) -> None:
        """A kept client whose document names a list without its redirect URIs is refused as such, everywhere."""
        self.documents.at[self.SECTOR] = json.dumps([REDIRECT]).encode()
        await self.server.signed_in(self.pairwise(), self.alice)
        app = self.pairwise(redirect_uris=[REDIRECT, "https://sector.example/new"])
        self.assertIn("sector_identifier_uri", await self.told(app))
        asking = self.server.asking(app)
        self.refused(await self.server.post("/oauth2/par", asking), "invalid_client", 401)


class InnerTests(DescribedCase):
    """Hosts of an inner network that an operator has opened for clients of his own."""

    INNER = "https://docs.corp.example/client.json"
    sections = {
        "users": CHEAP,
        "client_documents": ClientDocumentSettings(allow="open"),
        "fetch": FetchSettings(open_hosts=("docs.corp.example",)),
    }

    async def test_not_for_strangers(self) -> None:
        """Whoever comes has none of them called."""
        await self.told(self.publish(self.INNER))
        self.assertEqual(self.documents.asked, [])

    async def test_not_for_their_keys(self) -> None:
        """Nor by what a document names; what an administrator has decided is another matter."""
        keys = "https://docs.corp.example/jwks"
        members: dict[str, Any] = {"token_endpoint_auth_method": "private_key_jwt"}
        inside = self.publish(**members, jwks_uri=keys)
        self.assertIn("does not call", await self.told(inside))
        await self.agreed(self.publish(**members, jwks=key_set(key())))
        decided = lambda one: replace(one, jwks={}, jwks_uri=keys, held=("jwks", "jwks_uri"))  # noqa: E731
        await self.server.application.clients.update(HERE, decided)
        self.assertEqual((await self.begin(inside)).status, 200)


class InnerListedTests(InnerTests):
    """The same where the operator has listed the host."""

    sections = InnerTests.sections | {
        "client_documents": ClientDocumentSettings(allow="open", hosts=("*.corp.example",))
    }

    async def test_not_for_strangers(self) -> None:
        """It is called."""
        self.assertEqual((await self.begin(self.publish(self.INNER))).status, 200)

    async def test_not_for_their_keys(self) -> None:
        """Also for keys."""
        keys = "https://docs.corp.example/jwks"
        app = self.publish(token_endpoint_auth_method="private_key_jwt", jwks_uri=keys)
        self.assertEqual((await self.begin(app)).status, 200)


class AuthenticationTests(DescribedCase):
    """Section 6.2: clients with keys."""

    def assertion(self) -> dict[str, str]:
        """The parameters by which it authenticates."""
        return form(key().token(claims(HERE, ISSUER, self.server.clock.seconds())))

    async def test_keys_at_an_address(self) -> None:
        """A client with a key at its jwks_uri pushes a request, at first sight, and redeems by its key alone."""
        keys = "https://agent.example/jwks"
        self.documents.at[keys] = json.dumps(key_set(key())).encode()
        app = self.publish(token_endpoint_auth_method="private_key_jwt", jwks_uri=keys)
        answer = await self.server.post("/oauth2/par", self.server.asking(app) | self.assertion())
        self.assertEqual(answer.status, 201, answer.body)
        self.assertIsNone(await self.record())
        query = {"client_id": HERE, "request_uri": answer.json()["request_uri"]}
        browser = self.server.browser()
        code = (await browser.finish(await browser.get("/oauth2/authorize", query), self.alice)).redirected["code"]
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        self.refused(await self.server.post("/oauth2/token", asked | {"client_id": HERE}), "invalid_client", 401)
        ok(await self.server.post("/oauth2/token", asked | self.assertion()))

    async def test_strangers(self) -> None:
        """Nobody pushes for a client whose document is away, or is not let in, or by a key that is not its own."""
        app = self.publish()
        asking = self.server.asking(app)
        del self.documents.at[HERE]
        self.refused(await self.server.post("/oauth2/par", asking), "invalid_client", 401)
        self.publish(token_endpoint_auth_method="private_key_jwt", jwks=key_set(key(kid="other")))
        self.refused(await self.server.post("/oauth2/par", asking | self.assertion()), "invalid_client", 401)

    async def test_token_endpoint_calls_nobody(self) -> None:
        """The token endpoint knows no client that is not kept, and asks nobody for one."""
        self.publish()
        asked = {"grant_type": "authorization_code", "code": "x", "client_id": HERE}
        self.refused(await self.server.post("/oauth2/token", asked), "invalid_client", 401)
        self.refused(await self.server.post("/oauth2/introspect", {"token": "x", "client_id": HERE}),
                     "invalid_client", 401)  # fmt: skip
        self.assertEqual(self.documents.asked, [])


class PageTests(DescribedCase):
    """Sections 6.4 and 6.7: what people see."""

    async def consent(self, app: App, **more: str | None) -> str:
        """The consent page."""
        browser = self.server.browser()
        page = await browser.open("/oauth2/authorize", self.server.asking(app, **more))
        page = await browser.sign_in(page, self.alice)
        self.assertIn("scopes", form_of(page, "allow").fields | {"scopes": ""})
        return page.body.decode()

    async def test_host(self) -> None:
        """The host of the document is shown, and not a website that it names of itself."""
        body = await self.consent(self.publish(client_name="Your Bank", client_uri="https://bank.example/"))
        self.assertIn("agent.example", body)
        self.assertNotIn("bank.example", body)
        self.assertNotIn("Any application on this device", body)

    async def test_host_at_sign_in(self) -> None:
        """The host is shown already where the password is asked for, whatever the client calls itself."""
        for client_id, shown in ((HERE, "agent.example<"), (HERE.replace("e/", "e:8443/", 1), "agent.example:8443<")):
            body = (await self.begin(self.publish(client_id, client_name="Your Bank"))).body.decode()
            self.assertIn("described by the website", body)
            self.assertIn(shown, body)

    async def test_port(self) -> None:
        """A port is part of what is shown: it may be somebody else's who answers there."""
        self.assertIn("agent.example:8443", await self.consent(self.publish("https://agent.example:8443/client.json")))

    async def test_registered_host(self) -> None:
        """The sign-in page of a client that no document describes says nothing of one."""
        body = (await self.begin(await self.server.client())).body.decode()
        self.assertNotIn("described by", body)

    async def test_device(self) -> None:
        """Where the answer goes to the person's own device, the page warns of who else there could take it."""
        app = self.publish(redirect_uris=["http://localhost/callback"])
        body = await self.consent(app, redirect_uri="http://localhost:3118/callback")
        self.assertIn("Any application on this device", body)

    async def test_any_port(self) -> None:
        """`localhost` without a port in a document is any port there; another path or host is not."""
        app = self.publish(redirect_uris=["http://localhost/callback", "http://127.0.0.1:33418/"])
        for uri in ("http://localhost:3118/callback", "http://localhost/callback", "http://127.0.0.1:5000/"):
            self.assertEqual((await self.begin(app, redirect_uri=uri)).status, 200, uri)
        for uri in ("http://localhost:3118/other", "http://localhost:3118/callback/", "http://localhost.:1/callback",
                    "http://localhost:99999/callback", "http://127.0.0.2:1/"):  # fmt: skip
            await self.told(app, redirect_uri=uri)


class ListedTests(DescribedCase):
    """Section 6.7: which hosts are trusted."""

    sections = {
        "users": CHEAP,
        "client_documents": ClientDocumentSettings(
            allow="listed", hosts=("agent.example", "*.agents.example"), denied=("bad.agents.example",), redirects="own"
        ),
    }

    async def test_hosts(self) -> None:
        """Those that are listed come in, all others do not, and nobody is called for them."""
        for host in ("agent.example", "a.agents.example", "a.b.agents.example"):
            app = self.publish(f"https://{host}/c", redirect_uris=[f"https://{host}/cb"])
            self.assertEqual((await self.begin(app)).status, 200, host)
        asked = len(self.documents.asked)
        for host in ("agents.example", "bad.agents.example", "evil-agents.example", "agent.example.evil", "x.example"):
            app = self.publish(f"https://{host}/c", redirect_uris=[f"https://{host}/cb"])
            self.assertIn("not let in", await self.told(app))
        self.assertEqual(len(self.documents.asked), asked)

    async def test_own_redirects(self) -> None:
        """With `own` people are sent to the document's host and their own device, and nowhere else."""
        own = "https://agent.example/cb"
        app = self.publish(redirect_uris=["https://elsewhere.example/cb", own, "http://127.0.0.1/cb"])
        self.assertEqual((await self.begin(app, redirect_uri=own)).status, 200)
        self.assertEqual((await self.begin(app, redirect_uri="http://127.0.0.1:1/cb")).status, 200)
        await self.told(app, redirect_uri="https://elsewhere.example/cb")

    async def test_not_any_more(self) -> None:
        """A client whose host is listed no more is as none: it neither refreshes nor begins."""
        app = self.publish(redirect_uris=["https://agent.example/cb"])
        tokens = await self.server.signed_in(app, self.alice)
        stricter = await self._node(Hosts((), ()))
        answer = await stricter.refresh(app, tokens["refresh_token"])
        self.refused(answer, "invalid_client", 401)
        await stricter.application.clients.delete(HERE)
        self.assertFalse(await self.server.active(tokens["access_token"]))

    async def _node(self, hosts: Any) -> Any:
        """Another node on the same store, with other settings."""
        node = self.server.sibling()
        await node.application.keys.open()
        gone = lambda _, one: one.described and not hosts.let_in(one.client_id)  # noqa: E731
        self.patch(type(node.application.clients), "_over", gone)
        return node


class MetadataTests(DescribedCase):
    """Section 5."""

    async def test_told(self) -> None:
        """The metadata says that there are such clients."""
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertIs(told["client_id_metadata_document_supported"], True)


class OffTests(DescribedCase):
    """The default."""

    sections = {"users": CHEAP}

    async def test_off(self) -> None:
        """Nobody is called, no such client is known, and the metadata does not say a word."""
        self.assertIn("unknown", await self.told(self.publish()))
        self.refused(await self.server.post("/oauth2/par", self.server.asking(self.publish())), "invalid_client", 401)
        self.assertEqual(self.documents.asked, [])
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertNotIn("client_id_metadata_document_supported", told)


class RegisteredTests(DescribedCase):
    """Section 6.9: addresses that an administrator has registered."""

    async def test_registered(self) -> None:
        """The record counts, and nobody is asked for a document."""
        app = await self.server.client(HERE, public=True)
        self.assertTrue(await self.server.active((await self.server.signed_in(app, self.alice))["access_token"]))
        self.assertEqual(self.documents.asked, [])


class LimitedTests(DescribedCase):
    """The limits of clients that register themselves hold."""

    sections = {
        "users": CHEAP,
        "client_documents": OPEN,
        "registration": RegistrationSettings(
            scopes=("openid", "read"), grant_types=("authorization_code",), auth_methods=("private_key_jwt",)
        ),
    }

    async def test_limits(self) -> None:
        """Public clients, refresh tokens and scopes that are not for them are not for these either."""
        self.assertIn("token_endpoint_auth_method", await self.told(self.publish()))
        app = self.publish(token_endpoint_auth_method="private_key_jwt", jwks=key_set(key()))
        await self.agreed(app)
        record = await self.record()
        assert record is not None
        self.assertEqual((record.grant_types, record.scopes), (("authorization_code",), ("openid", "read")))


class AgentTests(DescribedCase):
    """Documents as agents publish them; `vectors/agents/README.md` says where they are from."""

    async def read(self, name: str) -> Client:
        """The record that a document leads to, once somebody has agreed to it."""
        document = json.loads((AGENTS / f"{name}.json").read_bytes())
        client_id = document["client_id"]
        app = self.publish(client_id, **{name: value for name, value in document.items() if name != "client_id"})
        await self.agreed(app)
        record = await self.record(client_id)
        assert record is not None
        return record

    async def test_all(self) -> None:
        """Each leads to a client that can do what its agent does."""
        both = ("authorization_code", "refresh_token")
        for name, called, method in (
            ("claude", "Claude", ""),
            ("claude-code", "Claude Code", ""),
            ("chatgpt", "ChatGPT", "private_key_jwt"),
            ("vscode", "Visual Studio Code", ""),
        ):
            record = await self.read(name)
            self.assertEqual((record.name, record.auth_method, record.grant_types), (called, method, both))
            self.assertEqual(record.client_type, "confidential" if method else "public")
