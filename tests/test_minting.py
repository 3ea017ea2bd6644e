"""Minting: what the strings are made of, and that nothing is stored by making them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve
from joserfc import jwt
from joserfc.jwk import KeySet
from msgspec.structs import replace

from oauthd.minting import Minting, Order
from oauthd.protocol import jose, opaque
from oauthd.protocol.records import Generations, Grant
from oauthd.stores import kinds
from tests.server import ISSUER, NOW, ServerCase

DAY = 86400


class MintingTests(ServerCase):
    """Access, refresh and id tokens."""

    async def prepare(self) -> None:
        """A mint, and what it is asked for."""
        self.minting = self.server.application.minting
        self.app = await self.server.client()
        self.order = Order(self.app.record, ("read",), Generations(1, 1))
        self.grant = Grant(
            client_id="app",
            user_id="u1",
            grant_type="authorization_code",
            scope=("openid",),
            generations=Generations(1, 1, 1),
            issued_at=int(NOW),
            ends_at=int(NOW) + 30 * DAY,
            expires_at=int(NOW) + 30 * DAY,
            auth_time=int(NOW) - 5,
        )

    async def test_nothing_is_stored(self) -> None:
        """A mint returns string and write; the database is as before."""
        before = await self.server.keys()
        token, write = await self.minting.access_token(self.order)
        refresh, _ = self.minting.refresh_token("g" * 14, self.grant, ("read",), ())
        await self.minting.id_token(self.app.record, self.grant, token, "")
        self.assertEqual(await self.server.keys(), before)
        self.assertEqual(write.ref, kinds.access_token(token))
        self.assertNotIn(token, repr(write))
        self.assertEqual(opaque.parse(opaque.REFRESH_TOKEN, refresh), "g" * 14)

    async def test_manner(self) -> None:
        """One rule says how tokens are made, whether they are made at once or not; an opaque one is in no list."""
        opaque_one = replace(self.app.record, access_format="opaque", status_listed=True, stateless=True)
        manner = self.minting.manner(opaque_one, ())
        self.assertEqual((manner.algorithm, manner.listed, manner.stateless), ("", False, False))
        order = replace(self.order, client=opaque_one)
        _, write = await self.minting.access_token(order)
        self.assertEqual((write.record.status, write.ref.kind), (0, kinds.ACCESS_TOKEN))
        token, write = await self.minting.access_token(replace(order, as_jwt=True))
        self.assertEqual(jose.peek(token)[1]["status"]["status_list"]["idx"], write.record.status - 1)
        self.assertIs(write.ref.kind, kinds.UNWRITTEN)
        draft = self.minting.draft(replace(order, as_jwt=True))
        assert draft is not None
        self.assertNotIn(draft.record.status, (0, write.record.status))

    async def test_format(self) -> None:
        """The client's format comes before the setting."""
        token, _ = await self.minting.access_token(self.order)
        self.assertEqual(token.count("."), 2)
        other = replace(self.order, client=replace(self.app.record, access_format="opaque"))
        token, _ = await self.minting.access_token(other)
        self.assertEqual(opaque.parse(opaque.ACCESS_TOKEN, token), "")

    async def test_a_strict_client(self) -> None:
        """A client held to FAPI 2.0 gets no id token by an algorithm outside of it, whatever is the default."""
        for registered, signs in (("", "PS256"), ("RS256", "PS256"), ("ES256", "ES256"), ("EdDSA", "EdDSA")):
            client = replace(self.app.record, id_token_algorithm=registered, profile="fapi2")
            token = await self.minting.id_token(client, self.grant, "token", "")
            self.assertEqual(jose.peek(token)[0]["alg"], signs, registered)

    async def test_the_name_of_the_session(self) -> None:
        """Id tokens have `sid`; those of a client under FAPI 2.0 where it has to do with logout."""
        grant = replace(self.grant, session="s1")
        for members, told in (
            ({}, True),
            ({"profile": "fapi2"}, False),
            ({"profile": "fapi2", "backchannel_logout_uri": "https://app.example/b"}, True),
        ):
            client = replace(self.app.record, **members)
            token = await self.minting.id_token(client, grant, "token", "")
            self.assertEqual("sid" in jose.peek(token)[1], told, members)

    async def test_all_that_is_signed_for_a_client_under_fapi(self) -> None:
        """Neither its access tokens nor its id tokens are signed by what is outside of its profile."""
        settings = self.minting.settings
        minting = evolve(
            self.minting, settings=evolve(settings, tokens=evolve(settings.tokens, access_algorithm="RS256"))
        )
        for held_to, signs in (("", "RS256"), ("fapi1", "PS256"), ("fapi2", "PS256")):
            client = replace(self.app.record, profile=held_to)
            access, _ = await minting.access_token(replace(self.order, client=client))
            for token in (access, await minting.id_token(client, self.grant, access, "")):
                self.assertEqual(jose.peek(token)[0]["alg"], signs, held_to)

    async def test_record_and_claims_agree(self) -> None:
        """The record says what the token says."""
        order = replace(self.order, user_id="u1", username="alice", grant_id="g", audience=("https://a",), auth_time=7)
        token, write = await self.minting.access_token(order)
        keys = KeySet.import_key_set(self.server.application.keys.public_jwks())  # type: ignore[arg-type]
        claims, record = jwt.decode(token, keys).claims, write.record
        self.assertEqual(
            (claims["sub"], claims["client_id"], claims["exp"], claims["iat"], claims["jti"], claims["auth_time"]),
            (record.user_id, record.client_id, record.expires_at, record.issued_at, record.jti, record.auth_time),
        )
        self.assertEqual((claims["aud"], claims["iss"], claims["scope"]), ("https://a", ISSUER, "read"))
        self.assertNotIn("username", claims)

    async def test_no_longer_than_its_grant(self) -> None:
        """An access token ends with its grant at the latest."""
        for ends_at, lives in ((None, 1800), (int(NOW) + 10000, 1800), (int(NOW) + 100, 100)):
            _, write = await self.minting.access_token(replace(self.order, ends_at=ends_at))
            self.assertEqual(write.record.expires_at - write.record.issued_at, lives)

    async def test_refresh_token_lifetime(self) -> None:
        """A refresh token lives seven days, and never longer than its grant."""
        _, write = self.minting.refresh_token("g" * 14, self.grant, ("read",), ())
        self.assertEqual(write.record.expires_at, int(NOW) + 7 * DAY)
        short = replace(self.grant, ends_at=int(NOW) + DAY)
        _, write = self.minting.refresh_token("g" * 14, short, ("read",), ())
        self.assertEqual(write.record.expires_at, int(NOW) + DAY)

    async def test_rsa_goes_to_the_pool(self) -> None:
        """RSA signatures are made in the pool; ES256 and EdDSA inline."""
        pooled: list[Any] = []

        async def pool(work: Callable[..., Any], *arguments: Any) -> Any:
            pooled.append(work)
            return work(*arguments)

        minting: Minting = evolve(self.minting, nested=evolve(self.minting.nested, in_thread=pool))
        for algorithm, times in (("RS256", 1), ("PS256", 1), ("ES256", 0), ("EdDSA", 0)):
            del pooled[:]
            client = replace(self.app.record, id_token_algorithm=algorithm)
            await minting.id_token(client, self.grant, "token", "")
            self.assertEqual(len(pooled), times, algorithm)
        del pooled[:]
        await minting.access_token(self.order)
        self.assertEqual(pooled, [])
