"""Client authentication: each method reads its own place of a request, and one of them is used."""

from __future__ import annotations

import base64

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.proofs.client_secret_basic import ClientSecretBasic
from oauthd.proofs.client_secret_post import ClientSecretPost
from oauthd.proofs.interface import Credentials
from oauthd.proofs.none import NoProof
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.messages import Headers, Parameters, Request
from oauthd.protocol.records import Client
from tests.server import App, ServerCase, ok


def request(header: str = "", **form: str) -> Request:
    """A token request with these credentials."""
    headers = Headers((("authorization", header),)) if header else Headers()
    return Request("POST", "/oauth2/token", form=Parameters(tuple(form.items())), headers=headers)


def encoded(text: str) -> str:
    """The field of HTTP Basic."""
    return "Basic " + base64.b64encode(text.encode()).decode()


def client(kind: str) -> Client:
    """A client of a type, without a secret."""
    return Client("app", 1, "App", kind, 0, 0)


class PresentedTests(SynchronousTestCase):
    """Where each method looks."""

    basic = ClientSecretBasic(None)  # type: ignore[arg-type]  # nothing is looked up here
    post = ClientSecretPost(None)  # type: ignore[arg-type]

    def test_basic(self) -> None:
        """Basic reads the header alone, and form-decodes both parts."""
        self.assertEqual(self.basic.presented(request(encoded("a%3Ab:c+d"))), Credentials("a:b", "c d"))
        self.assertIsNone(self.basic.presented(request(client_id="a", client_secret="b")))

    def test_post(self) -> None:
        """Post reads the form alone, and wants the client_id beside the secret."""
        self.assertEqual(self.post.presented(request(client_id="a", client_secret="b+c")), Credentials("a", "b+c"))
        self.assertIsNone(self.post.presented(request(encoded("a:b"))))
        self.assertIsNone(self.post.presented(request(client_id="a", client_secret="")))
        self.assertRaises(OAuthError, self.post.presented, request(client_secret="b"))

    def test_nothing_secret_in_repr(self) -> None:
        """Credentials show whom they are of, and nothing that proves it."""
        shown = repr(Credentials("app", "sesame", b"der", True, "/path"))
        self.assertEqual(shown, "Credentials('app')")

    def test_none(self) -> None:
        """None reads the bare client_id."""
        self.assertEqual(NoProof().presented(request(client_id="a")), Credentials("a"))
        self.assertIsNone(NoProof().presented(request(encoded("a:b"))))

    def test_none_proves_public_clients_only(self) -> None:
        """A bare client_id is enough for a public client, for no other, and not for an unknown one."""
        given = Credentials("app")
        self.assertTrue(NoProof().proves(client("public"), given))
        self.assertFalse(NoProof().proves(client("confidential"), given))
        self.assertFalse(NoProof().proves(None, given))

    def test_no_secret_in_repr(self) -> None:
        """Credentials do not show their secret."""
        self.assertNotIn("hush", repr(Credentials("a", "hush")))


class SecretTests(ServerCase):
    """Which secrets are good."""

    async def prepare(self) -> None:
        """The methods and a confidential client."""
        self.app = await self.server.client()
        self.clients = self.server.application.clients
        self.methods = (ClientSecretBasic(self.clients), ClientSecretPost(self.clients))

    def proves(self, record: Client | None, secret: str) -> set[bool]:
        """What the methods say."""
        return {method.proves(record, Credentials("app", secret)) for method in self.methods}

    async def test_the_secret(self) -> None:
        """The secret, whole and exact, and nothing else proves a client."""
        self.assertEqual(self.proves(self.app.record, self.app.secret), {True})
        for wrong in ("", self.app.secret[:-1], self.app.secret + "x", self.app.secret.upper(), "\u00e4", "\ud800"):
            self.assertEqual(self.proves(self.app.record, wrong), {False})

    async def test_another_clients_secret(self) -> None:
        """A secret proves its own client alone."""
        other = await self.server.client("other")
        self.assertEqual(self.proves(self.app.record, other.secret), {False})

    async def test_no_client_no_secret(self) -> None:
        """An unknown client, and one that has no secret, are proved by nothing, the empty secret included."""
        for record in (None, client("public"), client("confidential")):
            for secret in ("", "x", self.app.secret):
                self.assertEqual(self.proves(record, secret), {False})

    async def test_stored_as_a_digest(self) -> None:
        """The database holds no secret, only a keyed digest: without the master key it cannot even be tested."""
        held = b"\n".join((await self.server.dump()).values())
        self.assertNotIn(self.app.secret.encode(), held)
        self.assertNotIn(self.app.secret, repr(self.app.record))

    async def test_two_live_secrets(self) -> None:
        """During the overlap both secrets work; a second rotation ends the oldest at once."""
        rotated, second = await self.clients.rotate_secret("app", 100)
        self.assertEqual(self.proves(rotated, self.app.secret) | self.proves(rotated, second), {True})
        again, third = await self.clients.rotate_secret("app", 100)
        self.assertEqual(self.proves(again, self.app.secret), {False})
        self.assertEqual(self.proves(again, second) | self.proves(again, third), {True})

    async def test_no_overlap(self) -> None:
        """With an overlap of 0 the former secret ends at once."""
        rotated, _ = await self.clients.rotate_secret("app", 0)
        self.assertEqual(self.proves(rotated, self.app.secret), {False})

    async def test_deactivated_between_two_requests(self) -> None:
        """A client that was deactivated is refused from the next request on."""
        ok(await self.server.token(self.app, "client_credentials"))
        await self.clients.update("app", lambda record: replace(record, is_active=False))
        answer = await self.server.token(App(self.app.record, self.app.secret), "client_credentials")
        self.refused(answer, "invalid_client", 401)
