"""How grants begin: what of the sign-in and of the client is carried into them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.acr import PASSWORD
from oauthd.protocol.beginning import SignedIn, begin, by_session
from oauthd.protocol.records import Client, Generations, Grant, Session, User

CLIENT = Client("app", 1, "App", "confidential", 0, 0, logout_ends_tokens=True)
USER = User("u1", "alice", 0, 0)
SESSION = Session("u1", auth_time=50, user_generation=7, ends_at=900, expires_at=800, sid="s1")


def begun(by: SignedIn | None, client: Client = CLIENT, **fields: Any) -> Grant:
    """A grant."""
    usual: dict[str, Any] = {"grant_type": "code", "scope": ("openid",), "now": 100, "ends_at": 500}
    return begin(client, Generations(1, 2), by, **usual | fields)


class BeginningTests(SynchronousTestCase):
    """The one way."""

    def test_by_a_session(self) -> None:
        """Who signed in, when and how, in which session, and under which generations goes with the grant."""
        grant = begun(by_session(USER, SESSION))
        self.assertEqual((grant.user_id, grant.username, grant.auth_time), ("u1", "alice", 50))
        self.assertEqual((grant.acr, grant.session), (PASSWORD, "s1"))
        self.assertEqual(grant.generations, Generations(1, 2, 7))

    def test_by_a_client(self) -> None:
        """A client's own grant has no person and no session, and ends with none."""
        grant = begun(None)
        self.assertEqual((grant.client_id, grant.user_id, grant.session, grant.auth_time), ("app", "", "", 0))
        self.assertEqual(grant.generations, Generations(1, 2))
        self.assertFalse(grant.ends_with_session)

    def test_ends_with_the_session(self) -> None:
        """Only where there is a session, the client has asked for it, and nothing was given for later."""
        by = by_session(USER, SESSION)
        self.assertTrue(begun(by).ends_with_session)
        self.assertFalse(begun(by, replace(CLIENT, logout_ends_tokens=False)).ends_with_session)
        self.assertFalse(begun(by, scope=("openid", "offline_access")).ends_with_session)
        self.assertFalse(begun(SignedIn(USER, 7)).ends_with_session)

    def test_kept(self) -> None:
        """It is kept until its end, unless something else is said."""
        self.assertEqual((begun(None).ends_at, begun(None).expires_at), (500, 500))
        self.assertEqual(begun(None, expires_at=160).expires_at, 160)
