"""Signing out: clients that get something in a session while it is being ended."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from oauthd.protocol.records import Client, Session
from oauthd.sign_out import SignOut
from oauthd.stores.outbox import Note
from oauthd.stores.sessions import Sessions
from tests.server import Counting
from tests.stores.test_answers import AnswersCase


class _Clients:
    """Every client there is wants to hear of a logout."""

    async def find(self, client_id: str) -> Client:
        return Client(
            client_id=client_id,
            number=1,
            name="x",
            client_type="confidential",
            created_at=0,
            updated_at=0,
            backchannel_logout_uri=f"https://{client_id}.example/logout",
        )


@define
class _Outbox:
    """Notes who is told; somebody signs in to client b while the first are written down."""

    sessions: Sessions
    value: str
    session: Session
    joined: bool | None = None
    told: list[str] = field(factory=list)

    async def add(self, *notes: Note) -> None:
        self.told.extend(note.client_id for note in notes)
        if self.joined is None:
            self.joined = await self.sessions.joined(self.value, self.session, "b")


class EverywhereTests(AnswersCase):
    """Ending all sessions of a user."""

    async def test_who_joins_meanwhile_is_told(self) -> None:
        """A client that joins a session while it is being ended with all of its user is told of it, once."""
        store = self.one.store.plain
        sessions = Sessions(store, self.clock.seconds, Counting(), 3600, 7200)
        value, session = await sessions.start("u1", "", 1)
        await sessions.joined(value, session, "a")
        outbox = _Outbox(sessions, value, session)
        clients: Any = _Clients()
        box: Any = outbox
        events: Any = None
        await SignOut(store, sessions, clients, box, events, "https://op.example").everywhere("u1")
        self.assertTrue(outbox.joined)
        self.assertEqual(["a", "b"], outbox.told)
        self.assertFalse(await sessions.goes_on(value))
