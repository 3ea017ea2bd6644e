"""The route table as a Klein application: every row, method and error, and nothing that is not in the table.

RFC 9110 sections 9.3 and 15.5.6: 405 with Allow, OPTIONS for every row, HEAD wherever GET is (an endpoint sees GET).
Klein sees a path only after `parsing.path` has judged it, and is asked for paths alone: methods, errors and hang-ups
are dealt with here, where each ends in the project's own form.
"""

# ruff: noqa: N815 - names of twisted.web
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import evolve, field, frozen
from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as WebRequest
from werkzeug.exceptions import NotFound

from oauthd.endpoints.interface import Endpoint
from oauthd.protocol.errors import FORBIDDEN, METHOD_NOT_ALLOWED, NOT_FOUND
from oauthd.protocol.messages import Request, Response
from oauthd.web import cors, parsing
from oauthd.web.answering import AccessLog, deliver
from oauthd.web.errors import Errors
from oauthd.web.reading import read
from oauthd.web.routes import Delivery, Route
from oauthd.web.shield import HungUp, Shield
from oauthd.web.sources import Sources

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
_WHOLE = frozenset(("document", "iframe", "frame", "fencedframe", "empty"))
HUNG_UP = 499
"""In the access log alone, the status of a request whose client did not wait (a custom that nginx began)."""


def _everybody(request: Request, endpoint: str) -> None:
    """Nobody is refused."""


@frozen
class Edge:
    """What every row uses.

    :ivar errors: turns failures into responses.
    :ivar sources: tells where a request comes from.
    :ivar shield: runs the endpoints.
    :ivar access: told of each request.
    :ivar clock: how long a request took, by the same clock as the timers.
    :ivar secured: header fields of what browsers are shown, where it goes over TLS.
    :ivar admit: told of each request before its endpoint is, and of that one's name; raises where it is not to be.
    """

    errors: Errors
    sources: Sources
    shield: Shield
    access: AccessLog
    clock: IReactorTime
    secured: tuple[tuple[str, str], ...] = ()
    admit: Callable[[Request, str], None] = _everybody

    def answer(self, response: Response, web: WebRequest, path: str, started: float) -> bytes:
        """Deliver a response and tell of it; the body to be written is returned."""
        try:
            body = deliver(response, web)
        except ValueError:
            response = self.errors.respond(Failure(), place=path)
            body = deliver(response, web)
        self.tell(web, path, response.status, started)
        return body

    def tell(self, web: WebRequest, path: str, status: int, started: float) -> None:
        """Tell of a request: never its query, nor a method that somebody made up."""
        method = web.method.decode("latin-1")
        self.access(method if method in METHODS else "-", path, status, self.clock.seconds() - started)


@frozen
class Row:
    """One path of the route table with the endpoints of its methods: a `Place` of the fast lane."""

    edge: Edge
    route: Route
    path: str
    endpoints: Mapping[str, Endpoint]
    allowed: tuple[str, ...] = field(init=False)
    introspects: bool = field(init=False)

    @allowed.default
    def _allowed(self) -> tuple[str, ...]:
        return (*self.endpoints, *(("HEAD",) if "GET" in self.endpoints else ()), "OPTIONS")

    @introspects.default
    def _introspects(self) -> bool:
        return self.route.endpoints.get("POST") == "introspect"

    async def serve(self, web: WebRequest, **arguments: str) -> bytes:
        """Answer a request; the body is returned for Klein to write."""
        edge, request, started = self.edge, None, self.edge.clock.seconds()
        try:
            if web.method == b"OPTIONS":
                response = self._options()
            else:
                endpoint, method = self._endpoint(web.method.decode("latin-1"))
                request = evolve(read(web, edge.sources, arguments), method=method)
                edge.admit(request, self.route.endpoints[method])
                if self.route.visited:
                    _refuse_parts(request)
                response = await edge.shield.run(endpoint(request))
        except HungUp:
            edge.tell(web, self.path, HUNG_UP, started)
            raise
        except Exception:
            response = edge.errors.respond(Failure(), self.route.delivery, request, self.path)
        if self.route.cors and web.method != b"OPTIONS":
            response = response.adding(*cors.ANY_ORIGIN)
        if self.route.delivery is Delivery.PAGE and request is not None and request.connection.secure:
            response = response.adding(*edge.secured)
        body = edge.answer(response, web, self.path, started)
        if response.lesson is not None:
            channel: Any = web.channel
            channel.taught(self, response)
        return body

    def finished(self, outcome: Response | Failure) -> Response:
        """The response to a POST that was asked on the fast lane, as this row sends it."""
        if isinstance(outcome, Failure):
            outcome = self.edge.errors.respond(outcome, self.route.delivery, None, self.path)
        return outcome.adding(*cors.ANY_ORIGIN) if self.route.cors else outcome

    def _endpoint(self, method: str) -> tuple[Endpoint, str]:
        method = "GET" if method == "HEAD" else method
        endpoint = self.endpoints.get(method)
        if endpoint is None:
            allow = ", ".join(self.allowed)
            raise METHOD_NOT_ALLOWED("this path does not take that method", headers={"Allow": allow})
        return endpoint, method

    def _options(self) -> Response:
        allow = ("Allow", ", ".join(self.allowed))
        return Response(204, (allow, *(cors.preflight(self.allowed) if self.route.cors else ())))


def _refuse_parts(request: Request) -> None:
    """Refuse what a page, of whomever, wants as a picture or another part of itself: it comes with our cookies.

    Fetch Metadata Request Headers (W3C) section 2.1; browsers that do not send the field are not helped by it. Frames
    are let in: an application may ask in one whether somebody is signed in, and no page of ours is shown there.
    """
    if not {value for name, value in request.headers.pairs if name == "sec-fetch-dest"} <= _WHOLE:
        raise FORBIDDEN("this address is no part of a page")


class Front(Resource):
    """The one resource of the site: judges the path, then asks Klein."""

    isLeaf = True

    def __init__(self, app: Klein, edge: Edge) -> None:
        super().__init__()
        self._klein = app.resource()
        self._edge = edge

    def render(self, request: WebRequest) -> bytes | int:
        """Answer a request, at once where its path is refused."""
        started = self._edge.clock.seconds()
        try:
            if request.path == b"*":  # RFC 9110 section 9.3.7: the server in general
                return self._edge.answer(Response(204), request, "*", started)
            parsing.path(request.path)
            self._klein.render(request)
        except Exception:
            return self._edge.answer(self._edge.errors.respond(Failure()), request, "-", started)
        return NOT_DONE_YET


def build(routes: Iterable[Route], endpoints: Mapping[str, Endpoint], edge: Edge) -> Front:
    """The resource that serves the table.

    :param endpoints: by the names that the table uses.
    :raises LookupError: when an endpoint of the table is not there.
    """
    app = Klein()
    app.url_map.merge_slashes = False  # `parsing.path` refuses them; no redirect should that ever fail
    for route in routes:
        missing = sorted(set(route.endpoints.values()) - set(endpoints))
        if missing:
            raise LookupError(f"no endpoint for {', '.join(missing)}")
        served = {method: endpoints[name] for method, name in route.endpoints.items()}
        for path in route.paths:
            # One rule a path, without methods: Klein's own 405 is HTML.
            app.route(path, endpoint=path)(Row(edge, route, path, served).serve)

    @app.handle_errors(NotFound)  # type: ignore[arg-type]
    def not_found(web: WebRequest, failure: Failure) -> bytes:
        told = Failure(NOT_FOUND("there is nothing at this path"))
        return edge.answer(edge.errors.respond(told), web, "-", edge.clock.seconds())

    return Front(app, edge)
