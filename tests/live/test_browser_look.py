"""How the pages of the running server look, in a real Chromium, with long names, many scopes and errors.

Screenshots of every page stay in the folder `screenshots` of the test run, for somebody to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from tests.live.browsing import BrowsingCase, Person
from tests.pages.samples import UNBROKEN

SIZES = ((320, 640), (768, 1024), (1440, 900))
HOST = "https://a-rather-long-host-name.of.an.application.photos.example"
TWELVE = {
    "messages.read": "Read the messages in your inbox",
    "messages.send": "Send messages in your name, to anybody, as often as it likes",
    "https://api.example/auth/calendar.readwrite": "See and change the entries of every calendar that you own or that "
    "others have shared with you, including private ones",
    "photos": "See your photographs",
    "photos.print": "Order prints of your photographs, which cost money",
    "contacts": "",
    "files:read": "Open the files that you have stored",
}
OWN = ("openid", "profile", "email", "phone", "offline_access")


class LookTests(BrowsingCase):
    """Every page, as people meet it."""

    def setUp(self) -> None:
        """Make the scopes, once, and a client with the longest name there is."""
        super().setUp()
        known = {scope["name"] for scope in self.visitor.api("GET", "/oauth/scopes")["scopes"]}
        for name in TWELVE.keys() - known:
            self.visitor.api("POST", "/oauth/scopes", {"name": name, "description": TWELVE[name]}, 201)
        self.long = self.app(UNBROKEN, client_uri=HOST)
        self.scope = " ".join((*OWN, *TWELVE))

    def gallery(self, person: Person) -> Iterator[str]:
        """Go from page to page, and say which one it is."""
        username = self.user()
        person.open("/")
        yield "home"
        person.open("/oauth2/authorize?client_id=nobody")
        yield "error"
        person.open(self.asking(self.app("Photo Printer")))
        yield "sign-in"
        person.open(self.asking(self.long, scope=self.scope))
        person.sign_in(username, "wrong")
        yield "sign-in-wrong"
        person.sign_in(username)
        yield "consent-long"
        person.open(self.asking(self.app("Photo Printer", client_uri="https://photos.example"), scope="openid email"))
        yield "consent"
        yield from self.device(person)
        person.open("/")
        yield "home-signed-in"
        person.open(f"/oauth2/logout?client_id={self.long.client_id}")
        yield "sign-out"
        person.press("yes")
        yield "signed-out"

    def device(self, person: Person) -> Iterator[str]:
        """The pages for devices, of one that is allowed and one that is denied."""
        for decision, name in (("allow", "device-connected"), ("deny", "device-refused")):
            tv = self.app(UNBROKEN, client_type="public", redirect_uris=[])
            asked = {"client_id": tv.client_id, "scope": self.scope}
            begun = self.visitor.http.post("/oauth2/device_authorize", asked).json()
            person.open("/device")
            if decision == "allow":
                yield "device"
            person.type("user_code", "BBBB-BBBB")
            person.press("submit")
            if decision == "allow":
                yield "device-wrong"
            person.type("user_code", begun["user_code"])
            person.press("submit")
            if decision == "allow":
                yield "device-asked"
            person.press(decision)
            yield name

    def test_every_page(self) -> None:
        """At 320, 768 and 1440 px, light and dark: nothing to scroll sideways, and axe-core finds nothing."""
        folder = Path("screenshots")
        folder.mkdir(exist_ok=True)
        shown = []
        with self.person() as person:
            for name in self.gallery(person):
                shown.append(name)
                for (width, height), dark in product(SIZES, (False, True)):
                    person.tab.prefer(width=width, height=height, dark=dark)
                    picture = f"real-{name}-{width}-{'dark' if dark else 'light'}.png"
                    person.tab.page.screenshot(path=folder / picture, full_page=True)
                    self.assertEqual((person.tab.overflow(), person.tab.violations()), (0, []), picture)
        self.assertEqual(len(set(shown)), 14)
