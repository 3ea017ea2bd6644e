"""Rich authorization requests (RFC 9396) before people at a real Chromium, with types from a settings file."""

from __future__ import annotations

from oauthd.config.writing import toml_value
from tests.details import DECLARATIONS, PAY, sent
from tests.live.browsing import WAYS, OwnDaemonCase
from tests.live.daemon import Daemon
from tests.live.visitor import Visitor

HOSTILE = "</bdi></dd></dl><script>document.title='mine'</script>\N{RIGHT-TO-LEFT OVERRIDE}"


class DetailsTests(OwnDaemonCase):
    """What the person reads, and what comes of it."""

    def served(self) -> tuple[Daemon, Visitor]:
        """A daemon that knows two types."""
        file = self.folder / "oauthd.toml"
        file.write_text(f"[authorization]\ndetails_types = {toml_value(list(DECLARATIONS))}\n", "utf-8")
        own = self.daemon(f"--config={file}")
        return own, Visitor.of(own.http, own.credentials)

    def test_read_and_agreed_to(self) -> None:
        """Everybody reads what exactly is asked for, and the token says what was agreed to; nobody is spared."""
        app = self.app()
        for way in WAYS:
            username = self.user()
            with self.person(way) as person:
                for first in (True, False):
                    person.open(self.asking(app, authorization_details=sent(PAY)))
                    if first:
                        person.sign_in(username)
                    for words in ("Start a payment", "Pay 123.50 EUR to Merchant A", "DE02100100109307118603"):
                        self.assertIn(words, person.text)
                    person.press("allow")
                    tokens = self.tokens(app, self.site.called()["code"])
                    self.assertEqual(tokens["authorization_details"], [PAY])

    def test_a_hostile_value(self) -> None:
        """Markup and turned directions in a value stay within it."""
        app, username = self.app(), self.user()
        with self.person() as person:
            person.open(self.asking(app, authorization_details=sent({**PAY, "creditorName": HOSTILE})))
            person.sign_in(username)
            self.assertNotEqual(person.tab.page.title(), "mine")
            self.assertEqual(person.tab.page.locator("script").count(), 0)
            values = person.tab.page.locator("dd bdi").all_inner_texts()
            self.assertIn(HOSTILE, values)
            person.press("deny")
            self.assert_refused(self.site.called())
