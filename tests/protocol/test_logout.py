"""What clients are told of sessions."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import logout
from oauthd.protocol.records import Client


def client(**members: Any) -> Client:
    """A client with these members."""
    return Client(
        client_id="app", number=1, name="App", client_type="confidential", created_at=0, updated_at=0, **members
    )


class SidTests(SynchronousTestCase):
    """`tells_sid`"""

    def test_everybody(self) -> None:
        """Clients are told, whatever they registered."""
        self.assertTrue(logout.tells_sid(client(), strict=False))

    def test_fapi(self) -> None:
        """Under FAPI 2.0 those are told that have to do with logout, and no others."""
        self.assertFalse(logout.tells_sid(client(), strict=True))
        for members in (
            {"backchannel_logout_uri": "https://app.example/b"},
            {"frontchannel_logout_uri": "https://app.example/f"},
            {"post_logout_redirect_uris": ("https://app.example/",)},
            {"logout_ends_tokens": True},
        ):
            self.assertTrue(logout.tells_sid(client(**members), strict=True), members)
