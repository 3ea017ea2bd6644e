"""Settings of trusted issuers: whose JWTs are exchanged, or are grants."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from oauthd import config
from oauthd.config.trust import TrustedIssuer
from tests.specs.holders import Holder

NAME, URI = "https://idp.example", "https://idp.example/jwks"


class TrustedIssuerTests(SynchronousTestCase):
    """`exchange.issuers` and `jwt_bearer.issuers`"""

    def test_words(self) -> None:
        """After the address of the keys stands what else is known, in any order."""
        for more, expected in (
            ("", TrustedIssuer(NAME, URI)),
            (" sub=username", TrustedIssuer(NAME, URI, sub="username")),
            (
                " aud=urn:us typ=grant+jwt claim=email",
                TrustedIssuer(NAME, URI, claim="email", typ="grant+jwt", aud="urn:us"),
            ),
            (" claim=https://idp.example/who", TrustedIssuer(NAME, URI, claim="https://idp.example/who")),
        ):
            self.assertEqual(TrustedIssuer.of(f"{NAME} {URI}{more}"), expected)

    def test_keys_inline(self) -> None:
        """The keys may stand there themselves, blanks in them and words behind."""
        holder = Holder()
        for style in ({}, {"separators": (",", ":")}, {"indent": 1}):
            found = TrustedIssuer.of(f"{NAME} {json.dumps(holder.jwks, **style)} sub=username")
            self.assertEqual((found.keys, found.uri, found.sub), ((holder.jwks["keys"][0],), "", "username"))

    def test_refused(self) -> None:
        """Whatever else stands there is refused, private keys above all."""
        private = json.dumps({"keys": [Holder().key.as_dict(private=True)]})
        wrong = [
            NAME, "", f" {URI}", f"{NAME} http://idp.example/jwks", f"{NAME} {URI}#x", f"{NAME} {private}",
            f"{NAME} {{}}", f'{NAME} {{"keys": []}}', f'{NAME} {{"keys": 7}}', f'{NAME} {{"keys"', f"{NAME} {{]",
        ]  # fmt: skip
        more = (" sub", " sub=", " sub=email", " sub=id sub=username", " exp", "  aud=x", " aud=x ", " iss=x", " SUB=x")
        for text in (*wrong, *(f"{NAME} {URI}{words}" for words in more)):
            for section in ("exchange", "jwt_bearer"):
                path = Path(self.mktemp())
                path.write_text(f"[{section}]\nissuers = [{json.dumps(text)}]\n")
                with self.assertRaises(config.SettingsError) as caught:
                    config.load(str(path), {}, {})
                self.assertIn(f"{section}.issuers", str(caught.exception), text)

    def test_twice(self) -> None:
        """An issuer stands there once: which of two would count is nobody's guess."""
        with self.assertRaises(ValueError):
            config.ExchangeSettings(issuers=(f"{NAME} {URI}", f"{NAME} https://other.example/jwks"))
