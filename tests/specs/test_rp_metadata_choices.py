"""OpenID Connect Relying Party Metadata Choices 1.0: lists of what a client can do, in a registration."""

from __future__ import annotations

from typing import Any

from tests.proofs.signing import key, key_set
from tests.specs.registering import RegisteringCase

METHODS = "token_endpoint_auth_methods_supported"
METHOD = "token_endpoint_auth_method"
SIGNING = "id_token_signing_alg_values_supported"
SIGNED = "id_token_signed_response_alg"
BASE = {"redirect_uris": ["https://app.example/cb"]}


class ChoicesTests(RegisteringCase):
    """Sections 2 and 4."""

    async def told(self, **members: Any) -> dict[str, Any]:
        """What a registration that must succeed is answered."""
        return await self.registered(BASE | members)

    async def wrong(self, name: str, **members: Any) -> None:
        """A registration is refused for that member."""
        answer = await self.register(BASE | members)
        self.assertEqual((answer.status, answer.error), (400, "invalid_client_metadata"), answer.body)
        self.assertIn(name, answer.json()["error_description"])

    async def test_preferred(self) -> None:
        """The one value is taken where it is offered here."""
        told = await self.told(**{SIGNING: ["PS256", "ES256"], SIGNED: "ES256"})
        self.assertEqual(told[SIGNED], "ES256")

    async def test_not_offered(self) -> None:
        """Where it is not, another of the list is, and that is no error."""
        told = await self.told(**{SIGNING: ["ES512", "ES384", "EdDSA"], SIGNED: "ES512"})
        self.assertEqual(told[SIGNED], "EdDSA")

    async def test_alone(self) -> None:
        """A list alone decides what has to be one thing: the usual one, if it is in there, else the first."""
        self.assertEqual((await self.told(**{SIGNING: ["ES256", "RS256"]}))[SIGNED], "RS256")
        self.assertEqual((await self.told(**{SIGNING: ["ES512", "ES256"]}))[SIGNED], "ES256")
        self.assertEqual((await self.told(**{METHODS: ["urn:x", "none", "client_secret_basic"]}))[METHOD], "none")
        told = await self.told(**{METHODS: ["private_key_jwt"], "jwks": key_set(key())})
        self.assertEqual(told[METHOD], "private_key_jwt")

    async def test_able_is_not_willing(self) -> None:
        """What a client can take, such as encryption, is not done to it for that; what it signs with stays open."""
        told = await self.told(
            id_token_encryption_alg_values_supported=["RSA-OAEP-256"],
            userinfo_signing_alg_values_supported=["RS256"],
            request_object_signing_alg_values_supported=["ES256"],
            token_endpoint_auth_signing_alg_values_supported=["ES256"],
        )
        for name in ("id_token_encrypted_response_alg", "userinfo_signed_response_alg", "request_object_signing_alg",
                     "token_endpoint_auth_signing_alg"):  # fmt: skip
            self.assertNotIn(name, told)

    async def test_never_told(self) -> None:
        """No list is told (section 2)."""
        told = await self.told(**{SIGNING: ["RS256"], METHODS: ["none"], "subject_types_supported": ["public"]})
        self.assertEqual([name for name in told if name.endswith("_supported")], [])

    async def test_refused(self) -> None:
        """A list with nothing that is offered, without its own one value, or that is no list of strings, is refused."""
        await self.wrong(SIGNING, **{SIGNING: ["ES512"]})
        await self.wrong(SIGNING, **{SIGNING: ["ES512"], SIGNED: "ES512"})
        await self.wrong(SIGNING, **{SIGNING: ["ES256"], SIGNED: "RS256"})
        for values in ("RS256", [], [1], {"RS256": 1}, ["RS256"] * 51, [["RS256"]], 7):
            await self.wrong(SIGNING, **{SIGNING: values})

    async def test_unknown(self) -> None:
        """A list for a member that is not here is ignored, as that is."""
        await self.told(vehicles_supported=["bicycle"], scopes_supported=7)
