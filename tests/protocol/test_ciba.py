"""Backchannel authentication requests: what one may say, whom it binds, and which algorithms sign it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import ciba
from oauthd.protocol.ciba import Waiting, Wanted
from oauthd.protocol.client_rules import flaws
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.grant_types import CIBA
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import Client

CLIENT = Client("app", 1, "App", "confidential", 0, 0, grant_types=(CIBA,), ciba_mode="poll")
WAITING = Waiting(300, 1800, 128)


def read(client: Client = CLIENT, **parameters: str) -> Wanted:
    """A request, read."""
    return ciba.read(Parameters(tuple(({"login_hint": "alice"} | parameters).items())), client, WAITING)


class ReadTests(SynchronousTestCase):
    """What a request says."""

    def refused(self, code: str, client: Client = CLIENT, **parameters: str) -> None:
        """It is refused."""
        self.assertEqual(self.assertRaises(OAuthError, read, client, **parameters).kind.code, code)

    def test_plain(self) -> None:
        """What is not said has its usual value."""
        self.assertEqual(read(), Wanted("login_hint", "alice", lifetime=300))

    def test_acr_values(self) -> None:
        """Wishes are kept in their order, each once."""
        self.assertEqual(read(acr_values="b  a b").acr_values, ("b", "a"))

    def test_notification_token(self) -> None:
        """A client that is told needs a bearer token of at most 1024 characters; of one that polls it is ignored."""
        ping = replace(CLIENT, ciba_mode="ping")
        for good in ("a", "A-z.0_9~+/==", "x" * 1024):
            self.assertEqual(read(ping, client_notification_token=good).notification_token, good)
            self.assertEqual(read(client_notification_token=good).notification_token, "")
        for wrong in ("", "a b", "x" * 1025, "a\r\nB: c", "=a", "a=b", "\u00e9"):
            self.refused("invalid_request", ping, client_notification_token=wrong)

    def test_nothing_secret_in_the_repr(self) -> None:
        """Neither hints nor tokens nor codes stand in the repr, which may reach a log."""
        ping = replace(CLIENT, ciba_mode="ping")
        wanted = read(ping, login_hint="the-person", client_notification_token="tell-nobody", user_code="4711")
        for secret in ("the-person", "tell-nobody", "4711"):
            self.assertNotIn(secret, repr(wanted))

    @given(st.text(max_size=200))
    def test_messages(self, message: str) -> None:
        """Whatever message is taken, it is one line, not too long, and holds nothing that turns the text around it."""
        try:
            taken = read(binding_message=message).message
        except OAuthError as error:
            self.assertEqual(error.kind.code, "invalid_binding_message")
            return
        self.assertEqual(taken, message)
        self.assertLessEqual(len(taken), 128)
        self.assertFalse(set(taken) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\x00\r\n"))

    @given(st.text(max_size=30))
    def test_lifetimes(self, text: str) -> None:
        """Whatever is asked for, what is given lies between one second and the longest."""
        try:
            lifetime = read(requested_expiry=text).lifetime
        except OAuthError as error:
            self.assertEqual(error.kind.code, "invalid_request")
            return
        self.assertTrue(1 <= lifetime <= WAITING.longest)


class ClientTests(SynchronousTestCase):
    """What depends on the client."""

    def test_push(self) -> None:
        """Tokens are pushed to nobody who is held to FAPI, or whose tokens are bound by DPoP."""
        push = replace(CLIENT, ciba_mode="push")
        ciba.check_mode(push, "")
        for client, server in (
            (push, "fapi2"),
            (replace(push, profile="fapi1"), ""),
            (replace(push, profile="fapi2"), ""),
            (replace(push, dpop_bound=True), ""),
        ):
            error = self.assertRaises(OAuthError, ciba.check_mode, client, server)
            self.assertEqual(error.kind.code, "unauthorized_client")
        ciba.check_mode(replace(push, profile="plain"), "fapi2")

    def test_algorithms(self) -> None:
        """Asymmetric ones alone; those of its profile; the one that it registered."""
        self.assertFalse([name for name in ciba.algorithms(CLIENT, "") if name.startswith("HS") or name == "none"])
        self.assertEqual(ciba.algorithms(replace(CLIENT, profile="fapi1"), ""), ["PS256", "ES256"])
        self.assertEqual(ciba.algorithms(replace(CLIENT, ciba_algorithm="RS256"), ""), ["RS256"])
        self.assertEqual(ciba.algorithms(replace(CLIENT, ciba_algorithm="RS256"), "fapi2"), [])

    def test_flaws(self) -> None:
        """Section 4: what goes together in a registration."""
        keys: dict[str, Any] = {"jwks_uri": "https://app.example/jwks"}
        self.assertEqual(flaws(CLIENT), {})
        for wrong, member in (
            ({"ciba_mode": ""}, "backchannel_token_delivery_mode"),
            ({"ciba_mode": "ping"}, "backchannel_client_notification_endpoint"),
            ({"ciba_mode": "push"}, "backchannel_client_notification_endpoint"),
            ({"ciba_algorithm": "ES256"}, "backchannel_authentication_request_signing_alg"),
            ({"client_type": "public"}, "grant_types"),
        ):
            self.assertEqual(list(flaws(replace(CLIENT, **wrong))), [member])
        told = replace(CLIENT, ciba_notification_uri="https://app.example/cb", **keys)
        self.assertEqual(flaws(replace(told, ciba_mode="ping", profile="fapi1")), {})
        for fields in ({"profile": "fapi1"}, {"profile": "fapi2"}, {"dpop_bound": True}):
            self.assertIn("backchannel_token_delivery_mode", flaws(replace(told, ciba_mode="push", **fields)))
