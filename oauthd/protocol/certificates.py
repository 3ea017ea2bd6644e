"""Client certificates: their thumbprint, their names, and how proxies write them (RFC 8705, RFC 9440).

A certificate is its DER here, and one that cannot be read is none: everything that reads one answers as if it had not
been shown. Whether a trusted authority has issued it is found out elsewhere, by a library that validates chains (RFC
8705 section 7.5); the names in a certificate of anybody else mean nothing.

Refused: certificates that are too long; names that match in a wider sense than the registered one, wildcards included.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from jwcrypto.jwk import JWK

LONGEST = 8192  # bytes of DER; one with an RSA key of 4096 bits and a few names has 2000

Form = Literal["rfc9440", "pem", "base64"]
"""How a proxy writes a certificate into a field: as a byte sequence of structured fields (RFC 9440); as PEM, whose line
ends are percent-encoded or written as blanks; as the base64 of the DER, perhaps percent-encoded."""

_BYTE_SEQUENCE = re.compile(r":([A-Za-z0-9+/]+={0,2}):")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_PEM = re.compile(rb"\s*-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)\s-----END CERTIFICATE-----\s*")
# What stands in front of `=`: at the beginning and after a separator that is not escaped. Some write a blank there.
_TYPE = re.compile(r"(^|(?<!\\)[,+])[ ]*([A-Za-z][A-Za-z0-9-]*)=")
_TYPES = {
    "EMAILADDRESS": NameOID.EMAIL_ADDRESS,
    "E": NameOID.EMAIL_ADDRESS,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "GIVENNAME": NameOID.GIVEN_NAME,
    "GN": NameOID.GIVEN_NAME,
    "SURNAME": NameOID.SURNAME,
    "SN": NameOID.SURNAME,
    "T": NameOID.TITLE,
    "TITLE": NameOID.TITLE,
    "S": NameOID.STATE_OR_PROVINCE_NAME,
    "ORGANIZATIONIDENTIFIER": NameOID.ORGANIZATION_IDENTIFIER,
    "BUSINESSCATEGORY": NameOID.BUSINESS_CATEGORY,
}
"""Names of attribute types besides those of RFC 4514 section 3, as tools write them."""

_Name = tuple[frozenset[tuple[str, str]], ...]


def read(der: bytes) -> x509.Certificate | None:
    """The certificate; None for what is none, or too long."""
    if not 0 < len(der) <= LONGEST:
        return None
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.public_key()
        return certificate if certificate.public_bytes(Encoding.DER) == der else None
    except Exception:  # cryptography raises several kinds for certificates that are wrong in different ways
        return None


def thumbprint(der: bytes) -> str:
    """Its `x5t#S256` (RFC 8705 section 3.1): SHA-256 in base64url."""
    return base64.urlsafe_b64encode(sha256(der).digest()).rstrip(b"=").decode()


def from_header(text: str, form: Form) -> bytes:
    """The certificate that a proxy has written; empty for none, and for what is malformed."""
    if len(text) > 3 * LONGEST:
        return b""
    try:
        der = _FORMS[form](text.strip(" \t"))
    except (ValueError, binascii.Error):
        return b""
    return der if read(der) is not None else b""


def _byte_sequence(text: str) -> bytes:
    # RFC 9440 section 2.1, RFC 8941 section 3.3.5
    found = _BYTE_SEQUENCE.fullmatch(text)
    if found is None:
        raise ValueError
    return base64.b64decode(found[1], validate=True)


def _pem(text: str) -> bytes:
    found = _PEM.fullmatch(unquote_to_bytes(text))  # `+` stands for itself: this is no form
    if found is None:  # also where there are two
        raise ValueError
    return base64.b64decode(b"".join(found[1].split()), validate=True)


def _base64(text: str) -> bytes:
    raw = unquote_to_bytes(text)
    if _BASE64.fullmatch(raw) is None:
        raise ValueError
    return base64.b64decode(raw, validate=True)


_FORMS: Mapping[Form, Callable[[str], bytes]] = {"rfc9440": _byte_sequence, "pem": _pem, "base64": _base64}


def shows(der: bytes, tls_subject: Mapping[str, str]) -> bool:
    """Does it show the one subject that a client has registered (RFC 8705 section 2.1.2)?

    :param tls_subject: one of `subject_dn`, `san_dns`, `san_uri`, `san_ip`, `san_email`, with its value.
    """
    certificate = read(der)
    if certificate is None or len(tls_subject) != 1:
        return False
    ((part, expected),) = tls_subject.items()
    try:
        if part == "subject_dn":
            wanted = distinguished_name(expected)
            return wanted != () and _name(certificate.subject) == wanted
        kind, normal = _ALTERNATIVES[part]
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        wanted_name = normal(expected)
        return any(normal(str(each)) == wanted_name for each in extension.value.get_values_for_type(kind))
    except (ValueError, LookupError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False


def _same(text: str) -> str:
    return text


def _email(text: str) -> str:
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"  # RFC 5280 section 7.5


# RFC 5280 section 7.2 and 7.4: a host name in any case, a URI as it stands. An asterisk stands for itself.
_ALTERNATIVES: Mapping[str, tuple[type[Any], Callable[[str], str]]] = {
    "san_dns": (x509.DNSName, str.lower),
    "san_uri": (x509.UniformResourceIdentifier, _same),
    "san_ip": (x509.IPAddress, lambda text: str(ip_address(text))),
    "san_email": (x509.RFC822Name, _email),
}


def distinguished_name(text: str) -> _Name:
    """A distinguished name in the form of RFC 4514, for comparison.

    :raises ValueError: it is none.
    """
    upper = _TYPE.sub(lambda found: f"{found[1]}{found[2].upper()}=", text.strip())
    return _name(x509.Name.from_rfc4514_string(upper, _TYPES))


def _name(name: x509.Name) -> _Name:
    """A name as distinguishedNameMatch sees it (RFC 4517 section 4.2.15): the order of its parts counts, that within
    one does not; neither does the type of a string.
    """
    return tuple(
        frozenset((attribute.oid.dotted_string, _prepared(attribute.value)) for attribute in part) for part in name.rdns
    )


def _prepared(value: str | bytes) -> str:
    """A value as caseIgnoreMatch sees it (RFC 4517 section 4.2.11), but with NFC where RFC 4518 has NFKC: characters
    that only look alike are different here.
    """
    text = value if isinstance(value, str) else value.hex()
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def is_for_clients(der: bytes) -> bool:
    """May it be used as a client's (RFC 5280 section 4.2.1.12)? One that says nothing of its use may."""
    certificate = read(der)
    if certificate is None:
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except (ValueError, x509.DuplicateExtension):
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def public_jwk(der: bytes) -> dict[str, Any]:
    """Its public key as a JWK, without `kid`; {} for what is no certificate, or has a key of a kind that JOSE lacks."""
    certificate = read(der)
    if certificate is None:
        return {}
    try:
        found: dict[str, Any] = JWK.from_pyca(certificate.public_key()).export_public(as_dict=True)
    except Exception:  # jwcrypto's own for other kinds of keys
        return {}
    found.pop("kid", None)
    return found
