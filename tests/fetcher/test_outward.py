"""The way out on real sockets, with real certificates and with hosts that mean no good."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase
from zope.interface import directlyProvides

from oauthd.config import FetchSettings
from oauthd.fetcher import Fetcher, FetchRefused, Outward
from oauthd.fetcher.outward import LOOKUPS_OF_STRANGERS, MOST_ADDRESSES, MOST_LOOKUPS, PATIENCE
from oauthd.fetcher.refusal import BUSY, NOBODY
from tests.fetcher.servers import HEAD, PUBLIC, Authority, Host, Hosts, Names, Network, document, reactor, remove

JSON = ("application/json",)
URL = "https://app.example/jwks"
TIMEOUT = 30.0  # seconds: for a slow machine; who is to be late is so by a clock of the test
LATE = "was not answered within 30 seconds"
TLS = "is at a host whose certificate does not hold, or with which TLS fails"


class OutwardCase(TestCase):
    """A case with a world of names and hosts. `inner.test` is open and its authority ours; `app.example` is public."""

    def setUp(self) -> None:
        """Make the world."""
        self.authority = Authority.made()
        self.file = self.authority.file()
        self.addCleanup(remove, self.file)
        self.names = Names({"app.example": [(PUBLIC,)], "inner.test": [("127.0.0.1",)]})
        self.network = Network(self.names)
        directlyProvides(self.network, IReactorPluggableNameResolver)

    def serve(
        self, answer: Callable[[Host], object], *names: str, options: CertificateOptions | None = None, port: int = 443
    ) -> Hosts:
        """Stand at an address, as the host of that port."""
        host = Hosts(answer)
        if options is None:
            options = self.authority.vouches(*(names or ("app.example", "inner.test")))
        options.getContext().set_tlsext_servername_callback(lambda tls: host.names.append(tls.get_servername()))
        opened = reactor.listenSSL(0, host, options, interface="127.0.0.1")
        self.network.ports[port] = opened.getHost().port
        self.addCleanup(self.close, opened, host)
        return host

    async def close(self, opened: Any, host: Hosts) -> None:
        """Close the port, and wait for the end of its connections."""
        await maybeDeferred(opened.stopListening)
        while host.open:
            await deferLater(reactor, 0.002)

    def settings(self, opened: Sequence[str]) -> FetchSettings:
        """Settings in that world."""
        return FetchSettings(open_hosts=tuple(opened), ca_file=self.file, timeout=TIMEOUT)

    def fetcher(self, opened: Sequence[str] = ("app.example", "inner.test"), clock: Any = reactor) -> Fetcher:
        """A fetcher in that world.

        :param clock: by which it is late.
        """
        made = self.settings(opened)
        self.network.clock = None if clock is reactor else clock
        return Fetcher(Outward(self.network, made), clock, made)

    async def given_up(self, fetch: Coroutine[Any, Any, Any], clock: Clock, is_so_far: Callable[[], object]) -> str:
        """What is said of one that takes too long, once it has come so far."""
        waiting = ensureDeferred(fetch)
        while not is_so_far():
            await deferLater(reactor, 0.002)
        clock.advance(TIMEOUT - 0.5)
        self.assertFalse(waiting.called)
        clock.advance(0.5)
        try:
            await waiting
        except FetchRefused as refused:
            return refused.description
        raise AssertionError("it was not given up")

    async def refused(self, fetcher: Fetcher, url: str = URL) -> str:
        """It is refused; the reason."""
        try:
            body = await fetcher.get(url, JSON)
        except FetchRefused as refused:
            return refused.description
        raise AssertionError(f"{body!r} was fetched")


class TheWay(OutwardCase):
    """Whom a connection is made to."""

    async def test_a_document(self) -> None:
        """A document is fetched from the address that its host's name has, with that name in SNI and Host."""
        host = self.serve(document(b'{"keys":[]}'))
        self.assertEqual(await self.fetcher().get(URL, JSON), b'{"keys":[]}')
        self.assertEqual(self.network.called, [(PUBLIC, 443)])
        self.assertEqual(host.names, [b"app.example"])
        head = host.requests[0].lower().split(b"\r\n")
        self.assertEqual(head[0], b"get /jwks http/1.1")
        for line in (b"host: app.example", b"accept: application/json", b"accept-encoding: identity"):
            self.assertIn(line, head)
        self.assertEqual([line for line in head if line.startswith((b"cookie", b"authorization"))], [])

    async def test_every_kind_of_inner_address(self) -> None:
        """Nobody is called whose name leads into an inner network, or to an address with another one in it."""
        self.serve(document())
        fetcher = self.fetcher(())
        inner = ("127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:93.184.216.34",
                 "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "0.0.0.0")  # fmt: skip
        for number, address in enumerate(inner):
            name = f"h{number}.example"
            self.names.answers[name] = [(address,)]
            self.assertEqual(await self.refused(fetcher, f"https://{name}/"), NOBODY)
        self.assertEqual(await self.refused(fetcher, "https://127.0.0.1/"), NOBODY)
        self.assertEqual(self.network.called, [])

    async def test_one_inner_address_among_others(self) -> None:
        """A name with a public and an inner address leads nowhere."""
        self.names.answers["app.example"] = [(PUBLIC, "10.0.0.1")]
        self.assertEqual(await self.refused(self.fetcher(())), NOBODY)
        self.assertEqual(self.network.called, [])

    async def test_another_answer_the_second_time(self) -> None:
        """A name is looked up once: what it leads to a moment later makes no difference."""
        self.names.answers["app.example"] = [(PUBLIC,), ("127.0.0.1",)]
        self.serve(document())
        await self.refused(self.fetcher(()))  # the throw-away authority does not vouch for public hosts
        self.assertEqual(self.names.asked, ["app.example"])
        self.assertEqual(self.network.called, [(PUBLIC, 443)])

    async def test_nobody_knows_the_name(self) -> None:
        """A name that does not exist is refused in the words for one that leads into an inner network."""
        self.assertEqual(await self.refused(self.fetcher(), "https://nobody.example/"), NOBODY)

    async def test_many_addresses(self) -> None:
        """Of a name with very many addresses only a few are called."""
        self.names.answers["app.example"] = [tuple(f"93.184.216.{number}" for number in range(1, 200))]
        self.network.ports[443] = 1  # where nobody is
        self.assertEqual(await self.refused(self.fetcher()), "is at a host that cannot be reached")
        self.assertLessEqual(len(self.network.called), MOST_ADDRESSES)

    async def test_slow_names(self) -> None:
        """Names that are looked up for ever take so many threads and no more, and the fetch ends in time."""
        clock = Clock()
        fetcher = self.fetcher(clock=clock)
        for number in range(MOST_LOOKUPS):
            self.names.answers[f"h{number}.example"] = [None]
            fetch = fetcher.get(f"https://h{number}.example/", JSON)
            self.assertEqual(await self.given_up(fetch, clock, lambda: True), LATE)
        self.assertEqual(await self.refused(fetcher), BUSY)
        self.assertEqual(self.names.asked, [f"h{number}.example" for number in range(MOST_LOOKUPS)])
        for receiver in self.names.waiting:
            receiver.resolutionComplete()
        self.serve(document())
        self.assertEqual(await self.fetcher().get(URL, JSON), b"{}")

    async def test_slow_names_of_strangers(self) -> None:
        """Names that strangers have looked up for ever leave threads for the names of others."""
        clock = Clock()
        fetcher = self.fetcher(clock=clock)
        for number in range(LOOKUPS_OF_STRANGERS):
            self.names.answers[f"h{number}.example"] = [None]
            fetch = fetcher.get(f"https://h{number}.example/", JSON, stranger=True)
            self.assertEqual(await self.given_up(fetch, clock, lambda: True), LATE)
        with self.assertRaisesRegex(FetchRefused, BUSY):
            await fetcher.get("https://one-more.example/", JSON, stranger=True)
        self.assertEqual(await self.refused(fetcher, "https://nobody.example/"), NOBODY)  # which was looked up


class Certificates(OutwardCase):
    """Service identity (RFC 9525)."""

    async def certified(self, *names: str, url: str = URL, **more: Any) -> str:
        """What a host with such a certificate gets us."""
        host = self.serve(document(), options=self.authority.vouches(*names, **more))
        said = await self.refused(self.fetcher(), url)
        self.assertEqual(host.requests, [])
        return said

    async def test_another_name(self) -> None:
        """A certificate for another name is refused."""
        self.assertEqual(await self.certified("other.example"), TLS)

    async def test_the_common_name(self) -> None:
        """A common name is no name (RFC 9525 section 2): without alternative names nobody is meant."""
        self.assertEqual(await self.certified(called="app.example"), TLS)

    async def test_a_malformed_name(self) -> None:
        """An alternative name that cannot be read makes a certificate worthless, not good."""
        self.assertEqual(await self.certified("dns:192.0.2.1"), TLS)
        self.assertEqual(await self.certified("dns:*"), TLS)

    async def test_expired(self) -> None:
        """A certificate whose time is over, or has not come, is refused."""
        self.assertEqual(await self.certified("app.example", days=(10, -1)), TLS)
        self.assertEqual(await self.certified("app.example", days=(-1, 10)), TLS)

    async def test_an_unknown_authority(self) -> None:
        """A certificate of somebody else's authority is refused."""
        self.serve(document(), options=Authority.made("Another").vouches("app.example"))
        self.assertEqual(await self.refused(self.fetcher()), TLS)

    async def test_our_authority_and_public_hosts(self) -> None:
        """The authorities of opened hosts vouch for these alone."""
        self.serve(document())
        self.assertEqual(await self.refused(self.fetcher(("inner.test",))), TLS)

    async def test_an_address(self) -> None:
        """A certificate for an address is good for that address, and no name is sent."""
        host = self.serve(document(), "127.0.0.1")
        self.names.answers["127.0.0.1"] = [("127.0.0.1",)]
        fetcher = self.fetcher(("127.0.0.1",))
        self.assertEqual(await fetcher.get("https://127.0.0.1/", JSON), b"{}")
        self.assertEqual(host.names, [None])

    async def test_no_tls(self) -> None:
        """A host that does not speak TLS is refused."""
        clear = Hosts(document())
        opened = reactor.listenTCP(0, clear, interface="127.0.0.1")
        self.addCleanup(opened.stopListening)
        self.network.ports[443] = opened.getHost().port
        clear.protocol = _Chatty
        self.assertEqual(await self.refused(self.fetcher()), TLS)


class _Chatty(Host):
    """Speaks first and in clear."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.send(b"220 mail.example ESMTP\r\n")


class Hostile(OutwardCase):
    """Hosts that do not answer as they should."""

    async def answered(self, answer: Callable[[Host], object], late: bool = False) -> str:
        """What we say of such an answer, and the connection is over.

        :param late: is it one that does not end, so that time must?
        """
        host, clock = self.serve(answer), Clock()
        fetcher = self.fetcher(clock=clock if late else reactor)
        if late:
            said = await self.given_up(fetcher.get(URL, JSON), clock, lambda: host.requests)
        else:
            said = await self.refused(fetcher)
        self.assertEqual(fetcher.counts.under_way, 0)
        clock.advance(PATIENCE)  # and no longer
        while host.open:
            await deferLater(reactor, 0.002)
        return said

    async def test_redirects(self) -> None:
        """A redirect is not followed, not even to https."""
        for code in (301, 302, 303, 307, 308):
            answer = b"HTTP/1.1 %d Go\r\nLocation: https://inner.test/\r\nContent-Length: 0\r\n\r\n" % code
            said = await self.answered(lambda host, answer=answer: host.send(answer))  # type: ignore[misc]
            self.assertEqual(said, f"was answered with a redirect ({code}), which is not followed")
        self.assertEqual(set(self.names.asked), {"app.example"})

    async def test_other_statuses(self) -> None:
        """Only 200 is an answer."""
        for code in (204, 206, 404, 500):
            answer = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n" % code
            said = await self.answered(lambda host, answer=answer: host.send(answer))  # type: ignore[misc]
            self.assertEqual(said, f"was answered with status {code}")

    async def test_content_types(self) -> None:
        """Another content type, none, or two of them are refused."""
        for head in (b"Content-Type: text/html\r\n", b"", b"Content-Type: application/jsonx\r\n",
                     b"Content-Type: ;\r\n",
                     b"Content-Type: application/json\r\nContent-Type: text/html\r\n"):  # fmt: skip
            said = await self.answered(document(head=b"HTTP/1.1 200 OK\r\n" + head))
            self.assertEqual(said, "must have the content type application/json")

    async def test_a_content_type_with_parameters(self) -> None:
        """Parameters and letter case of the content type make no difference."""
        self.serve(document(head=b"HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\n"))
        self.assertEqual(await self.fetcher().get(URL, JSON), b"{}")

    async def test_a_long_body(self) -> None:
        """A body that is announced as too long is not read."""
        said = await self.answered(lambda host: host.send(HEAD + b"Content-Length: 65537\r\n\r\n"))
        self.assertEqual(said, "is longer than 65536 bytes")

    async def test_a_body_without_end(self) -> None:
        """A body that says nothing of its length is cut where it is too long, and the connection is ended."""

        def answer(host: Host) -> None:
            host.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            host.goes_on(b"1000\r\n" + b"x" * 4096 + b"\r\n")

        self.assertEqual(await self.answered(answer), "is longer than 65536 bytes")

    async def test_the_longest_body(self) -> None:
        """A body of exactly the limit is read."""
        self.serve(document(b"x" * 65536))
        self.assertEqual(len(await self.fetcher().get(URL, JSON)), 65536)

    async def test_headers_without_end(self) -> None:
        """Headers are bounded by what a connection may bring in all."""

        def answer(host: Host) -> None:
            host.send(HEAD)
            host.goes_on(b"X-A: " + b"x" * 4000 + b"\r\n")

        self.assertEqual(await self.answered(answer), "was not answered as HTTP says")

    async def test_interim_answers_without_end(self) -> None:
        """So are answers before the answer."""
        hint = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100
        said = await self.answered(lambda host: host.goes_on(hint))
        self.assertEqual(said, "was not answered as HTTP says")

    async def test_drop_by_drop(self) -> None:
        """A host that sends a byte at a time is given up on in time, in its headers as in its body."""

        def drip(data: bytes) -> Callable[[Host], None]:
            def answer(host: Host) -> None:
                host.send(data)
                host.goes_on(b"x", 0.01)

            return answer

        for begin in (HEAD + b"X-Slow: ", HEAD + b"Content-Length: 60000\r\n\r\n"):
            self.assertEqual(await self.answered(drip(begin), late=True), LATE)

    async def test_silence(self) -> None:
        """A host that takes the request and says nothing is given up on, and its connection ended."""
        self.assertEqual(await self.answered(lambda host: None, late=True), LATE)

    async def test_silence_before_tls(self) -> None:
        """So is one that takes the connection and never shakes hands."""
        mute = Hosts(lambda host: None)
        opened = reactor.listenTCP(0, mute, interface="127.0.0.1")
        self.addCleanup(self.close, opened, mute)
        self.network.ports[443] = opened.getHost().port
        clock = Clock()
        fetch = self.fetcher(clock=clock).get(URL, JSON)
        self.assertEqual(await self.given_up(fetch, clock, lambda: mute.open), LATE)
        clock.advance(PATIENCE)

    async def test_a_compressed_bomb(self) -> None:
        """A compressed answer is refused by its head; nobody unpacks it."""
        bomb = gzip.compress(b"{" + b" " * 10_000_000 + b"}")
        self.assertLess(len(bomb), 65536)
        for coding in (b"gzip", b"GZIP", b"deflate", b"br", b"gzip, gzip"):
            said = await self.answered(document(bomb, HEAD + b"Content-Encoding: " + coding + b"\r\n"))
            self.assertEqual(said, "was answered with a Content-Encoding that was not asked for")

    async def test_cookies(self) -> None:
        """A cookie that a host sets is not sent back to it."""
        host = self.serve(document(head=HEAD + b"Set-Cookie: a=b; Path=/\r\n"))
        fetcher = self.fetcher()
        for path in ("a", "b"):
            await fetcher.get(f"https://app.example/{path}", JSON)
        self.assertEqual(len(host.requests), 2)
        self.assertEqual([each for each in host.requests if b"cookie" in each.lower()], [])

    async def test_an_end_too_early(self) -> None:
        """A body that breaks off is refused."""

        def answer(host: Host) -> None:
            assert host.transport is not None
            host.send(HEAD + b"Content-Length: 100\r\n\r\n{}")
            host.transport.loseConnection()

        self.assertEqual(await self.answered(answer), "was not answered as HTTP says")

    async def test_no_http(self) -> None:
        """What is no HTTP is refused."""
        self.assertEqual(await self.answered(lambda host: host.send(b"\x00\xff nonsense\r\n\r\n")),
                         "was not answered as HTTP says")  # fmt: skip

    async def test_nobody_there(self) -> None:
        """A host that refuses the connection is told apart from one that is silent."""
        self.network.ports[443] = 1
        self.assertEqual(await self.refused(self.fetcher()), "is at a host that cannot be reached")

    async def test_its_connection_ends(self) -> None:
        """No connection stays after an answer, whether the host closes it or not."""
        host = self.serve(document())
        await self.fetcher().get(URL, JSON)
        while host.open:
            await deferLater(reactor, 0.002)
        self.assertEqual(len(host.requests), 1)

    async def test_cancelled_with_everybody(self) -> None:
        """Whoever goes away leaves a fetch that ends by itself."""
        host = self.serve(document())
        fetcher = self.fetcher()
        waiting: Deferred[bytes] = ensureDeferred(fetcher.get(URL, JSON))
        waiting.addErrback(lambda failure: None)
        waiting.cancel()
        while fetcher.counts.under_way:
            await deferLater(reactor, 0.002)
        self.assertEqual(len(host.requests), 1)
        self.assertEqual(await fetcher.get(URL, JSON), b"{}")
        self.assertEqual(len(host.requests), 1)
