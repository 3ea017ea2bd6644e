"""What a serving process looks after from time to time."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor

from oauthd.config import RegistrationSettings
from oauthd.events import Event
from oauthd.runtime.data import DataFolder
from oauthd.runtime.serving import Serving
from tests.server import REDIRECT
from tests.specs.registering import RegisteringCase


class TendingTests(RegisteringCase):
    """Clients that registered themselves."""

    sections = RegisteringCase.sections | {
        "registration": RegistrationSettings(allow="open", unclaimed_after=60, unused_after=60)
    }

    async def test_unused_clients(self) -> None:
        """Those that nobody uses are deleted, and told of, by one process of many and once an hour."""
        seen: list[Event] = []
        serving = Serving(self.server.settings, DataFolder(Path(self.mktemp())), reactor)
        serving.events.observers.append(seen.append)
        told = await self.registered({"redirect_uris": [REDIRECT]})
        await serving._tend(self.server.application)
        self.server.clock.advance(60)
        for sibling in (self.server, self.server.sibling()):
            await serving._tend(sibling.application)
        self.assertEqual(seen, [])  # an hour has not passed
        self.server.clock.advance(3600)
        for sibling in (self.server, self.server.sibling()):
            await serving._tend(sibling.application)
        self.assertEqual([event for event in seen if event.name == "client.expired"], [
            Event("client.expired", {"client_id": told["client_id"]})
        ])  # fmt: skip
