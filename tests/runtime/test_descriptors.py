"""Room for connections: the limit of open files."""

import resource

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from oauthd.runtime.descriptors import BESIDES, make_room


class RoomTests(SynchronousTestCase):
    """The soft limit is raised as far as it is needed and allowed."""

    def setUp(self) -> None:
        """Start from a low soft limit, and put the old one back."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.hard = before[1]
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, self.hard))

    def test_raised(self) -> None:
        """A limit that is too low becomes what the connections and everything else need."""
        self.assertEqual(make_room(300), 300)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (300 + BESIDES, self.hard))

    def test_left_alone(self) -> None:
        """A limit that suffices stays as it is."""
        self.assertGreaterEqual(make_room(100), 100)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 256)

    def test_as_far_as_allowed(self) -> None:
        """The hard limit is not passed, and the caller learns how many connections there is room for."""
        if self.hard == resource.RLIM_INFINITY:
            raise SkipTest("there is no hard limit here")
        room = make_room(self.hard + 1)
        self.assertEqual(room, self.hard - BESIDES)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], self.hard)
