"""One reading of every request: odd bytes on a real socket, each refused by a status of its own before any endpoint."""

from __future__ import annotations

from typing import ClassVar

from tests.web.edge import Answer, Listening

HEAD = b"Host: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
POST = b"POST /token HTTP/1.1\r\n" + HEAD


def post(body: bytes, *fields: bytes) -> bytes:
    """A form sent to /token, with the connection closed after it."""
    lines = b"".join(field + b"\r\n" for field in (b"Content-Length: %d" % len(body), *fields, b"Connection: close"))
    return POST + lines + b"\r\n" + body


def get(target: bytes, *fields: bytes) -> bytes:
    """A GET of a target, with the connection closed after it."""
    lines = b"".join(field + b"\r\n" for field in (b"Host: localhost", *fields, b"Connection: close"))
    return b"GET " + target + b" HTTP/1.1\r\n" + lines + b"\r\n"


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A form in chunks."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + body + end


class Refusing(Listening):
    """A case that sees requests refused."""

    async def refused(self, data: bytes, status: int, name: str = "") -> Answer:
        """Send bytes and see them refused, in the form every error has, with nothing reaching an endpoint."""
        [answer] = await self.say(data)
        self.assertEqual(answer.status, status, name)
        told = answer.json()
        self.assertEqual(set(told), {"error", "error_description", "detail"})
        self.assertEqual(told["detail"], told["error_description"])
        self.assertEqual(answer.header("connection"), "close")
        self.assertEqual(answer.header("content-type"), "application/json")
        self.assertEqual(answer.header("cache-control"), "no-store")
        self.assertEqual(answer.header("x-content-type-options"), "nosniff")
        self.assertEqual(answer.header("server"), "oauthd")
        self.assertEqual(self.built.recorded.requests, [])
        return answer


class Refusals(Refusing):
    """What never becomes a request."""

    CASES: ClassVar[dict[str, tuple[bytes, int]]] = {
        "no Host": (b"GET /things HTTP/1.1\r\n\r\n", 400),
        "two Hosts": (b"GET /things HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        "two Hosts in HTTP/1.0": (b"GET /things HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        "an empty Host": (b"GET /things HTTP/1.1\r\nHost:\r\n\r\n", 400),
        "a Host that is a path": (b"GET /things HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        "a folded header": (b"GET /things HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", 400),
        "a folded first line": (b"GET /things HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        "a blank before the colon": (b"GET /things HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        "a header without colon": (b"GET /things HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
        "a header without name": (b"GET /things HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
        "NUL in a header": (b"GET /things HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
        "a lone line feed": (b"GET /things HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
        "a lone carriage return": (b"GET /things HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400),
        "three blanks": (b"GET  /things HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        "no version": (b"GET /things\r\nHost: a\r\n\r\n", 400),
        "another version": (b"GET /things HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        "a method that is no token": (b"G(T /things HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        "a fragment": (b"GET /things#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        "raw bytes in the target": (b"GET /things?\xe4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        "a target with a user": (b"GET http://u@a/things HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        "both lengths": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        "both lengths, the other way round": (
            POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            400,
        ),
        "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\na=1", 400),
        "two lengths in one": (POST + b"Content-Length: 3, 3\r\n\r\na=1", 400),
        "a signed length": (POST + b"Content-Length: +3\r\n\r\na=1", 400),
        "an endless length": (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        "a length beyond the limit": (POST + b"Content-Length: 65537\r\n\r\n", 413),
        "an unknown coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        "identity, which is no coding": (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
        "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        "chunked in HTTP/1.0": (b"POST /token HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        "chunked 64 KiB + 1": (chunked(b"a" * 65536, b"a"), 413),
        "one chunk beyond the limit": (chunked(b"a" * 65537), 413),
        "a chunk size that is no number": (chunked(end=b"0x1\r\na\r\n0\r\n\r\n"), 400),
        "a negative chunk size": (chunked(end=b"-1\r\n"), 400),
        "a chunk longer than its size": (chunked(end=b"1\r\naa\r\n0\r\n\r\n"), 400),
        "an endless chunk extension": (chunked(end=b"1;" + b"a" * 2000), 400),
        "endless trailers": (chunked(end=b"0\r\n" + b"A: b\r\n" * 20000), 400),
        "much wire for little body": (chunked(end=(b"1;" + b"e" * 1000 + b"\r\na\r\n") * 600), 413),
        "a head beyond the limit": (b"GET /things HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"a" * 17000 + b"\r\n\r\n", 431),
        "a head of many lines": (b"GET /things HTTP/1.1\r\nHost: a\r\n" + b"X: %s\r\n" % (b"a" * 990) * 17, 431),
        "too many headers": (b"GET /things HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 101 + b"\r\n", 431),
        "a line without end": (b"GET /things HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000, 431),
        "a long target": (b"GET /" + b"a" * 17000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        "a target without end": (b"GET /" + b"a" * 20000, 414),
    }

    async def test_framing(self) -> None:
        """Every oddity of framing is refused, and closes its connection, before an endpoint sees anything."""
        self.listen()
        for name, (data, status) in self.CASES.items():
            await self.refused(data, status, name)
        self.assertEqual([line[:2] for line in self.built.recorded.accesses], [("-", "-")] * len(self.CASES))

    async def test_split_anywhere(self) -> None:
        """A refusal does not depend on how the network cuts the bytes."""
        self.listen()
        for name in ("a folded header", "both lengths", "chunked 64 KiB + 1", "two Hosts"):
            data, status = self.CASES[name]
            wire = await self.wire()
            step = 1 if len(data) < 1000 else 8191
            for start in range(0, len(data), step):
                wire.send(data[start : start + step])
                await self.until(lambda wire=wire: not wire.transport.dataBuffer)  # type: ignore[misc]
            self.assertEqual([answer.status for answer in await wire.end()], [status], name)
        self.assertEqual(self.built.recorded.requests, [])

    async def test_refusal_is_read_by_one_who_still_sends(self) -> None:
        """A client that goes on sending, and looks for an answer only then, gets to read why it is refused."""
        built = self.listen()
        wire = await self.wire()
        wire.transport.pauseProducing()  # type: ignore[union-attr]
        wire.send(POST + b"Content-Length: 10000000\r\n\r\n")
        await self.until(lambda: any(channel.refused for channel in built.site.channels))
        for _ in range(20):
            wire.send(b"a" * 10000)
            await self.until(lambda: not wire.transport.dataBuffer)  # type: ignore[union-attr]
        wire.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual([answer.status for answer in await wire.end()], [413])
        self.assertEqual(built.recorded.requests, [])

    async def test_both_lengths_are_told_apart(self) -> None:
        """A developer is told which headers contradict each other."""
        self.listen()
        for name in ("both lengths", "both lengths, the other way round", "two lengths", "chunked twice"):
            answer = await self.refused(*self.CASES[name])
            self.assertIn("Content-Length", answer.json()["detail"])

    async def test_nothing_is_read_after_a_refusal(self) -> None:
        """A good request behind a refused one on the same connection is thrown away."""
        self.listen()
        [answer] = await self.say(b"GET /things HTTP/1.1\r\n\r\n" + get(b"/things"))
        self.assertEqual(answer.status, 400)
        [answer] = await self.say(chunked(end=b"zz\r\n") + get(b"/things"))
        self.assertEqual(answer.status, 400)
        self.assertEqual(self.built.recorded.requests, [])

    async def test_413_comes_before_100(self) -> None:
        """A client that asks before it sends too much is told so, not invited."""
        self.listen()
        await self.refused(POST + b"Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n", 413)


class BadRequests(Refusing):
    """What is framed well, and refused for what it says."""

    CASES: ClassVar[dict[str, tuple[bytes, int]]] = {
        "two slashes at the front": (get(b"//things"), 404),
        "two slashes inside": (get(b"/things//a"), 404),
        "a slash at the end": (get(b"/things/"), 404),
        "a semicolon in the path": (get(b"/things;a"), 404),
        "an encoded semicolon": (get(b"/things%3ba"), 404),
        "an encoded slash": (get(b"/things/a%2fb"), 404),
        "an encoded backslash": (get(b"/things/a%5Cb"), 404),
        "a twice encoded slash": (get(b"/things/a%252fb"), 404),
        "dots": (get(b"/things/../things"), 404),
        "encoded dots": (get(b"/things/%2e%2e/things"), 404),
        "NUL in the path": (get(b"/things/%00"), 400),
        "bad UTF-8 in the path": (get(b"/things/%ff"), 400),
        "a bad escape in the path": (get(b"/things/%zz"), 400),
        "an unknown path": (get(b"/nothing"), 404),
        "a path in other letters": (get(b"/Things"), 404),
        "a semicolon in the query": (get(b"/things?a=1;b=2"), 400),
        "bad UTF-8 in the query": (get(b"/things?a=%ff"), 400),
        "NUL in the query": (get(b"/things?a=%00"), 400),
        "a semicolon in a form": (post(b"a=1;b=2"), 400),
        "bad UTF-8 in a form": (post(b"a=%ff"), 400),
        "raw bad UTF-8 in a form": (post(b"a=\xff"), 400),
        "NUL in a form": (post(b"a=%00"), 400),
        "a bad escape in a form": (post(b"a=%zz"), 400),
        "too many parameters": (post(b"&".join([b"a=1"] * 101)), 400),
        "a form in another charset": (
            get(b"/token")
            .replace(b"GET", b"POST")
            .replace(b"Host", b"Content-Type: application/x-www-form-urlencoded; charset=latin-1\r\nHost"),
            415,
        ),
        "a content type that is none": (get(b"/things", b"Content-Type: form"), 415),
        "two content types": (post(b"a=1", b"Content-Type: application/json"), 400),
        "a compressed body": (post(b"a=1", b"Content-Encoding: gzip"), 415),
        "a method of another path": (get(b"/token"), 405),
        "a method that nobody knows": (get(b"/things").replace(b"GET", b"BREW"), 405),
    }

    async def test_contents(self) -> None:
        """Every oddity of path, query, form and type is refused before an endpoint sees anything."""
        self.listen()
        for name, (data, status) in self.CASES.items():
            await self.refused(data, status, name)


class Accepted(Listening):
    """What is unusual and good."""

    async def test_bodies_of_exactly_the_limit(self) -> None:
        """64 KiB are read, announced or in chunks, and are the same form."""
        self.listen()
        body = b"a=" + b"b" * 65534
        for data in (post(body), chunked(body[:1000], body[1000:]), chunked(body, end=b"0;x=y\r\nTrailer: a\r\n\r\n")):
            [answer] = await self.say(data)
            self.assertEqual(answer.status, 200)
        self.assertEqual({request.form.one("a") for request in self.built.recorded.requests}, {"b" * 65534})
        self.assertEqual({request.body for request in self.built.recorded.requests}, {body})

    async def test_repeats_stay_visible(self) -> None:
        """Repeated parameters reach the endpoint as often as they were sent, and query and form do not mix."""
        self.listen()
        await self.say(post(b"a=1&a=2").replace(b"/token", b"/token?a=3&c=4"))
        [request] = self.built.recorded.requests
        self.assertEqual(list(request.form), [("a", "1"), ("a", "2")])
        self.assertEqual(list(request.query), [("a", "3"), ("c", "4")])
        self.assertEqual(list(request.parameters), [("a", "1"), ("a", "2")])

    async def test_forms_come_by_post(self) -> None:
        """A form that comes with another method than POST or PUT is a body and no form."""
        self.listen()
        await self.say(post(b"a=1").replace(b"POST /token", b"GET /things"))
        await self.say(post(b"a=1").replace(b"POST /token", b"PUT /things/b"))
        first, second = self.built.recorded.requests
        self.assertEqual((list(first.form), first.body), ([], b"a=1"))
        self.assertEqual(list(second.form), [("a", "1")])

    async def test_http_1_0(self) -> None:
        """An HTTP/1.0 client is answered with a length, and the connection is closed."""
        self.listen()
        [answer] = await self.say(b"GET /things HTTP/1.0\r\n\r\n")
        self.assertEqual((answer.status, answer.header("connection")), (200, "close"))
        self.assertEqual(answer.header("transfer-encoding"), None)
        self.assertEqual(answer.header("content-length"), str(len(answer.body)))

    async def test_expect_100_continue(self) -> None:
        """A client that waits to be invited is, and its body is then read."""
        self.listen()
        wire = await self.wire()
        wire.send(POST + b"Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n")
        await wire.until(lambda: wire.received == b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.received = b""
        wire.send(b"a=1")
        [answer] = await wire.take(1)
        self.assertEqual(answer.json()["form"], [["a", "1"]])

    async def test_absolute_form(self) -> None:
        """A target that names a host is read as its path, whatever the host."""
        self.listen()
        [answer] = await self.say(get(b"http://elsewhere.example:1/things?a=b"))
        self.assertEqual(answer.json()["query"], [["a", "b"]])
        self.assertEqual(self.built.recorded.requests[0].path, "/things")

    async def test_pipelining(self) -> None:
        """Requests sent all at once are answered in their order on one connection."""
        self.listen()
        wire = await self.wire()
        one = b"GET /things?n=%d HTTP/1.1\r\nHost: a\r\n\r\n"
        many = b"".join(one % number for number in range(50))
        wire.send(many + post(b"n=last"))
        found = await wire.end()
        self.assertEqual([answer.json()["query"] for answer in found[:-1]], [[["n", str(n)]] for n in range(50)])
        self.assertEqual(found[-1].json()["form"], [["n", "last"]])

    async def test_hosts_that_no_name_server_knows(self) -> None:
        """Hosts that are no names of IDNA are served like any other: none has a meaning."""
        self.listen()
        for host in (b"a..b", b"-", b"a" * 300, b"xn--a", b"[::1]:65535"):
            [answer] = await self.say(get(b"/things").replace(b"localhost", host))
            self.assertEqual(answer.status, 200, host)

    async def test_header_values(self) -> None:
        """Names are lower-case, values keep their bytes, and an underscore does not become a hyphen."""
        self.listen()
        await self.say(get(b"/things", b"X-A:  b\xe4 ", b"x-a: c", b"X_A: d", b"Authorization: Basic eA=="))
        headers = self.built.recorded.requests[0].headers
        self.assertEqual([value for name, value in headers.pairs if name == "x-a"], ["b\xe4", "c"])
        self.assertEqual(headers.one("x_a"), "d")
        self.assertEqual(headers.one("authorization"), "Basic eA==")

    async def test_close_within_a_list(self) -> None:
        """`close` counts wherever it stands in the list of connection options."""
        self.listen()
        [answer] = await self.say(b"GET /things HTTP/1.1\r\nHost: a\r\nConnection: keep-alive,Close\r\n\r\n")
        self.assertEqual(answer.header("connection"), "close")

    async def test_options_of_the_server(self) -> None:
        """OPTIONS * asks for nothing in particular and is answered so."""
        self.listen()
        [answer] = await self.say(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual((answer.status, answer.body), (204, b""))
