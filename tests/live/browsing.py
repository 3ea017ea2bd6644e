"""People at a browser: a real daemon, a real Chromium, and the site of an application that sends them there.

    class SomeTests(BrowsingCase):
        def test_it(self) -> None:
            app, ada = self.app(), self.user()
            for way in WAYS:
                with self.person(way) as person:
                    person.open(self.asking(app))
                    person.sign_in(ada)
                    person.press("allow")
                    self.assertIn("code", self.site.called())

One daemon serves all tests of a process, started by the first that wants it; a test has users and clients of its own,
and a browser of its own. After each test what the daemon printed meanwhile is looked through for traces. Of every
person two things are asked at the end, whatever they went through: that the console has nothing to complain about, and
that every answer they got carried the header fields of a page or of a redirect.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import re
import shutil
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import define, field, frozen
from playwright.sync_api import Response
from twisted.trial.unittest import SynchronousTestCase

from oauthd.pages.rendering import page_headers
from oauthd.protocol.pkce import challenge_of
from tests.browser import Chromium, Tab, chromium
from tests.certificates import self_signed
from tests.live.daemon import Daemon, LiveCase
from tests.live.test_pages_look import Answering, LoopbackServer
from tests.live.visitor import DEVICE_GRANT, PASSWORD, App, Visitor, expect

VERIFIER = "the-verifier-of-a-public-client-that-is-long-enough"
SESSION, BROWSER, KNOWN = (f"__Host-oauthd_{name}" for name in ("session", "browser", "known"))
STATE = "af0ifjsldkj&ü"

# Wrong passwords and codes are many here, and all from one address.
PATIENT = {
    "OAUTHD_USERS_LOCK_FREE_FAILURES": "100",
    "OAUTHD_USERS_LOCK_AFTER": "1000",
    "OAUTHD_DEVICE_SOURCE_TRIES": "100000",
    "OAUTHD_DEVICE_TOTAL_TRIES": "100000",
}

# What Chromium says of every page that is no success.
STATUS = re.compile(r"error: Failed to load resource: the server responded with a status of 4[0-9]{2} \(.*\)")

FOCUSED = """() => {
    const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
    return {id: e === document.body ? null : e.id,
            outlined: style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2,
            inside: box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth};
}"""


@frozen
class Way:
    """How somebody uses the browser.

    :ivar keyboard: by Tab and Enter alone, without a pointer.
    """

    name: str
    keyboard: bool = False
    script: bool = True


MOUSE = Way("with a pointer")
NO_SCRIPT = Way("without script", script=False)
KEYBOARD = Way("by keyboard", keyboard=True)
WAYS = (MOUSE, NO_SCRIPT, KEYBOARD)


@define
class Person:
    """Somebody at a tab of the browser, with cookies of their own."""

    tab: Tab
    issuer: str
    way: Way = MOUSE
    answers: list[Response] = field(factory=list)

    def open(self, address: str) -> None:
        """Go to an address, which may be one of the server's paths, and wait for what it leads to."""
        self.tab.page.goto(f"{self.issuer}{address}" if address.startswith("/") else address, wait_until="load")
        self._settle()

    def type(self, control: str, text: str) -> None:
        """Fill a field."""
        if self.way.keyboard:
            self._reach(control)
            self.tab.page.keyboard.press("Control+a")
            self.tab.page.keyboard.type(text)
        else:
            self.tab.page.locator(f"#{control}").fill(text)

    def press(self, control: str) -> None:
        """Press a button or follow a link, and wait for the page that it leads to."""
        if self.way.keyboard:
            self._reach(control)
        with self.tab.page.expect_navigation(wait_until="load"):
            if self.way.keyboard:
                self.tab.page.keyboard.press("Enter")
            else:
                self.tab.page.locator(f"#{control}").click()
        self._settle()

    def press_twice(self, control: str, gap: float, server: Daemon | None = None) -> None:
        """Press a button, and again so many seconds later, before the first press has led anywhere.

        :param server: stands still until the second press was made; None where its answer takes long by itself.
        """
        page, box = self.tab.page, self.tab.page.locator(f"#{control}").bounding_box()
        assert box is not None
        page.evaluate("document.documentElement.dataset.pressed = 'twice'")
        if self.way.keyboard:
            self._reach(control)
        with server.standing_still() if server else nullcontext():
            for pause in (gap * 1000, gap * 1000 if server else 0):
                if self.way.keyboard:
                    page.keyboard.press("Enter")
                else:
                    page.mouse.click(box["x"] + 5, box["y"] + 5)
                page.wait_for_timeout(pause)
        page.locator("html:not([data-pressed])").wait_for()  # the first navigation is broken off, the second counts
        page.wait_for_load_state()
        self._settle()

    def sign_in(self, username: str, password: str = PASSWORD) -> None:
        """Fill in the sign-in page and send it."""
        self.type("login", username)
        self.type("password", password)
        self.press("submit")

    def back(self) -> None:
        """Use the browser's back button."""
        self.tab.page.go_back(wait_until="load")
        self._settle()

    @property
    def path(self) -> str:
        """Where the tab is, if it is at the server, else the whole address without its query."""
        parts = urlsplit(self.tab.page.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        return parts.path if origin == self.issuer else f"{origin}{parts.path}"

    @property
    def text(self) -> str:
        """What is to be read."""
        return self.tab.page.locator("body").inner_text()

    @property
    def heading(self) -> str:
        """The heading of the page."""
        return self.tab.page.locator("h1").inner_text()

    @property
    def problem(self) -> str:
        """What the page announces as wrong."""
        return self.tab.page.get_by_role("alert").inner_text()

    @property
    def cookies(self) -> dict[str, Any]:
        """The server's cookies, by name."""
        return {cookie["name"]: cookie for cookie in self.tab.page.context.cookies(self.issuer)}

    def pages(self) -> list[str]:
        """The paths of the server's pages that were shown since this was last asked."""
        shown = [answer for answer in self.answers if answer.headers.get("content-type", "").startswith("text/html")]
        self.answers.clear()
        return [urlsplit(answer.url).path for answer in shown if answer.url.startswith(self.issuer)]

    def faults(self) -> list[str]:
        """What the console complains about, and answers without the header fields that they must have."""
        wrong = [complaint for complaint in self.tab.complaints if not STATUS.fullmatch(complaint)]
        return wrong + [fault for answer in self.answers for fault in _faults_of(answer, self.issuer)]

    def _settle(self) -> None:
        if self.tab.page.locator("[autofocus]").count():
            self.tab.page.locator("[autofocus]:focus").wait_for()

    def _reach(self, control: str) -> None:
        """Press Tab until the control has the keyboard; wherever it stops on the way must be seen."""
        for _ in range(12):
            found = self.tab.page.evaluate(FOCUSED)
            if found["id"] is not None and not (found["outlined"] and found["inside"]):
                raise AssertionError(f"it is not seen that the keyboard is at #{found['id']}")
            if found["id"] == control:
                return
            self.tab.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach #{control} on {self.tab.page.url}")


def _faults_of(answer: Response, issuer: str) -> Iterator[str]:
    """What is missing from the header of an answer of the server."""
    if not answer.url.startswith(issuer) or "/static/" in answer.url:
        return
    redirects = 300 <= answer.status < 400
    wanted = dict(page_headers()) if not redirects else {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    policy = wanted.pop("Content-Security-Policy", "")
    for part in policy.split("; "):
        if part not in answer.headers.get("content-security-policy", ""):
            yield f"{part} is not in the policy of {answer.url}"
    for name, value in wanted.items():
        if answer.headers.get(name.lower()) != value:
            yield f"{name} of {answer.url} is {answer.headers.get(name.lower())}"


@frozen
class Call:
    """One request that the application's site got."""

    path: str
    parameters: dict[str, str]
    headers: dict[str, str]


class ApplicationSite:
    """The site of an application: its callback, and whatever pages a test puts there.

    :ivar calls: the requests that it got.
    :ivar pages: HTML by path.
    :ivar pause: seconds that its callback thinks before it answers.
    :ivar onward: where its callback sends the browser, "" for nowhere.
    """

    def __init__(self, address: str = "127.0.0.1", tls: Path | None = None) -> None:
        self.calls: list[Call] = []
        self.pause, self.onward = 0.0, ""
        self.pages: dict[str, str] = {}
        site = self

        class Visit(Answering):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                fields = {name.lower(): value for name, value in self.headers.items()}
                if path == "/callback":
                    time.sleep(site.pause)
                if self.command == "POST":
                    query = self.rfile.read(int(fields["content-length"])).decode()
                site.calls.append(Call(path, dict(parse_qsl(query, strict_parsing=bool(query))), fields))
                if path == "/callback" and site.onward:
                    self.answer(302, [("Location", site.onward)])
                    return
                title = '<!doctype html><html lang="en"><title>Application</title><link rel="icon" href="data:,">'
                body = title + site.pages.get(path, "<h1>The application</h1>")
                self.answer(200, [("Content-Type", "text/html; charset=utf-8")], body.encode())

            do_POST = do_GET  # noqa: N815 - a name of http.server

        self._server = LoopbackServer(Visit, address)
        self.origin = self._server.origin
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.origin = self.origin.replace("http:", "https:")
        self.close = self._server.close

    @property
    def callback(self) -> str:
        """Its redirect URI."""
        return f"{self.origin}/callback"

    def called(self) -> dict[str, str]:
        """The parameters of the one call that its callback got since this was last asked."""
        calls = [call for call in self.calls if call.path == "/callback"]
        self.calls.clear()
        if len(calls) != 1:
            raise AssertionError(f"the callback was called {len(calls)} times")
        if told := {"referer", "cookie"} & calls[0].headers.keys():
            raise AssertionError(f"the callback was told {told}")
        return calls[0].parameters


@functools.cache
def shared() -> tuple[Daemon, Visitor]:
    """The daemon of all tests, and its administrator."""
    folder = Path(tempfile.mkdtemp(prefix="oauthd-live-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    daemon = Daemon(folder / "browsing", environ=PATIENT)
    atexit.register(daemon.kill)
    daemon.start()
    return daemon, Visitor.of(daemon.http, daemon.credentials)


_numbers = itertools.count(1)


class BrowsingCase(SynchronousTestCase):
    """Tests with people at a browser."""

    def setUp(self) -> None:
        """Start the browser and the application's site."""
        self.server, self.visitor = self.served()
        self.issuer = self.server.issuer
        before = len(self.server.output)
        self.addCleanup(lambda: self.assertNotIn("Traceback", self.server.output[before:]))
        self.browser = self.browser_of_its_own()
        self.site = self.site_at("127.0.0.1")

    def served(self) -> tuple[Daemon, Visitor]:
        """The daemon of the tests, and its administrator."""
        return shared()

    def browser_of_its_own(self) -> Chromium:
        """A browser that ends with the test."""
        with ExitStack() as stack:
            browser = stack.enter_context(chromium())
            self.addCleanup(stack.pop_all().close)
        return browser

    def site_at(self, address: str, tls: Path | None = None) -> ApplicationSite:
        """A site that ends with the test."""
        site = ApplicationSite(address, tls)
        self.addCleanup(site.close)
        return site

    @contextmanager
    def person(self, way: Way = MOUSE, **how: Any) -> Iterator[Person]:
        """Somebody at a browser without cookies."""
        with self.browser.tab(script=way.script, **how) as tab:
            person = Person(tab, self.issuer, way)
            answers: list[Response] = []

            def answered(answer: Response) -> None:
                answers.append(answer)
                person.answers.append(answer)

            tab.page.on("response", answered)
            try:
                yield person
            except BaseException as error:
                error.add_note(f"{way.name}, at {tab.page.url}, complaints: {tab.complaints}")
                raise
            person.answers[:] = answers
            self.assertEqual(person.faults(), [], way.name)

    def user(self, **members: Any) -> str:
        """The name of a new user, whose password is `PASSWORD`."""
        username = f"person{next(_numbers)}"
        self.visitor.user(username, **members)
        return username

    def app(self, name: str = "Photo Printer", **members: Any) -> App:
        """A new client, confidential unless told otherwise, that takes the answer at the application's site."""
        grants = ["authorization_code", "refresh_token", DEVICE_GRANT]
        return self.visitor.client(name, **{"redirect_uris": [self.site.callback], "grant_types": grants} | members)

    def asking(self, app: App, redirect_uri: str = "", **parameters: str) -> str:
        """The address that an application sends a browser to."""
        asked = {
            "response_type": "code",
            "client_id": app.client_id,
            "redirect_uri": redirect_uri or self.site.callback,
            "state": STATE,
            "scope": "openid",
        }
        if not app.secret:
            asked |= {"code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
        return f"/oauth2/authorize?{urlencode(asked | parameters)}"

    def tokens(self, app: App, code: str, redirect_uri: str = "") -> dict[str, Any]:
        """What the application gets for a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri or self.site.callback}
        if app.secret:
            return self.visitor.tokens(app, **form)
        form |= {"client_id": app.client_id, "code_verifier": VERIFIER}
        found: dict[str, Any] = expect(self.visitor.http.post("/oauth2/token", form)).json()
        return found

    def userinfo(self, access_token: str) -> dict[str, Any]:
        """Who the person is that the token speaks for."""
        found: dict[str, Any] = expect(self.visitor.http.get("/oauth2/userinfo", bearer=access_token)).json()
        return found

    def username_of(self, app: App, told: dict[str, str]) -> str:
        """Who signed in, as the application learns in exchange for the code it was told."""
        self.assertEqual((told["state"], told["iss"]), (STATE, self.issuer))
        self.assertEqual(told.keys(), {"code", "state", "iss"})
        username: str = self.userinfo(self.tokens(app, told["code"])["access_token"])["username"]
        return username

    def assert_refused(self, told: dict[str, str], error: str = "access_denied") -> None:
        """The application was told of a refusal."""
        self.assertEqual((told["error"], told["state"], told["iss"]), (error, STATE, self.issuer))
        self.assertNotIn("code", told)

    def plant(self, person: Person, session: str) -> None:
        """Give somebody a session cookie."""
        person.tab.page.context.add_cookies(
            [{"name": SESSION, "value": session, "url": "https://localhost", "secure": True, "httpOnly": True}]
        )


class OwnDaemonCase(LiveCase, BrowsingCase):
    """Tests with a daemon of their own."""

    settings: dict[str, str] = {}

    def setUp(self) -> None:
        """Start it."""
        LiveCase.setUp(self)
        BrowsingCase.setUp(self)

    def served(self) -> tuple[Daemon, Visitor]:
        """A daemon with the settings of the class."""
        own = self.daemon(**self.settings)
        return own, Visitor.of(own.http, own.credentials)


def pem(folder: Path) -> Path:
    """A file with a key and a certificate for localhost."""
    made, place = self_signed(), folder / "localhost.pem"
    place.write_bytes(made.privateKey.dump(1) + made.dumpPEM())
    return place
