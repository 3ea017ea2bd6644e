"""What the browser itself guards, in a real Chromium: cookies, policies, frames, and forms of other sites."""

from __future__ import annotations

import re
import ssl
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.live.browsing import BROWSER, KNOWN, NO_SCRIPT, SESSION, WAYS, BrowsingCase, OwnDaemonCase, Person, pem
from tests.live.daemon import Daemon
from tests.live.visitor import DEVICE_GRANT, PASSWORD, Browser, Http, Visitor, form_of
from tests.ports import free_port


class CookieTests(BrowsingCase):
    """The server's cookies as the browser keeps them."""

    def test_attributes(self) -> None:
        """Each is out of reach of scripts, of other hosts, of plain connections and of other sites' forms."""
        with self.person() as person:
            person.open(self.asking(self.app()))
            self.assertEqual(self.kinds(person), {BROWSER, f"{BROWSER}_"})
            person.sign_in(self.user())
            self.assertEqual(self.kinds(person), {BROWSER, f"{BROWSER}_", SESSION, KNOWN})
            for cookie in person.cookies.values():
                found = [cookie[name] for name in ("httpOnly", "secure", "sameSite", "path", "domain")]
                self.assertEqual(found, [True, True, "Lax", "/", "localhost"])
            self.assertEqual((person.cookies[SESSION]["expires"], person.cookies[BROWSER]["expires"]), (-1, -1))
            self.assertEqual(person.tab.page.evaluate("document.cookie"), "")

    def kinds(self, person: Person) -> set[str]:
        """The names of the cookies, without what makes that of a flow its own."""
        return {re.sub("_[0-9a-f]{12}$", "_", name) for name in person.cookies}

    def test_session_changes_at_each_sign_in(self) -> None:
        """A session id that somebody planted or copied before the sign-in is worth nothing after it."""
        username = self.user()
        seen = ["x" * 43]
        with self.person() as person, self.person() as thief:
            self.plant(person, seen[0])
            for _ in range(2):
                person.open("/login")
                person.sign_in(username)
                self.assertNotIn(person.cookies[SESSION]["value"], seen)
                for value in seen:
                    self.plant(thief, value)
                    thief.open("/")
                    self.assertIn("You are not signed in.", thief.text)
                seen.append(person.cookies[SESSION]["value"])
            self.plant(thief, seen[-1])
            thief.open("/")
            self.assertIn(f"You are signed in as {username}.", thief.text)


class TlsTests(OwnDaemonCase):
    """A server with TLS of its own."""

    def served(self) -> tuple[Daemon, Visitor]:
        """One that listens with a certificate for localhost."""
        key, port = pem(self.folder), free_port()
        daemon = self.prepared(listen=f"ssl:{port}:interface=127.0.0.1:privateKey={key}")
        daemon.http = Http("localhost", port, tls=ssl.create_default_context(cafile=key))
        daemon.start()
        return daemon, Visitor.of(daemon.http, daemon.credentials)

    def setUp(self) -> None:
        """Its issuer."""
        super().setUp()
        self.issuer = f"https://localhost:{self.server.http.port}"

    def test_whole_login(self) -> None:
        """Sign-in, consent and callback work, with cookies that know no other connection."""
        app, username = self.app(), self.user()
        with self.person(accept_any_certificate=True) as person:
            person.open(self.asking(app))
            person.sign_in(username)
            self.assertLess({BROWSER, SESSION, KNOWN}, person.cookies.keys())
            self.assertEqual({cookie["secure"] for cookie in person.cookies.values()}, {True})
            person.press("allow")
            self.assertEqual(self.username_of(app, self.site.called()), username)


class DestinationTests(BrowsingCase):
    """The policy lets the redirect after a form through to wherever a client may be, at once and after consent."""

    def arrives(self, redirect_uri: str, **how: Any) -> None:
        """After consent, after the sign-in alone, and after a refusal, the browser gets there."""
        asking = self.app(redirect_uris=[redirect_uri])
        trusted = self.app(redirect_uris=[redirect_uri], first_party=True)
        for app, presses in ((asking, ("submit", "allow")), (trusted, ("submit",)), (asking, ("deny",))):
            username = self.user()
            with self.person(NO_SCRIPT, **how) as person:
                person.open(self.asking(app, redirect_uri))
                for control in presses:
                    if control == "submit":
                        person.type("login", username)
                        person.type("password", PASSWORD)
                    person.press(control)
                self.assertEqual(person.path, redirect_uri)

    def test_loopback(self) -> None:
        """The browser reaches an application on this device, at its port of the day."""
        self.arrives(self.site.callback)

    def test_ipv6_loopback(self) -> None:
        """The browser reaches an application on this device by IPv6."""
        self.arrives(self.site_at("::1").callback)

    def test_https(self) -> None:
        """The browser reaches a website."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.arrives(self.site_at("127.0.0.1", pem(folder)).callback, accept_any_certificate=True)

    def test_callback_that_leads_on(self) -> None:
        """A callback that sends the browser on to another origin."""
        other = self.site_at("127.0.0.1")
        app, username = self.app(), self.user()
        self.site.onward = f"{other.origin}/inside"
        for way in WAYS:
            with self.person(way) as person:
                person.open(self.asking(app, prompt="consent"))
                person.sign_in(username)
                person.press("allow")
                self.assertEqual(person.path, self.site.onward)

    def test_private_scheme(self) -> None:
        """An application with a scheme of its own: the browser tries to open it, and nothing holds it back."""
        uri = "com.example.app:/cb"
        app, username = self.app(client_type="public", redirect_uris=[uri]), self.user()
        with self.person(NO_SCRIPT) as person:
            person.open(self.asking(app, uri))
            person.sign_in(username)
            self.assertIn("the application on this device that answers to\ncom.example.app", person.text)
            with person.tab.page.expect_event("requestfailed") as failed:
                person.tab.page.locator("#allow").click(no_wait_after=True)
            self.assertEqual(failed.value.failure, "net::ERR_ABORTED")  # there is no such application here
            told = dict(pair.split("=") for pair in failed.value.url.removeprefix(f"{uri}?").split("&"))
            self.assertIn("access_token", self.tokens(app, told["code"], uri))


class FrameTests(BrowsingCase):
    """Pages in the frames of others."""

    def test_no_page_in_a_frame(self) -> None:
        """Neither another site nor another port of this host shows a page in a frame."""
        with self.person() as person:
            person.open("/login")
            person.sign_in(self.user())
            for path in ("/", "/login", "/logout", "/device", self.asking(self.app()), "/oauth2/authorize"):
                self.site.pages["/frame"] = f'<iframe title="x" src="{escape(person.issuer + path)}"></iframe>'
                for origin in (self.site.origin, self.site.origin.replace("127.0.0.1", "localhost")):
                    person.open(f"{origin}/frame")
                    (frame,) = person.tab.page.main_frame.child_frames
                    self.assertEqual(frame.url, "chrome-error://chromewebdata/", path)
            person.tab.complaints.clear()  # that frames were refused


class ForgeryTests(BrowsingCase):
    """Forms that other sites post in the name of their visitors: from another site, and from another port of this one.

    The attacker has a browser of his own, so flows and form tokens of his own, and may even have learned the id of the
    visitor's flow.
    """

    def setUp(self) -> None:
        """The attacker's browser."""
        super().setUp()
        self.attacker = self.user()
        self.hostile = Browser(self.visitor.http)
        self.origins = (self.site.origin, self.site.origin.replace("127.0.0.1", "localhost"))

    def forged(self, person: Person, path: str, fields: dict[str, str]) -> None:
        """Let the visitor come by pages that post this form at once."""
        inputs = "".join(f'<input name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items())
        form = f'<form method="post" action="{person.issuer}{path}">{inputs}<button id="go">Win</button></form>'
        self.site.pages["/win"] = form
        for origin in self.origins:
            person.open(f"{origin}/win")
            person.press("go")

    def assert_nothing_happened(self, person: Person, path: str, fields: dict[str, str]) -> None:
        """With the attacker's flow and token, and with those of the visitor's flow that he may know, it is refused."""
        before = {name: cookie["value"] for name, cookie in person.cookies.items()}
        self.forged(person, path, fields)
        self.assertEqual((person.path, person.heading), (path, "Error"))
        self.assertEqual({name: cookie["value"] for name, cookie in person.cookies.items()}, before)
        self.assertEqual([call.path for call in self.site.calls if call.path == "/callback"], [])

    def own_form(self, path: str) -> dict[str, str]:
        """The hidden fields of a page in the attacker's browser."""
        return form_of(self.hostile.open(path)).fields

    def flow_of(self, person: Person) -> str:
        """The id of the flow that the visitor's tab shows."""
        return person.tab.page.url.partition("interaction=")[2]

    def test_login(self) -> None:
        """Nobody is signed in as the attacker, whether signed out before or signed in."""
        app, username = self.app(), self.user()
        own = self.own_form("/login") | {"login": self.attacker, "password": PASSWORD, "decision": "login"}
        with self.person() as person:
            for signed_in in (False, True):
                person.open(self.asking(app, prompt="login"))
                flow = self.flow_of(person)
                for fields in (own, own | {"interaction": flow}, {"login": self.attacker, "password": PASSWORD}):
                    self.assert_nothing_happened(person, "/login", fields)
                person.open("/")
                self.assertIn(f"signed in as {username}." if signed_in else "You are not signed in.", person.text)
                if not signed_in:
                    person.open("/login")
                    person.sign_in(username)

    def test_consent(self) -> None:
        """Nobody agrees to anything, and nothing is remembered."""
        app, username = self.app(), self.user()
        page = self.hostile.press(self.hostile.open(self.asking(app)), "login", login=self.attacker, password=PASSWORD)
        own = form_of(page, "allow").fields | {"decision": "allow"}
        with self.person() as person:
            person.open(self.asking(app))
            person.sign_in(username)
            flow = self.flow_of(person)
            for fields in (own, own | {"interaction": flow}, {"interaction": flow, "decision": "allow"}):
                self.assert_nothing_happened(person, "/consent", fields)
            person.open(self.asking(app))
            self.assertEqual(person.path, "/consent")

    def test_device(self) -> None:
        """Nobody connects the attacker's device."""
        tv = self.app("Living Room TV", client_type="public", redirect_uris=[])
        begun = self.visitor.http.post("/oauth2/device_authorize", {"client_id": tv.client_id}).json()
        link = urlsplit(begun["verification_uri_complete"])
        page = self.hostile.open(f"{link.path}?{link.query}")
        page = self.hostile.press(page, "login", login=self.attacker, password=PASSWORD)
        own = form_of(page, "allow").fields | {"decision": "allow"}
        with self.person() as person:
            person.open(begun["verification_uri_complete"])
            person.sign_in(self.user())
            flow = self.flow_of(person)
            for fields in (own, own | {"interaction": flow}, {"interaction": flow, "user_code": begun["user_code"]}):
                self.assert_nothing_happened(person, "/device", fields)
        form = {"grant_type": DEVICE_GRANT, "client_id": tv.client_id, "device_code": begun["device_code"]}
        self.assertEqual(self.visitor.http.post("/oauth2/token", form).error, "authorization_pending")

    def test_logout(self) -> None:
        """Nobody is signed out: not by our page's form, not by a client's request, not by a picture."""
        username = self.user()
        with self.person() as person:
            person.open("/login")
            person.sign_in(username)
            person.open("/logout")
            flow = self.flow_of(person)
            self.hostile.finish(self.hostile.open("/login"), self.attacker, PASSWORD)
            own = self.own_form("/logout") | {"decision": "yes"}
            for fields in (own, own | {"interaction": flow}, {"decision": "yes"}):
                self.assert_nothing_happened(person, "/logout", fields)
            self.forged(person, "/oauth2/logout", {"state": "x"})
            self.assertEqual((person.path, person.heading), ("/logout", "Sign out?"))
            pictures = "".join(
                f'<img alt="" src="{person.issuer}{path}">'
                for path in ("/oauth2/logout", "/logout", "/oauth2/logout?state=x")
            )
            self.site.pages["/pictures"] = pictures
            for origin in self.origins:
                person.open(f"{origin}/pictures")
            person.open("/")
            self.assertIn(f"You are signed in as {username}.", person.text)
            person.tab.complaints.clear()  # that these are no pictures

    def test_authorization_request(self) -> None:
        """A client may post its request from its own site; what is asked of the person is asked by us."""
        app, username = self.app(), self.user()
        with self.person() as person:
            person.open("/login")
            person.sign_in(username)
            asked = {"response_type": "code", "client_id": app.client_id, "redirect_uri": self.site.callback}
            self.forged(person, "/oauth2/authorize", asked)
            self.assertEqual(person.path, "/consent")
            self.assertIn(username, person.text)
