"""Rows, methods, errors and hang-ups over the whole edge."""

from __future__ import annotations

import json
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.errors import INVALID_GRANT, INVALID_TOKEN
from oauthd.protocol.messages import Request, Response, see_other
from oauthd.web import routes
from oauthd.web.application import build
from oauthd.web.site import Site
from tests.web.edge import ROUTES, Built, Listening, StoreAway, connected, edge, waiting

HOST = "http://localhost"


class Ordinary(SynchronousTestCase):
    """Requests as any client makes them, without sockets."""

    def setUp(self) -> None:
        """An edge whose /answer does what the test says."""
        self.raised: Exception | None = None
        self.response = Response(200, (("Content-Type", "text/plain"),), b"answered")
        self.built = edge(Clock(), self.answer)
        self.recorded = self.built.recorded
        self.treq: Any = StubTreq(self.built.front)

    async def answer(self, request: Request) -> Response:
        """Do what the test says."""
        self.recorded.requests.append(request)
        if self.raised is not None:
            raise self.raised
        return self.response

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The response to a request."""
        return self.successResultOf(self.treq.request(method, HOST + path, **options))

    def content(self, response: Any) -> bytes:
        """The body of a response."""
        body: bytes = self.successResultOf(self.treq.content(response))
        return body

    def field(self, response: Any, name: str) -> str | None:
        """The only field of that name."""
        values = response.headers.getRawHeaders(name, [])
        self.assertLessEqual(len(values), 1, name)
        return values[0] if values else None

    def test_every_path_of_a_row(self) -> None:
        """Each path of a row is served by the same endpoint, whose request names the path that was asked for."""
        for path in ("/token", "/tokens"):
            response = self.ask("POST", path, data={"a": "b"})
            self.assertEqual(response.code, 200)
            self.assertEqual(json.loads(self.content(response)), {"path": path, "form": [["a", "b"]], "query": []})

    def test_named_parts(self) -> None:
        """Named parts of a path reach the endpoint decoded, and plain paths go before them."""
        self.ask("GET", "/things/%C3%A4%20b")
        self.ask("GET", "/things?name=x")
        first, second = self.recorded.requests
        self.assertEqual((first.arguments, first.path), ({"name": "ä b"}, "/things/ä b"))
        self.assertEqual((dict(second.arguments), second.query.one("name")), ({}, "x"))

    def test_what_every_answer_says(self) -> None:
        """Answers have their length, no banner but the name, and are not sniffed."""
        response = self.ask("GET", "/answer")
        self.assertEqual(self.content(response), b"answered")
        self.assertEqual(response.length, 8)
        self.assertEqual(self.field(response, "server"), "oauthd")
        self.assertEqual(self.field(response, "x-content-type-options"), "nosniff")
        self.assertEqual(self.field(response, "content-type"), "text/plain")

    def test_empty_answers(self) -> None:
        """An empty answer has the length nought and no type, and a 204 not even a length."""
        self.response = see_other("/elsewhere")
        response = self.ask("GET", "/answer", allow_redirects=False)
        self.assertEqual((response.length, self.field(response, "content-type")), (0, None))
        channel, transport = connected(self.built.site)
        self.response = Response(204)
        channel.dataReceived(b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertNotIn(b"Content-Length", transport.value())
        self.assertTrue(transport.value().endswith(b"\r\n\r\n"))

    def test_repeated_fields(self) -> None:
        """Several cookies are several fields, in their order."""
        self.response = Response(200, (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")))
        self.assertEqual(self.ask("GET", "/answer").headers.getRawHeaders("set-cookie"), ["a=1", "b=2"])

    def test_fields_that_would_forge_others(self) -> None:
        """A value with a line break is a bug: it is logged once and nothing of it is sent."""
        for value in ("/a\r\nSet-Cookie: b=c", "/\x00", "/\u2028"):
            self.response = see_other(value)
            response = self.ask("GET", "/answer", allow_redirects=False)
            self.assertEqual((response.code, self.field(response, "location")), (500, None))
            self.assertEqual(self.field(response, "set-cookie"), None)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_head(self) -> None:
        """HEAD is answered wherever GET is, with the length of that answer and without its body."""
        response = self.ask("HEAD", "/answer")
        self.assertEqual((response.code, self.field(response, "content-length")), (200, "8"))
        self.assertEqual(self.content(response), b"")
        self.assertEqual(self.recorded.requests[0].method, "GET")
        self.assertEqual(self.ask("HEAD", "/token").code, 405)

    def test_405(self) -> None:
        """A method that a row does not have is refused with those that it has."""
        response = self.ask("DELETE", "/things")
        self.assertEqual((response.code, self.field(response, "allow")), (405, "GET, POST, HEAD, OPTIONS"))
        self.assertEqual(json.loads(self.content(response))["error"], "method_not_allowed")
        self.assertEqual(self.recorded.requests, [])

    def test_options(self) -> None:
        """OPTIONS is answered for every row, with CORS only where the row has it."""
        response = self.ask("OPTIONS", "/things")
        self.assertEqual((response.code, self.field(response, "allow")), (204, "GET, POST, HEAD, OPTIONS"))
        self.assertEqual(self.cors(response), {})
        response = self.ask("OPTIONS", "/token", headers={"Origin": "https://a.example"})
        self.assertEqual((response.code, self.field(response, "allow")), (204, "POST, OPTIONS"))
        self.assertEqual(
            self.cors(response),
            {
                "access-control-allow-origin": "*",
                "access-control-allow-methods": "POST, OPTIONS",
                "access-control-allow-headers": "Authorization, Content-Type, DPoP",
                "access-control-max-age": "7200",
            },
        )

    def test_cors(self) -> None:
        """Answers and errors of rows with CORS may be read by any origin, never with credentials; no others may."""
        origin = {"Origin": "https://a.example"}
        for response in (
            self.ask("POST", "/token", headers=origin),
            self.ask("POST", "/token?a=;", headers=origin),
            self.ask("GET", "/token", headers=origin),
        ):
            self.assertEqual(self.field(response, "access-control-allow-origin"), "*")
            self.assertEqual(self.field(response, "access-control-allow-credentials"), None)
        for path in ("/things", "/page", "/nothing", "//token", "/things/%2f"):
            self.assertEqual(self.cors(self.ask("GET", path, headers=origin)), {}, path)

    def cors(self, response: Any) -> dict[str, str]:
        """The fields of CORS that a response has."""
        fields = response.headers.getAllRawHeaders()
        pairs = [(name.decode().lower(), value.decode()) for name, values in fields for value in values]
        return {name: value for name, value in pairs if name.startswith("access-control")}

    def test_unknown_paths(self) -> None:
        """Paths that are in no row are JSON 404, whatever is accepted, and nothing is redirected."""
        for path in ("/nothing", "/token/", "/things/a/b", "//token", "/things//a", "/TOKEN", "/page/.."):
            response = self.ask("GET", path, headers={"Accept": "text/html"}, allow_redirects=False)
            self.assertEqual((response.code, self.field(response, "content-type")), (404, "application/json"), path)
            self.assertEqual(json.loads(self.content(response))["error"], "not_found")
            self.assertEqual(self.field(response, "server"), "oauthd")

    def test_errors_of_endpoints(self) -> None:
        """Whatever an endpoint raises becomes its error; the challenge knows what the request presented."""
        self.raised = INVALID_GRANT("why")
        response = self.ask("GET", "/answer")
        self.assertEqual((response.code, json.loads(self.content(response))["detail"]), (400, "why"))
        self.raised = StoreAway()
        self.assertEqual(self.field(self.ask("GET", "/answer"), "retry-after"), "1")
        self.raised = INVALID_TOKEN("why")
        challenge = 'Bearer realm="oauthd"'
        self.assertEqual(self.field(self.ask("GET", "/answer"), "www-authenticate"), challenge)
        response = self.ask("GET", "/answer", headers={"Authorization": "Bearer abc"})
        challenge += ', error="invalid_token", error_description="why"'
        self.assertEqual(self.field(response, "www-authenticate"), challenge)

    def test_errors_of_pages(self) -> None:
        """A row whose errors are pages answers so, also where the request could not be read or the method is wrong."""
        for method, path, status in (("GET", "/page?a=;", 400), ("POST", "/page", 405)):
            response = self.ask(method, path)
            self.assertEqual((response.code, self.field(response, "content-type")), (status, "text/html"))
        self.assertEqual(self.field(response, "allow"), "GET, HEAD, OPTIONS")

    def test_bugs(self) -> None:
        """A bug in an endpoint is a 500 that says nothing, and is logged once."""
        self.raised = ZeroDivisionError("with a secret")
        response = self.ask("GET", "/answer?secret=1")
        self.assertEqual(response.code, 500)
        self.assertNotIn(b"secret", self.content(response))
        [failure] = self.flushLoggedErrors()
        self.assertEqual(failure.type, ZeroDivisionError)

    def test_the_access_log(self) -> None:
        """Each request is told of once, by the path of its row, without what was in it."""
        self.ask("GET", "/things/secret?secret=1")
        self.ask("POST", "/tokens?a=;", data={"secret": "1"})
        self.ask("BREW", "/things")
        self.ask("GET", "/secret")
        self.ask("GET", "//secret")
        self.assertEqual(
            self.recorded.accesses,
            [
                ("GET", "/things/<name>", 200),
                ("POST", "/tokens", 400),
                ("-", "/things", 405),
                ("GET", "-", 404),
                ("GET", "-", 404),
            ],
        )

    def test_a_missing_endpoint(self) -> None:
        """A row whose endpoint was not handed in is found when the application is built."""
        raised = self.assertRaises(LookupError, build, ROUTES, {}, self.built.front._edge)
        self.assertIn("record", str(raised))

    def test_the_whole_table(self) -> None:
        """Each path and method of the real table leads to the endpoint that it names, and to no other."""
        asked: list[tuple[str, Request]] = []

        def endpoint(name: str) -> Any:
            async def answer(request: Request) -> Response:
                asked.append((name, request))
                return Response(200)

            return answer

        names = {name for route in routes.ROUTES for name in route.endpoints.values()}
        front = build(routes.ROUTES, {name: endpoint(name) for name in names}, self.built.front._edge)
        self.treq = StubTreq(front)
        for route in routes.ROUTES:
            for path in route.paths:
                for method, name in route.endpoints.items():
                    self.ask(method, path.replace("<", "~").replace(">", "~"))
                    self.assertEqual(asked.pop()[0], name, f"{method} {path}")
                self.assertEqual(self.ask("OPTIONS", path.replace("<", "~").replace(">", "~")).code, 204)


class HangUps(Listening):
    """Clients that do not wait."""

    async def test_the_work_goes_on(self) -> None:
        """A client that hangs up in the middle does not stop the write, and nothing is logged as an error."""
        write: Deferred[None] = Deferred()
        written: list[bool] = []

        async def answer(request: Request) -> Response:
            await write
            written.append(True)
            return Response(200)

        built = self.listen(answer=answer)
        wire = await self.wire()
        wire.send(b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n")
        await self.until(lambda: built.shield.running == 1)
        wire.hang_up()
        await self.until(lambda: not built.site.channels)
        self.assertEqual((written, built.shield.running), ([], 1))
        self.assertEqual(built.recorded.accesses, [("GET", "/answer", 499)])
        write.callback(None)
        self.assertEqual((written, built.shield.running), ([True], 0))

    async def test_a_bug_that_nobody_waits_for(self) -> None:
        """A bug in abandoned work is logged once."""
        pending, answer = waiting()
        built = self.listen(answer=answer)
        wire = await self.wire()
        wire.send(b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n")
        await self.until(lambda: len(pending) == 1)
        wire.hang_up()
        await self.until(lambda: not built.site.channels)
        pending[0].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class Lateness(SynchronousTestCase):
    """Answers that take too long."""

    def test_answers_that_take_too_long(self) -> None:
        """After the deadline the client is told to come back; work goes on, and the connection can be used again."""
        clock = Clock()
        pending, answer = waiting()
        built: Built = edge(clock, answer, seconds=10)
        site: Site = built.site
        channel, transport = connected(site)
        channel.dataReceived(b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n")
        clock.advance(10)
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"\r\nRetry-After: 1", head)
        self.assertEqual(json.loads(body)["error"], "temporarily_unavailable")
        self.assertEqual(built.shield.running, 1)
        pending[0].callback(Response(200, (), b"too late"))
        self.assertEqual(built.shield.running, 0)
        transport.clear()
        channel.dataReceived(b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n")
        pending[1].callback(Response(200, (), b"in time"))
        self.assertTrue(transport.value().endswith(b"\r\n\r\nin time"))
