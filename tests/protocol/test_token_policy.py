"""Declarations of claims and of tokens for resources: read strictly, and the most restrictive of them counts."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import token_policy as policy
from oauthd.protocol.records import Client, User
from oauthd.protocol.token_policy import Claim, TokenPolicy

CLIENT = Client("app", 1, "App", "confidential", 0, 0)
ALICE = User("u1", "alice", 1, 2, roles=("admin", "ops"), claims={"email": "alice@example.com", "shoe_size": 38})


def written(*declarations: dict[str, Any]) -> tuple[str, ...]:
    """Declarations as they stand in settings."""
    return tuple(map(json.dumps, declarations))


class ClaimTests(SynchronousTestCase):
    """What claims may be."""

    def refused(self, *declarations: Any) -> None:
        """They are."""
        self.assertRaises(ValueError, policy.declared_claims, written(*declarations))

    def test_declared(self) -> None:
        """A claim tells of the user, or is the same for all."""
        found = policy.declared_claims(
            written({"name": "groups", "from": "roles"}, {"name": "https://a.example/tenant", "value": {"id": 5}})
        )
        self.assertEqual(found["groups"], Claim("groups", "roles"))
        self.assertEqual(found["https://a.example/tenant"].of(None), {"id": 5})

    def test_reserved_names(self) -> None:
        """No claim is called like one that means something in tokens or answers."""
        for name in policy.RESERVED:
            self.refused({"name": name, "value": 1})
        self.assertLessEqual(
            {"iss", "sub", "aud", "exp", "scope", "cnf", "act", "active", "client_id", "gen", "rec", "jti"},
            policy.RESERVED,
        )

    def test_refused(self) -> None:
        """Whatever is no declaration: without a name, with both or neither source, from nowhere, twice, too large."""
        good = {"name": "a", "from": "roles"}
        wrong: Any
        for wrong in (
            {}, {"name": "a"}, {"name": 5, "from": "roles"}, {"name": "", "value": 1}, {"name": "a b", "value": 1},
            {"name": "a", "from": "password"}, {"name": "a", "from": "claims"}, {"name": "a", "from": ["roles"]},
            {"name": "a", "from": "roles", "value": 1}, {"name": "a", "value": None},
            {"name": "a", "value": "x" * 5000}, {**good, "more": 1}, [], "a", None,
        ):  # fmt: skip
            self.refused(wrong)
        self.refused(good, good)
        self.assertRaises(ValueError, policy.declared_claims, ("{",))
        self.assertRaises(ValueError, policy.declared_claims, ("[" * 100_000,))

    def test_of_a_user(self) -> None:
        """Roles, the name and standard claims; nothing of what else is known, and nothing where there is nothing."""
        for source, value in (
            ("roles", ["admin", "ops"]), ("username", "alice"), ("email", "alice@example.com"), ("updated_at", 2),
            ("phone_number", None), ("shoe_size", None),
        ):  # fmt: skip
            self.assertEqual(Claim("x", source).of(ALICE), value, source)
            self.assertIsNone(Claim("x", source).of(None))
        self.assertIsNone(Claim("x", "roles").of(replace(ALICE, roles=())))

    def test_room(self) -> None:
        """What is beyond the room that there is is left out, and what comes before it stands."""
        first, large, last = Claim("a", value=1), Claim("b", value="x" * policy.LARGEST), Claim("c", value=2)
        self.assertEqual(policy.told((first, large, last), None), {"a": 1})
        self.assertEqual(policy.told((first, last), None), {"a": 1, "c": 2})


class ResourceTests(SynchronousTestCase):
    """What holds of tokens for resources."""

    def setUp(self) -> None:
        """Three of them."""
        self.policy = TokenPolicy.of(
            written({"name": "groups", "from": "roles"}, {"name": "tier", "value": 1}),
            written(
                {"resource": "https://a.example", "access_lifetime": 300, "access_format": "jwt", "claims": ["groups"]},
                {"resource": "https://b.example", "access_lifetime": 60, "access_format": "opaque"},
                {"resource": "https://c.example", "access_algorithm": "EdDSA", "claims": ["tier", "groups"]},
            ),
        )
        self.a, self.b, self.c, self.other = (f"https://{name}.example" for name in ("a", "b", "c", "other"))

    def test_lifetime(self) -> None:
        """The shortest counts, and none makes a token live longer."""
        for audience, seconds in (
            ((), 1800), ((self.other,), 1800), ((self.a,), 300), ((self.a, self.b), 60), ((self.c, self.a), 300)
        ):  # fmt: skip
            self.assertEqual(self.policy.lifetime(1800, audience), seconds, audience)
        self.assertEqual(self.policy.lifetime(10, (self.a,)), 10)

    def test_format(self) -> None:
        """A resource comes before the client; one that wants opaque tokens before one that wants JWTs."""
        for audience, usual, wanted in (
            ((), "opaque", "opaque"), ((self.a,), "opaque", "jwt"), ((self.b,), "jwt", "opaque"),
            ((self.a, self.b), "jwt", "opaque"), ((self.c,), "opaque", "opaque"),
        ):  # fmt: skip
            self.assertEqual(self.policy.format(usual, audience), wanted, audience)

    def test_algorithm(self) -> None:
        """The first resource that names one decides."""
        self.assertEqual(self.policy.algorithm("ES256", (self.a, self.c)), "EdDSA")
        self.assertEqual(self.policy.algorithm("ES256", (self.a,)), "ES256")

    def test_claims(self) -> None:
        """A token carries those of its client and of its resources, each once; one that is declared no more is none."""
        client = replace(CLIENT, token_claims=("tier", "gone"))
        names = [one.name for one in self.policy.claims_for(client, (self.a, self.c))]
        self.assertEqual(names, ["tier", "groups"])
        self.assertEqual(self.policy.claims_for(CLIENT, (self.b,)), ())
        self.assertEqual(self.policy.claims_for(CLIENT, ()), ())

    def test_refused(self) -> None:
        """Whatever is no declaration of a resource, or names a claim that is none."""
        good = {"resource": "https://a.example"}
        wrong: Any
        for wrong in (
            {}, {"resource": "a"}, {"resource": "https://a.example#x"}, good | {"access_lifetime": 0},
            good | {"access_lifetime": True}, good | {"access_lifetime": 1.5}, good | {"access_lifetime": 10**9},
            good | {"access_format": "saml"}, good | {"access_algorithm": "HS256"}, good | {"access_algorithm": "none"},
            good | {"claims": "groups"}, good | {"claims": [1]}, good | {"lifetime": 5}, [],
        ):  # fmt: skip
            self.assertRaises(ValueError, policy.declared_resources, written(wrong))
        self.assertRaises(ValueError, policy.declared_resources, written(good, good))
        self.assertRaises(ValueError, TokenPolicy.of, (), written(good | {"claims": ["groups"]}))
