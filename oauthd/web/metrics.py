"""The resource behind the listener for metrics: one path, and nothing of the server itself.

What stands on the page is made by whoever is asked for it; what is said of it is sent as all responses are
(`answering`). Anything but GET and HEAD of `/metrics` is 404; a page that cannot be made is 500, with the reason in the
log alone.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as WebRequest

from oauthd.protocol.messages import Response
from oauthd.web.answering import deliver

PATH = b"/metrics"

Asked = Callable[[str, str], Awaitable[Response]]
"""Gives the page, by what the collector says in Accept and in Accept-Encoding."""

_log = Logger(namespace="oauthd.web")


class MetricsPage(Resource):
    """GET and HEAD of `/metrics`."""

    isLeaf = True  # noqa: N815 - a name of twisted.web

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self._asked = asked

    def render(self, request: WebRequest) -> bytes | int:
        """Answer a request."""
        if request.path != PATH or request.method not in (b"GET", b"HEAD"):
            return deliver(_text(404, b"there is nothing but GET /metrics\n"), request)
        work = ensureDeferred(self._answer(request))
        request.notifyFinish().addErrback(lambda _: work.cancel())
        work.addErrback(self._failed, request)
        return NOT_DONE_YET

    async def _answer(self, request: WebRequest) -> None:
        accept, encodings = (request.getHeader(name) or "" for name in ("accept", "accept-encoding"))
        request.write(deliver(await self._asked(accept, encodings), request))
        request.finish()

    def _failed(self, failure: Failure, request: WebRequest) -> None:
        if request.finished or request._disconnected:
            return
        _log.failure("the metrics could not be told", failure=failure)
        request.write(deliver(_text(500, b"the metrics could not be told\n"), request))
        request.finish()


def _text(status: int, body: bytes) -> Response:
    return Response(status, (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")), body)
