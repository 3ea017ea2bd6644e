"""What an attacker, or bad luck, may do between any two looks into the store: nothing that was taken away comes back.

Each flow is carried out again and again, and each time something happens just before another of its calls of the store:
the user is deactivated or gets another password, or a role, a scope or the client itself is taken away. Afterwards no
token lives that has what was taken, and none comes of what the flow left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from attrs import frozen
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import TokenSettings
from oauthd.grants.interface import Redemption, Repeated
from oauthd.pages.browser import Flow
from oauthd.protocol import lockout
from oauthd.protocol.records import Generations, Interaction
from oauthd.stores import kinds, naming, sessions
from oauthd.stores.interface import Commit, IStore, Stored, StoreUnavailable, Write
from tests.admin.case import CLIENTS, TOKENS, USERS, AdminCase
from tests.server import CHEAP, DEVICE_GRANT, PASSWORD, REDIRECT, App, Browser, Person, ServerCase, form_of, ok
from tests.wire import HERE, Answer

VERBS = tuple(IStore.names())
MOST_CALLS = 80
GRANTS = ["authorization_code", "refresh_token", "client_credentials", "password", DEVICE_GRANT]
SCOPE = "openid read admin"
SESSION = "__Host-oauthd_session"
DAY = 86400


@frozen
class Cast:
    """A client and an administrator of their own, and the person's browser, which is signed in."""

    app: App
    person: Person
    browser: Browser


Request = Callable[[], Awaitable[Answer]]
Way = Callable[[Cast], Awaitable[Request]]
Happening = Callable[[Cast], Awaitable[Any]]


class BetweenTests(AdminCase):
    """Something happens before the n-th call of the store, for each n."""

    async def prepare(self) -> None:
        """Another administrator, so that everybody else may go."""
        self.numbers = 0
        await self.server.user("keeper", roles=("admin",))

    async def cast(self, first_party: bool) -> Cast:
        """New ones for each round."""
        self.numbers += 1
        app = await self.server.client(
            f"app{self.numbers}", scopes=tuple(SCOPE.split()), grant_types=tuple(GRANTS), first_party=first_party
        )
        person = await self.server.user(f"user{self.numbers}", roles=("admin",))
        browser = self.server.browser(f"198.51.100.{self.numbers % 250}")  # failed sign-ins block a source
        await browser.sign_in(await browser.open("/login"), person)
        return Cast(app, person, browser)

    def before_call(self, number: int, happening: Callable[[], Awaitable[Any]]) -> Callable[[], bool]:
        """Let something happen once, before the call of that number; the result ends the wait, and tells if it did."""
        left, happened, store = number, False, self.server.store

        def hooked(verb: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def call(*arguments: Any, **named: Any) -> Any:
                nonlocal left, happened
                left -= 1
                if left == -1:
                    await happening()
                    happened = True
                return await verb(*arguments, **named)

            return call

        patches = [self.patch(store, verb, hooked(getattr(store, verb))) for verb in VERBS]

        def over() -> bool:
            for patch in patches:
                patch.restore()
            return happened

        return over

    async def at_every_point(self, flow: Way, happening: Happening, taken: str = "", first_party: bool = True) -> None:
        """Carry the flow out with the happening at every point.

        :param flow: prepares the request that is overtaken, and gives it.
        :param taken: a scope; "" for all of them.
        """
        wrong: list[str] = []
        for number in range(MOST_CALLS):
            cast = await self.cast(first_party)
            request = await flow(cast)
            over = self.before_call(number, lambda: happening(cast))  # noqa: B023 - used within the round
            answer = await request()
            if not over():
                self.assertGreater(number, 2, "the flow is one of several steps")
                self.assertEqual(wrong, [], f"{number} calls")
                return
            await self.call("POST", f"{USERS}/{cast.person.user_id}/reactivate")
            await self.call("PUT", f"{CLIENTS}/{cast.app.client_id}", {"is_active": True})
            for token in await self.tokens_that_come(cast.app, answer):
                told = await self.server.introspect(token)
                if told["active"] and (not taken or taken in told["scope"].split()):
                    wrong.append(f"before call {number}: {told}")
        self.fail("the flow has no end")

    async def tokens_that_come(self, app: App, answer: Answer) -> list[str]:
        """The access tokens of an answer, of its code and of its refresh token."""
        if answer.location.startswith(REDIRECT) and "code" in answer.redirected:
            answer = await self.server.redeem(app, answer.redirected["code"])
        told = answer.json() if answer.header("content-type") == "application/json" else {}
        found = [told["access_token"]] if "access_token" in told else []
        if "refresh_token" in told:
            again = await self.server.refresh(app, told["refresh_token"])
            found += [again.json()["access_token"]] if again.status == 200 else []
        return found

    # Flows

    async def authorizing(self, cast: Cast) -> Request:
        """An authorization request that is answered at once."""
        return lambda: cast.browser.get("/oauth2/authorize", self.server.asking(cast.app, scope=SCOPE))

    async def consenting(self, cast: Cast) -> Request:
        """An authorization request whose consent page is before the person."""
        page = await cast.browser.open("/oauth2/authorize", self.server.asking(cast.app, scope=SCOPE))
        return lambda: cast.browser.submit(page, "allow")

    async def signing_in(self, cast: Cast) -> Request:
        """An authorization request whose sign-in page is before the person."""
        browser = self.server.browser(cast.browser.source)
        page = await browser.open("/oauth2/authorize", self.server.asking(cast.app, scope=SCOPE))
        return lambda: browser.sign_in(page, cast.person)

    async def redeeming(self, cast: Cast) -> Request:
        """A code in the hands of its client."""
        answer = await (await self.authorizing(cast))()
        return lambda: self.server.redeem(cast.app, answer.redirected["code"])

    async def refreshing(self, cast: Cast) -> Request:
        """A refresh token in the hands of its client."""
        tokens = ok(await (await self.redeeming(cast))())
        return lambda: self.server.refresh(cast.app, tokens["refresh_token"])

    async def by_password(self, cast: Cast) -> Request:
        """A client that knows the password."""
        known = {"username": cast.person.username, "password": cast.person.password, "scope": SCOPE}
        form = {"grant_type": "password", **known}
        return lambda: self.server.post("/oauth2/token", form, basic=cast.app.basic, source=cast.browser.source)

    async def for_itself(self, cast: Cast) -> Request:
        """A client for itself."""
        return lambda: self.server.token(cast.app, "client_credentials", scope="read admin")

    async def approving(self, cast: Cast) -> Request:
        """A device whose code was typed."""
        begun = ok(await self.server.post("/oauth2/device_authorize", {"scope": SCOPE}, basic=cast.app.basic))
        page = await cast.browser.open("/device", {"user_code": begun["user_code"]})

        async def request() -> Answer:
            await cast.browser.submit(page, "allow")
            return await self.server.token(cast.app, DEVICE_GRANT, device_code=begun["device_code"])

        return request

    # Happenings

    async def deactivate(self, cast: Cast) -> None:
        """The user is deactivated."""
        await self.done("DELETE", f"{USERS}/{cast.person.user_id}", status=204)

    async def change_password(self, cast: Cast) -> None:
        """The user gets another password."""
        path = f"{USERS}/{cast.person.user_id}/password"
        await self.done("PUT", path, {"password": "another horse entirely"}, status=204)

    async def take_role(self, cast: Cast) -> None:
        """The user is no administrator any more."""
        await self.done("PUT", f"{USERS}/{cast.person.user_id}", {"roles": []})

    async def end_tokens_of_user(self, cast: Cast) -> None:
        """Every token and session of the user is ended."""
        await self.done("DELETE", TOKENS, status=204, user_id=cast.person.user_id)

    async def end_tokens_of_client(self, cast: Cast) -> None:
        """Every token of the client is ended."""
        await self.done("DELETE", TOKENS, status=204, client_id=cast.app.client_id)

    async def take_scope(self, cast: Cast) -> None:
        """The client may not ask for `read` any more."""
        await self.done("PUT", f"{CLIENTS}/{cast.app.client_id}", {"scopes": ["openid", "admin"]})

    async def deactivate_client(self, cast: Cast) -> None:
        """The client is deactivated."""
        await self.done("PUT", f"{CLIENTS}/{cast.app.client_id}", {"is_active": False})

    async def replace_client(self, cast: Cast) -> None:
        """The client is deleted, and another one gets its name, and by accident its secret."""
        await self.done("DELETE", f"{CLIENTS}/{cast.app.client_id}", status=204)
        body = {
            "client_id": cast.app.client_id, "client_secret": cast.app.secret, "name": "Another",
            "redirect_uris": [REDIRECT], "grant_types": GRANTS, "scopes": ["openid"],
        }  # fmt: skip
        await self.done("POST", CLIENTS, body, status=201)

    # What holds

    async def of_the_user(self, flow: Way, **more: Any) -> None:
        """Nothing comes of the flow that the user may not have any more."""
        await self.at_every_point(flow, self.deactivate, **more)
        await self.at_every_point(flow, self.take_role, "admin", **more)

    async def of_the_client(self, flow: Way, **more: Any) -> None:
        """Nothing comes of the flow that the client may not have any more, and nothing goes to its successor."""
        await self.at_every_point(flow, self.take_scope, "read", **more)
        await self.at_every_point(flow, self.replace_client, "read", **more)

    async def test_authorization(self) -> None:
        """What overtakes a request that is answered at once ends what it gives."""
        await self.of_the_user(self.authorizing)
        await self.at_every_point(self.authorizing, self.end_tokens_of_user)
        await self.of_the_client(self.authorizing)
        await self.at_every_point(self.authorizing, self.deactivate_client)

    async def test_consent(self) -> None:
        """What overtakes a request that a person agrees to ends what it gives."""
        await self.at_every_point(self.consenting, self.take_role, "admin", first_party=False)
        await self.at_every_point(self.consenting, self.replace_client, "read", first_party=False)

    async def test_sign_in(self) -> None:
        """What overtakes a request that a person signs in for ends what it gives."""
        await self.at_every_point(self.signing_in, self.change_password)
        await self.at_every_point(self.signing_in, self.deactivate_client)

    async def test_code(self) -> None:
        """What overtakes the redemption of a code ends what that gives."""
        await self.of_the_user(self.redeeming)
        await self.of_the_client(self.redeeming)

    async def test_refresh(self) -> None:
        """What overtakes a refresh ends what it gives."""
        await self.at_every_point(self.refreshing, self.change_password)
        await self.at_every_point(self.refreshing, self.end_tokens_of_client)
        await self.of_the_client(self.refreshing)

    async def test_password(self) -> None:
        """What overtakes a grant by password ends what it gives."""
        await self.of_the_user(self.by_password)
        await self.of_the_client(self.by_password)

    async def test_client_credentials(self) -> None:
        """What overtakes a grant to a client itself ends what it gives."""
        await self.of_the_client(self.for_itself)
        await self.at_every_point(self.for_itself, self.deactivate_client)

    async def test_device(self) -> None:
        """What overtakes the approval of a device ends what it gives."""
        await self.of_the_user(self.approving)
        await self.at_every_point(self.approving, self.end_tokens_of_user)
        await self.of_the_client(self.approving)


class BrowserTests(ServerCase):
    """What somebody with two accounts, or with a page of his own, tries in a browser."""

    async def test_sign_in_of_another_person(self) -> None:
        """Who signs in as somebody else where a fresh sign-in is wanted has not signed in the person from before."""
        app, alice, mallory = await self.server.client(), await self.server.user(), await self.server.user("mallory")
        browser = self.server.browser()
        await browser.sign_in(await browser.open("/login"), alice)
        hers = browser.cookies.pop(SESSION)
        page = await browser.open("/oauth2/authorize", self.server.asking(app, prompt="login"))
        page = await browser.sign_in(page, mallory)
        browser.cookies[SESSION] = hers
        page = await browser.get("/consent", {"interaction": form_of(page).fields["interaction"]})
        self.assertIn("password", form_of(await browser.submit(page, "allow")).fields)

    async def test_what_was_not_shown(self) -> None:
        """Who presses the button agrees to what the page listed, not to defaults that have changed since."""
        app, browser = await self.server.client(default_scopes=("read",)), self.server.browser()
        page = await browser.open("/oauth2/authorize", self.server.asking(app, scope=None))
        page = await browser.sign_in(page, await self.server.user())
        self.assertNotIn("May write", page.text)
        clients = self.server.application.clients
        await clients.update(app.client_id, lambda client: replace(client, default_scopes=("read", "write")))
        page = await browser.submit(page, "allow")
        self.assertIn("May write", page.text)
        self.assertIn("code", (await browser.submit(page, "allow")).redirected)

    async def test_logout_towards_a_deactivated_client(self) -> None:
        """A client that is deactivated, perhaps for what it did, gets no visitors by a link to the sign-out."""
        target = "https://app.example/bye"
        app = await self.server.client(post_logout_redirect_uris=(target,), is_active=False)
        query = {"client_id": app.client_id, "post_logout_redirect_uri": target}
        self.refused_page(await self.server.browser().get("/oauth2/logout", query))


class FloodTests(ServerCase):
    """What strangers can make the server remember."""

    async def test_long_requests(self) -> None:
        """An authorization request that is too long to be kept is refused, by GET and by POST, and nothing is kept."""
        app, browser = await self.server.client(), self.server.browser()
        for method, length in ((browser.get, 9000), (browser.post, 60000)):
            before = sorted(await self.server.keys())
            answer = await method("/oauth2/authorize", self.server.asking(app, nonce="n" * length))
            self.refused_by_redirect(answer.redirected, "invalid_request")
            self.assertEqual(sorted(await self.server.keys()), before)
        page = await browser.open("/oauth2/authorize", self.server.asking(app, nonce="n" * 5000))
        self.assertIn("password", form_of(page).fields)


    async def test_many_flows(self) -> None:
        """One source begins so many flows in a minute and no more, on whatever page; others do not feel it."""
        self.patch(sessions, "MOST_BEGUN", 3)
        app = await self.server.client()
        stranger, neighbour, local = (self.server.browser(source) for source in ("192.0.2.1", "192.0.2.2", HERE))
        for _ in range(5):
            await local.open("/login")
        for path in ("/login", "/device"):
            self.assertEqual((await stranger.open(path)).status, 200)
        self.assertEqual((await stranger.open("/oauth2/authorize", self.server.asking(app))).status, 200)
        before = sorted(await self.server.keys())
        for path in ("/login", "/device"):
            self.refused_page(await stranger.open(path), 429)
        answer = await stranger.open("/oauth2/authorize", self.server.asking(app))
        self.refused_page(answer, 429)
        self.assertEqual(answer.header("retry-after"), "60")
        self.assertEqual(sorted(await self.server.keys()), before)
        self.assertEqual((await neighbour.open("/login")).status, 200)
        self.server.clock.advance(60)
        self.assertEqual((await stranger.open("/login")).status, 200)


class NameTests(ServerCase):
    """Names that nobody has."""

    async def test_very_long_names(self) -> None:
        """A name that is too long for anybody's is wrong, and costs neither normalisation nor a hash nor a record."""
        app = await self.server.client("legacy", grant_types=("password",))
        before = await self.server.keys()
        self.patch(lockout, "canonical_name", None)
        form = {"username": "a" + "\u0301\u0316" * 1000, "password": PASSWORD}
        self.refused(await self.server.token(app, "password", **form), "invalid_grant")
        self.assertEqual(sorted(await self.server.keys()), sorted(before))


class CutOffTests(AdminCase):
    """Changes that are cut off in the middle."""

    async def test_resources(self) -> None:
        """A change of a client's resources that was cut off is completed by its repetition, and so is a deletion."""
        await self.server.client("rs")
        path, uri = f"{CLIENTS}/rs", "https://api.example/"
        for method, body, owned in (
            ("PUT", {"resources": [uri]}, {uri: ("rs",)}),
            ("PUT", {"resources": []}, {}),
            ("PUT", {"resources": [uri]}, {uri: ("rs",)}),
            ("DELETE", None, {}),
        ):
            found_again = self.lose_commits_of("resources")
            self.assertEqual((await self.call(method, path, body)).status, 503)
            found_again()
            self.assertIn((await self.call(method, path, body)).status, (200, 204))
            self.assertEqual(await self.server.application.clients.resources(), owned)

    def lose_commits_of(self, kind: str) -> Callable[[], None]:
        """Lose the store just before a record of that kind would be written, until the result is called."""
        commit = self.server.store.commit

        async def lost(step: Commit) -> bool:
            if any(write.ref.kind.name == kind for write in step.writes):
                raise StoreUnavailable("lost")
            return await commit(step)

        found_again: Callable[[], None] = self.patch(self.server.store, "commit", lost).restore
        return found_again


class LastAdministratorTests(AdminCase):
    """Whoever administers last stays one."""

    async def test_taken_away_while_given(self) -> None:
        """A role that is taken away while it is being given leaves nobody on the list who is no administrator."""
        keeper, other = await self.administrator("keeper"), await self.server.user("other")
        commit = self.server.store.commit

        async def overtaken(step: Commit) -> bool:
            if any(write.ref.kind is kinds.ADMINISTRATORS for write in step.writes):
                patched.restore()
                await self.done("PUT", f"{USERS}/{other.user_id}", {"roles": []})
            return await commit(step)

        patched = self.patch(self.server.store, "commit", overtaken)
        await self.done("PUT", f"{USERS}/{other.user_id}", {"roles": ["admin"]})
        await self.wrong("PUT", f"{USERS}/{keeper.user_id}", {"roles": []}, status=409)
        await self.wrong("PUT", f"{USERS}/{keeper.user_id}", {"is_active": False}, status=409)


class SecretsTests(SynchronousTestCase):
    """What a trace or a debugger would show."""

    def test_representations(self) -> None:
        """No refresh token, finished answer or browser cookie is part of what a value shows of itself."""
        values = (
            Redemption((), Generations(1, 1), same_refresh=PASSWORD, keeps=partial(Write, kinds.SCOPES.at(PASSWORD))),
            Repeated(PASSWORD.encode()),
            Flow(PASSWORD, Stored(kinds.INTERACTION.at("x"), Interaction("home", {}, b"", 0, 1), b"")),
        )
        for value in values:
            self.assertNotIn(PASSWORD, repr(value))


class LongLivedTests(ServerCase):
    """Access tokens that live longer than any grant."""

    sections: dict[str, Any] = {
        "users": CHEAP,
        "tokens": TokenSettings(access_lifetime=30 * DAY, refresh_idle=60, refresh_absolute=60),
    }

    async def test_a_client_made_anew(self) -> None:
        """A deleted client is remembered for as long as tokens live that it was given: no successor wakes them."""
        app = await self.server.client()
        ok(await self.server.token(app, "client_credentials"))
        await self.server.application.clients.delete(app.client_id)
        name = naming.generation(f"client:{app.client_id}")
        (left,) = await self.server.connection.call(("TTL", name))
        self.assertGreaterEqual(left, 30 * DAY)
