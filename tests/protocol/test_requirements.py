"""Demands of resource servers on tokens: what meets them, and until when."""

from __future__ import annotations

import json
import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import requirements
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.introspection import INACTIVE, active
from oauthd.protocol.messages import Parameters
from oauthd.protocol.requirements import LONGEST, MOST_KNOWN, NAMES, Requirements, Verdicts
from tests.stores.case import NOW, access

ISSUER = "https://as.example"
RESOURCE = "https://rs.example"
ANSWER = active(access(auth_time=NOW, acr="high", audience=(RESOURCE, "https://two.example")), ISSUER)
MACHINE = active(access(), ISSUER)


def read(**values: str) -> Requirements:
    """Demands by their names."""
    return requirements.read(tuple(values.get(name) for name in NAMES))


class MetTests(SynchronousTestCase):
    """`met_until`."""

    def met(self, answer: bytes = ANSWER, **values: str) -> bool:
        """Are they met by what the answer says, at the moment at which its user signed in?"""
        return read(**values).met_until(answer) > NOW

    def test_scope(self) -> None:
        """All scopes must be there, in any order; a part of a name is none."""
        for scope in ("read", "write", "write read", "read  read"):
            self.assertTrue(self.met(required_scope=scope))
        for scope in ("rea", "read admin", "READ", "admin"):
            self.assertFalse(self.met(required_scope=scope))

    def test_audience(self) -> None:
        """The resource must be among those that the token is for; the issuer stands for none in particular."""
        self.assertTrue(self.met(required_audience=RESOURCE))
        self.assertTrue(self.met(required_audience="https://two.example"))
        for audience in (ISSUER, RESOURCE + "/", f"{RESOURCE} https://two.example"):
            self.assertFalse(self.met(required_audience=audience))
        self.assertTrue(self.met(MACHINE, required_audience=ISSUER))
        self.assertFalse(self.met(MACHINE, required_audience=RESOURCE))

    def test_acr_values(self) -> None:
        """RFC 9470 section 3: one of the classes is enough; a token without any has none of them."""
        self.assertTrue(self.met(acr_values="low high"))
        self.assertFalse(self.met(acr_values="low"))
        self.assertFalse(self.met(MACHINE, acr_values="high"))

    def test_max_age(self) -> None:
        """RFC 9470 section 3: met to the end of the second in which the age is reached; never by a machine's token."""
        self.assertEqual(read(max_age="60").met_until(ANSWER), NOW + 61)
        self.assertEqual(read(max_age="0").met_until(ANSWER), NOW + 1)
        self.assertEqual(read(max_age="60").met_until(MACHINE), -math.inf)

    def test_together(self) -> None:
        """All of them must be met."""
        self.assertTrue(self.met(required_scope="read", required_audience=RESOURCE, acr_values="high", max_age="9"))
        self.assertFalse(self.met(required_scope="read", acr_values="low"))

    def test_inactive(self) -> None:
        """Nothing is met by a token that is not active."""
        self.assertEqual(read(required_scope="read").met_until(INACTIVE), -math.inf)

    def test_no_number(self) -> None:
        """An age that is no number of seconds is refused."""
        for age in ("-1", "1.5", "x", "1" * 10, "\u0661", " 1", "1e3"):
            self.assertRaises(OAuthError, read, max_age=age)


class VerdictTests(SynchronousTestCase):
    """`Verdicts`."""

    def setUp(self) -> None:
        """No verdict yet."""
        self.verdicts = Verdicts()

    def of(self, *pairs: tuple[str, str]) -> Any:
        """The demands in a form."""
        return self.verdicts.required(Parameters(pairs))

    def test_none(self) -> None:
        """Without a demand, or with an empty one, there is none."""
        self.assertIsNone(self.of(("token", "a"), ("scope", "read")))
        self.assertIsNone(self.of(("required_scope", ""), ("max_age", "")))

    def test_the_same(self) -> None:
        """The same demands are one object, others are not."""
        first = self.of(("required_scope", "read"), ("token", "a"))
        self.assertIs(self.of(("required_scope", "read"), ("token", "b")), first)
        self.assertIsNot(self.of(("required_scope", "write")), first)
        self.assertIsNot(self.of(("required_audience", "read")), first)

    def test_time_goes_by(self) -> None:
        """A verdict that time ends is not remembered past its end."""
        required = self.of(("max_age", "60"))
        for _ in range(2):
            self.assertEqual(self.verdicts.judged(ANSWER, required, NOW + 60.9), ANSWER)
            self.assertEqual(self.verdicts.judged(ANSWER, required, NOW + 61), INACTIVE)

    def test_too_long(self) -> None:
        """Demands are remembered, so those that are longer than any token could meet are refused."""
        for name in NAMES:
            with self.assertRaisesRegex(OAuthError, "too long"):
                Verdicts().required(Parameters(((name, "1 " * (LONGEST // 2) + "1"),)))
        self.assertIsNotNone(Verdicts().required(Parameters((("required_scope", "s" * LONGEST),))))

    def test_bounded(self) -> None:
        """However many demands and answers there are, few are remembered, and each is judged rightly."""
        self.patch(requirements, "MOST_BYTES", 10 * (len(ANSWER) + requirements.OVERHEAD))
        for n in range(3 * MOST_KNOWN):
            required = self.of(("required_scope", "read" if n % 2 else f"scope-{n}"))
            self.assertEqual(self.verdicts.judged(ANSWER, required, NOW), ANSWER if n % 2 else INACTIVE)
            self.assertTrue(len(self.verdicts._known) <= MOST_KNOWN and len(self.verdicts._found) <= 10)

    def test_bounded_in_bytes(self) -> None:
        """Long answers take no more memory than short ones: there are fewer of them."""
        self.patch(requirements, "MOST_BYTES", 100_000)
        required = self.of(("required_scope", "read"))
        for n in range(100):
            long = json.dumps({**json.loads(ANSWER), "x": f"{n}" * 5000}).encode()
            self.assertEqual(self.verdicts.judged(long, required, NOW), long)
            self.assertEqual(self.verdicts.judged(long, required, NOW), long)
            self.assertLessEqual(sum(len(answer) for _, answer in self.verdicts._found), 100_000)
