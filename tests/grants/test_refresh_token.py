"""The refresh grant: one successor, the same answer for an honest repeat, the end of the grant for any other."""

from __future__ import annotations

import base64
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oauthd.config import TokenSettings
from oauthd.endpoints.token import Token
from oauthd.endpoints.token_answer import TokenAnswers
from oauthd.grants.interface import Ask, Redemption
from oauthd.grants.refresh_token import Refresh
from oauthd.pages.error import ErrorPage
from oauthd.pages.rendering import Pages
from oauthd.protocol.messages import JSON, Headers, Parameters, Request, Response
from oauthd.protocol.records import Answer
from oauthd.stores import kinds
from oauthd.stores.interface import Write
from oauthd.surface import UNAVAILABLE
from oauthd.web.errors import Errors
from tests.server import NOW, App, ServerCase, ok, together
from tests.web.lane import listening
from tests.wire import Answer as HttpAnswer

DAY = 86400


class RotationTests(ServerCase):
    """Refresh tokens that are rotated."""

    async def prepare(self) -> None:
        """A client with the tokens of a user."""
        self.app = await self.server.client()
        self.alice = await self.server.user()
        self.tokens = await self.server.signed_in(self.app, self.alice, scope="openid read write")
        self.token: str = self.tokens["refresh_token"]

    async def refresh(self, app: App, refresh_token: str, **form: str) -> HttpAnswer:
        """Use a refresh token."""
        return await self.server.refresh(app, refresh_token, **form)

    async def test_one_successor(self) -> None:
        """A refresh gives new tokens, of which both the old and the new access token live."""
        new = ok(await self.refresh(self.app, self.token))
        self.assertNotEqual(new["refresh_token"], self.token)
        for token in (self.tokens["access_token"], new["access_token"]):
            self.assertTrue(await self.server.active(token))
        self.assertEqual(new["scope"], "openid read write")

    async def test_an_honest_repeat_gets_the_same_bytes(self) -> None:
        """Inside the grace window the same request by the same client is answered byte for byte as before."""
        first = await self.refresh(self.app, self.token)
        self.server.clock.advance(8)
        second = await self.refresh(self.app, self.token)
        self.assertEqual((second.status, second.body), (200, first.body))
        self.assertEqual(second.header("cache-control"), "no-store")

    async def test_a_chain_of_honest_repeats(self) -> None:
        """The successor may be used while its predecessor is still in its grace window."""
        first = ok(await self.refresh(self.app, self.token))
        second = ok(await self.refresh(self.app, first["refresh_token"]))
        self.assertEqual(ok(await self.refresh(self.app, self.token)), first)
        self.assertTrue(await self.server.active(second["access_token"]))

    async def test_parallel_repeats_get_the_same_bytes(self) -> None:
        """Twenty refreshes at once get one and the same answer, and its tokens work."""
        answers = await together(self.refresh(self.app, self.token) for _ in range(20))
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual(len({answer.body for answer in answers}), 1)
        new = ok(answers[0])
        self.assertTrue(await self.server.active(new["access_token"]))
        ok(await self.refresh(self.app, new["refresh_token"]))

    async def test_reuse_after_the_grace_window_ends_the_grant(self) -> None:
        """A used refresh token that comes back too late ends the grant with all its tokens, and no other grant."""
        other = await self.server.signed_in(self.app, self.alice)
        new = ok(await self.refresh(self.app, self.token))
        self.server.clock.advance(10)
        self.refused(await self.refresh(self.app, self.token), "invalid_grant")
        for token in (self.tokens["access_token"], new["access_token"]):
            self.assertEqual(await self.server.introspect(token), {"active": False})
        self.refused(await self.refresh(self.app, new["refresh_token"]), "invalid_grant")
        ok(await self.refresh(self.app, other["refresh_token"]))
        self.assertEqual(len(self.server.told("grant.replayed")), 1)

    async def test_other_parameters_are_no_repeat(self) -> None:
        """Inside the grace window a request for something else is refused, and the grant lives on."""
        new = ok(await self.refresh(self.app, self.token))
        answer = await self.refresh(self.app, self.token, scope="read")
        self.assertEqual(answer.status, 400)
        self.assertTrue(await self.server.active(new["access_token"]))

    async def test_a_stranger_changes_nothing(self) -> None:
        """Another client gets nothing with the token, fresh or used, and does not end the grant."""
        stranger, public = await self.server.client("stranger"), await self.server.client("public", public=True)
        for thief in (stranger, public):
            self.refused(await self.refresh(thief, self.token), "invalid_grant")
        new = ok(await self.refresh(self.app, self.token))
        for thief in (stranger, public):
            self.refused(await self.refresh(thief, self.token), "invalid_grant")
        self.server.clock.advance(3600)
        for thief in (stranger, public):
            self.refused(await self.refresh(thief, self.token), "invalid_grant")
        ok(await self.refresh(self.app, new["refresh_token"]))

    async def test_a_deleted_scope_is_left_out(self) -> None:
        """What was deleted from the catalogue is not in the next access token, nor in any after it."""
        catalogue = self.server.application.scopes
        (write,) = (one for one in (await catalogue.all()).scopes if one.name == "write")
        await catalogue.delete(write.scope_id)
        new = ok(await self.refresh(self.app, self.token))
        self.assertEqual(new["scope"], "openid read")
        await self.server.application.scopes.create(write)
        self.assertEqual(ok(await self.refresh(self.app, new["refresh_token"]))["scope"], "openid read")

    async def test_a_refused_request_burns_nothing(self) -> None:
        """A scope or resource beyond the grant is refused, and the token is still unused."""
        self.refused(await self.refresh(self.app, self.token, scope="email"), "invalid_scope")
        self.refused(await self.refresh(self.app, self.token, resource="https://api.example"), "invalid_target")
        ok(await self.refresh(self.app, self.token))

    async def test_a_crash_before_the_commit_burns_nothing(self) -> None:
        """When the store is lost between decision and commit the answer is 503, and a retry works."""
        self.server.store.crash_before = 1
        self.refused(await self.refresh(self.app, self.token), "temporarily_unavailable", 503)
        ok(await self.refresh(self.app, self.token))

    async def test_a_lost_reply_locks_nobody_out(self) -> None:
        """When the commit was carried out and its reply lost, the retry gets the tokens."""
        self.server.store.crash_after = 1
        self.refused(await self.refresh(self.app, self.token), "temporarily_unavailable", 503)
        new = ok(await self.refresh(self.app, self.token))
        self.assertTrue(await self.server.active(new["access_token"]))
        ok(await self.refresh(self.app, new["refresh_token"]))

    async def test_the_grace_window_ends_with_the_grant(self) -> None:
        """After the grant was revoked a repeat inside the grace window gets nothing."""
        new = ok(await self.refresh(self.app, self.token))
        ok_revoked = await self.server.post("/oauth2/revoke", {"token": new["refresh_token"]}, basic=self.app.basic)
        self.assertEqual(ok_revoked.status, 200)
        self.refused(await self.refresh(self.app, self.token), "invalid_grant")

    async def test_the_grace_window_ends_with_the_user(self) -> None:
        """After all tokens of the user were revoked a repeat inside the grace window gets nothing."""
        ok(await self.refresh(self.app, self.token))
        await self.server.application.tokens.end_all_of_user(self.alice.user_id)
        self.refused(await self.refresh(self.app, self.token), "invalid_grant")

    async def test_idle_end(self) -> None:
        """A refresh token that is not used for seven days is dead; each use gives seven more."""
        token = self.token
        for _ in range(3):
            self.server.clock.advance(7 * DAY - 1)
            token = ok(await self.refresh(self.app, token))["refresh_token"]
        self.server.clock.advance(7 * DAY)
        self.refused(await self.refresh(self.app, token), "invalid_grant")

    async def test_absolute_end(self) -> None:
        """Thirty days after the authorization it is over, however often the tokens were refreshed."""
        token = self.token
        for _ in range(5):
            self.server.clock.advance(6 * DAY - 1)
            answer = ok(await self.refresh(self.app, token))
            token = answer["refresh_token"]
        self.assertLessEqual(answer["expires_in"], 5)
        self.server.clock.advance(5)
        self.refused(await self.refresh(self.app, token), "invalid_grant")
        self.assertFalse(await self.server.active(answer["access_token"]))

    async def test_what_is_no_refresh_token(self) -> None:
        """A truncated, changed or made-up string, an access token or a code is refused."""
        for value in (self.token[:-1], self.token + "x", "x" * 20000, self.tokens["access_token"], "ort_", "\u00e4"):
            self.refused(await self.refresh(self.app, value), "invalid_grant")
        self.refused(await self.refresh(self.app, ""), "invalid_request")

    async def test_deactivated_user(self) -> None:
        """The tokens of a deactivated user are dead at once and do not come back with the user."""
        await self.server.application.users.deactivate(self.alice.user_id)
        self.refused(await self.refresh(self.app, self.token), "invalid_grant")
        self.assertFalse(await self.server.active(self.tokens["access_token"]))

    async def test_a_client_made_anew(self) -> None:
        """The tokens of a deleted client stay dead when a client of the same id is made."""
        await self.server.application.clients.delete(self.app.client_id)
        self.assertFalse(await self.server.active(self.tokens["access_token"]))
        again = await self.server.client(self.app.client_id)
        self.refused(await self.refresh(again, self.token), "invalid_grant")
        self.assertFalse(await self.server.active(self.tokens["access_token"]))

    async def test_the_kept_answer_is_sealed(self) -> None:
        """The answer that is kept for repeats cannot be read from the database."""
        new = ok(await self.refresh(self.app, self.token))
        held = b"\n".join((await self.server.dump()).values())
        for secret in (self.token, new["access_token"], new["refresh_token"], new["id_token"]):
            self.assertNotIn(secret[-30:].encode(), held)

    async def test_a_damaged_answer(self) -> None:
        """A kept answer that does not open is refused, and the grant lives on."""
        new = ok(await self.refresh(self.app, self.token))
        where = kinds.answer(kinds.refresh_token(self.token[4:18], self.token))
        await self.server.store.put(Write(where, Answer(b"damaged", int(NOW) + 10)))
        self.refused(await self.refresh(self.app, self.token), "invalid_grant")
        self.assertTrue(await self.server.active(new["access_token"]))

    async def test_another_node_gives_the_same_answer(self) -> None:
        """A repeat that reaches another node of the same store gets the same bytes."""
        other = self.server.sibling()
        await other.application.keys.open()
        first = await self.refresh(self.app, self.token)
        self.assertEqual((await other.refresh(self.app, self.token)).body, first.body)


class NoGraceTests(ServerCase):
    """A server without a grace window."""

    sections = {"tokens": TokenSettings(refresh_grace=0)}

    async def test_a_repeat_ends_the_grant(self) -> None:
        """With a window of 0 even the fastest repeat is reuse."""
        app = await self.server.client()
        token = (await self.server.signed_in(app, await self.server.user()))["refresh_token"]
        new = ok(await self.server.refresh(app, token))
        self.refused(await self.server.refresh(app, token), "invalid_grant")
        self.assertFalse(await self.server.active(new["access_token"]))


class AtOnceTests(RotationTests):
    """All of this on the way without a coroutine, too: what a client with a secret asks for again and again."""

    async def prepare(self) -> None:
        """As there; and what a refresh looks up is in memory, and counts."""
        listening(self, self.server)
        await super().prepare()
        ok(await self.refresh(self.app, (await self.server.signed_in(self.app, self.alice))["refresh_token"]))

    async def refresh(self, app: App, refresh_token: str, **form: str) -> HttpAnswer:
        """As the fast lane has it asked."""
        if not app.basic:
            return await super().refresh(app, refresh_token, **form)
        self.server.application.world.cache.prove(self.server.clock.seconds())
        basic = base64.b64encode(":".join(app.basic).encode()).decode()
        request = Request("POST", "/oauth2/token", headers=Headers((("authorization", f"Basic {basic}"),)))
        caller = await self.endpoint.authentication.client(request)
        asked = Parameters((("grant_type", "refresh_token"), ("refresh_token", refresh_token), *form.items()))
        told: Deferred[Any] = Deferred()
        if not self.endpoint.answer_together(caller, asked, self.endpoint.at_once["refresh_token"], told.callback):
            return await super().refresh(app, refresh_token, **form)
        try:
            response = Response(200, JSON, await told)
        except Exception:
            response = Errors(ErrorPage(Pages()), UNAVAILABLE).respond(Failure())
        headers = tuple((name.lower(), value) for name, value in response.headers)
        return HttpAnswer(response.status, headers, response.body)

    @property
    def endpoint(self) -> Token:
        """The token endpoint."""
        endpoint = self.server.application.endpoints["token"]
        assert isinstance(endpoint, Token)
        return endpoint

    async def test_no_coroutine(self) -> None:
        """The ordinary case never asks the grant in the ordinary way, id token and all."""
        app = await self.server.client("inline", id_token_algorithm="ES256")
        token = (await self.server.signed_in(app, self.alice))["refresh_token"]
        self.patch(Refresh, "redeem", None)
        for _ in range(2):
            new = ok(await self.refresh(app, token))
            self.assertIn("id_token", new)
            token = new["refresh_token"]

    async def test_a_signature_by_a_thread(self) -> None:
        """What is decided is decided once, though a thread has to sign then."""
        self.patch(Refresh, "redeem", None)
        self.assertIn("id_token", ok(await self.refresh(self.app, self.token)))

    async def test_an_error_in_this_program(self) -> None:
        """What cannot be decided or made together is answered in the ordinary way, and an error is logged."""
        for place, name in ((Refresh, "redeem_at_once"), (TokenAnswers, "make_together")):
            broken = self.patch(place, name, lambda *given: 1 / 0)
            tokens = await self.server.signed_in(self.app, self.alice)
            ok(await self.refresh(self.app, tokens["refresh_token"]))
            broken.restore()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_those_of_one_turn(self) -> None:
        """Many different tokens at once, some of them good: two exchanges, and each gets what is its own."""
        others = [await self.server.signed_in(self.app, self.alice, scope="read") for _ in range(5)]
        await self.refresh(self.app, others[0]["refresh_token"])
        await self.server.post("/oauth2/revoke", {"token": others[1]["refresh_token"]}, basic=self.app.basic)
        tokens = [self.token, *(one["refresh_token"] for one in others)]
        answers = await together(self.refresh(self.app, token) for token in tokens)
        self.assertEqual([one.status for one in answers], [200, 200, 400, 200, 200, 200])
        self.assertEqual(len({one.body for one in answers}), 6)


class WithoutRotationTests(ServerCase):
    """A client whose refresh tokens are not rotated."""

    async def prepare(self) -> None:
        """A client with the tokens of a user."""
        self.app = await self.server.client(rotates_refresh=False)
        self.token = (await self.server.signed_in(self.app, await self.server.user()))["refresh_token"]

    async def test_the_token_stays(self) -> None:
        """The same refresh token is given back and goes on working."""
        for _ in range(3):
            self.server.clock.advance(100)
            new = ok(await self.server.refresh(self.app, self.token))
            self.assertEqual(new["refresh_token"], self.token)
            self.assertTrue(await self.server.active(new["access_token"]))

    async def test_use_moves_the_idle_end(self) -> None:
        """Each use gives the token another seven days, up to the grant's end."""
        for _ in range(4):
            self.server.clock.advance(7 * DAY - 1)
            ok(await self.server.refresh(self.app, self.token))
        self.server.clock.advance(2 * DAY + 10)
        self.refused(await self.server.refresh(self.app, self.token), "invalid_grant")

    async def test_clocks_that_differ(self) -> None:
        """A node whose clock is behind does not move the idle end back: two would do so in turns, and refuse many."""
        where = kinds.refresh_token(self.token[4:18], self.token)
        ends = []
        for seconds in (100, -1):
            self.server.clock.rightNow += seconds
            ok(await self.server.refresh(self.app, self.token))
            (stored,) = await self.server.store.get(where)
            ends.append(stored and stored.record.expires_at)
        self.assertEqual(ends, [int(NOW) + 100 + 7 * DAY] * 2)

    async def test_parallel_use(self) -> None:
        """Twenty uses at once all get tokens."""
        self.server.clock.advance(100)
        answers = await together(self.server.refresh(self.app, self.token) for _ in range(20))
        self.assertEqual([answer.status for answer in answers], [200] * 20)

    async def test_public_clients_rotate(self) -> None:
        """The tokens of a public client are rotated whatever its registration says: reuse is what betrays a thief."""
        app = await self.server.client("phone", public=True, rotates_refresh=False)
        tokens = await self.server.signed_in(app, await self.server.user("bob"))
        new = ok(await self.server.refresh(app, tokens["refresh_token"]))
        self.assertNotEqual(new["refresh_token"], tokens["refresh_token"])
        self.server.clock.advance(60)
        self.refused(await self.server.refresh(app, tokens["refresh_token"]), "invalid_grant")
        self.assertFalse(await self.server.active(new["access_token"]))


class KeptTests(ServerCase):
    """Refresh tokens that only who holds a key can use (RFC 9700 section 4.14.2)."""

    async def rotates(self, **fields: Any) -> bool:
        """Is the token of a client like that exchanged for another one?"""
        app = await self.server.client()
        token = (await self.server.signed_in(app, await self.server.user()))["refresh_token"]
        parameters = Parameters((("refresh_token", token),))
        generations = await self.server.store.generations(app.client_id)
        client = replace(app.record, **fields)
        ask = Ask(client, parameters, generations, int(NOW), NOW, "attempt", "")
        redemption = await self.server.application.grants["refresh_token"].redeem(ask)
        if not isinstance(redemption, Redemption):
            raise TypeError("it was repeated")
        self.assertEqual(redemption.same_refresh, "" if redemption.refresh else token)
        return redemption.refresh

    async def test_by_secret(self) -> None:
        """A client with a secret, and one that is registered for nothing in particular: exchanged."""
        self.assertTrue(await self.rotates(auth_method="client_secret_basic"))

    async def test_by_shared_key(self) -> None:
        """A secret that signs is a secret still: exchanged."""
        self.assertTrue(await self.rotates(auth_method="client_secret_jwt"))

    async def test_by_key(self) -> None:
        """A client that proves to hold a private key: kept."""
        self.assertFalse(await self.rotates(auth_method="private_key_jwt"))

    async def test_by_certificate(self) -> None:
        """The same by a certificate: kept."""
        self.assertFalse(await self.rotates(auth_method="self_signed_tls_client_auth"))

    async def test_strict_client(self) -> None:
        """A client that is held to FAPI 2.0 (section 5.3.2.1 item 9): kept."""
        self.assertFalse(await self.rotates(profile="fapi2"))
