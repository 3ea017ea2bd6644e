"""What the error page tells the person, and what it leaves to the developer."""

from twisted.trial.unittest import SynchronousTestCase

from oauthd.pages.error import ErrorPage
from oauthd.pages.rendering import Pages, page_headers


class ErrorPageTests(SynchronousTestCase):
    """One page for every error."""

    def setUp(self) -> None:
        """Compile the templates."""
        self.page = ErrorPage(Pages())

    def told(self, status: int, description: str) -> str:
        """The page."""
        answer = self.page(status, "some_code", description)
        self.assertEqual((answer.status, answer.headers), (status, page_headers()))
        text = answer.body.decode()
        self.assertIn("some_code", text)
        return text

    def test_for_the_person(self) -> None:
        """What has happened and what to do become sentences, told once."""
        text = self.told(400, "the code has expired; start again")
        self.assertIn('<p class="lead">The code has expired.</p>', text)
        self.assertIn("<p>Start again.</p>", text)
        self.assertNotIn("Description", text)

    def test_for_the_developer(self) -> None:
        """Anything else stands apart, below words for the person."""
        text = self.told(400, "the client_id is unknown")
        self.assertIn("This request cannot be carried out.", text)
        self.assertIn("<bdi>the client_id is unknown</bdi>", text)

    def test_by_status(self) -> None:
        """Where the status says it all, its own words are used."""
        for status, words in ((404, "no such page"), (429, "too many attempts"), (503, "cannot answer just now")):
            self.assertIn(words, self.told(status, "the store is away; come back"))
