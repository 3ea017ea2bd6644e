"""What a request object must say, whatever a client puts into it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import jose, profile, request_object
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.records import Client

ISSUER, NOW = "https://op.example", 1_800_000_000.5
CLIENT = Client("app", 1, "App", "confidential", 0, 0)
GOOD: dict[str, Any] = {"client_id": "app", "iss": "app", "aud": ISSUER, "nbf": int(NOW), "exp": int(NOW) + 60}
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=9)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | st.just("app"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(("client_id", "iss", "aud", "exp", "nbf", "sub", "jti", "request", "resource", "state"))


def judged(claims: dict[str, Any], strict: bool = True) -> None:
    """Judge at a certain time."""
    request_object.judge(claims, "app", ISSUER, NOW, 10, strict)


class JudgingTests(SynchronousTestCase):
    """`judge`."""

    @given(st.dictionaries(NAMES, VALUES), st.booleans())
    def test_never_fails_otherwise(self, claims: dict[str, Any], strict: bool) -> None:
        """Whatever the claims are, they are refused or right; nothing else is raised."""
        try:
            judged(claims, strict)
        except OAuthError as error:
            self.assertEqual(error.kind.code, "invalid_request_object")
        else:
            self.assertEqual(claims["client_id"], "app")
            self.assertFalse(strict and not {"iss", "aud", "exp", "nbf"} <= claims.keys())

    def test_the_hour(self) -> None:
        """Who must sign says an hour at most, to the second; nbf may be late by what clocks differ."""
        now = int(NOW)
        for more in ({"nbf": now - 3600, "exp": now}, {"nbf": now + 10, "exp": now + 3610}, {"exp": now - 9}):
            judged(GOOD | more)
        for more in ({"nbf": now - 3610}, {"exp": now + 3601}, {"nbf": now + 11}, {"exp": now - 10, "nbf": now - 60}):
            with self.assertRaises(OAuthError):
                judged(GOOD | more)
        judged(GOOD | {"nbf": now - 10**7, "exp": now + 10**7}, strict=False)


class ParameterTests(SynchronousTestCase):
    """`parameters`."""

    @given(st.dictionaries(TEXT, VALUES))
    def test_one_reading(self, claims: dict[str, Any]) -> None:
        """Each claim is one parameter: a string as it is, all else as the JSON that it was; null is not there."""
        found = dict(request_object.parameters(claims).pairs)
        for name, value in claims.items():
            if name in ("iss", "aud", "exp", "nbf", "iat", "jti", "sub", "resource") or value is None:
                continue
            self.assertEqual(found[name] if isinstance(value, str) else json.loads(found[name]), value)

    def test_no_numbers(self) -> None:
        """A number that is too large to be any is refused, wherever it stands."""
        for value in (json.loads("1e999"), [json.loads("-1e999")], {"a": json.loads("1e999")}):
            with self.assertRaises(OAuthError):
                request_object.parameters({"x": value})

    def test_unfit_characters(self) -> None:
        """Control characters, and halves of characters, are refused as the edge refuses them in a query."""
        for value in ("a\r\nb", "\0", "\x7f", "\x85", "\ud800", ["\udfff"], {"\ud800": 1}):
            with self.assertRaises(OAuthError):
                request_object.parameters({"state": value})
        with self.assertRaises(OAuthError):
            request_object.parameters({"\ud800": "x"})

    def test_what_is_of_the_token(self) -> None:
        """Claims about the token itself are no parameters."""
        self.assertEqual(request_object.parameters(GOOD).pairs, (("client_id", "app"),))


class AlgorithmTests(SynchronousTestCase):
    """Which algorithms count."""

    def test_by_client(self) -> None:
        """All that there are, those of FAPI, or the one that was registered; never none, HMAC only with a secret."""
        self.assertEqual(set(request_object.algorithms(CLIENT, False)), set(jose.ASYMMETRIC))
        self.assertEqual(set(request_object.algorithms(CLIENT, True)), set(profile.SIGNING))
        for name, strict, found in (
            ("RS256", False, ["RS256"]), ("RS256", True, []), ("ES256", True, ["ES256"]), ("none", False, []),
            ("HS256", False, ["HS256"]), ("HS256", True, []), ("HS384", False, []), ("HS512", False, []),
        ):  # fmt: skip
            self.assertEqual(request_object.algorithms(replace(CLIENT, request_algorithm=name), strict), found)
        by_secret = replace(CLIENT, request_algorithm="HS256")
        for other in (replace(by_secret, client_type="public"), replace(by_secret, profile="fapi1")):
            self.assertEqual(request_object.algorithms(other, False), [])

    @given(st.text(alphabet="eyJ0.aA-_=", max_size=60))
    def test_unsigned(self, token: str) -> None:
        """What is no unsigned token is refused, and nothing else is raised."""
        with self.assertRaises(jose.TokenRefused):
            request_object.unsigned(token)
