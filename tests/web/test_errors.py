"""What becomes of an exception."""

import json

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import errors as table
from oauthd.protocol.errors import (
    INSUFFICIENT_SCOPE,
    INVALID_CLIENT,
    INVALID_GRANT,
    INVALID_TOKEN,
    TEMPORARILY_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNPROCESSABLE_CONTENT,
    ErrorKind,
)
from oauthd.protocol.messages import Headers, Parameters, Request, Response
from oauthd.web.errors import Errors
from oauthd.web.routes import Delivery
from tests.web.edge import StoreAway, page

ERRORS = Errors(page, {StoreAway: TEMPORARILY_UNAVAILABLE})
BARE = Request("GET", "/")
WITH_TOKEN = Request("GET", "/", headers=Headers((("authorization", "Bearer abc"),)))


def told(error: Exception, delivery: Delivery = Delivery.JSON, request: Request | None = None) -> Response:
    """The response of an error."""
    return ERRORS.respond(Failure(error), delivery, request, "/place")


def header(response: Response, name: str) -> str | None:
    """The only field of that name."""
    values = [value for key, value in response.headers if key.lower() == name.lower()]
    assert len(values) <= 1, f"{name} is there {len(values)} times"
    return values[0] if values else None


class AsJSON(SynchronousTestCase):
    """JSON and its headers."""

    def test_every_row_of_the_table(self) -> None:
        """Each kind is told with its own status and code, `detail` and `no-store`."""
        kinds = [value for value in vars(table).values() if isinstance(value, ErrorKind)]
        self.assertGreater(len(kinds), 30)
        for kind in kinds:
            response = told(kind("why"))
            self.assertEqual(response.status, kind.status)
            expected = {"error": kind.code, "error_description": "why", "detail": "why"}
            self.assertEqual(json.loads(response.body), expected)
            self.assertEqual(header(response, "cache-control"), "no-store")
            self.assertEqual(header(response, "content-type"), "application/json")

    def test_fields_and_headers(self) -> None:
        """Fields that are wrong are named, and headers of the error are sent."""
        error = UNPROCESSABLE_CONTENT("why", fields={"name": "is missing"}, headers={"Retry-After": "7"})
        self.assertEqual(json.loads(told(error).body)["errors"], {"name": "is missing"})
        self.assertEqual(header(told(error), "retry-after"), "7")
        self.assertEqual(header(told(TOO_MANY_REQUESTS("why")), "retry-after"), None)

    def test_basic_challenge(self) -> None:
        """A client that failed to authenticate is asked for Basic credentials."""
        self.assertEqual(header(told(INVALID_CLIENT("why")), "www-authenticate"), 'Basic realm="oauthd"')
        self.assertEqual(header(told(INVALID_GRANT("why")), "www-authenticate"), None)

    def test_bearer_challenge(self) -> None:
        """A bad token is told why in the challenge, in the characters that a challenge may hold."""
        challenge = header(told(INVALID_TOKEN('so "it" \\ ä'), request=WITH_TOKEN), "www-authenticate")
        expected = 'Bearer realm="oauthd", error="invalid_token", error_description="so ?it? ? ?"'
        self.assertEqual(challenge, expected)
        challenge = header(told(INSUFFICIENT_SCOPE("why", scope="a b"), request=WITH_TOKEN), "www-authenticate")
        expected = 'Bearer realm="oauthd", error="insufficient_scope", error_description="why", scope="a b"'
        self.assertEqual(challenge, expected)

    def test_bearer_challenge_without_credentials(self) -> None:
        """Who presented no token is asked for one without an error code; a token in the form counts as presented."""
        self.assertEqual(header(told(INVALID_TOKEN("why"), request=BARE), "www-authenticate"), 'Bearer realm="oauthd"')
        form = Request("POST", "/", form=Parameters((("access_token", "abc"),)))
        self.assertIn("error=", header(told(INVALID_TOKEN("why"), request=form), "www-authenticate") or "")

    def test_an_own_challenge_stays_alone(self) -> None:
        """An error that brings its own challenge gets no other."""
        error = INVALID_TOKEN("why", headers={"WWW-Authenticate": "DPoP"})
        self.assertEqual(header(told(error), "www-authenticate"), "DPoP")


class Others(SynchronousTestCase):
    """Exceptions that are no `OAuthError`."""

    def test_a_lower_layer_is_away(self) -> None:
        """An exception that the edge was told of is no bug: 503, and when to come back."""
        response = told(StoreAway("redis://secret@host"))
        self.assertEqual((response.status, header(response, "retry-after")), (503, "1"))
        self.assertNotIn(b"secret", response.body)

    def test_a_bug(self) -> None:
        """Anything else is logged once, with its failure, and nothing of it is told."""
        response = told(ZeroDivisionError("in some place"))
        self.assertEqual(json.loads(response.body)["error"], "server_error")
        self.assertNotIn(b"place", response.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_nobody_hears(self) -> None:
        """Of failures after the caller has gone, only bugs are logged."""
        for error in (INVALID_GRANT("why"), StoreAway()):
            ERRORS.unheard(Failure(error))
        self.assertEqual(self.flushLoggedErrors(), [])
        ERRORS.unheard(Failure(ZeroDivisionError()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class AsPage(SynchronousTestCase):
    """Rows whose errors are pages."""

    def test_pages(self) -> None:
        """The page is made from status, code and description, and keeps the headers of the error."""
        response = told(TOO_MANY_REQUESTS("why", headers={"Retry-After": "7"}), Delivery.PAGE)
        self.assertEqual((response.status, response.body), (429, b"<p>too_many_requests: why</p>"))
        self.assertEqual(header(response, "retry-after"), "7")
        self.assertEqual(header(told(StoreAway(), Delivery.PAGE), "retry-after"), "1")

    def test_a_page_that_cannot_be_made(self) -> None:
        """Where the error page itself fails, that is logged and the error is told as JSON."""

        def broken(status: int, code: str, description: str) -> Response:
            raise ZeroDivisionError

        response = Errors(broken).respond(Failure(INVALID_GRANT("why")), Delivery.PAGE)
        self.assertEqual((response.status, json.loads(response.body)["detail"]), (400, "why"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
