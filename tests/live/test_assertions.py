"""An assertion counts once, whichever worker it reaches."""

from __future__ import annotations

import time

from tests.live.crew import all_of, lines_to_all
from tests.live.daemon import LiveCase
from tests.live.visitor import Visitor, expect
from tests.proofs.signing import claims, form, key, key_set


class AssertionTests(LiveCase):
    """A daemon with two workers, and a client that signs."""

    def test_copies_at_two_workers(self) -> None:
        """Of many copies of an assertion that two workers get at the same moment one is let in."""
        daemon = self.daemon("--workers", "2")
        all_of(daemon, 2)
        visitor, signing = Visitor.of(daemon.http, daemon.credentials), key("EdDSA", "live")
        app = visitor.client(token_endpoint_auth_method="private_key_jwt", jwks=key_set(signing))
        lines = [line for found in lines_to_all(daemon, 8).values() for line in found]
        for _ in range(3):
            assertion = signing.token(claims(app.client_id, daemon.issuer, time.time(), jti=f"{time.time_ns()}"))
            asked = form(assertion, grant_type="client_credentials")
            for line in lines:
                line.ask("POST", "/oauth2/token", form=asked)
            answers = [line.answer() for line in lines]
            self.assertEqual(sorted(answer.status for answer in answers), [200] + [401] * (len(lines) - 1))
            (token,) = (answer.json()["access_token"] for answer in answers if answer.status == 200)
            again = signing.token(claims(app.client_id, daemon.issuer, time.time(), jti=f"{time.time_ns()}"))
            told = expect(daemon.http.post("/oauth2/introspect", form(again, token=token))).json()
            self.assertTrue(told["active"])
        self.assertEqual(daemon.stop(), 0)
