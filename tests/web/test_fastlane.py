"""The fast lane gives the same bytes as the ordinary path, to the same callers, in the same order; and nothing else."""

from __future__ import annotations

from attrs import evolve

from tests.web.lane import INTROSPECT, TOKEN, LaneCase, json_of, request, status

INACTIVE = b'{"active":false}'


class Machines(LaneCase):
    """A client with a token, and a resource server that asks about it."""

    async def prepare(self) -> None:
        """Make them."""
        await super().prepare()
        self.app = await self.server.client(scopes=("read", "write"))
        self.api = await self.server.client("api")
        self.token = await self.machine_token(self.app)
        self.asking = request(INTROSPECT, {"token": self.token}, self.api)


class NotMixedTests(Machines):
    """What one request taught answers no other one."""

    async def test_an_answer_teaches_its_own_request(self) -> None:
        """A request that was refused is not learned from the answer to a later one of the same connection."""
        await self.taught(self.asking)
        stranger = request(INTROSPECT, {"token": self.token}, (self.api.client_id, "no such secret"))
        line = self.line()
        for _ in range(3):
            self.assertEqual(status(await line.ask(stranger)), 401)
            self.assertEqual(status(await line.ask(self.asking)), 200)  # on the lane
            self.cache.flush()
            self.prove()
            self.assertEqual(status(await line.ask(self.asking)), 200)  # on the ordinary path
        self.assertEqual(status(await line.ask(stranger)), 401)
        self.assertEqual(status(await self.line().ask(stranger)), 401)

    async def test_more_than_was_taught(self) -> None:
        """A body that begins with a known one, and says more, is read anew."""
        known = request(TOKEN, {"grant_type": "client_credentials"}, self.app)
        line = await self.taught(known)
        narrower = request(TOKEN, {"grant_type": "client_credentials", "scope": "read"}, self.app)
        self.assertIn(b'"scope":"read"', json_of(await line.ask(narrower)))
        refused = await line.ask(request(TOKEN, b"grant_type=client_credentials2", self.app))
        self.assertIn(b"unsupported_grant_type", json_of(refused))
        repeated = request(TOKEN, b"grant_type=client_credentials&grant_type=client_credentials", self.app)
        self.assertEqual(status(await line.ask(repeated)), 400)

    async def test_larger_than_allowed(self) -> None:
        """A body beyond the limit is refused, however well its head is known."""
        settings = self.server.settings
        self.site = self.new_site(self.timers, evolve(settings, server=evolve(settings.server, body_limit=1024)))
        line = await self.taught(self.asking)
        long = request(INTROSPECT, b"token=" + b"a" * 2000, self.api)
        self.assertEqual(status(await line.ask(long)), 413)

    async def test_empty_lines_between_requests(self) -> None:
        """Who sends an empty line before or after each request is answered as ever, known or not."""
        line = await self.taught(self.asking)
        for _ in range(3):
            self.assertEqual(status(await line.ask(b"\r\n", self.asking)), 200)
        hits = self.counts.hits
        await line.ask(self.asking)
        self.assertEqual(self.counts.hits, hits + 1)

    async def test_assertions(self) -> None:
        """A body with an assertion is learned by nobody, however its name is written."""
        for name in (b"client_assertion", b"client%5Fassertion", b"assertio%6e"):
            asking = request(INTROSPECT, b"token=%b&%b=x" % (self.token.encode(), name), self.api)
            for _ in range(3):
                self.assertEqual(status(await self.line().ask(asking)), 200)
        self.assertEqual(self.counts.learned, 0)
