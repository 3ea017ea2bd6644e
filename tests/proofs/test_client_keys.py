"""A client's keys: at hand without waiting, looked for again when one is missing, and never too often."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from twisted.web.resource import Resource

from oauthd.config import FetchSettings
from oauthd.fetcher import Fetcher, FetchRefused
from oauthd.proofs.client_keys import AGAIN, MOST_KEYS, MOST_SETS, STALE, ClientKeys, missing
from oauthd.proofs.interface import FAILED, Unproven
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE, OAuthError
from oauthd.protocol.records import Client
from tests.fetcher.servers import Recording

URI = "https://app.example/jwks"


class KeyPage(Resource):
    """A key set that its host can change, and that counts how often it was asked for."""

    isLeaf = True  # noqa: N815

    def __init__(self, *kids: str) -> None:
        super().__init__()
        self.body = key_set(*kids)
        self.code = 200
        self.type = b"application/jwk-set+json"
        self.asked = 0

    def render_GET(self, request: Any) -> bytes:
        """The set."""
        self.asked += 1
        request.setResponseCode(self.code)
        request.setHeader(b"content-type", self.type)
        return self.body


def key_set(*kids: str) -> bytes:
    """A set of keys with these names."""
    return json.dumps({"keys": [{"kty": "EC", "kid": kid} for kid in kids]}).encode()


def client(**members: Any) -> Client:
    """A client whose keys are somewhere."""
    return Client("app", 1, "App", "confidential", 0, 0, **members)


FETCHED = client(jwks_uri=URI)


class KeysCase(SynchronousTestCase):
    """Keys over a document in memory."""

    def setUp(self) -> None:
        """Make the document."""
        self.page, self.clock = KeyPage("one"), Clock()
        self.clock.advance(1000)
        self.over(RequestTraversalAgent(self.page))

    def over(self, agent: IAgent) -> None:
        """Take another way out."""
        self.fetcher = Fetcher(agent, self.clock, FetchSettings())
        self.keys = ClientKeys(self.fetcher, self.clock.seconds)

    def asked(self, kid: str | None = None, of: Client = FETCHED) -> Deferred[Sequence[Any]]:
        """Look for a key."""
        return Deferred.fromCoroutine(self.keys.of(of, kid))

    def found(self, kid: str | None = None, of: Client = FETCHED) -> list[str]:
        """The names of what is there at once."""
        return [key["kid"] for key in self.successResultOf(self.asked(kid, of))]

    def why(self, kid: str | None = None) -> str:
        """Why there are none."""
        refused: FetchRefused = self.failureResultOf(self.asked(kid), FetchRefused).value
        return refused.description


class SourceTests(KeysCase):
    """Where keys come from."""

    def test_in_the_record(self) -> None:
        """Keys that were registered are at hand, and nobody is called."""
        self.assertEqual(self.found("two", client(jwks={"keys": [{"kid": "two"}]})), ["two"])
        self.assertEqual(self.found("one", client()), [])
        self.assertEqual(self.page.asked, 0)

    def test_fetched(self) -> None:
        """Keys at an address are fetched once, and used as long as they count."""
        self.assertEqual([self.found("one"), self.found("one"), self.found()], [["one"]] * 3)
        self.assertEqual(self.page.asked, 1)

    def test_no_key_set(self) -> None:
        """A document that is no key set is refused, and it is said why."""
        most = json.dumps({"keys": [{}] * (MOST_KEYS + 1)}).encode()
        for body, reason in (
            (b"{", "is not JSON"), (b"[" * 60000, "is not JSON"), (b"\xff", "is not JSON"), (b"[]", "is not a JWK Set"),
            (b"{}", "is not a JWK Set"), (b'{"keys":{}}', "is not a JWK Set"), (most, "has more than 50 keys"),
        ):  # fmt: skip
            self.page.body = body
            self.over(RequestTraversalAgent(self.page))
            self.assertEqual(self.why(), reason)

    def test_another_type(self) -> None:
        """A page is no key set."""
        self.page.type = b"text/html"
        self.assertIn("content type", self.why())

    def test_strange_members(self) -> None:
        """What is no key among the keys is passed over."""
        self.page.body = b'{"keys":[null,1,{"kid":["x"]},{"kid":"one"}]}'
        self.assertEqual(self.found("one"), [None, "one"])

    def test_nothing_beside_the_keys(self) -> None:
        """What is kept of a document is what says something of a key, whatever else its host puts there."""
        chain = ["one", "two"]
        junk: list[Any] = [[]] * 1000
        key = {"kty": "EC", "kid": "one", "x": junk, "use": junk, "key_ops": ["verify", junk], "x5c": chain, "d": junk}
        self.page.body = json.dumps({"keys": [key | {"more": junk}], "more": junk}).encode()
        kept = [{"kty": "EC", "kid": "one", "x": None, "use": None, "key_ops": ["verify"], "x5c": ["one"], "d": None}]
        self.assertEqual(self.successResultOf(self.asked()), kept)

    def test_a_bounded_number(self) -> None:
        """However many clients have keys somewhere, no more than a number of their sets are kept as read."""
        for number in range(MOST_SETS + 10):
            self.found("one", client(jwks_uri=f"{URI}/{number}"))
        self.assertEqual(len(self.keys._sets), MOST_SETS)

    def test_room_for_those_who_are_known(self) -> None:
        """However many strangers name key sets, those of clients that an administrator made stay."""
        self.found("one")
        for number in range(MOST_SETS + 10):
            self.found("one", client(jwks_uri=f"{URI}/{number}", registration=b"by a token"))
        self.clock.advance(AGAIN)
        self.page.code = 503
        self.assertEqual(self.found("one"), ["one"])


    def test_strangers(self) -> None:
        """Keys of a client that registered itself are fetched where strangers have room, others all the same."""
        self.patch(self.fetcher, "_strangers", 1000)
        refused = self.failureResultOf(self.asked("one", client(jwks_uri=URI, registration=b"x")), FetchRefused)
        self.assertTrue(refused.value.passing)
        self.assertEqual(self.found("one"), ["one"])


class AgainTests(KeysCase):
    """When a document is fetched again."""

    def test_an_unknown_key(self) -> None:
        """A key that is not there is looked for again, once a minute at most, however often it is asked for."""
        self.found("one")
        self.page.body = key_set("one", "two")
        for _ in range(5):
            self.assertEqual(self.found("two"), ["one"])
        self.assertEqual(self.page.asked, 1)
        self.clock.advance(AGAIN)
        for _ in range(5):
            self.assertEqual(self.found("two"), ["one", "two"])
            self.assertEqual(self.found("three"), ["one", "two"])
        self.assertEqual(self.page.asked, 2)

    def test_a_key_that_is_gone(self) -> None:
        """A key that its client has taken away is gone when the document's time is over."""
        self.found("one")
        self.page.body = key_set("two")
        self.clock.advance(61)
        self.assertEqual(self.found("one"), ["two"])

    def test_together(self) -> None:
        """Many who look for an unknown key at once wait for one document."""
        agent = Recording()
        self.over(agent)
        waiting = [self.asked(f"k{n}") for n in range(20)]
        self.assertEqual(len(agent.answers), 1)
        agent.answers[0].errback(FetchRefused("is away"))
        for one in waiting:
            self.failureResultOf(one, FetchRefused)

    def test_not_waited_for(self) -> None:
        """Known keys are used at once while their document is fetched again, and not for longer than a while."""
        self.found("one")
        agent = self.fetcher.agent = Recording()
        self.clock.advance(61)
        self.assertEqual([self.found("one"), self.found("one")], [["one"]] * 2)
        self.assertEqual(len(agent.answers), 1)
        self.assertNoResult(waiting := self.asked("two"))
        agent.answers[0].errback(FetchRefused("is away"))
        self.failureResultOf(waiting, FetchRefused)
        self.clock.advance(STALE)
        self.assertNoResult(gone := self.asked("one"))
        agent.answers[-1].errback(FetchRefused("is away"))
        self.failureResultOf(gone, FetchRefused)

    def test_a_host_that_is_away(self) -> None:
        """A host that is away for a moment, and a stranger who names unknown keys, take known keys from nobody."""
        self.found("one")
        self.clock.advance(AGAIN)
        self.page.code = 503
        self.assertIn("503", self.why("two"))
        self.assertEqual([self.found("one") for _ in range(3)], [["one"]] * 3)
        self.page.code = 200
        self.clock.advance(11)
        self.assertEqual(self.found("one"), ["one"])
        self.clock.advance(STALE)
        self.page.code = 503
        self.assertIn("503", self.why("one"))


class MissingTests(SynchronousTestCase):
    """What it means for a client that its keys cannot be had (`missing`)."""

    def test_a_busy_server(self) -> None:
        """Where our server has too much to do, the client is told to come back, and not that it is not itself."""
        error = missing(FetchRefused("cannot be fetched now", passing=True))
        assert isinstance(error, OAuthError)
        self.assertEqual(error.kind, TEMPORARILY_UNAVAILABLE)
        self.assertNotIn("jwks_uri", error.description)

    def test_a_document_that_is_away(self) -> None:
        """Where the document cannot be had, nothing proves the client, and whoever asks is told no more than that."""
        error = missing(FetchRefused("was answered with status 404", "ours"))
        assert isinstance(error, Unproven)
        self.assertEqual(error.told, FAILED)
        self.assertIn("jwks_uri was answered with status 404 (ours)", error.log)
