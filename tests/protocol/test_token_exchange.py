"""Rules of token exchange: who fits, who acts, and that nothing widens."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import token_exchange as exchange
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.token_exchange import RULES, Rule

OWNERS = {"https://a": ("one",), "https://b": ("one", "two"), "https://c": ("two",)}
_names = st.sampled_from(["a", "b", "c", "d"])
_some = st.lists(_names, unique=True).map(tuple)
_uris = st.lists(st.sampled_from(sorted(OWNERS)), unique=True).map(tuple)


class RuleTests(SynchronousTestCase):
    """What a rule is about."""

    def test_as_it_is_sent(self) -> None:
        """What the admin API reads of a rule is the rule, and what is left out is at the same default in both."""
        problems: dict[str, str] = {}
        (read,) = RULES.read([{"from": "app"}], "exchanges", problems)
        self.assertEqual((Rule.of(read), problems), (Rule("app"), {}))
        self.assertEqual(Rule.of({"from": "app"}), Rule("app"))
        full = {
            "from": "*", "tokens": ["id_token"], "audience": ["x"], "scope": [], "act": "both", "actors": ["y"],
            "refresh": True,
        }  # fmt: skip
        (read,) = RULES.read([full], "exchanges", problems)
        self.assertEqual(Rule.of(read), Rule("*", ("id_token",), ("x",), (), "both", ("y",), True))

    def test_malformed(self) -> None:
        """What is no rule is refused by the name of what is wrong."""
        for rule, place in (
            ({}, "from"),
            ({"from": ""}, "from"),
            ({"from": "a b"}, "from"),
            ({"from": "a", "tokens": ["saml2"]}, "tokens.0"),
            ({"from": "a", "act": "ask"}, "act"),
            ({"from": "a", "scope": "read"}, "scope"),
            ({"from": "a", "refresh": 1}, "refresh"),
            ({"from": "a", "may": True}, "may"),
        ):
            problems: dict[str, str] = {}
            RULES.read([rule], "exchanges", problems)
            self.assertEqual(list(problems), [f"exchanges.0.{place}"], rule)

    def test_fits(self) -> None:
        """A rule fits its own source and kinds; * fits our clients, and no other issuer."""
        rule = Rule("app", ("access_token",))
        self.assertTrue(rule.fits("access_token", "app", False))
        self.assertFalse(rule.fits("id_token", "app", False) or rule.fits("access_token", "other", False))
        free = Rule("*")
        self.assertTrue(free.fits("access_token", "other", False))
        self.assertFalse(free.fits("jwt", "https://idp", True))
        self.assertTrue(Rule("https://idp").fits("jwt", "https://idp", True))


class ActorTests(SynchronousTestCase):
    """Who acts, and may."""

    def test_may(self) -> None:
        """Every claim must be that of the actor; one that is not known here means nobody, as does none."""
        actor = exchange.identity("app", "https://us", "app")
        for wanted in ({"sub": "app"}, {"client_id": "app"}, {"sub": "app", "iss": "https://us"}):
            self.assertTrue(exchange.may(wanted, actor), wanted)
        wrong: tuple[dict[str, Any], ...] = (
            {}, {"sub": "other"}, {"sub": "app", "iss": "https://x"}, {"sub": "app", "email": "x"}, {"sub": ["app"]}
        )  # fmt: skip
        for one in wrong:
            self.assertFalse(exchange.may(one, actor), one)

    def test_chains_end(self) -> None:
        """Eight actors may stand behind one another, nine not; a foreign chain that is deeper is refused unread."""
        chain: dict[str, Any] = {}
        for number in range(exchange.LONGEST_CHAIN):
            chain = exchange.chained({"sub": str(number)}, chain)
        self.assertRaises(OAuthError, exchange.chained, {"sub": "ninth"}, chain)
        self.assertEqual(exchange.foreign_act({"sub": "x"}, "i"), {"sub": "x", "iss": "i"})
        deep: dict[str, Any] = {"sub": "x"}
        for _ in range(200):
            deep = {"sub": "x", "act": deep}
        self.assertRaises(OAuthError, exchange.foreign_act, deep, "i")

    def test_foreign_claims(self) -> None:
        """Of foreign actors only what identifies them is kept, and a long name is none."""
        told = exchange.foreign_act({"sub": "x", "iss": "own", "exp": 1, "act": {"sub": "y", "nbf": 2}}, "i")
        self.assertEqual(told, {"sub": "x", "iss": "own", "act": {"sub": "y", "iss": "i"}})
        self.assertRaises(OAuthError, exchange.foreign_act, {"sub": "x" * 513}, "i")
        wrong: tuple[Any, ...] = ([], {}, {"sub": 1}, {"email": "x"}, {"sub": "x", "exp": 1})
        for one in wrong:
            self.assertRaises(OAuthError, exchange.foreign_may_act, one, "i")
        self.assertEqual(exchange.foreign_may_act(None, "i"), {})
        self.assertEqual(exchange.foreign_may_act({"sub": "x"}, "i"), {"sub": "x", "iss": "i"})
        self.assertEqual(exchange.foreign_may_act({"sub": "x", "iss": "own"}, "i"), {"sub": "x", "iss": "own"})


class NarrowingTests(SynchronousTestCase):
    """Nothing widens, whatever is asked for."""

    @given(_some, st.none() | _some, st.none() | _some, _some)
    def test_scopes(
        self,
        requested: tuple[str, ...],
        held: tuple[str, ...] | None,
        rule: tuple[str, ...] | None,
        allowed: tuple[str, ...],
    ) -> None:
        """A scope that comes out was in the token, in the rule, and is the client's; or the request is refused."""
        try:
            found = exchange.scope_of(" ".join(requested) or None, held, rule, allowed)
        except OAuthError as error:
            self.assertEqual(error.kind.code, "invalid_scope")
            self.assertTrue(requested)
            return
        for bound in (held, rule, allowed):
            self.assertTrue(bound is None or set(found) <= set(bound))
        if held is None and rule is None:
            self.assertEqual(found, ())
        if requested:
            self.assertEqual(found, requested)

    @given(_uris, _uris, st.lists(st.sampled_from([*sorted(OWNERS), "one", "two", "nobody"]), unique=True))
    def test_audiences(self, targets: tuple[str, ...], held: tuple[str, ...], rule: list[str]) -> None:
        """A target that comes out was the token's, or the rule names it; one for everybody only where both say so."""
        named = {uri for uri, owners in OWNERS.items() if uri in rule or set(owners) & set(rule)}
        try:
            found = exchange.audience_of(targets, held, rule, OWNERS)
        except OAuthError as error:
            self.assertEqual(error.kind.code, "invalid_target")
            return
        if targets:
            self.assertEqual(found, targets)
        if rule:
            self.assertTrue(found and set(found) <= named)
        elif held:
            self.assertTrue(found and set(found) <= set(held))

    def test_targets(self) -> None:
        """A target is named by its URI or by a client that owns some; what nobody knows is refused."""
        self.assertEqual(exchange.targets_of(["https://a"], ["two"], OWNERS), ("https://a", "https://b", "https://c"))
        for resources, audiences in ((["one"], []), ([], ["three"]), (["https://d"], []), ([], [""])):
            self.assertRaises(OAuthError, exchange.targets_of, resources, audiences, OWNERS)
