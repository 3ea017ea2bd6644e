"""Client certificates: thumbprints, names and headers, with the examples of RFC 8705 and RFC 9440."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.certificates import (
    LONGEST,
    distinguished_name,
    from_header,
    is_for_clients,
    public_jwk,
    shows,
    thumbprint,
)

# RFC 8705 appendix A
MTLS = base64.b64decode(
    "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwE"
    "bXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGG"
    "WvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUa"
    "KlLR50Q2DmFfQj1L+SY="
)
# RFC 9440 appendix A
BC = (
    "MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0"
    "ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaU"
    "gmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAW"
    "gBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1w"
    "bGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBV"
    "oU4hBVZ1yhk="
)
DER = base64.b64decode(BC)
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n".format(
    "\n".join(BC[start : start + 64] for start in range(0, len(BC), 64))
)
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(
    *subject: tuple[x509.ObjectIdentifier, str],
    names: tuple[x509.GeneralName, ...] = (),
    uses: tuple[x509.ObjectIdentifier, ...] = (),
    extension: bytes | None = None,
) -> bytes:
    """A certificate with this subject, each part by itself, and these alternative names."""
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in subject])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if extension is not None:
        kind = x509.SubjectAlternativeName.oid
        builder = builder.add_extension(x509.UnrecognizedExtension(kind, extension), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


ORG = certificate(
    (NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, "Example, Inc."), (NameOID.COMMON_NAME, "app")
)


class ThumbprintTests(SynchronousTestCase):
    """RFC 8705 section 3.1 and appendix A."""

    def test_the_example(self) -> None:
        """The certificate of the appendix has its thumbprint."""
        self.assertEqual(thumbprint(MTLS), "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0")

    def test_its_key(self) -> None:
        """It has the key that the appendix has as a JWK."""
        expected = {
            "kty": "EC",
            "crv": "P-256",
            "x": "1yfLHCpXqFjxCeHHHMVDTcLscpb07KUxudBmOMn8C7Q",
            "y": "8_coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8",
        }
        self.assertEqual(public_jwk(MTLS), expected)

    def test_no_key(self) -> None:
        """What is no certificate has no key; neither has one whose key is of a kind that JOSE does not know."""
        self.assertEqual(public_jwk(b"nothing"), {})
        other = dsa.generate_private_key(2048)
        name = x509.Name([])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(other.public_key())
        builder = builder.serial_number(1).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        made = builder.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC)).sign(KEY, hashes.SHA256())
        self.assertEqual(public_jwk(made.public_bytes(Encoding.DER)), {})


class HeaderTests(SynchronousTestCase):
    """RFC 9440 section 2 and appendix A, and what proxies wrote before it."""

    def test_the_example(self) -> None:
        """The field of the appendix is read, with blanks around it, too."""
        self.assertEqual(from_header(f":{BC}:", "rfc9440"), DER)
        self.assertEqual(from_header(f" :{BC}:\t", "rfc9440"), DER)

    def test_escaped_pem(self) -> None:
        """PEM is read as nginx ($ssl_client_escaped_cert), Amazon's balancer and Apache write it."""
        self.assertEqual(from_header(quote(PEM, safe=""), "pem"), DER)
        self.assertEqual(from_header(quote(PEM, safe="+=/"), "pem"), DER)
        self.assertEqual(from_header(PEM.replace("\n", " ").strip(), "pem"), DER)

    def test_base64(self) -> None:
        """The base64 of the DER is read as HAProxy writes it, and percent-encoded."""
        self.assertEqual(from_header(BC, "base64"), DER)
        self.assertEqual(from_header(quote(BC, safe=""), "base64"), DER)

    def test_one_form_is_not_another(self) -> None:
        """Only the form that was set is read: a caller cannot choose."""
        written = {"rfc9440": f":{BC}:", "pem": quote(PEM), "base64": BC}
        for form in ("rfc9440", "pem", "base64"):
            read = [name for name, text in written.items() if from_header(text, form) == DER]
            self.assertEqual(read, [form])

    def test_malformed(self) -> None:
        """What is malformed is no certificate."""
        for text in ("", ":", "::", f":{BC}", f"{BC}:", f":{BC}:, :{BC}:", f":{BC}:;a=1", f":{BC[:-4]}:", f":{BC} :",
                     f":{BC[:100]}\n{BC[100:]}:", ":AAAA:", f":{BC[:-1]}:", ":" + "A" * 20 + "%:", f'"{BC}"',
                     f":{BC.replace('+', '-')}:"):  # fmt: skip
            self.assertEqual(from_header(text, "rfc9440"), b"", text[:40])
        for text in ("", PEM + PEM, quote(PEM + PEM), quote(PEM.replace("CERTIFICATE", "PUBLIC KEY")), BC,
                     quote("x" + PEM), quote(PEM.replace("END", "BEGIN")), "%"):  # fmt: skip
            self.assertEqual(from_header(text, "pem"), b"", text[:40])

    def test_something_after_it(self) -> None:
        """A certificate with bytes after it is none."""
        self.assertEqual(from_header(f":{base64.b64encode(DER + b'x').decode()}:", "rfc9440"), b"")

    def test_too_long(self) -> None:
        """A certificate that is too long is none, and is not even decoded when it is far too long."""
        long = certificate((NameOID.COMMON_NAME, "x"), names=tuple(x509.DNSName("a" * 60) for _ in range(200)))
        self.assertGreater(len(long), LONGEST)
        self.assertEqual(from_header(f":{base64.b64encode(long).decode()}:", "rfc9440"), b"")
        self.assertEqual(from_header(":" + "A" * 1_000_000 + ":", "rfc9440"), b"")

    @given(st.text(), st.sampled_from(["rfc9440", "pem", "base64"]))
    def test_whatever_is_written(self, text: str, form: str) -> None:
        """Nothing that can be written raises."""
        self.assertEqual(from_header(text, form), b"")  # type: ignore[arg-type]

    @given(st.binary(max_size=300))
    def test_whatever_is_shown(self, der: bytes) -> None:
        """Nor does anything that is taken for a certificate."""
        self.assertFalse(shows(der, {"subject_dn": "CN=app"}))
        self.assertFalse(is_for_clients(der))


class SubjectTests(SynchronousTestCase):
    """RFC 8705 section 2.1 and 2.1.2: one subject, compared as distinguishedNameMatch does."""

    def dn(self, text: str, der: bytes = ORG) -> bool:
        """Does it show this name?"""
        return shows(der, {"subject_dn": text})

    def test_names(self) -> None:
        """The name is compared by its parts: in the order of RFC 4514, whatever the case and the escapes."""
        for text in ("CN=app,O=Example\\, Inc.,C=DE", "cn=APP,o=example\\2c inc.,c=de",
                     "CN=app, O=Example\\, Inc., C=DE",
                     "2.5.4.3=app,2.5.4.10=Example\\,  Inc.,2.5.4.6=DE"):  # fmt: skip
            self.assertTrue(self.dn(text), text)

    def test_other_names(self) -> None:
        """Another order, a part less or more, another value, another type: another name."""
        for text in ("C=DE,O=Example\\, Inc.,CN=app", "CN=app,O=Example\\, Inc.", "CN=app", "",
                     "CN=app+O=Example\\, Inc.,C=DE", "CN=app,O=Example\\, Inc.,C=FR", "OU=app,O=Example\\, Inc.,C=DE",
                     "CN=ap,O=Example\\, Inc.,C=DE", "CN=app*,O=Example\\, Inc.,C=DE", "CN=app,O=Example, Inc.,C=DE",
                     "UID=1,CN=app,O=Example\\, Inc.,C=DE", "CN=app;O=Example",
                     "/C=DE/O=Example, Inc./CN=app"):  # fmt: skip
            self.assertFalse(self.dn(text), text)

    def test_no_name_matches_no_name(self) -> None:
        """An empty name is nobody's, not everybody's whose certificate has none."""
        self.assertFalse(self.dn("", certificate()))

    def test_looking_alike(self) -> None:
        """Characters that only look alike are different; two ways to write the same one are not."""
        self.assertFalse(self.dn("CN=\u0430pp", certificate((NameOID.COMMON_NAME, "app"))))
        self.assertFalse(self.dn("CN=\uff41pp", certificate((NameOID.COMMON_NAME, "app"))))
        self.assertTrue(self.dn("CN=cafe\u0301", certificate((NameOID.COMMON_NAME, "caf\u00e9"))))

    def test_a_comma_in_a_value(self) -> None:
        """A value that holds a separator is no second part."""
        crafted = certificate((NameOID.COMMON_NAME, "app,O=Example"))
        self.assertFalse(self.dn("CN=app,O=Example", crafted))
        self.assertTrue(self.dn("CN=app\\,O\\=Example", crafted))

    def test_nul(self) -> None:
        """A value does not end where C would have it end."""
        self.assertFalse(self.dn("CN=app", certificate((NameOID.COMMON_NAME, "app\0.evil"))))

    def test_other_types(self) -> None:
        """Types are known by the names that tools write."""
        mail = certificate((NameOID.EMAIL_ADDRESS, "a@example.com"), (NameOID.SERIAL_NUMBER, "7"))
        for text in ("serialNumber=7,emailAddress=a@example.com", "SERIALNUMBER=7,E=a@example.com"):
            self.assertTrue(self.dn(text, mail), text)

    def test_parts_with_several_values(self) -> None:
        """The order within one part does not count (RFC 4514 section 2.2)."""
        self.assertEqual(distinguished_name("CN=a+UID=b,O=c"), distinguished_name("UID=b+CN=a,O=c"))

    def test_the_example(self) -> None:
        """The certificate of RFC 9440 shows its email address."""
        self.assertTrue(shows(DER, {"san_email": "bdc@example.com"}))
        self.assertTrue(shows(DER, {"subject_dn": "CN=BC"}))

    def test_alternative_names(self) -> None:
        """Each kind of alternative name is compared with those of its kind alone."""
        der = certificate(
            (NameOID.COMMON_NAME, "cn.example"),
            names=(
                x509.DNSName("app.example"),
                x509.DNSName("*.wild.example"),
                x509.UniformResourceIdentifier("https://app.example/A"),
                x509.IPAddress(ip_address("192.0.2.1")),
                x509.IPAddress(ip_address("2001:db8::1")),
                x509.RFC822Name("App@example.com"),
            ),
        )
        good = {
            "san_dns": ("app.example", "APP.example", "*.wild.example"),
            "san_uri": ("https://app.example/A",),
            "san_ip": ("192.0.2.1", "2001:db8::1", "2001:DB8:0:0::1"),
            "san_email": ("App@example.com", "App@EXAMPLE.com"),
        }
        bad = {
            "san_dns": ("cn.example", "a.wild.example", "192.0.2.1", "app.example.", "", "https://app.example/A"),
            "san_uri": ("https://app.example/a", "https://APP.example/A", "app.example"),
            "san_ip": ("192.0.2.2", "", "app.example", "192.0.2.1/32", "::ffff:192.0.2.1"),
            "san_email": ("app@example.com", "", "example.com", "App@other.example"),
        }
        for expected, names in ((True, good), (False, bad)):
            wrong = [(part, one) for part, all_ in names.items() for one in all_ if shows(der, {part: one}) != expected]
            self.assertEqual(wrong, [])

    def test_none_and_several(self) -> None:
        """A client has exactly one subject; no other number is ever shown, nor one of another kind."""
        for subject in ({}, {"subject_dn": "CN=BC", "san_email": "bdc@example.com"}, {"issuer": "CN=BC"}):
            self.assertFalse(shows(DER, subject))

    def test_malformed_names(self) -> None:
        """Alternative names that cannot be read show nothing."""
        self.assertFalse(shows(certificate(extension=b"\x30\x03\x82\x05a"), {"san_dns": "a"}))
        self.assertFalse(shows(certificate(), {"san_dns": "a"}))


class UseTests(SynchronousTestCase):
    """RFC 5280 section 4.2.1.12."""

    def test_for_clients(self) -> None:
        """A certificate for clients, for everything, or for nothing in particular is good; one for servers is not."""
        name = (NameOID.COMMON_NAME, "a")
        client, server = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
        self.assertTrue(is_for_clients(certificate(name)))
        self.assertTrue(is_for_clients(certificate(name, uses=(server, client))))
        self.assertTrue(is_for_clients(certificate(name, uses=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,))))
        self.assertFalse(is_for_clients(certificate(name, uses=(server,))))
