"""What an endpoint reads and answers: frozen values, decoded once, that know nothing of Klein or sockets.

The edge (`oauthd.web.reading`) refuses bad framing, bad encodings and oversized input before a `Request` exists.
Repeated parameters stay visible here, since each endpoint must refuse them (RFC 6749 sections 3.1 and 3.2).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen

from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.json_text import text

NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))  # RFC 6749 section 5.1
JSON = (("Content-Type", "application/json"), *NO_STORE)


class Parameters(Frozen, frozen=True):
    """Decoded name-value pairs of a query or a form, in the order sent."""

    secret = ("pairs",)

    pairs: tuple[tuple[str, str], ...] = ()

    def one(self, name: str) -> str | None:
        """The value of `name`; None when absent or empty, for an empty one counts as omitted (RFC 6749 section 3.1).

        :raises OAuthError: `invalid_request` when it was sent more than once.
        """
        found = None
        for key, value in self.pairs:
            if key == name:
                if found is not None:
                    raise INVALID_REQUEST(f"the parameter {name} is repeated")  # RFC 6749 sections 3.1 and 3.2
                found = value
        return found or None

    def required(self, name: str) -> str:
        """The value of `name`.

        :raises OAuthError: `invalid_request` when it is absent, empty or repeated.
        """
        value = self.one(name)
        if value is None:
            raise INVALID_REQUEST(f"the parameter {name} is missing")
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """Every non-empty value of `name`, for parameters that may repeat (RFC 8707 `resource`)."""
        return tuple([value for key, value in self.pairs if key == name and value])

    def refuse_repeats(self, repeatable: Iterable[str] = ()) -> None:
        """Refuse any parameter sent twice, known or not.

        :raises OAuthError: `invalid_request`.
        """
        seen: set[str] = set(repeatable)
        may_repeat = frozenset(seen)
        for name, _ in self.pairs:
            if name in seen and name not in may_repeat:
                raise INVALID_REQUEST("a parameter is repeated")  # the name is input: not echoed
            seen.add(name)

    def __contains__(self, name: object) -> bool:
        return any(key == name for key, _ in self.pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)


@frozen
class Headers:
    """Request header fields; names are lower-case, repeats stay visible."""

    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def one(self, name: str) -> str | None:
        """The value of the field, None when absent.

        :raises OAuthError: `invalid_request` when it was sent more than once.
        """
        values = [value for key, value in self.pairs if key == name]
        if len(values) > 1:
            raise INVALID_REQUEST(f"the header {name} is repeated")
        return values[0] if values else None

    def cookie(self, name: str) -> str | None:
        """The first cookie of that name (RFC 6265 section 5.4), None when absent."""
        for key, value in self.pairs:
            if key == "cookie":
                for part in value.split(";"):
                    left, found, right = part.strip().partition("=")
                    if found and left == name:
                        return right
        return None


@frozen
class Connection:
    """Facts of the connection that a request came on.

    :ivar secure: TLS here, or asserted by a trusted proxy.
    :ivar source: address of the caller: the rightmost hop that is not a trusted proxy; "" for an unnamed unix peer.
    :ivar certificate: DER of the certificate whose key the caller has proved to hold: in the TLS connection, or to a
        trusted proxy; empty for none.
    :ivar vouched: an authority that this server trusts has issued that certificate. Without it the certificate proves a
        key, and no name that stands in it.
    :ivar local: listener and peer are both loopback and no forwarding header was sent, trusted or not.
    """

    secure: bool = False
    source: str = ""
    local: bool = False
    certificate: bytes = field(default=b"", repr=False)
    vouched: bool = False


@frozen
class Request:
    """One HTTP request, read once.

    :ivar method: upper-case method.
    :ivar path: the decoded path; without `;`, dots segments or encoded slashes.
    :ivar query: parameters of the query component.
    :ivar form: parameters of an `application/x-www-form-urlencoded` body, else empty.
    :ivar body: the raw body, within the size limit.
    :ivar content_type: media type, lower-case, without parameters; "" when absent.
    :ivar arguments: the named parts of the route's path.
    """

    method: str
    path: str
    query: Parameters = Parameters()
    form: Parameters = Parameters()
    headers: Headers = Headers()
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
    connection: Connection = Connection()
    arguments: Mapping[str, str] = field(factory=dict)

    @property
    def parameters(self) -> Parameters:
        """The form of a POST, the query of anything else: the two never mix (RFC 6749 section 3.2)."""
        return self.form if self.method == "POST" else self.query


class Lesson(Protocol):
    """What an answered request taught: how the same request, with another value of one parameter, is answered.

    It remembers a decision that the endpoint took, and is nothing of the sort itself: whoever uses it has seen the very
    same bytes of everything else.

    :ivar parameter: the name of the parameter of the form whose value may differ; "" for none.
    """

    parameter: str

    def holds(self) -> bool:
        """Would the endpoint still decide so, for all that is known here?"""
        ...

    def recall(self, value: bytes) -> bytes | None:
        """The body of the answer (status and headers are those of the first), at once; None when it must be asked."""
        ...

    def ask(self, value: bytes) -> Awaitable[Response]:
        """The answer; may raise what the endpoint may raise."""
        ...


Told = Callable[[Any], object]
"""Told the body of an answer, as bytes; else Twisted's `Failure`, which this layer does not know."""


@runtime_checkable
class TellingLesson(Lesson, Protocol):
    """A lesson that can be asked at less cost: a Deferred with its callbacks and a `Response` for each are 4 us."""

    def tell(self, value: bytes, waiter: Told) -> bool:
        """As `ask`; the waiter is told the body of the answer, at once or later. False where it must be `ask`."""
        ...


@frozen
class Response:
    """One HTTP response. `headers` are appended in order, so that several cookies can be set.

    :ivar lesson: what may be remembered of the request, if anything.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    lesson: Lesson | None = field(default=None, eq=False, repr=False)

    def adding(self, *headers: tuple[str, str]) -> Response:
        """The same response with more header fields."""
        return Response(self.status, (*self.headers, *headers), self.body, self.lesson)


def json_response(value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = NO_STORE) -> Response:
    """A JSON answer; it is not stored by caches unless `headers` say otherwise."""
    body = text(value).encode()
    return Response(status, (("Content-Type", "application/json"), *headers), body)


def see_other(location: str, headers: Iterable[tuple[str, str]] = NO_STORE) -> Response:
    """A 303 redirect (RFC 9700 section 4.12: never one that repeats the POST)."""
    return Response(303, (("Location", location), ("Referrer-Policy", "no-referrer"), *headers))
