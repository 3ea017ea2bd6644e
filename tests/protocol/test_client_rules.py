"""What of a client's registration goes together."""

from __future__ import annotations

from typing import Any

from jwcrypto.jwk import JWK
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import client_metadata as metadata
from oauthd.protocol.client_rules import completed, flaws, loses_scope, needs_secret, needs_secret_itself
from oauthd.protocol.records import Client, Scope, Scopes

JWKS = {"keys": [JWK.generate(kty="EC", crv="P-256").export_public(as_dict=True)]}
PLAIN = Client("app", 1, "App", "confidential", 0, 0)
ONE = ("https://app.example/cb", "https://app.example:8443/x")
TWO = ("https://one.example/cb", "https://two.example/cb")


def client(**fields: Any) -> Client:
    """A client with these fields."""
    return replace(PLAIN, **fields)


class FlawTests(SynchronousTestCase):
    """`flaws`"""

    def test_good(self) -> None:
        """What goes together has no flaws."""
        for one in (
            client(),
            client(client_type="public"),
            client(jwks=JWKS),
            client(jwks_uri="https://app.example/jwks"),
            client(auth_method="private_key_jwt", jwks=JWKS, auth_algorithm="ES256"),
            client(auth_method="self_signed_tls_client_auth", jwks_uri="https://app.example/jwks"),
            client(auth_method="tls_client_auth", tls_subject={"san_dns": "app.example"}),
            client(auth_method="client_secret_jwt", auth_algorithm="HS256"),
            client(id_token_encryption=("ECDH-ES", "A128GCM"), jwks=JWKS),
            client(subject_type="pairwise", redirect_uris=ONE),
            client(subject_type="pairwise", redirect_uris=TWO, sector_identifier_uri="https://s.example/"),
            client(id_token_algorithm="HS256"),
        ):
            self.assertEqual(flaws(one), {}, one)

    def test_bad(self) -> None:
        """What does not is named by the member that is to be changed."""
        uri = "https://app.example/jwks"
        cases: list[tuple[Client, str]] = [
            (client(jwks=JWKS, jwks_uri=uri), "jwks_uri"),
            (client(jwks={"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}), "jwks"),
            (client(auth_method="private_key_jwt"), "token_endpoint_auth_method"),
            (client(auth_method="self_signed_tls_client_auth"), "token_endpoint_auth_method"),
            (client(auth_method="tls_client_auth"), "token_endpoint_auth_method"),
            (client(auth_method="tls_client_auth", tls_subject={"san_ip": "::1", "san_uri": "a:b"}),
             "token_endpoint_auth_method"),
            (client(tls_subject={"san_dns": "app.example"}), "tls_client_auth_san_dns"),
            (client(client_type="public", auth_method="client_secret_basic"), "token_endpoint_auth_method"),
            (client(auth_method="private_key_jwt", jwks=JWKS, auth_algorithm="HS256"),
             "token_endpoint_auth_signing_alg"),
            (client(auth_method="client_secret_jwt", auth_algorithm="RS256"), "token_endpoint_auth_signing_alg"),
            (client(userinfo_encryption=("", "A128GCM")), "userinfo_encrypted_response_alg"),
            (client(response_encryption=("ECDH-ES", "A128GCM")), "authorization_encrypted_response_alg"),
            (client(request_encryption=("", "A128GCM")), "request_object_encryption_alg"),
            (client(client_type="public", id_token_algorithm="HS256"), "id_token_signed_response_alg"),
            (client(request_signed=True, request_algorithm="none"), "request_object_signing_alg"),
            (client(client_type="public", grant_types=("client_credentials",)), "grant_types"),
            (client(subject_type="pairwise", redirect_uris=TWO), "sector_identifier_uri"),
            (client(subject_type="pairwise"), "sector_identifier_uri"),
        ]  # fmt: skip
        for one, named in cases:
            self.assertEqual(list(flaws(one)), [named], one)

    def test_secrets(self) -> None:
        """A client has a secret where something is proved by one; it is sealed where a digest does not do."""
        for fields, needed, itself in (
            ({}, True, False),
            ({"client_type": "public"}, False, False),
            ({"auth_method": "client_secret_post"}, True, False),
            ({"auth_method": "client_secret_jwt"}, True, True),
            ({"auth_method": "private_key_jwt"}, False, False),
            ({"auth_method": "private_key_jwt", "id_token_algorithm": "HS256"}, True, True),
            ({"auth_method": "tls_client_auth", "request_algorithm": "HS512"}, True, True),
        ):
            one = client(**fields)
            self.assertEqual((needs_secret(one), needs_secret_itself(one)), (needed, itself), fields)


class CompletedTests(SynchronousTestCase):
    """`completed`"""

    def test_sector(self) -> None:
        """A host stands for a client where its subjects are pairwise, and none otherwise."""
        self.assertEqual(completed(client(subject_type="pairwise", redirect_uris=ONE)).sector, "app.example")
        self.assertEqual(completed(client(redirect_uris=ONE, sector="old.example")).sector, "")
        other = client(subject_type="pairwise", redirect_uris=TWO, sector_identifier_uri="https://S.example:1/x")
        self.assertEqual(completed(other).sector, "s.example")

    def test_application_type(self) -> None:
        """What all lead to the device is native, unless it says something else."""
        native = client(redirect_uris=("http://127.0.0.1/cb", "com.example.app:/cb"))
        self.assertEqual(completed(native).application_type, "native")
        self.assertEqual(completed(native, "web").application_type, "web")
        self.assertEqual(completed(client(redirect_uris=(*ONE, "http://127.0.0.1/"))).application_type, "web")
        self.assertEqual(completed(client()).application_type, "web")

    def test_lost_scopes(self) -> None:
        """A scope is lost when it was had, by name or with all, and is not had any more."""
        known = Scopes((Scope(1, "a"), Scope(2, "b"), Scope(3, "r", reserved=True)), 3)
        for had, has, lost in (
            (None, None, False),
            (None, ("a", "b"), False),
            (None, ("a",), True),
            (("a",), None, False),
            (("r",), None, True),
            (("a",), ("a", "r"), False),
            (("a", "r"), ("a",), True),
        ):
            self.assertEqual(loses_scope(client(scopes=had), client(scopes=has), known), lost, (had, has))


class TableTests(SynchronousTestCase):
    """The table of `client_metadata`, both ways."""

    rows = metadata.rows(
        metadata.Offered(
            auth_methods=("client_secret_basic", "tls_client_auth", "none"),
            id_token_algorithms=("RS256",),
            key_encryption=("ECDH-ES",),
            content_encryption=("A128GCM", "A128CBC-HS256"),
            details_types=("payment",),
        )
    )

    def test_fields_and_back(self) -> None:
        """What is told of a client makes the same client again."""
        one = client(
            tls_subject={"san_email": "a@b.example"},
            id_token_encryption=("ECDH-ES", "A128GCM"),
            default_max_age=0,
            details_types=("payment",),
            contacts=("x",),
            dpop_bound=True,
            jwks=JWKS,
        )
        for sample in (one, PLAIN):
            told = metadata.told(sample, self.rows)
            again = replace(PLAIN, **metadata.fields(told, self.rows))
            self.assertEqual(again, sample)

    def test_names_are_told_apart(self) -> None:
        """No name stands for two members, and every field is one of the record's."""
        names = [row.name for row in self.rows]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual({row.field for row in self.rows}, set(Client.__struct_fields__))

    def test_defaults(self) -> None:
        """Null is as if it were not there; enc has a default beside alg."""
        sent = {"logo_uri": None, "id_token_encrypted_response_alg": "ECDH-ES"}
        read, problems = metadata.problems_of(sent, self.rows)
        self.assertEqual(problems, {})
        fields = metadata.fields(read, self.rows)
        self.assertEqual((fields["logo_uri"], fields["id_token_encryption"]), ("", ("ECDH-ES", "A128CBC-HS256")))
        self.assertEqual((fields["subject_type"], fields["details_types"]), ("public", None))

    def test_not_offered(self) -> None:
        """What this server does not have cannot be asked for."""
        _, problems = metadata.problems_of({"userinfo_signed_response_alg": "RS256", "unknown": 1}, self.rows)
        self.assertEqual(problems, {"userinfo_signed_response_alg": "is not offered here"})
