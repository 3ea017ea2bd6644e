"""The page where a person enters a device's code and decides (RFC 8628 section 3.3).

One signs in first, then enters the code, then sees which application asks for what, with the code once more to compare
(section 5.4). Guessing is limited per flow, per source and altogether (section 5.1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from attrs import frozen
from msgspec.structs import replace

from oauthd.config import Settings
from oauthd.events import Events
from oauthd.guessing import Guessing
from oauthd.pages.browser import Browser, Flow
from oauthd.pages.client_links import shown_as
from oauthd.pages.scope_list import described
from oauthd.protocol import scopes as rules
from oauthd.protocol import user_code
from oauthd.protocol.authorization_details import DetailsTypes
from oauthd.protocol.beginning import begin, by_session
from oauthd.protocol.errors import INVALID_REQUEST, INVALID_SCOPE, OAuthError
from oauthd.protocol.grant_types import DEVICE_CODE
from oauthd.protocol.messages import Request, Response, see_other
from oauthd.protocol.records import Client, DeviceCode, Session, User
from oauthd.stores import kinds
from oauthd.stores.clients import Clients
from oauthd.stores.interface import IStore, Ref, Stored, Write
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.swap import give, readings, swap
from oauthd.stores.users import is_administrator

WRONG = "This code is not known, or it has expired. Compare it with the one on your device."

Step = Callable[[IStore, Ref[DeviceCode], Stored[DeviceCode], DeviceCode], Awaitable[bool]]


@frozen
class DevicePage:
    """GET shows where the flow stands, POST takes the code or the decision."""

    browser: Browser
    store: IStore
    clients: Clients
    scopes: ScopeCatalogue
    guessing: Guessing
    details: DetailsTypes
    events: Events
    settings: Settings
    clock: Callable[[], float]

    async def __call__(self, request: Request) -> Response:
        """Show or answer the page of the step that the flow is at."""
        if request.method == "GET" and request.query.one("interaction") is None:
            code = user_code.normalise(request.query.one("user_code") or "") or ""
            return await self.browser.interactions.begin(request, "device", {"user_code": code}, "/device")
        answering = request.method == "POST"
        flow = await (self.browser.posted if answering else self.browser.flow)(request, "device")
        if "outcome" in flow.state.parameters:
            return await self._done(flow)
        if flow.state.denied:  # refused on the sign-in page
            return self._entry(flow, "")
        signed_in = await self.browser.signed_in(request)
        if signed_in is None:
            return see_other(f"/login?interaction={flow.identifier}")
        found = await self._device(flow)
        if found is not None and found.record.status != "pending":
            return await self._settled(request, flow, found)
        if answering:
            decides = found is not None and "user_code" not in request.form
            return await (self._decide if decides else self._enter)(request, flow, signed_in, found)
        if found:
            return await self._confirm(flow, signed_in[1], found)
        if flow.state.parameters["user_code"] and not flow.state.tries:
            return await self._take(request, flow, flow.state.parameters["user_code"])
        return self._entry(flow, flow.state.parameters["user_code"])

    async def _enter(
        self, request: Request, flow: Flow, signed_in: tuple[Session, User], found: Stored[DeviceCode] | None
    ) -> Response:
        typed = request.form.one("user_code") or ""
        code = user_code.normalise(typed)
        if code is None:
            return self._entry(flow, typed[:32], "A code has eight letters, such as BCDF-GHJK.", 400)
        if found is not None and code == flow.state.parameters["user_code"]:  # pressed twice
            return see_other(f"/device?interaction={flow.identifier}")
        return await self._take(request, flow, code)

    async def _take(self, request: Request, flow: Flow, code: str) -> Response:
        """Look a code up, counting the try before it is known whether it is right."""
        if flow.state.tries >= self.settings.device.session_tries:
            raise INVALID_REQUEST("there were too many wrong codes; start again on your device")
        await self.guessing.count(request.connection.source)
        (pointer,) = await self.store.get(kinds.user_code(code))
        learned = flow.state.parameters | {"user_code": code}
        if pointer is not None:
            learned |= {"grant": pointer.record.grant, "device": pointer.record.digest.hex()}
        counted = await self.browser.save(flow, replace(flow.state, parameters=learned, tries=flow.state.tries + 1))
        if pointer is not None:
            await self.guessing.give_back(request.connection.source)
        elif counted:
            stored = await self.browser.flow(request, "device")
            return self._entry(stored, user_code.shown(code), WRONG, 400)
        return see_other(f"/device?interaction={flow.identifier}")

    async def _device(self, flow: Flow) -> Stored[DeviceCode] | None:
        """The device that the flow has found: pending, or decided in this very flow."""
        parameters = flow.state.parameters
        if "device" not in parameters:
            return None
        ref: Ref[DeviceCode] = kinds.DEVICE_CODE.at(bytes.fromhex(parameters["device"]), parameters["grant"])
        (stored,) = await self.store.get(ref)
        ours = stored is not None and stored.record.settled_in == flow.stored.ref.ident
        if stored is None or (stored.record.status != "pending" and not ours):
            raise INVALID_REQUEST("the code has expired, or it was used already; start again on your device")
        found: Stored[DeviceCode] = stored
        return found

    async def _decide(
        self, request: Request, flow: Flow, signed_in: tuple[Session, User], found: Stored[DeviceCode] | None
    ) -> Response:
        assert found is not None  # noqa: S101 - the caller's choice between `_enter` and `_decide`
        session, user = signed_in
        decision = request.form.one("decision")
        if decision == "switch":
            return await self.browser.leave(request, f"/device?interaction={flow.identifier}")
        if decision not in ("allow", "deny"):
            raise INVALID_REQUEST("the form has no answer")
        if request.form.one("shown") != found.record.user_code:  # section 5.4: another tab has entered another code
            return see_other(f"/device?interaction={flow.identifier}")
        mine = replace(found, record=replace(found.record, settled_in=flow.stored.ref.ident))
        if decision == "allow" and await self._as_shown(request, user, found):
            await self._approve(request, mine, session, user)
        elif decision == "deny":
            if await self._settle(mine, replace(mine.record, status="denied")):
                self.events.tell("device.denied", client_id=found.record.client_id, user_id=user.user_id)
        else:
            return see_other(f"/device?interaction={flow.identifier}")
        settled = await self._device(flow)  # by this press, or by the other of two; elsewhere it is refused
        if settled is None or settled.record.status == "pending":
            raise INVALID_REQUEST("the code was used already; start again on your device")
        return await self._settled(request, flow, settled)

    async def _as_shown(self, request: Request, user: User, found: Stored[DeviceCode]) -> bool:
        """Is the answer this person's, and about the application that the page has shown?"""
        shown = request.form.one("subject"), request.form.one("client")
        return shown == (user.user_id, shown_as(await self._client(found.record)))

    async def _settled(self, request: Request, flow: Flow, device: Stored[DeviceCode]) -> Response:
        """Write down what was decided in this flow, and say so."""
        outcome = "allow" if device.record.status == "approved" else "deny"
        learned = {"outcome": outcome, "client_id": device.record.client_id}
        await self.browser.learn(flow, request, lambda now: replace(now, parameters=now.parameters | learned))
        return see_other(f"/device?interaction={flow.identifier}")

    async def _approve(self, request: Request, found: Stored[DeviceCode], session: Session, user: User) -> bool:
        device, now = found.record, int(self.clock())
        # The client's before it is read, the user's from before: what is taken from them meanwhile must not live on.
        generations = await self.store.generations(device.client_id)
        client = await self._client(device)
        rules.granted(" ".join(device.scope), client, await self.scopes.all(), is_administrator(user))
        self.details.still(device.details, client)
        grant = begin(
            client,
            generations,
            by_session(user, session),
            grant_type=DEVICE_CODE,
            scope=device.scope,
            now=now,
            ends_at=now + self.settings.tokens.refresh_absolute,
            expires_at=device.expires_at,
            audience=device.audience,
            details=device.details,
        )
        await self.browser.joined(request, session, client)
        approved = replace(device, status="approved", user_id=user.user_id, auth_time=session.auth_time)
        given, still = Write(kinds.grant(found.ref.slot), grant), partial(self.browser.still, request, session)
        done = await self._settle(found, approved, partial(give, given=given, still=still))
        if done:
            self.events.tell("device.approved", client_id=device.client_id, user_id=user.user_id)
        return done

    async def _settle(self, found: Stored[DeviceCode], settled: DeviceCode, step: Step = swap) -> bool:
        """Write the decision, once; polls of the device change the record meanwhile, decisions do not mix."""
        async for now in readings(self.store, found.ref):
            if now is None or now.record.status != "pending":
                return False
            settled = replace(settled, polled_at=now.record.polled_at, interval=now.record.interval)
            if await step(self.store, found.ref, now, settled):
                await self.store.forget(kinds.user_code(settled.user_code))
                return True
        return False

    async def _client(self, device: DeviceCode) -> Client:
        client = await self.clients.find(device.client_id)
        if client is None or not client.is_active:
            raise INVALID_REQUEST("the application does not exist any more")
        return client

    async def _confirm(self, flow: Flow, user: User, found: Stored[DeviceCode]) -> Response:
        known, client = await self.scopes.all(), await self._client(found.record)
        try:
            rules.granted(" ".join(found.record.scope), client, known, is_administrator(user))
        except OAuthError as error:
            raise INVALID_SCOPE("the device asks for what only an administrator can give") from error
        return self.browser.show(
            "device_confirm",
            action="/device",
            hidden=self.browser.hidden(flow)
            | {"subject": user.user_id, "client": shown_as(client), "shown": found.record.user_code},
            client_name=client.name,
            person=user.claims.get("name") or user.username,
            scopes=described(found.record.scope, known.scopes, self.settings.userinfo.identity_with_openid, client),
            details=self.details.shown(found.record.details),
            user_code=user_code.shown(found.record.user_code),
        )

    async def _done(self, flow: Flow) -> Response:
        client = await self.clients.find(flow.state.parameters["client_id"])
        approved = flow.state.parameters["outcome"] == "allow"
        return self.browser.show(
            "device_done", approved=approved, client_name=client.name if client else "The application"
        )

    def _entry(self, flow: Flow, code: str, error: str | None = None, status: int = 200) -> Response:
        return self.browser.show(
            "device_code", status, action="/device", hidden=self.browser.hidden(flow), user_code=code, error=error
        )
