"""The table of client authentication methods, and what carries them out, tell of the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

import oauthd.proofs
from oauthd.protocol import profile
from oauthd.protocol.auth_methods import BY_SECRET, METHODS, Name, of


class AuthMethodTests(SynchronousTestCase):
    """Rows and files."""

    def test_a_file_each(self) -> None:
        """Each method of the table has its file among the proofs."""
        files = {path.stem for path in Path(oauthd.proofs.__file__).parent.iterdir()}
        self.assertLessEqual(METHODS.keys(), files)
        self.assertEqual(set(get_args(Name)), METHODS.keys())

    def test_none_registered(self) -> None:
        """A client that has registered no method proves its secret."""
        self.assertIs(of(""), BY_SECRET)
        self.assertIs(of("private_key_jwt"), METHODS["private_key_jwt"])

    def test_fapi_2(self) -> None:
        """FAPI 2.0 Security Profile section 5.3.2.1 item 6: mutual TLS and private_key_jwt, and no secret."""
        wanted = {"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}
        self.assertEqual(set(profile.CLIENT_AUTHENTICATION), wanted)
        self.assertFalse([row.name for row in METHODS.values() if row.strict and row.secret])
