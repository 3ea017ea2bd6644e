"""The record of a token that is not written down comes back from its claims, whole, and they tell nobody else of it."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import stateless
from oauthd.protocol.records import AccessToken, Binding, Generations
from tests.stores.case import example

ISSUER = "https://op.example"
MACHINE = AccessToken("app", ("read", "write"), 1000, 2000, "V1StGXR8Z5jdHi6BmyTuaq", Generations(3, 2))
PERSON = replace(
    MACHINE, generations=Generations(3, 2, 7), user_id="u1", username="alice", grant="g" * 14, auth_time=990, acr="pwd"
)


def claims(record: AccessToken, **more: Any) -> dict[str, Any]:
    """The claims of such a token (RFC 9068 section 2.2), as a reader of JSON finds them."""
    said = {
        "iss": ISSUER,
        "sub": record.subject or record.user_id or record.client_id,
        "aud": list(record.audience) or ISSUER,
        "exp": record.expires_at,
        "iat": record.issued_at,
        "jti": record.jti,
        "client_id": record.client_id,
        "gen": stateless.generations(record),
        **({"scope": " ".join(record.scope)} if record.scope else {}),
        **({"auth_time": record.auth_time} if record.auth_time else {}),
        **({"acr": record.acr} if record.acr else {}),
        **more,
    }
    return dict(json.loads(json.dumps(said)))


class RecordTests(SynchronousTestCase):
    """There and back."""

    def back(self, record: AccessToken, **more: Any) -> dict[str, Any]:
        """The record comes back; what was left to be sealed."""
        said = claims(record, **more)
        left: dict[str, Any] = json.loads(json.dumps(stateless.rest(record, said)))
        self.assertEqual(stateless.record(said, left), record)
        return left

    def test_a_machine(self) -> None:
        """Of a client's own token the claims say everything: nothing is left."""
        for record in (MACHINE, replace(MACHINE, scope=()), replace(MACHINE, audience=("https://a.example",))):
            self.assertEqual(self.back(record), {})

    def test_a_person(self) -> None:
        """Of a user's token only the name and the grant are left."""
        self.assertEqual(self.back(PERSON), {"n": "alice", "G": "g" * 14})

    def test_a_pairwise_subject(self) -> None:
        """Who a pairwise subject is stands in what is sealed, and not in the claims."""
        record = replace(PERSON, subject="pairwise")
        self.assertEqual(self.back(record)["u"], "u1")
        self.assertNotIn("u1", json.dumps(claims(record)))

    def test_bound(self) -> None:
        """A binding comes back from `cnf`."""
        for binding, cnf in (
            (Binding("k"), {"jkt": "k"}), (Binding(x5t="x"), {"x5t#S256": "x"}),
            (Binding("k", "x"), {"jkt": "k", "x5t#S256": "x"}),
        ):  # fmt: skip
            self.assertEqual(self.back(replace(MACHINE, binding=binding), cnf=cnf), {})

    def test_declared_claims(self) -> None:
        """Claims of the operator are left by their names where the token says them, and whole where it does not."""
        record = replace(MACHINE, extra={"roles": ["a"], "tier": 3})
        self.assertEqual(self.back(record, roles=["a"], tier=3), {"xs": ["roles", "tier"]})
        self.assertEqual(self.back(record), {"x": {"roles": ["a"], "tier": 3}})

    def test_every_field(self) -> None:
        """A record with a value in each field that there is comes back, whichever of them the claims say."""
        record: AccessToken = example(AccessToken)
        self.back(record)
        self.back(record, act=record.act, may_act=record.may_act, authorization_details=list(record.details))

    def test_a_client_called_like_a_user(self) -> None:
        """A user whose id is the client's is a user all the same; and a claim that the record lacks stays out of it."""
        self.back(replace(PERSON, user_id="app"))
        self.back(MACHINE, act={"sub": "x"})

    def test_of_something_else(self) -> None:
        """Claims without generations, or with such that are none, are no record's."""
        good = claims(MACHINE)
        for wrong in (
            {key: value for key, value in good.items() if key != "gen"}, good | {"gen": 1}, good | {"gen": [1, 1]},
            good | {"gen": ["1", 1, 0]}, good | {"scope": 5}, good | {"aud": 5}, good | {"exp": "x"}, good | {"jti": 1},
            good | {"cnf": "x"}, good | {"authorization_details": 3},
        ):  # fmt: skip
            self.assertIsNone(stateless.record(wrong, {}), wrong)
        self.assertIsNone(stateless.record(good, {"xs": ["nothing"]}))
