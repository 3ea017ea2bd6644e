"""A sensible request for every method of every path of the route table, with what it is answered when all is well.

A `Scene` prepares what they need: people signed in, pages open, codes and tokens waiting to be used, things to delete.
The requests are in an order in which each works, and they work once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from attrs import define, field, frozen

from oauthd.protocol.grant_types import CIBA
from tests.live.visitor import DEVICE_GRANT, PASSWORD, REDIRECT, App, Browser, Http, Visitor, expect, form_of
from tests.wire import Answer

NONE, READS, WRITES, REMOVES, TELLS = "none", "reads", "writes", "removes", "tells"
"""What a request needs of the store. What only removes is carried out by a store without room, too; what tells of the
store needs nothing of it, and says 503 once it is known to be away."""

ACCOUNT = ["openid", "profile", "email", "account", "offline_access"]
_LONG = "x" * 7000  # a form of this size is not sent on as a query
_numbers = count()


@frozen
class Ask:
    """One request.

    :ivar route: the path as the route table writes it.
    :ivar normal: the status when all is well.
    :ivar needs: what of the store.
    """

    method: str
    route: str
    normal: int
    needs: str
    target: str
    more: dict[str, Any] = field(factory=dict, repr=False)

    def send(self, http: Http, **more: Any) -> Answer:
        """Its answer."""
        return http.request(self.method, self.target, **self.more, **more)


@define
class Scene:
    """Everything is prepared on a server that works."""

    http: Http
    visitor: Visitor
    number: int = field(factory=lambda: next(_numbers))
    app: App = field(init=False)
    trusted: App = field(init=False)
    caller: App = field(init=False)
    signed_in: Browser = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make the people and clients that all use."""
        self.app = self.visitor.client("Application", scopes=ACCOUNT)
        self.trusted = self.visitor.client("First party", first_party=True)
        ciba = {"grant_types": [CIBA], "backchannel_token_delivery_mode": "poll"}
        self.caller = self.visitor.client("Caller", **ciba)
        self.visitor.user(f"alice{self.number}")
        self.signed_in = self.browser()

    def browser(self) -> Browser:
        """A browser in which alice is signed in."""
        browser = Browser(self.http)
        expect(browser.finish(browser.open("/login"), f"alice{self.number}", PASSWORD))
        return browser

    def asks(self) -> list[Ask]:
        """All requests."""
        served = (*self._health(), *self._protocol(), *self._pages(), *self._backchannel())
        return [*served, *self._admin(), *self._profile(), *self._deletions()]

    def _tokens(self, scope: str = "openid") -> dict[str, Any]:
        form = {"grant_type": "password", "username": f"alice{self.number}", "password": PASSWORD, "scope": scope}
        return self.visitor.tokens(self.app, **form)

    def _machine(self) -> str:
        token: str = self.visitor.tokens(self.app, grant_type="client_credentials")["access_token"]
        return token

    def _asked(self, app: App, **more: str) -> dict[str, str]:
        return {"response_type": "code", "client_id": app.client_id, "redirect_uri": REDIRECT} | more

    def _device(self) -> dict[str, Any]:
        form = {"client_id": self.app.client_id, "scope": "openid"}
        answer = self.http.request("POST", "/oauth2/device_authorize", form=form, basic_auth=self.app.auth)
        found: dict[str, Any] = expect(answer).json()
        return found

    def _approved(self) -> str:
        """A device code that alice has approved."""
        device = self._device()
        page = self.signed_in.open("/device", {"user_code": device["user_code"]})
        expect(self.signed_in.finish(page, "", ""))
        code: str = device["device_code"]
        return code

    def _wanted(self, **form: str) -> str:
        """The auth_req_id of a request about alice."""
        form = {"scope": "openid", "login_hint": f"alice{self.number}", **form}
        answer = self.http.request("POST", "/oauth2/bc-authorize", form=form, basic_auth=self.caller.auth)
        found: str = expect(answer).json()["auth_req_id"]
        return found

    def _backchannel(self) -> Iterator[Ask]:
        device = self.visitor.client("Device", grant_types=["client_credentials"], scopes=["backchannel"])
        form = {"grant_type": "client_credentials", "scope": "backchannel"}
        bearer = {"bearer": self.visitor.tokens(device, **form)["access_token"]}
        route = "/api/v1/backchannel/requests"
        self._wanted()
        self._wanted()
        waiting = expect(self.http.request("GET", route, **bearer)).json()["requests"]
        one, two = [one["request_id"] for one in waiting if one["client_id"] == self.caller.client_id][:2]
        about = {"json_body": {"user_id": waiting[0]["user_id"]}, **bearer}
        yield Ask("GET", route, 200, READS, route, bearer)
        yield Ask("GET", f"{route}/<request_id>", 200, READS, f"{route}/{one}", bearer)
        yield Ask("POST", f"{route}/<request_id>/approve", 204, WRITES, f"{route}/{one}/approve", about)
        yield Ask("POST", f"{route}/<request_id>/deny", 204, WRITES, f"{route}/{two}/deny", about)
        form = {"scope": "openid", "login_hint": f"alice{self.number}"}
        for path in ("/oauth2/bc-authorize", "/oauth/bc-authorize"):
            yield Ask("POST", path, 200, WRITES, path, {"form": form, "basic_auth": self.caller.auth})
        yield Ask("GET", "/requests", 303, WRITES, "/requests", {"headers": [self.signed_in.cookie]})
        self._wanted()
        page = self.signed_in.open("/requests")
        link = next(part for part in page.text.split('"') if "request=" in part).replace("&amp;", "&")
        yield from self._form("/requests", self.signed_in, self.signed_in.open(link), "allow")

    def _protocol(self) -> Iterator[Ask]:
        app, signed_in = self.app, self.signed_in

        def post(paths: str, form: dict[str, str], needs: str, status: int = 200) -> Iterator[Ask]:
            for path in paths.split():
                yield Ask("POST", path, status, needs, path, {"form": form, "basic_auth": app.auth})

        cookie = {"headers": [signed_in.cookie]}
        for path in ("/oauth2/authorize", "/oauth/authorize"):
            for client in (app, self.trusted):
                asked = self._asked(client)
                yield Ask("GET", path, 303, WRITES, path, {"query": asked, **cookie})
            yield Ask("POST", path, 303, NONE, path, {"form": self._asked(app), **cookie})
            yield Ask("POST", path, 303, WRITES, path, {"form": self._asked(app, state=_LONG), **cookie})
        code = self.visitor.code(signed_in, self.app, scope="openid")
        person = {"username": f"alice{self.number}", "password": PASSWORD}
        redemption = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        refresh = {"grant_type": "refresh_token", "refresh_token": self._tokens()["refresh_token"]}
        yield from post("/oauth2/token", redemption, WRITES)
        yield from post("/oauth2/token", {"grant_type": "password", **person}, WRITES)
        yield from post("/oauth2/token", {"grant_type": DEVICE_GRANT, "device_code": self._approved()}, WRITES)
        yield from post("/oauth/tokens", refresh, WRITES)
        yield from post("/oauth/token", {"grant_type": "client_credentials"}, WRITES)
        yield from post("/oauth2/introspect /oauth/introspect", {"token": self._machine()}, READS)
        yield from post("/oauth2/introspect", {"token": "unknown"}, READS)
        for path in ("/oauth2/introspect/batch", "/oauth/introspect/batch"):
            tokens = {"json_body": {"tokens": [self._machine(), "unknown"]}, "basic_auth": app.auth}
            yield Ask("POST", path, 200, READS, path, tokens)
        yield from post("/oauth2/revoke", {"token": self._machine()}, REMOVES)
        yield from post("/oauth/revoke", {"token": self._tokens()["refresh_token"]}, REMOVES)
        yield from post("/oauth2/device_authorize /oauth/device_authorize", {"scope": "openid"}, WRITES)
        yield from post("/oauth2/par /oauth/par", self._asked(app), WRITES, 201)
        bearer = {"bearer": self._tokens()["access_token"]}
        for path in ("/oauth2/userinfo", "/oauth/userinfo"):
            yield Ask("GET", path, 200, READS, path, bearer)
            yield Ask("POST", path, 200, READS, path, {"form": {}, **bearer})
        body = {"name": "Simple", "client_type": "confidential", "redirect_uris": ""}
        yield Ask("POST", "/oauth2/register_client", 201, WRITES, "/oauth2/register_client", {"json_body": body})
        yield from self._registration()
        yield self._revocation_of_all()
        for path in ("/oauth2/jwks", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server"):
            yield Ask("GET", path, 200, NONE, path)
        for path in ("/.well-known/openid-configuration", "/oauth2/.well-known/openid-configuration"):
            yield Ask("GET", path, 200, NONE, path)
        resources = "/.well-known/oauth-protected-resource"
        yield Ask("GET", resources, 404, NONE, resources)
        yield Ask("GET", f"{resources}/<path:place>", 404, NONE, f"{resources}/api")
        yield Ask("GET", "/oauth2/status-lists", 200, READS, "/oauth2/status-lists")
        # One that was told before is told on for a while without a store.
        yield Ask("GET", "/oauth2/status-lists/<number>", 404, READS, "/oauth2/status-lists/99")

    def _revocation_of_all(self) -> Ask:
        scope, path = "global_token_revocation", "/oauth2/global-token-revocation"
        desk = self.visitor.client("Desk", grant_types=["client_credentials"], scopes=[scope])
        bearer = self.visitor.tokens(desk, grant_type="client_credentials", scope=scope)["access_token"]
        subject = {"format": "opaque", "id": self.visitor.user(f"leaver{self.number}")}
        return Ask("POST", path, 204, REMOVES, path, {"json_body": {"sub_id": subject}, "bearer": bearer})

    def _registration(self) -> Iterator[Ask]:
        new = {"redirect_uris": [REDIRECT]}
        for path in ("/oauth2/register", "/oauth/register"):
            yield Ask("POST", path, 201, WRITES, path, {"json_body": new})
        route = "/oauth2/register/<client_id>"
        for method, status, needs in (("GET", 200, READS), ("PUT", 200, WRITES), ("DELETE", 204, WRITES)):
            told = expect(self.http.request("POST", "/oauth2/register", json_body=new), 201).json()
            more: dict[str, Any] = {"bearer": told["registration_access_token"]}
            if method == "PUT":
                more["json_body"] = {**new, "client_id": told["client_id"]}
            yield Ask(method, route, status, needs, f"/oauth2/register/{told['client_id']}", more)

    def _health(self) -> Iterator[Ask]:
        yield Ask("GET", "/health/live", 200, NONE, "/health/live")
        yield Ask("GET", "/health/ready", 200, TELLS, "/health/ready")

    def _pages(self) -> Iterator[Ask]:
        cookie = {"headers": [self.signed_in.cookie]}
        yield Ask("GET", "/", 200, READS, "/", cookie)
        yield Ask("GET", "/login", 303, WRITES, "/login", cookie)
        yield Ask("GET", "/device", 303, WRITES, "/device", cookie)
        yield Ask("GET", "/logout", 303, WRITES, "/logout", cookie)
        yield Ask("GET", "/oauth2/logout", 303, WRITES, "/oauth2/logout", cookie)
        yield Ask("POST", "/oauth2/logout", 303, NONE, "/oauth2/logout", {"form": {}, **cookie})
        # A page is shown, and then its form is sent, by the browser that it was given to.
        stranger = Browser(self.http)
        page = stranger.open("/oauth2/authorize", self._asked(self.app))
        yield from self._form("/login", stranger, page, "login", login=f"alice{self.number}", password=PASSWORD)
        page = self.signed_in.open("/oauth2/authorize", self._asked(self.app, scope="profile"))
        yield from self._form("/consent", self.signed_in, page, "allow")
        page = self.signed_in.open("/device", {"user_code": self._device()["user_code"]})
        yield from self._form("/device", self.signed_in, page, "allow")
        leaving = self.browser()
        yield from self._form("/logout", leaving, leaving.open("/logout"), "yes", needs=REMOVES)
        style = next(part for part in page.text.split('"') if part.startswith("/static/") and part.endswith(".css"))
        yield Ask("GET", "/static/<name>", 200, NONE, style)

    def _form(
        self, path: str, browser: Browser, page: Answer, decision: str, *, needs: str = WRITES, **fields: str
    ) -> Iterator[Ask]:
        form = form_of(page, decision)
        if form.action != path:
            raise AssertionError(f"{form.action} is not the page that was meant: {path}")
        cookie = {"headers": [browser.cookie]}
        yield Ask("GET", path, 200, READS, path, {"query": {"interaction": form.fields["interaction"]}, **cookie})
        yield Ask("POST", path, 303, needs, path, {"form": form.fields | {"decision": decision} | fields, **cookie})

    def _api(self, method: str, route: str, status: int, needs: str, body: Any = None, **names: str) -> Ask:
        path = route
        for name, value in names.items():
            path = path.replace(f"<{name}>", value)
        more = {"bearer": self.visitor.token, "json_body": body}
        return Ask(method, f"/api/v1{route}", status, needs, f"/api/v1{path}", more)

    def _admin(self) -> Iterator[Ask]:
        api, number = self._api, self.number
        client = self.visitor.client("Changed").client_id
        scope = str(self.visitor.api("POST", "/oauth/scopes", {"name": f"scope{number}"}, 201)["scope_id"])
        user = self.visitor.user(f"bob{number}")
        yield Ask("GET", "/api/v1/openapi.json", 200, NONE, "/api/v1/openapi.json")
        new = {"name": "New", "redirect_uris": []}
        yield api("GET", "/oauth/clients", 200, READS)
        yield api("POST", "/oauth/clients", 201, WRITES, new)
        yield api("GET", "/oauth/clients/<client_id>", 200, READS, client_id=client)
        yield api("PUT", "/oauth/clients/<client_id>", 200, WRITES, {"name": "Renamed"}, client_id=client)
        yield api("POST", "/oauth/clients/<client_id>/secret", 200, WRITES, client_id=client)
        yield api("GET", "/oauth/initial-access-tokens", 200, READS)
        yield api("POST", "/oauth/initial-access-tokens", 201, WRITES, {"uses": 2})
        token = self.visitor.api("POST", "/oauth/initial-access-tokens", {}, 201)["token_id"]
        yield api("DELETE", "/oauth/initial-access-tokens/<token_id>", 204, REMOVES, token_id=token)
        yield api("GET", "/oauth/scopes", 200, READS)
        visits, browser = self.visitor.user(f"frank{number}"), Browser(self.http)
        expect(browser.finish(browser.open("/login"), f"frank{number}", PASSWORD))
        yield api("GET", "/users/<user_id>/sessions", 200, READS, user_id=visits)
        (session,) = self.visitor.api("GET", f"/users/{visits}/sessions")["sessions"]
        yield api("DELETE", "/sessions/<session_id>", 204, REMOVES, session_id=session["session_id"])
        yield api("POST", "/oauth/scopes", 201, WRITES, {"name": f"made{number}"})
        yield api("GET", "/oauth/scopes/<scope_id>", 200, READS, scope_id=scope)
        yield api("PUT", "/oauth/scopes/<scope_id>", 200, WRITES, {"description": "May"}, scope_id=scope)
        yield api("GET", "/oauth/tokens", 200, READS)
        yield api("POST", "/oauth/tokens/revoke", 200, REMOVES, {"token": self._machine()})
        yield api("GET", "/users", 200, READS)
        yield api("POST", "/users", 201, WRITES, {"username": f"carol{number}", "password": PASSWORD})
        yield api("GET", "/users/<user_id>", 200, READS, user_id=user)
        yield api("PUT", "/users/<user_id>", 200, WRITES, {"email": "bob@example.net"}, user_id=user)
        yield api("PUT", "/users/<user_id>/password", 204, WRITES, {"password": "another one of bob"}, user_id=user)
        yield api("PUT", "/users/<user_id>/user-code", 204, WRITES, {"user_code": "246802"}, user_id=user)
        yield api("POST", "/users/<user_id>/reactivate", 200, WRITES, user_id=user)
        yield api("GET", "/messages", 200, READS)
        yield api("DELETE", "/messages/<message_id>", 404, READS, message_id="x" * 22)
        yield api("POST", "/messages/<message_id>/send", 404, READS, message_id="x" * 22)
        yield api("GET", "/keys", 200, READS)
        yield api("POST", "/keys/rotate", 200, WRITES, {"announce": 86400})
        yield api("POST", "/keys/reseal", 200, READS)
        keys = self.visitor.api("GET", "/keys")["keys"]
        kid = next(key["kid"] for key in keys if (key["algorithm"], key["stage"]) == ("ES256", "signing"))
        yield api("DELETE", "/keys/<kid>", 200, WRITES, kid=kid)

    def _profile(self) -> Iterator[Ask]:
        bearer, path = {"bearer": self._tokens("account")["access_token"]}, "/api/v1/users/profile"
        passwords = {"current_password": PASSWORD, "password": "another one of alice"}
        yield Ask("GET", path, 200, READS, path, bearer)
        yield Ask("PUT", path, 200, WRITES, path, {"json_body": {"name": "Alice"}, **bearer})
        codes = {"current_password": PASSWORD, "user_code": "246802"}
        yield Ask("PUT", f"{path}/user-code", 204, WRITES, f"{path}/user-code", {"json_body": codes, **bearer})
        yield Ask("PUT", f"{path}/password", 204, WRITES, f"{path}/password", {"json_body": passwords, **bearer})

    def _deletions(self) -> Iterator[Ask]:
        api = self._api
        other = self.visitor.client("Other")
        self.visitor.tokens(other, grant_type="client_credentials")
        (machine,) = self.visitor.api("GET", f"/oauth/tokens?client_id={other.client_id}")["tokens"]
        client = self.visitor.client("Deleted").client_id
        scope = str(self.visitor.api("POST", "/oauth/scopes", {"name": f"gone{self.number}"}, 201)["scope_id"])
        user = self.visitor.user(f"dave{self.number}")
        all_of = api("DELETE", "/oauth/tokens", 204, WRITES)
        yield Ask("DELETE", all_of.route, 204, WRITES, all_of.target, {**all_of.more, "query": {"user_id": user}})
        yield api("DELETE", "/oauth/tokens/<token_id>", 204, REMOVES, token_id=machine["token_id"])
        yield api("DELETE", "/oauth/clients/<client_id>", 204, WRITES, client_id=client)
        yield api("DELETE", "/oauth/scopes/<scope_id>", 204, WRITES, scope_id=scope)
        yield api("DELETE", "/users/<user_id>", 204, WRITES, user_id=user)
