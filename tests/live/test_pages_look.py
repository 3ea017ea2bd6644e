"""The pages in a real Chromium: room at every width, both colour schemes, keyboard, no script, accessibility, policy.

Pages are served over HTTP on loopback with the headers they are served with in earnest. Screenshots of every page stay
in the folder ``screenshots`` of the test run, for somebody to look at.
"""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import Any
from unittest import SkipTest
from urllib.parse import parse_qs

import attrs
from twisted.trial.unittest import SynchronousTestCase

from oauthd.pages.rendering import Pages, page_headers
from tests.browser import Tab, chromium
from tests.pages.samples import HIDDEN, SAMPLES

PAGES = Pages()
SIZES = ((320, 640), (768, 1024), (1440, 900))

# What Tab meets, in order, after the address bar.
KEYBOARD = {
    "login": ["login", "password", "submit", "deny"],
    "error_at_logout": ["leave"],
    "login_links": ["login", "password", "submit", "deny", "policy", "terms"],
    "login_described": ["login", "password", "submit", "deny"],
    "login_described_long": ["login", "password", "submit", "deny", "policy", "terms"],
    "login_without_client": ["login", "password", "submit"],
    "login_error": ["login", "password", "submit", "deny"],
    "consent": ["switch", "allow", "deny"],
    "consent_described": ["switch", "allow", "deny"],
    "consent_links": ["switch", "policy", "terms", "allow", "deny"],
    "consent_long": ["switch", "allow", "deny"],
    "consent_details": ["switch", "allow", "deny"],
    "consent_without_scopes": ["switch", "allow", "deny"],
    "device_code": ["user_code", "submit"],
    "device_code_error": ["user_code", "submit"],
    "device_confirm": ["switch", "allow", "deny"],
    "device_confirm_long": ["switch", "allow", "deny"],
    "ciba_list": ["switch", "request-1", "request-2", "request-3"],
    "ciba_list_empty": ["switch"],
    "ciba_confirm": ["switch", "allow", "deny"],
    "ciba_confirm_long": ["switch", "policy", "terms", "allow", "deny"],
    "ciba_approved": ["others"],
    "ciba_denied": ["others"],
    "logout": ["yes", "no"],
    "logout_unasked": ["yes", "no"],
    "signed_out_here": ["continue"],
    "signing_out": ["continue"],
    "signing_out_home": ["continue"],
    "form_post": ["continue"],
    "home": ["sign-in", "metadata"],
    "home_signed_in": ["sign-out", "metadata"],
}
IN_A_SENTENCE = {"leave", "metadata", "policy", "terms"}  # links whose size is that of the words around them


class LoopbackServer(ThreadingHTTPServer):
    """An HTTP server on a free port of a loopback address, in a thread."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler], address: str = "127.0.0.1") -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), handler)
        host = f"[{address}]" if ":" in address else address
        self.origin = f"http://{host}:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what went wrong, unless the browser just went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop serving."""
        self.shutdown()
        self.thread.join()
        self.server_close()


class Answering(BaseHTTPRequestHandler):
    """What both servers here share: answers of one line, and no log."""

    def answer(self, status: int, headers: Any = (), body: bytes = b"") -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@attrs.define
class Scene:
    """What the page server shows, and what it was sent."""

    form_targets: list[str] = attrs.field(factory=list)
    after_post: str = "/done"
    hop: str = ""
    changes: dict[str, Any] = attrs.field(factory=dict)
    posted: list[tuple[str, dict[str, list[str]]]] = attrs.field(factory=list)
    origins: list[str | None] = attrs.field(factory=list)


def page_server(scene: Scene) -> LoopbackServer:
    """Serve each sample at its name, the static files, and forms as the flow does: with 303."""

    class PageRequest(Answering):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if found := PAGES.static(path.removeprefix("/static/")):
                self.answer(200, [("Content-Type", found[0]), ("X-Content-Type-Options", "nosniff")], found[1])
            elif path == "/hop":
                self.answer(303, [("Location", scene.hop)])
            elif path == "/nowhere":
                self.answer(204)
            elif path == "/done":
                self.answer(200, page_headers(), PAGES.render("signed_out"))
            elif path[1:] in SAMPLES:
                template, context = SAMPLES[path[1:]]
                # Frames are not seen, and lead to where nobody is; nor shall the page go on while it is looked at.
                still = {"frames": [], "seconds": 3600} if "frames" in context else {}
                body = PAGES.render(template, **{**context, **still, **scene.changes})
                self.answer(200, page_headers(scene.form_targets, str(context.get("script", ""))), body)
            else:
                self.answer(404)

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True)
            scene.posted.append((self.path, form))
            scene.origins.append(self.headers["Origin"])
            self.answer(303, [("Location", scene.after_post)])

    return LoopbackServer(PageRequest)


@attrs.define
class ClientScene:
    """Where the client's callback leads, and which callbacks were called."""

    onward: str | None = None
    called: list[str] = attrs.field(factory=list)


def client_server(scene: ClientScene, address: str = "127.0.0.1") -> LoopbackServer:
    """Serve a client's callback."""

    class ClientRequest(Answering):
        def do_GET(self) -> None:
            if self.path.startswith("/callback"):
                scene.called.append(self.path)
                if scene.onward:
                    self.answer(302, [("Location", scene.onward)])
                    return
            self.answer(200, [("Content-Type", "text/html")], b"<title>Client</title>")

    return LoopbackServer(ClientRequest, address)


class BrowserTestCase(SynchronousTestCase):
    """Tests that open the samples in a browser of their own."""

    def setUp(self) -> None:
        """Start the browser and the server of pages."""
        with ExitStack() as stack:
            self.browser = stack.enter_context(chromium())
            self.addCleanup(stack.pop_all().close)
        self.scene = Scene()
        self.server = page_server(self.scene)
        self.addCleanup(self.server.close)

    @contextmanager
    def shown(self, sample: str, width: int = 1440, height: int = 900, **how: Any) -> Iterator[Tab]:
        """Open a sample in a tab of its own."""
        with self.browser.tab(width, height, **how) as tab:
            tab.open(f"{self.server.origin}/{sample}")
            yield tab


class LookTests(BrowserTestCase):
    """Every page fits and reads well wherever it is opened."""

    def test_widths_and_schemes(self) -> None:
        """At 320, 768 and 1440 px, light and dark: nothing to scroll sideways, no complaint, axe-core finds nothing."""
        os.makedirs("screenshots", exist_ok=True)
        for sample in SAMPLES:
            with self.shown(sample) as tab:
                for (width, height), dark in product(SIZES, (False, True)):
                    name = f"{sample}-{width}-{'dark' if dark else 'light'}"
                    tab.prefer(width=width, height=height, dark=dark)
                    tab.page.screenshot(path=f"screenshots/{name}.png", full_page=True)
                    self.assertEqual((tab.overflow(), tab.complaints, tab.violations()), (0, [], []), name)

    def test_dark_is_dark(self) -> None:
        """The card follows the colour scheme that the person prefers."""
        for dark in (False, True):
            with self.shown("consent", dark=dark) as tab:
                colour = tab.page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor")
                lightness = sum(int(part) for part in colour.strip("rgb()").split(","))
                self.assertEqual(lightness < 384, dark, colour)

    def test_twelve_permissions_fit_a_wide_screen(self) -> None:
        """With twelve permissions and the longest name, both answers are on a wide screen without scrolling."""
        for sample in ("consent_long", "device_confirm_long"):
            with self.shown(sample) as tab:
                for button in ("allow", "deny"):
                    box = tab.page.locator(f"#{button}").bounding_box()
                    assert box is not None
                    self.assertLessEqual(box["y"] + box["height"], 900, sample)

    def test_targets_are_large(self) -> None:
        """Everything to press or type in is at least 44 px high and wide."""
        for sample, controls in KEYBOARD.items():
            with self.shown(sample, 320, 640) as tab:
                for control in set(controls) - IN_A_SENTENCE:
                    box = tab.page.locator(f"#{control}").bounding_box()
                    assert box is not None
                    self.assertGreaterEqual(min(box["height"], box["width"]), 44, f"{sample} {control}")

    def test_large_letters(self) -> None:
        """With letters twice as large on a small screen nothing needs sideways scrolling."""
        for sample in SAMPLES:
            with self.shown(sample, 360, 640) as tab:
                session = tab.page.context.new_cdp_session(tab.page)
                session.send("Page.enable")
                session.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
                tab.page.reload()
                size = tab.page.evaluate("getComputedStyle(document.documentElement).fontSize")
                self.assertEqual((size, tab.overflow()), ("32px", 0), sample)

    def test_forced_colours(self) -> None:
        """Where the system imposes its colours, buttons still have edges and axe-core still finds nothing."""
        for sample in ("login_error", "consent", "device_confirm"):
            with self.shown(sample, 768, 1024, forced_colors=True) as tab:
                edges = tab.page.evaluate(
                    "[...document.querySelectorAll('button')].map(b => getComputedStyle(b))"
                    ".map(s => parseFloat(s.borderTopWidth) > 0 && s.borderTopStyle == 'solid')"
                )
                self.assertNotIn(False, edges)
                self.assertEqual(tab.violations(), [], sample)

    def test_more_contrast(self) -> None:
        """Who asks for more contrast gets it: quiet text is as dark as the rest."""
        with self.shown("consent", contrast="more") as tab:
            colours = tab.page.evaluate(
                "['.lead', 'body'].map(which => getComputedStyle(document.querySelector(which)).color)"
            )
            self.assertEqual(colours[0], colours[1])

    def test_reduced_motion(self) -> None:
        """Who asks for less motion gets none."""
        for reduced, expected in ((True, "0s"), (False, "0.15s")):
            with self.shown("login", reduced_motion=reduced) as tab:
                tab.page.hover("#submit")
                found = tab.page.evaluate(
                    "getComputedStyle(document.getElementById('submit')).transitionDuration.split(',')[0]"
                )
                self.assertEqual(found, expected)


class KeyboardTests(BrowserTestCase):
    """Every page is used by keyboard alone, and without script."""

    def test_order_and_visible_focus(self) -> None:
        """Tab meets every control once in reading order, each in view and with a thick outline."""
        for sample in SAMPLES:
            with self.shown(sample, 320, 640) as tab:
                self.assertEqual(tab.tab_order(), KEYBOARD.get(sample, []), sample)
                for control in KEYBOARD.get(sample, []):
                    tab.page.keyboard.press("Tab")
                    found = tab.page.evaluate(
                        """() => {
                        const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
                        return [e.id, style.outlineStyle, parseFloat(style.outlineWidth) >= 2,
                                box.top >= 5 && box.bottom + 5 <= innerHeight]; }"""
                    )
                    self.assertEqual(found, [control, "solid", True, True], sample)

    def test_all_controls_are_in_the_order(self) -> None:
        """No control is left out of the keyboard's way."""
        for sample in SAMPLES:
            with self.shown(sample) as tab:
                controls = tab.page.evaluate(
                    "[...document.querySelectorAll('a, button, input:not([type=hidden])')].map(e => e.id)"
                )
                self.assertEqual(controls, KEYBOARD.get(sample, []), sample)

    def test_where_typing_begins(self) -> None:
        """The first empty field has the keyboard; a page that asks for a decision gives it to no button."""
        for sample, expected in (
            ("login", "login"),
            ("login_error", "password"),
            ("device_code", "user_code"),
            ("consent", ""),
            ("device_confirm", ""),
            ("logout", ""),
        ):
            with self.shown(sample) as tab:
                self.assertEqual(tab.focused(), expected, sample)

    def test_signing_in_by_keyboard(self) -> None:
        """Name, Tab, password, Enter: with and without script the form arrives whole, and a page follows it."""
        for script in (True, False):
            with self.shown("login", script=script) as tab:
                tab.page.keyboard.type("ada")
                tab.page.keyboard.press("Tab")
                tab.page.keyboard.type("päss wörd")
                tab.page.keyboard.press("Enter")
                tab.page.wait_for_url("**/done")
                expected = {"login": ["ada"], "password": ["päss wörd"], "decision": ["login"]}
                self.assertEqual(self.scene.posted.pop(), ("/login", {**self.hidden(), **expected}))
                self.assertEqual(tab.complaints, [])

    def test_cancelling_by_keyboard(self) -> None:
        """Cancelling needs no filled field and sends neither name nor password."""
        with self.shown("login", script=False) as tab:
            tab.page.keyboard.type("ada")
            for _ in range(3):
                tab.page.keyboard.press("Tab")
            tab.page.keyboard.press("Space")
            tab.page.wait_for_url("**/done")
        self.assertEqual(self.scene.posted, [("/login", {**self.hidden(), "decision": ["deny"]})])

    def test_deciding_by_keyboard(self) -> None:
        """Each button of each decision sends its word, by Space and by Enter."""
        for sample, words in (
            ("consent", ("switch", "allow", "deny")),
            ("device_confirm", ("switch", "allow", "deny")),
            ("logout", ("yes", "no")),
        ):
            for presses, word in enumerate(words, 1):
                for key in ("Space", "Enter"):
                    with self.shown(sample, script=False) as tab:
                        for _ in range(presses):
                            tab.page.keyboard.press("Tab")
                        tab.page.keyboard.press(key)
                        tab.page.wait_for_url("**/done")
                    expected = (SAMPLES[sample][1]["action"], {**self.hidden(), "decision": [word]})
                    self.assertEqual(self.scene.posted.pop(), expected, sample)

    def test_typing_a_code(self) -> None:
        """A code typed in small letters looks as on the device and is sent as it was typed."""
        with self.shown("device_code", 320, 640, script=False) as tab:
            tab.page.keyboard.type("bcdf-ghjk")
            self.assertEqual(tab.page.evaluate("getComputedStyle(document.activeElement).textTransform"), "uppercase")
            fits = tab.page.evaluate("document.activeElement.scrollWidth <= document.activeElement.clientWidth")
            self.assertTrue(fits)
            tab.page.keyboard.press("Enter")
            tab.page.wait_for_url("**/done")
        self.assertEqual(self.scene.posted, [("/device", {**self.hidden(), "user_code": ["bcdf-ghjk"]})])

    def test_empty_fields_are_not_sent(self) -> None:
        """The browser itself asks for what is missing before it sends a login."""
        with self.shown("login", script=False) as tab:
            tab.page.keyboard.press("Enter")
            tab.page.wait_for_timeout(100)
            self.assertEqual(tab.page.url, f"{self.server.origin}/login")
        self.assertEqual(self.scene.posted, [])

    def hidden(self) -> dict[str, list[str]]:
        """Return the hidden fields as they arrive."""
        return {name: [value] for name, value in HIDDEN.items()}


class PolicyTests(BrowserTestCase):
    """What Chromium makes of form-action: the grounds for how the policy is written."""

    def setUp(self) -> None:
        """Start a client beside the server of pages."""
        super().setUp()
        self.client_scene = ClientScene()
        self.client = self.client_at("127.0.0.1")

    def client_at(self, address: str) -> LoopbackServer:
        """Start a client at a loopback address."""
        try:
            client = client_server(self.client_scene, address)
        except OSError as error:
            raise SkipTest(f"no {address} on this machine") from error
        self.addCleanup(client.close)
        return client

    def allow(self, redirect_uri: str, *, form_targets: list[str], by_hop: bool = False) -> tuple[str, list[str]]:
        """Press Allow on a page with these form targets, be redirected; return the address reached, and complaints."""
        self.scene.form_targets = form_targets
        self.scene.after_post, self.scene.hop = ("/hop", redirect_uri) if by_hop else (redirect_uri, "")
        with self.shown("consent", script=False) as tab:
            tab.page.locator("#allow").click()
            tab.page.wait_for_timeout(300)  # for a redirect that does not happen there is nothing to wait for
            return tab.page.url, [complaint for complaint in tab.complaints if "form-action" in complaint]

    def test_listed_target_is_reached(self) -> None:
        """The redirect after a form reaches a redirect URI whose origin is listed, also by way of our own redirect."""
        target = f"{self.client.origin}/callback?code=c"
        for by_hop in (False, True):
            self.assertEqual(self.allow(target, form_targets=[target], by_hop=by_hop), (target, []))
        self.assertEqual(self.client_scene.called, ["/callback?code=c"] * 2)

    def test_unlisted_target_is_not_reached(self) -> None:
        """Without being listed it is not reached, and the console says why: the list is needed."""
        reached, complaints = self.allow(f"{self.client.origin}/callback", form_targets=[])
        self.assertEqual(reached, f"{self.server.origin}/consent")
        self.assertEqual(len(complaints), 1)
        self.assertEqual(self.client_scene.called, [])

    def test_ipv6_loopback_is_reached(self) -> None:
        """An IPv6 loopback address, which CSP cannot spell as a host, is reached by its scheme."""
        client = self.client_at("::1")
        target = f"{client.origin}/callback"
        self.assertEqual(self.allow(target, form_targets=[target]), (target, []))

    def test_application_scheme_is_let_through(self) -> None:
        """A private-use scheme that is listed draws no complaint; one that is not does."""
        target = "com.example.app:/callback?code=c"
        self.assertEqual(self.allow(target, form_targets=[target])[1], [])
        self.assertEqual(len(self.allow(target, form_targets=["com.example.other:/callback"])[1]), 1)

    def test_callback_may_redirect_elsewhere(self) -> None:
        """A callback that redirects to another origin takes the person there: form-action names no hosts."""
        onward = self.client_at("127.0.0.1")
        self.client_scene.onward = f"{onward.origin}/home"
        target = f"{self.client.origin}/callback"
        reached, complaints = self.allow(target, form_targets=[target])
        self.assertEqual(self.client_scene.called, ["/callback"])
        self.assertEqual((reached, complaints), (f"{onward.origin}/home", []))

    def test_origin_of_posts_is_null(self) -> None:
        """With no-referrer a form's POST says Origin: null, so its origin proves nothing either way."""
        self.allow(f"{self.server.origin}/done", form_targets=[])
        self.assertEqual(self.scene.origins, ["null"])
