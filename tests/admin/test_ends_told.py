"""Whatever ends all sessions of a user tells their clients: what they are told is written down before the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve

from oauthd.endpoints.global_token_revocation import SCOPE
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.users import ADMINISTRATOR
from tests.admin.case import PROFILE, TOKENS, USERS, AdminCase
from tests.server import CHEAP, Browser, Person
from tests.specs.test_global_token_revocation import PATH as GLOBAL
from tests.wire import Answer

TOLD = "https://app.example/told"
Way = Callable[[Person], Awaitable[Answer]]


class EndsTests(AdminCase):
    """Deactivation, passwords, roles, revocations."""

    sections = {"users": evolve(CHEAP, global_revocation=True)}

    async def prepare(self) -> None:
        """A client that is told."""
        self.app = await self.server.client("app", backchannel_logout_uri=TOLD)
        self.tool = await self.server.client("tool", scopes=(SCOPE,), grant_types=("client_credentials",))

    def ways(self) -> dict[str, Way]:
        """Each way to end all that a user has."""
        new = {"password": "another long password"}
        return {
            "deactivation": lambda one: self.call("DELETE", f"{USERS}/{one.user_id}"),
            "change": lambda one: self.call("PUT", f"{USERS}/{one.user_id}", {"is_active": False}),
            "role": lambda one: self.call("PUT", f"{USERS}/{one.user_id}", {"roles": []}),
            "password": lambda one: self.call("PUT", f"{USERS}/{one.user_id}/password", new),
            "own password": self._own_password,
            "revocation": lambda one: self.call("DELETE", TOKENS, user_id=one.user_id),
            "global": self._globally,
        }

    async def _own_password(self, person: Person) -> Answer:
        bearer = await self.token_of(person, "account")
        body = {"current_password": person.password, "password": "another long password"}
        return await self.call("PUT", f"{PROFILE}/password", body, bearer=bearer)

    async def _globally(self, person: Person) -> Answer:
        bearer = await self.own_token(self.tool, SCOPE)
        return await self.call("POST", GLOBAL, {"sub_id": {"format": "opaque", "id": person.user_id}}, bearer=bearer)

    async def waiting(self) -> int:
        """How many messages stand in the outbox."""
        (found,) = await self.server.connection.call(("ZCARD", b"x:{outbox}"))
        return int(found)

    async def somebody(self, name: str) -> tuple[Person, list[Browser]]:
        """An administrator who is signed in twice, as somebody else is."""
        person = await self.server.user(name, roles=(ADMINISTRATOR,))
        browsers = [self.server.browser() for _ in range(2)]
        for browser in browsers:
            await self.server.signed_in(self.app, person, browser=browser)
        return person, browsers

    async def test_told(self) -> None:
        """Each writes down one message for each session of that user when it answers, and nobody else's."""
        await self.somebody("bystander")
        for number, (name, way) in enumerate(self.ways().items()):
            person, browsers = await self.somebody(f"user{number}")
            before = await self.waiting()
            answer = await way(person)
            self.assertIn(answer.status, (200, 204), (name, answer.body))
            self.assertEqual(await self.waiting() - before, 2, name)
            for browser in browsers:
                page = await browser.open("/oauth2/authorize", self.server.asking(self.app))
                self.assertIn("password", [field for form in page.forms for field in form.fields], name)

    async def test_a_store_that_fails(self) -> None:
        """Where it cannot be written down, each answers 503, and whoever repeats it has everybody told."""
        await self.somebody("bystander")

        async def lost(due: float, *writes: Any) -> None:
            raise StoreUnavailable("away")

        for number, (name, way) in enumerate(self.ways().items()):
            person, _ = await self.somebody(f"user{number}")
            before = await self.waiting()
            patched = self.patch(self.server.store, "enqueue", lost)
            answer = await way(person)
            patched.restore()
            self.assertEqual(answer.status, 503, name)
            self.assertEqual(await self.waiting(), before, name)
            self.assertIn((await way(person)).status, (200, 204), name)
            self.assertEqual(await self.waiting() - before, 2, name)

    async def test_who_signs_in_between(self) -> None:
        """A browser that signs in again before the repetition does not swallow what its former session owes."""
        person, browsers = await self.somebody("alice")
        await self.server.application.tokens.end_all_of_user(person.user_id)  # all that was done
        await self.server.signed_in(self.app, person, browser=browsers[0])
        await browsers[1].get("/oauth2/logout")
        await self.server.application.sign_out.of_user(person.user_id)
        self.assertEqual(await self.waiting(), 2)

    async def test_own_password_is_kept(self) -> None:
        """A password that could not be changed with all that belongs to it is the one it was."""
        person, _ = await self.somebody("alice")

        async def lost(due: float, *writes: Any) -> None:
            raise StoreUnavailable("away")

        patched = self.patch(self.server.store, "enqueue", lost)
        self.assertEqual((await self._own_password(person)).status, 503)
        patched.restore()
        await self.token_of(person, "account")
