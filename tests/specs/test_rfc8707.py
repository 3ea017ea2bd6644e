"""RFC 8707, Resource Indicators for OAuth 2.0: section by section, what holds of the running server."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tests.server import REDIRECT, ServerCase, ok
from tests.specs.holders import Holder
from tests.wire import Answer

FILES, MAIL = "https://files.example/v1", "https://mail.example"


class ResourceTests(ServerCase):
    """A client that names the resources its tokens are for."""

    async def prepare(self) -> None:
        """An owner of two resources, an application, a user."""
        self.owner = await self.server.client("owner", resources=(FILES, MAIL))
        self.app = await self.server.client()
        self.alice = await self.server.user()

    async def code(self, *resources: str) -> str:
        """A code for these resources."""
        browser = self.server.browser()
        query = [*self.server.asking(self.app).items(), *(("resource", uri) for uri in resources)]
        answer = await browser.finish(await browser.get("/oauth2/authorize", query), self.alice)
        return answer.redirected["code"]

    async def redeem(self, code: str, *resources: str) -> Answer:
        """Redeem a code for some of its resources."""
        form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)]
        form += [("resource", uri) for uri in resources]
        return await self.server.post("/oauth2/token", form, basic=self.app.basic)

    async def audience(self, answer: dict[str, Any]) -> Any:
        """The `aud` of an access token, as its owner is told."""
        return (await self.server.introspect(answer["access_token"], self.owner))["aud"]

    async def test_section_2_1_authorization_request(self) -> None:
        """Section 2.1: resources of the authorization request, several allowed, become the token's audience."""
        self.assertEqual(await self.audience(ok(await self.redeem(await self.code(FILES)))), FILES)
        self.assertEqual(await self.audience(ok(await self.redeem(await self.code(MAIL, FILES)))), [MAIL, FILES])

    async def test_section_2_2_token_request(self) -> None:
        """Section 2.2: the token request may ask for some of them, and a refresh for others."""
        tokens = ok(await self.redeem(await self.code(FILES, MAIL), MAIL))
        self.assertEqual(await self.audience(tokens), MAIL)
        again = ok(await self.server.refresh(self.app, tokens["refresh_token"], resource=FILES))
        self.assertEqual(await self.audience(again), FILES)
        again = ok(await self.server.refresh(self.app, again["refresh_token"]))
        self.assertEqual(await self.audience(again), [FILES, MAIL])

    async def test_section_2_2_no_more_than_granted(self) -> None:
        """Section 2.2: a resource that was not granted is invalid_target, and the code stays good."""
        code = await self.code(FILES)
        self.refused(await self.redeem(code, MAIL), "invalid_target")
        tokens = ok(await self.redeem(code, FILES))
        self.refused(await self.server.refresh(self.app, tokens["refresh_token"], resource=MAIL), "invalid_target")
        without = await self.code()
        self.refused(await self.redeem(without, FILES), "invalid_target")

    async def test_section_2_unknown(self) -> None:
        """Section 2: a resource that nobody owns, relative, or with a fragment is invalid_target."""
        for uri in ("https://nobody.example", "/v1", FILES + "#x", FILES + "/", FILES.upper(), "x" * 3000):
            answer = await self.server.get("/oauth2/authorize", self.server.asking(self.app, resource=uri))
            self.refused_by_redirect(answer.redirected, "invalid_target")
            self.refused(await self.server.token(self.app, "client_credentials", resource=uri), "invalid_target")

    async def test_section_2_1_pushed(self) -> None:
        """Section 2.1: what is pushed (RFC 9126) asks for resources alike, and is told at once what is unknown."""
        form = [*self.server.asking(self.app).items(), ("resource", MAIL), ("resource", FILES)]
        pushed = await self.server.post("/oauth2/par", form, basic=self.app.basic)
        query = {"client_id": self.app.client_id, "request_uri": pushed.json()["request_uri"], "resource": FILES}
        browser = self.server.browser()
        told = (await browser.finish(await browser.get("/oauth2/authorize", query), self.alice)).redirected
        self.assertEqual(await self.audience(ok(await self.redeem(told["code"]))), [MAIL, FILES])
        form.append(("resource", "https://nobody.example"))
        self.refused(await self.server.post("/oauth2/par", form, basic=self.app.basic), "invalid_target")

    async def test_section_2_1_in_an_object(self) -> None:
        """Section 2.1: in a request object (RFC 9101) one resource is a string, several are a list of strings."""
        holder = Holder()
        app = await self.server.client("signing", jwks=holder.jwks)
        asked: list[tuple[Any, Any]] = [(FILES, FILES), ([FILES], FILES), ([MAIL, FILES], [MAIL, FILES])]
        for resource, audience in asked:
            request = holder.sign(self.server.asking(app) | {"resource": resource})
            browser = self.server.browser()
            answer = await browser.get("/oauth2/authorize", {"client_id": "signing", "request": request})
            told = (await browser.finish(answer, self.alice)).redirected
            self.assertEqual(await self.audience(ok(await self.server.redeem(app, told["code"]))), audience)
        for wrong in ([FILES, "https://nobody.example"], [[FILES]], [1], {"a": FILES}, f"{MAIL} {FILES}"):
            request = holder.sign(self.server.asking(app) | {"resource": wrong})
            answer = await self.server.browser().get("/oauth2/authorize", {"client_id": "signing", "request": request})
            self.refused_by_redirect(answer.redirected, "invalid_target")

    async def test_section_2_1_devices(self) -> None:
        """A device (RFC 8628) asks for resources as a browser does, and is refused those that are unknown."""
        for uri, error in ((FILES, ""), ("https://nobody.example", "invalid_target")):
            answer = await self.server.post("/oauth2/device_authorize", {"resource": uri}, basic=self.app.basic)
            self.assertEqual(answer.error, error)

    async def test_section_2_nothing_hidden(self) -> None:
        """A resource cannot carry another past the check: the value is one URI, compared whole."""
        for uri in (f"{FILES} {MAIL}", f" {FILES}", f"{FILES}#"):
            query = [*self.server.asking(self.app).items(), ("resource", uri)]
            answer = await self.server.get("/oauth2/authorize", query)
            self.refused_by_redirect(answer.redirected, "invalid_target")

    async def test_section_3_operators_alone(self) -> None:
        """Resources are declared by operators: who registers itself can declare none."""
        body = {"name": "Own", "client_type": "confidential", "redirect_uris": REDIRECT, "resources": ["https://x.example"]}
        await self.server.http.request("POST", "/oauth2/register_client", json_body=body)
        self.assertEqual(set(await self.server.application.clients.resources()), {FILES, MAIL})

    async def test_repeated(self) -> None:
        """Section 2: the same resource twice counts once."""
        self.assertEqual(await self.audience(ok(await self.redeem(await self.code(FILES, FILES)))), FILES)

    async def test_password_and_machine(self) -> None:
        """Section 2.2: the grants without an authorization request take resources, too."""
        app = await self.server.client("legacy", grant_types=("password", "client_credentials"))
        form = {"username": "alice", "password": self.alice.password, "resource": FILES}
        for grant_type, more in (("password", form), ("client_credentials", {"resource": FILES})):
            answer = ok(await self.server.token(app, grant_type, **more))
            self.assertEqual(await self.audience(answer), FILES)

    async def test_a_resource_that_lost_its_owner(self) -> None:
        """When the last owner gives a resource up it cannot be asked for, and its tokens are for nobody else."""
        token = ok(await self.redeem(await self.code(FILES)))["access_token"]
        await self.server.application.clients.update("owner", lambda client: replace(client, resources=(MAIL,)))
        answer = await self.server.get("/oauth2/authorize", self.server.asking(self.app, resource=FILES))
        self.refused_by_redirect(answer.redirected, "invalid_target")
        self.assertEqual(await self.server.introspect(token, self.owner), {"active": False})
        await self.server.application.clients.delete("owner")
        answer = await self.server.get("/oauth2/authorize", self.server.asking(self.app, resource=MAIL))
        self.refused_by_redirect(answer.redirected, "invalid_target")
