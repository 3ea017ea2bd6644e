"""Every error of the whole surface has one form: JSON with `detail` on JSON endpoints, a page on pages."""

from __future__ import annotations

from typing import Any

from oauthd.app import Application
from oauthd.protocol.messages import Request, Response
from oauthd.web.routes import ROUTES, Delivery
from tests.server import ServerCase

JSON = [path for route in ROUTES if route.delivery is Delivery.JSON for path in route.paths]
PAGES = [path for route in ROUTES if route.delivery is Delivery.PAGE for path in route.paths]


class ErrorTests(ServerCase):
    """What every route does when asked wrongly."""

    async def test_no_such_path(self) -> None:
        """404 in JSON, whatever Accept says, also one step beside what there is."""
        for path in ("/nothing", "/oauth2", "/oauth2/", "/oauth2/token/", "/oauth2/Token", "/oauth/register_client"):
            answer = await self.server.get(path, headers=[("Accept", "text/html")])
            self.refused(answer, "not_found", 404)

    async def test_no_such_method(self) -> None:
        """405 with Allow on every route, in the form of the route."""
        for path in (*JSON, *PAGES):
            answer = await self.server.http.request("PATCH", path.replace("<", "").replace(">", ""))
            self.assertEqual(answer.status, 405, path)
            self.assertIn("OPTIONS", answer.header("allow"))
            if path in JSON:
                self.refused(answer, "method_not_allowed", 405)
            else:
                self.refused_page(answer, 405)

    async def test_malformed_forms(self) -> None:
        """400 for a form that can be read in two ways or in none, with nothing done."""
        app = await self.server.client()
        secret = f"client_id={app.client_id}&client_secret={app.secret}"
        for body in (
            f"grant_type=client_credentials;{secret}",
            f"grant_type=client_credentials&{secret}&x=%zz",
            f"grant_type=client_credentials&{secret}&x=%ff",
            f"grant_type=client_credentials&{secret}&x=%00",
            f"grant_type=client_credentials&{secret}" + "&x=1" * 200,
        ):
            raw = (
                "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            )
            self.refused(await self.server.http.raw(raw.encode()), "invalid_request")
        self.assertEqual(self.server.told("token.issued"), [])

    async def test_a_bug(self) -> None:
        """500 with no trace of what happened, which stands in the log with its failure."""
        secret = "of nobody's concern"

        async def broken(self: Any, request: Request) -> Response:
            raise RuntimeError(secret)

        application: Application = self.server.application
        for name, path, method in (("userinfo", "/oauth2/userinfo", "GET"), ("authorize", "/oauth2/authorize", "GET")):
            patched = self.patch(type(application.endpoints[name]), "__call__", broken)
            answer = await self.server.http.request(method, path)
            patched.restore()
            self.assertEqual(answer.status, 500)
            self.assertNotIn(secret, answer.text)
            self.assertNotIn("Traceback", answer.text)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_nothing_is_served_from_nowhere(self) -> None:
        """Paths that two programs could read differently are refused: doubled or encoded slashes, dots, semicolons."""
        for path in ("//oauth2/token", "/oauth2//token", "/oauth2/./token", "/x/../oauth2/token", "/oauth2/token;a=b"):
            self.refused(await self.server.post(path, {}), "not_found", 404)
        for path in ("/oauth2%2ftoken", "/oauth2/token%2f", "/oauth2/%2e/token", "/oauth2/tok%00en", "/oauth2\\token"):
            self.assertIn((await self.server.post(path, {})).status, (400, 404))
