"""A secret that has proved right is recognised for as long as its client is known as it was then, and no longer."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import field, frozen
from msgspec.structs import replace

from oauthd.events import Event, Events
from oauthd.proofs.client_authentication import Caller, ClientAuthentication
from oauthd.proofs.client_secret_basic import ClientSecretBasic
from oauthd.proofs.client_secret_post import ClientSecretPost
from oauthd.proofs.interface import Credentials
from oauthd.proofs.none import NoProof
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.introspection import active
from oauthd.protocol.messages import Headers, Parameters, Request
from oauthd.protocol.records import Client
from oauthd.protocol.seals import Seals
from oauthd.stores.cache import MOST_ABSENCES
from oauthd.stores.clients import LONGEST_ID, Clients
from tests.server import Counting
from tests.stores.case import NOW, StoreCase
from tests.stores.node import Node

OVERLAP = 100


@frozen
class Counted:
    """HTTP Basic that tells for whom it was asked for a proof."""

    inner: ClientSecretBasic
    asked: list[str] = field(factory=list)

    method = ClientSecretBasic.method
    place = ClientSecretBasic.place
    unregistered = True
    lasts = True
    algorithms = ()

    def presented(self, request: Request) -> Credentials | None:
        """The credentials."""
        return self.inner.presented(request)

    def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Do they prove it?"""
        self.asked.append(credentials.client_id)
        return self.inner.proves(client, credentials)


@frozen
class Process:
    """A process that authenticates clients."""

    node: Node
    clients: Clients
    authentication: ClientAuthentication
    basic: Counted
    events: list[Event]

    async def caller(self, client_id: str, secret: str) -> Caller | None:
        """Who it is by HTTP Basic; None where that is refused."""
        field = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        return await self.by(Request("POST", "/oauth2/token", headers=Headers((("authorization", f"Basic {field}"),))))

    async def by(self, request: Request) -> Caller | None:
        """Who it is by any request."""
        try:
            return await self.authentication.client(request)
        except OAuthError as error:
            if error.kind.code != "invalid_client":
                raise
            return None

    async def knows(self, client_id: str, secret: str) -> bool:
        """Is this secret good?"""
        return await self.caller(client_id, secret) is not None


def posted(**form: str) -> Request:
    """A token request with this form."""
    return Request("POST", "/oauth2/token", form=Parameters(tuple(form.items())), headers=Headers(()))


class SecretCase(StoreCase):
    """Two processes, and a confidential client."""

    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Register it."""
        await super().setUp()
        self.entropy = Counting()
        self.one, self.other = await self.process(), await self.process()
        await self.store.begin("world")
        self.client, self.secret = await self.register("app")

    async def process(self) -> Process:
        """One more process."""
        connection = await self.connect(path=self.socket)
        node = Node.on(connection, self.clock, lambda token: active(token, "i"), path=self.socket)
        self.addCleanup(node.invalidation.stop)
        await node.start()
        seals = Seals((bytes(32),), self.entropy)
        store: Any = node.store
        clients = Clients(store, node.cache, seals, self.clock.seconds, self.entropy, OVERLAP, 1000)
        basic, events = Counted(ClientSecretBasic(clients)), list[Event]()
        authentication = ClientAuthentication(
            clients, (basic, ClientSecretPost(clients), NoProof()), Events([events.append]), self.clock.seconds,
            self.entropy(32), "",
        )  # fmt: skip
        return Process(node, clients, authentication, basic, events)

    async def register(self, client_id: str, kind: str = "confidential") -> tuple[Client, str]:
        """A new client and its secret."""
        record, secret = await self.one.clients.register(Client(client_id, 0, "App", kind, 0, 0))
        return record, secret or ""


class RecognisedTests(SecretCase):
    """What is remembered."""

    async def test_once(self) -> None:
        """A secret is proved once; then it is recognised, and neither it nor the store is looked at again."""
        self.assertTrue(await self.one.knows("app", self.secret))
        reads = len(self.one.node.store.reads)
        for _ in range(5):
            self.assertTrue(await self.one.knows("app", self.secret))
        self.assertEqual(self.one.basic.asked, ["app"])
        self.assertEqual(len(self.one.node.store.reads), reads)

    async def test_wrong_ones(self) -> None:
        """A wrong secret never is, before and after the right one; nor does anything stay of it."""
        wrong = ("", "x", self.secret[:-1], self.secret + "x", " " + self.secret, self.secret + "\xe4")
        for _ in range(2):
            for secret in wrong:
                self.assertFalse(await self.one.knows("app", secret))
            self.assertTrue(await self.one.knows("app", self.secret))
        known = (await self.one.clients.known("app")).value
        self.assertEqual(len(known.proofs), 1)

    async def test_no_secret_in_memory(self) -> None:
        """What is remembered is a digest keyed with what this process alone has, and stands in no repr."""
        await self.one.knows("app", self.secret)
        await self.other.knows("app", self.secret)
        proofs = [(await process.clients.known("app")).value.proofs for process in (self.one, self.other)]
        self.assertEqual(set(proofs[0]) & set(proofs[1]), set())
        self.assertNotIn(self.secret.encode(), b"".join(proofs[0]))
        known = (await self.one.clients.known("app")).value
        self.assertNotIn(repr(next(iter(proofs[0]))), repr(known))
        self.assertNotIn(repr(self.one.authentication.key), repr(self.one.authentication))

    async def test_of_another_client(self) -> None:
        """A secret that is recognised for one client is so for no other."""
        await self.register("second")
        await self.one.knows("app", self.secret)
        self.assertFalse(await self.one.knows("second", self.secret))

    async def test_by_another_method(self) -> None:
        """What proved by one method proves nothing by another: a public client's bare id is no secret."""
        await self.register("open", "public")
        self.assertIsNotNone(await self.one.by(posted(client_id="open")))
        self.assertFalse(await self.one.knows("open", ""))
        self.assertIsNone(await self.one.by(posted(client_id="app")))
        self.assertTrue(await self.one.knows("app", self.secret))
        self.assertIsNotNone(await self.one.by(posted(client_id="app", client_secret=self.secret)))
        self.assertIsNone(await self.one.by(posted(client_id="app")))

    async def test_without_a_proof(self) -> None:
        """While nothing is proven each request is checked against the store."""
        await self.one.knows("app", self.secret)
        self.one.node.invalidation.stop()
        reads = len(self.one.node.store.reads)
        for _ in range(3):
            self.assertTrue(await self.one.knows("app", self.secret))
        self.assertEqual(len(self.one.node.store.reads), reads + 3)
        self.assertEqual(len(self.one.basic.asked), 4)


class ForgottenTests(SecretCase):
    """What ends it, here and in another process."""

    async def remembered(self) -> None:
        """Both processes recognise the secret."""
        for process in (self.one, self.other):
            self.assertTrue(await process.knows("app", self.secret))
        self.assertTrue(await self.other.knows("app", self.secret))

    async def refused(self) -> None:
        """Here at once, and elsewhere as soon as it is heard."""
        self.assertFalse(await self.one.knows("app", self.secret))
        await self.other.node.heard()
        self.assertFalse(await self.other.knows("app", self.secret))

    async def test_rotated(self) -> None:
        """A secret that is rotated out without overlap is refused, and the new one works."""
        await self.remembered()
        _, new = await self.one.clients.rotate_secret("app", 0)
        await self.refused()
        for process in (self.one, self.other):
            self.assertTrue(await process.knows("app", new))

    async def test_the_new_one_at_once(self) -> None:
        """A new secret works at once in a process that still knows the client with the old one alone."""
        await self.remembered()
        with self.muted(self.other.node):
            _, new = await self.one.clients.rotate_secret("app")
            self.assertEqual(len((await self.other.clients.known("app")).value.client.secrets), 1)
            self.assertTrue(await self.other.knows("app", new))
            self.assertTrue(await self.other.knows("app", self.secret))

    @contextmanager
    def muted(self, node: Node) -> Iterator[None]:
        """A process that hears nothing for a while."""
        subscription = node.invalidation._subscription
        heard, subscription.heard = subscription.heard, lambda message: None
        try:
            yield
        finally:
            subscription.heard = heard

    async def test_the_overlap_ends(self) -> None:
        """A rotated-out secret that is recognised ends with the overlap, to the second; what was learned of it too."""
        await self.remembered()
        _, new = await self.one.clients.rotate_secret("app")
        await self.other.node.heard()
        for process in (self.one, self.other):
            for secret in (self.secret, new):
                caller = await process.caller("app", secret)
                assert caller is not None
                self.assertEqual(caller.until, NOW + OVERLAP)
        self.clock.advance(OVERLAP - 0.25)
        for process in (self.one, self.other):
            self.assertTrue(await process.knows("app", self.secret))
        self.clock.advance(0.25)
        for process in (self.one, self.other):
            self.assertFalse(await process.knows("app", self.secret))
            caller = await process.caller("app", new)
            assert caller is not None
            self.assertEqual(caller.until, math.inf)

    async def test_rotated_twice(self) -> None:
        """A second rotation ends the oldest secret at once, recognised or not."""
        await self.remembered()
        await self.one.clients.rotate_secret("app")
        self.assertTrue(await self.one.knows("app", self.secret))
        await self.one.clients.rotate_secret("app")
        await self.refused()

    async def test_deactivated(self) -> None:
        """A client that is deactivated is refused, and one that is active again is not."""
        await self.remembered()
        await self.one.clients.update("app", lambda client: replace(client, is_active=False))
        await self.refused()
        await self.one.clients.update("app", lambda client: replace(client, is_active=True))
        for process in (self.one, self.other):  # not even what memory says keeps it out
            self.assertTrue(await process.knows("app", self.secret))

    async def test_deleted(self) -> None:
        """A client that is deleted is refused."""
        await self.remembered()
        await self.one.clients.delete("app")
        await self.refused()

    async def test_registered_again(self) -> None:
        """A client registered under the id of a deleted one has nothing of it."""
        await self.remembered()
        await self.one.clients.delete("app")
        await self.refused()
        _, secret = await self.register("app")
        await self.other.node.heard()
        for process in (self.one, self.other):
            self.assertFalse(await process.knows("app", self.secret))
            self.assertTrue(await process.knows("app", secret))

    async def test_updated(self) -> None:
        """After any change of the client who calls is the client as it is now, and what was learned is void."""
        await self.remembered()
        before = [await process.caller("app", self.secret) for process in (self.one, self.other)]
        await self.one.clients.update("app", lambda client: replace(client, introspects=False))
        await self.other.node.heard()
        for process, former in zip((self.one, self.other), before, strict=True):
            assert former is not None
            self.assertFalse(process.node.cache.counts(former.entry))
            caller = await process.caller("app", self.secret)
            assert caller is not None
            self.assertFalse(caller.client.introspects)

    async def test_generations(self) -> None:
        """What is issued after a revocation stands under the new generation, here at once and elsewhere when heard."""
        await self.remembered()
        await self.one.clients.store.raise_generation("client:app")
        caller = await self.one.caller("app", self.secret)
        assert caller is not None
        self.assertEqual(caller.generations.client, 2)
        await self.other.node.heard()
        caller = await self.other.caller("app", self.secret)
        assert caller is not None
        self.assertEqual(caller.generations.client, 2)


class UnknownTests(SecretCase):
    """Clients that are not there."""

    async def test_known_absence(self) -> None:
        """An unknown client is looked for once, refused each time, and works as soon as it is registered."""
        reads = len(self.one.node.store.reads)
        for _ in range(3):
            self.assertFalse(await self.one.knows("new", "x"))
            self.assertFalse(await self.other.knows("new", "x"))
        self.assertEqual(len(self.one.node.store.reads), reads + 1)
        _, secret = await self.register("new")
        self.assertTrue(await self.one.knows("new", secret))
        await self.other.node.heard()
        self.assertTrue(await self.other.knows("new", secret))

    async def test_a_flood(self) -> None:
        """However many unknown clients call, what is kept stays, and no more of them is than a bounded number."""
        await self.one.knows("app", self.secret)
        cache = self.one.node.cache
        for n in range(MOST_ABSENCES + 200):
            self.assertFalse(await self.one.knows(f"unknown {n}", "x"))
        reads = len(self.one.node.store.reads)
        self.assertTrue(await self.one.knows("app", self.secret))
        self.assertEqual(len(self.one.node.store.reads), reads)
        self.assertEqual((len(cache.entries), len(cache._order), len(cache._absences)), (1, 1, MOST_ABSENCES))
        self.assertEqual(len(cache._cells), 2 * (MOST_ABSENCES + 1) + 1)

    async def test_ids_that_are_none(self) -> None:
        """An id that no client can have is refused without a look, and leaves nothing behind."""
        reads = len(self.one.node.store.reads)
        for client_id in ("x" * (LONGEST_ID + 1), "\xe4" * 5000):
            self.assertFalse(await self.one.knows(client_id, "x"))
            self.assertIsNone(await self.one.by(posted(client_id=client_id, client_secret="x")))
            self.assertIsNone(await self.one.by(posted(client_id=client_id)))
        self.assertIsNone((await self.one.clients.known("")).value)
        self.assertEqual(len(self.one.node.store.reads), reads)
        self.assertEqual(len(self.one.node.cache._absences), 0)

    async def test_events(self) -> None:
        """A refusal names a client that there is, and no other."""
        await self.one.knows("nobody", "x")
        await self.one.knows("app", "x")
        told = [event.facts.get("client_id") for event in self.one.events if event.name == "client.refused"]
        self.assertEqual(told, [None, "app"])

