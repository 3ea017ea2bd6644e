"""What is kept of what was fetched."""

from twisted.trial.unittest import SynchronousTestCase

from oauthd.fetcher.keeping import Answer, Kept, lifetime
from oauthd.fetcher.refusal import FetchRefused


def good(body: bytes = b"{}", since: float = 0.0, until: float = 100.0) -> Answer:
    """A document."""
    return Answer(body, None, since, until)


class KeptTests(SynchronousTestCase):
    """The bounded memory."""

    def test_until_its_time(self) -> None:
        """An answer is found before its time is over, and afterwards takes no room."""
        kept = Kept(10, 10_000)
        kept.keep("a", good())
        self.assertEqual(kept.find("a", 99.9), good())
        self.assertIsNone(kept.find("a", 100.0))
        self.assertEqual((len(kept), kept.size), (0, 0))

    def test_a_clock_that_was_put_back(self) -> None:
        """An answer from the future counts no more, or a wrong clock could keep it for ever."""
        kept = Kept(10, 10_000)
        kept.keep("a", good(since=50.0))
        self.assertIsNone(kept.find("a", 49.0))

    def test_oldest(self) -> None:
        """Who wants a young document finds no old one, and it is still there for others."""
        kept = Kept(10, 10_000)
        kept.keep("a", good())
        self.assertIsNone(kept.find("a", 60.0, oldest=60.0))
        self.assertIsNotNone(kept.find("a", 59.0, oldest=60.0))
        self.assertIsNotNone(kept.find("a", 60.0))

    def test_a_failure_is_never_too_old(self) -> None:
        """A host that is away is left alone by those who want a young document, too."""
        kept = Kept(10, 10_000)
        kept.keep("a", Answer(None, FetchRefused("x"), 0.0, 10.0))
        self.assertIsNotNone(kept.find("a", 9.0, oldest=1.0))

    def test_entries(self) -> None:
        """The least recently used goes first when there are too many."""
        kept = Kept(2, 10_000)
        kept.keep("a", good())
        kept.keep("b", good())
        kept.find("a", 1.0)
        kept.keep("c", good())
        self.assertEqual([name for name in "abc" if kept.find(name, 1.0)], ["a", "c"])

    def test_bytes(self) -> None:
        """They leave as well when they are too large together, and one alone that is too large is not kept."""
        kept = Kept(100, 4000)
        for name in "abc":
            kept.keep(name, good(b"x" * 1000))
        self.assertEqual([name for name in "abc" if kept.find(name, 1.0)], ["b", "c"])
        kept.keep("d", good(b"x" * 5000))
        self.assertEqual((len(kept), kept.size), (0, 0))

    def test_in_the_place_of_another(self) -> None:
        """An answer that takes the place of another takes its room as well."""
        kept = Kept(100, 10_000)
        kept.keep("a", good(b"x" * 1000))
        size = kept.size
        kept.keep("a", good(b"y" * 1000))
        self.assertEqual((len(kept), kept.size), (1, size))


class LifetimeTests(SynchronousTestCase):
    """RFC 9111 section 5.2.2: max-age, no-store, no-cache."""

    def lives(self, *values: str) -> float:
        """With the shortest of 60 and the longest of 3600 seconds."""
        return lifetime(values, 60.0, 3600.0)

    def test_within_our_bounds(self) -> None:
        """The host says how long, between our shortest and our longest."""
        self.assertEqual(self.lives("public, max-age=600"), 600)
        self.assertEqual(self.lives('MAX-AGE="600"'), 600)
        self.assertEqual(self.lives("max-age=1"), 60)
        self.assertEqual(self.lives("max-age=31536000"), 3600)

    def test_nothing_said(self) -> None:
        """The shortest time where it says nothing, nothing readable, or that it should not be kept."""
        for said in ((), ("",), ("max-age=",), ("max-age=-5",), ("max-age=1e3",), ("max-age=" + "9" * 30,),
                     ("no-store, max-age=600",), ("no-cache",), ("s-maxage=600",)):  # fmt: skip
            self.assertEqual(self.lives(*said), 60)

    def test_several(self) -> None:
        """The shortest of several counts."""
        self.assertEqual(self.lives("max-age=600", "max-age=300"), 300)
