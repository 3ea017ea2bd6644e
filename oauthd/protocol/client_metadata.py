"""What a client may be registered with: forms that are both checked and published, and the table of all members.

RFC 7591 section 2, OpenID Connect Registration section 2, RFC 8705 sections 2.1.2 and 3.4, RFC 9101 section 10.5,
RFC 9126 section 6, RFC 9396 section 10, RFC 9449 section 5.2, RFC 9701 section 6, JARM section 3, CIBA Core section 4,
FAPI 2.0 Message Signing section 5.3.3. A `Row` says how a member is called on
the wire, in which field of `records.Client` it is kept, and what it may hold; registration, the admin API and the
command read and tell members by the rows alone. What goes together is in `client_rules`.

The forms are regular expressions in the part of the language that Python and ECMA-262 share, without anchors, so that
a JSON Schema can publish exactly what a reader checks. `REDIRECT_URI` describes what `redirects` accepts and refuses
nothing that is in use (of IPv6 hosts those with embedded IPv4 addresses).

Refused: resources with a fragment (RFC 8707 section 2), pages and pictures that are not https. Which grant types and
scopes there are, and who may register what, is left to others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from oauthd.protocol import response_modes
from oauthd.protocol.errors import INVALID_CLIENT_METADATA, OAuthError
from oauthd.protocol.grant_types import DEFAULT_GRANT_TYPES
from oauthd.protocol.key_sets import KeySet
from oauthd.protocol.records import Client
from oauthd.protocol.redirects import LONGEST, validate_registered
from oauthd.protocol.schemas import Choice, Flag, Listing, Nullable, Problems, Schema, Text, Whole

CLIENT_TYPES: Final = ("confidential", "public")  # RFC 6749 section 2.1
LONGEST_NAME: Final = 200
LONGEST_URI: Final = LONGEST
MOST_URIS: Final = 50

_PRINTED = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\uffff"
_BLANKS = r"\x20\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
LINE: Final = f"[^{_PRINTED}]*"
"""Text of one line, that cannot turn the direction of what stands around it."""
NAME: Final = f"[^{_PRINTED}{_BLANKS}](?:{LINE}[^{_PRINTED}{_BLANKS}])?"
"""The same, not empty and without blanks at its ends."""

_UNSEEN = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2060-\u206f\u2800\u3164\ufe00-\ufe0d\uffa0"
    r"\ufff0-\ufff8"
)
_JOINING = r"\u200c\u200d"
_FIRST = f"[^{_PRINTED}{_UNSEEN}{_BLANKS}{_JOINING}\\ufe0e\\ufe0f]"
_LAST = f"[^{_PRINTED}{_UNSEEN}{_BLANKS}{_JOINING}]"
CLIENT_NAME: Final = f"{_FIRST}(?:[^{_PRINTED}{_UNSEEN}]*{_LAST})?"
"""What people know a client by: the same without what cannot be seen, but for what joins letters and pictures."""
_TAGS = re.compile("[\U000e0000-\U000e0fff]")
"""More that cannot be seen; the language of the patterns has no word for it."""

CLIENT_ID: Final = "[A-Za-z0-9][A-Za-z0-9._~-]{0,127}"
"""A client id that an administrator chooses: the same in a path, a form and a header (RFC 6749 appendix A.1)."""
CLIENT_SECRET: Final = r"[\x21-\x7e]{32,256}"  # noqa: S105 - its form (RFC 6749 appendix A.2)
SCOPE: Final = r"[\x21\x23-\x5b\x5d-\x7e]{1,128}"  # RFC 6749 section 3.3

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PORT = r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_GROUP = "[1-9a-f][0-9a-f]{0,3}"
_IPV6 = "|".join(
    [
        f"{_GROUP}(?::{_GROUP}){{7}}",
        "::1",
        *(f"{_GROUP}(?::{_GROUP}){{{left}}}::(?:{_GROUP}(?::{_GROUP}){{0,{4 - left}}})?" for left in range(5)),
    ]
)
_HOST = (
    rf"(?:(?:[A-Za-z0-9_-]+\.)*[A-Za-z_-][A-Za-z0-9_-]*|{_OCTET}(?:\.{_OCTET}){{3}}|\[(?:{_IPV6})\])"
)  # a name whose last label is no number, or an address in its usual form
_REST = r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_PLAIN = r"(?:[A-Za-z0-9._~:!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"

REDIRECT_URI: Final = (
    rf"https://{_HOST}{_PORT}(?:[/?]{_REST})?"
    rf"|http://(?:127\.0\.0\.1|\[::1\]|localhost){_PORT}(?:[/?]{_REST})?"
    rf"|[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:/(?:(?:{_PLAIN}|[?@]){_REST})?"
    rf"|[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+://{_PLAIN}*(?:[/?]{_REST})?"
)
RESOURCE: Final = r"[a-z][a-z0-9+.-]*:(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
WEB_URI: Final = rf"https?://{_HOST}{_PORT}(?:[/?]{_REST})?"
"""The address of a page or a picture."""
HTTPS_URI: Final = rf"https://{_HOST}{_PORT}(?:[/?]{_REST})?"
REQUEST_URI: Final = rf"{HTTPS_URI}(?:#[A-Za-z0-9_-]{{0,128}})?"
"""With the hash of what it leads to as its fragment, if it likes (OpenID Connect Core section 6.2)."""
_WORD = r"[\x21\x23-\x5b\x5d-\x7e]{1,256}"

_SEPARATORS = re.compile(r"[\s,]+")


def split_uris(text: str) -> tuple[str, ...]:
    """The URIs of a string in which blanks, commas or line breaks separate them; each once."""
    return tuple(dict.fromkeys(part for part in _SEPARATORS.split(text) if part))


def redirect_uris(uris: Iterable[str]) -> tuple[str, ...]:
    """The URIs, each of which may be registered.

    :raises OAuthError: `invalid_redirect_uri`; `invalid_client_metadata` for too many.
    """
    checked = tuple(validate_registered(uri).value for uri in dict.fromkeys(uris))
    if len(checked) > MOST_URIS:
        raise INVALID_CLIENT_METADATA(f"there are more than {MOST_URIS} redirect URIs")
    return checked


def is_name(name: str) -> bool:
    """May a client be called so?"""
    return len(name) <= LONGEST_NAME and re.fullmatch(CLIENT_NAME, name) is not None and not hides(name)


def hides(name: str) -> bool:
    """Does a name hold what cannot be seen, beyond what the pattern refuses?"""
    return _TAGS.search(name) is not None


def _reason(uri: str) -> str:
    try:
        validate_registered(uri)
    except OAuthError as error:
        return error.description
    return "this form of redirect URI is not supported"


REDIRECT_URIS: Final = Listing(
    Text(REDIRECT_URI, "a redirect URI", 1, LONGEST_URI, explain=_reason, example="https://app.example.com/callback"),
    MOST_URIS,
    distinct=True,
)
NAME_TEXT: Final = Text(
    CLIENT_NAME, "one line of text that can be seen, without blanks at its ends", 1, LONGEST_NAME, example="Example"
)
_https = Text(HTTPS_URI, "an https address without fragment", 1, LONGEST_URI)
_frame = Text(WEB_URI, "an https address without fragment", 1, LONGEST_URI)
_line = Text(LINE, "one line of text", 1, 256)
_word = Text(_WORD, "visible ASCII", 1, 256)


@frozen
class Offered:
    """What this server offers, as far as clients say which of it they use. An empty list: there is no such thing here.

    :ivar auth_methods: of the token endpoint, `none` among them where there are public clients.
    :ivar auth_algorithms: of client assertions.
    :ivar request_algorithms: of request objects.
    :ivar key_encryption: `alg`, and `content_encryption`: `enc`, of JWEs in either direction.
    :ivar details_types: of authorization details that the operator has declared.
    :ivar ciba_modes: how clients learn of the outcome of backchannel authentication (CIBA Core section 5).
    :ivar ciba_algorithms: of signed requests for it.
    """

    grant_types: tuple[str, ...] = DEFAULT_GRANT_TYPES
    auth_methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post", "none")
    auth_algorithms: tuple[str, ...] = ()
    id_token_algorithms: tuple[str, ...] = ()
    userinfo_algorithms: tuple[str, ...] = ()
    response_algorithms: tuple[str, ...] = ()
    request_algorithms: tuple[str, ...] = ()
    introspection_algorithms: tuple[str, ...] = ()
    key_encryption: tuple[str, ...] = ()
    content_encryption: tuple[str, ...] = ()
    subject_types: tuple[str, ...] = ("public",)
    details_types: tuple[str, ...] = ()
    ciba_modes: tuple[str, ...] = ()
    ciba_algorithms: tuple[str, ...] = ()


@frozen
class Row:
    """A member.

    :ivar name: on the wire.
    :ivar field: of `records.Client`.
    :ivar part: where the field holds several members: the place in its tuple, or the key in its dictionary.
    :ivar admin: the admin API has it by this name, too; otherwise by one of its own.
    """

    name: str
    field: str
    schema: Schema
    help: str = ""
    part: int | str | None = None
    admin: bool = True

    def of(self, client: Client) -> Any:
        """The member of a client, as JSON has it; None for what it does not have."""
        value = getattr(client, self.field)
        if isinstance(self.part, int):
            value = value[self.part] if value else ""
        elif self.part is not None:
            value = value.get(self.part, "")
        if value in ("", {}):
            return None
        return list(value) if isinstance(value, tuple) else value

    @property
    def empty(self) -> Any:
        """What it is when nothing is said of it, in the form of JSON."""
        if isinstance(self.schema, Flag):
            return False
        return [] if isinstance(self.schema, Listing) else None

    @property
    def supported(self) -> bool:
        """Is there anything that it could be?"""
        inner = self.schema.of if isinstance(self.schema, Listing) else self.schema
        return not (isinstance(inner, Choice) and not inner.words)


def rows(offered: Offered) -> tuple[Row, ...]:
    """The table."""
    return (
        *_rows_of_registration(offered),
        *_rows_of_people(),
        *_rows_of_proofs(offered),
        *_rows_of_tokens(offered),
        *_rows_of_ciba(offered),
        *_rows_of_logout(),
    )


def _rows_of_registration(offered: Offered) -> Iterator[Row]:
    """Members that the admin API has by names or in forms of its own."""
    yield Row("client_name", "name", NAME_TEXT, admin=False)
    yield Row("redirect_uris", "redirect_uris", REDIRECT_URIS, admin=False)
    yield Row("post_logout_redirect_uris", "post_logout_redirect_uris", REDIRECT_URIS, admin=False)
    grants = Listing(Choice(offered.grant_types), 20, distinct=True)
    yield Row("grant_types", "grant_types", grants, admin=False)
    yield Row("client_uri", "client_uri", _https, admin=False)
    algorithms = Choice(offered.id_token_algorithms)
    yield Row("id_token_signed_response_alg", "id_token_algorithm", algorithms, admin=False)


def _rows_of_people() -> Iterator[Row]:
    """What people see, and whom to ask (RFC 7591 section 2, OpenID Connect Registration section 2)."""
    yield Row("logo_uri", "logo_uri", _https, "Its picture, shown at sign-in and consent.")
    yield Row("policy_uri", "policy_uri", _https, "What it does with what it learns.")
    yield Row("tos_uri", "tos_uri", _https, "Its terms of service.")
    yield Row("contacts", "contacts", Listing(_line, 20), "Who is responsible for it.")
    yield Row("initiate_login_uri", "initiate_login_uri", _https, "Where others may begin a sign-in to it.")
    yield Row("application_type", "application_type", Choice(("web", "native")), "A native one is on people's devices.")
    yield Row("software_id", "software_id", _line, "Of the software, the same for all that run it.")
    yield Row("software_version", "software_version", _line, "Of the software.")


def _rows_of_proofs(offered: Offered) -> Iterator[Row]:
    """How it proves itself and what binds tokens to it."""
    methods = tuple(one for one in offered.auth_methods if one != "none")
    yield Row(
        "token_endpoint_auth_method",
        "auth_method",
        Choice(methods),
        "How it authenticates; null for a secret, by header or form.",
    )
    help_ = "What signs its client assertions; null for any that is on."
    yield Row("token_endpoint_auth_signing_alg", "auth_algorithm", Choice(offered.auth_algorithms), help_)
    yield Row("jwks", "jwks", KeySet(), "Its public keys. Not together with `jwks_uri`.")
    yield Row("jwks_uri", "jwks_uri", _https, "Where its public keys are.")
    subjects = (
        ("subject_dn", Text(LINE, "a distinguished name (RFC 4514)", 1, 1000)),
        ("san_dns", Text(r"(?:\*\.)?(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+", "the name of a host", 1, 253)),
        ("san_uri", Text(RESOURCE, "an absolute URI without fragment", 1, LONGEST_URI)),
        ("san_ip", Text(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", "an IP address", 2, 64)),
        ("san_email", Text(r"[\x21-\x3f\x41-\x7e]+@[A-Za-z0-9.-]+", "an email address", 3, 320)),
    )
    for part, schema in subjects if "tls_client_auth" in methods else ():
        help_ = "What its certificate must show (tls_client_auth, RFC 8705 section 2.1.2); exactly one of these."
        yield Row(f"tls_client_auth_{part}", "tls_subject", schema, help_, part)
    yield Row(
        "tls_client_certificate_bound_access_tokens",
        "certificate_bound",
        Flag(),
        "Its tokens are good only with its certificate (RFC 8705 section 3.4).",
    )
    help_ = "Its tokens are always bound to a DPoP key (RFC 9449 section 5.2)."
    yield Row("dpop_bound_access_tokens", "dpop_bound", Flag(), help_)
    help_ = "It must push its authorization requests (RFC 9126 section 6)."
    yield Row("require_pushed_authorization_requests", "par_required", Flag(), help_)
    help_ = "It must sign its authorization requests (RFC 9101 section 10.5)."
    yield Row("require_signed_request_object", "request_signed", Flag(), help_)
    help_ = "What signs its request objects; null for any that is on."
    yield Row("request_object_signing_alg", "request_algorithm", Choice(offered.request_algorithms), help_)
    help_ = "What its request objects are encrypted with to this server"
    yield from _encryption("request_object_encryption", "request_encryption", offered, help_)
    uris = Listing(Text(REQUEST_URI, "an https address", 1, LONGEST_URI), MOST_URIS, distinct=True)
    yield Row("request_uris", "request_uris", uris, "The only addresses that its requests may be read from.")


def _rows_of_tokens(offered: Offered) -> Iterator[Row]:
    """What it is told, and in which form."""
    help_ = "What id tokens are encrypted with to it"
    yield from _encryption("id_token_encrypted_response", "id_token_encryption", offered, help_)
    help_ = "What signs the userinfo answer; null for plain JSON."
    yield Row("userinfo_signed_response_alg", "userinfo_algorithm", Choice(offered.userinfo_algorithms), help_)
    help_ = "What the userinfo answer is encrypted with to it"
    yield from _encryption("userinfo_encrypted_response", "userinfo_encryption", offered, help_)
    help_ = "What signs authorization responses (JARM)."
    yield Row("authorization_signed_response_alg", "response_algorithm", Choice(offered.response_algorithms), help_)
    help_ = "What authorization responses are encrypted with to it"
    yield from _encryption("authorization_encrypted_response", "response_encryption", offered, help_)
    help_ = "The only response modes that it may ask for (FAPI 2.0 Message Signing section 5.3.3); empty: all."
    modes = Listing(Choice(tuple(response_modes.MODES)), len(response_modes.MODES), distinct=True)
    yield Row("response_modes", "response_modes", modes, help_)
    yield Row(
        "subject_type", "subject_type", Choice(offered.subject_types), "pairwise: it knows people by ids of its own."
    )
    help_ = "Names all its redirect URIs, whose host then stands for it in pairwise ids."
    yield Row("sector_identifier_uri", "sector_identifier_uri", _https, help_)
    help_ = "How long ago people may have signed in, in seconds, where a request does not say."
    yield Row("default_max_age", "default_max_age", Whole(0, 10**9), help_)
    yield Row("require_auth_time", "require_auth_time", Flag(), "Id tokens always have `auth_time`.")
    help_ = "What is asked of a sign-in where a request does not say."
    yield Row("default_acr_values", "default_acr_values", Listing(_word, 20, distinct=True), help_)
    types = Nullable(Listing(Choice(offered.details_types), 50, distinct=True))
    if offered.details_types:
        help_ = "Types of authorization details that it may ask for (RFC 9396 section 10); null: all that are declared."
        yield Row("authorization_details_types", "details_types", types, help_)
    help_ = "What signs answers about tokens where it asks for signed ones (RFC 9701 section 6); null for RS256."
    algorithms = Choice(offered.introspection_algorithms)
    yield Row("introspection_signed_response_alg", "introspection_algorithm", algorithms, help_)
    help_ = "What answers about tokens are encrypted with to it, which then gets signed ones alone"
    yield from _encryption("introspection_encrypted_response", "introspection_encryption", offered, help_)


def _rows_of_ciba(offered: Offered) -> Iterator[Row]:
    """Backchannel authentication (CIBA Core section 4)."""
    if offered.ciba_modes:
        modes, help_ = Choice(offered.ciba_modes), "How it learns that a person has decided (CIBA)."
        yield Row("backchannel_token_delivery_mode", "ciba_mode", modes, help_)
        help_ = "Where it is told, for the modes ping and push."
        yield Row("backchannel_client_notification_endpoint", "ciba_notification_uri", _https, help_)
        algorithms, help_ = Choice(offered.ciba_algorithms), "What signs all its authentication requests."
        yield Row("backchannel_authentication_request_signing_alg", "ciba_algorithm", algorithms, help_)
        help_ = "It asks people for their user codes, and sends them: without it, it reaches only those who have none."
        yield Row("backchannel_user_code_parameter", "ciba_user_code", Flag(), help_)


def _rows_of_logout() -> Iterator[Row]:
    """How it hears that somebody has signed out (OpenID Connect Back-Channel Logout 2.2, Front-Channel Logout 2)."""
    help_ = "Where it is sent a logout token when a session ends in which it got tokens."
    yield Row("backchannel_logout_uri", "backchannel_logout_uri", _https, help_)
    name, help_ = "backchannel_logout_session_required", "Logout tokens must have `sid`. They always do."
    yield Row(name, "backchannel_logout_session", Flag(), help_)
    help_ = "Shown in a frame when a session ends; scheme, host and port are those of a redirect URI."
    yield Row("frontchannel_logout_uri", "frontchannel_logout_uri", _frame, help_)
    name, help_ = "frontchannel_logout_session_required", "That address must get `iss` and `sid`. It always does."
    yield Row(name, "frontchannel_logout_session", Flag(), help_)
    help_ = "Its tokens of a session end with it, but for those with the scope `offline_access`."
    yield Row("logout_ends_tokens", "logout_ends_tokens", Flag(), help_)


def _encryption(name: str, field: str, offered: Offered, what: str) -> Iterator[Row]:
    yield Row(f"{name}_alg", field, Choice(offered.key_encryption), f"{what}; null for nothing.", 0)
    yield Row(f"{name}_enc", field, Choice(offered.content_encryption), f"The same: `enc`, {DEFAULT_ENC} if null.", 1)


DEFAULT_ENC: Final = "A128CBC-HS256"  # OpenID Connect Registration section 2, JARM section 3


def told(client: Client, table: Iterable[Row]) -> dict[str, Any]:
    """The members of a client by their names on the wire, in the form of JSON; None for what it does not have."""
    return {row.name: row.of(client) for row in table}


def fields(members: Mapping[str, Any], table: Iterable[Row]) -> dict[str, Any]:
    """The fields that members stand for. Of members that share a field all are to be given, or none.

    :param members: what was read of them; None as if it were not there.
    """
    found: dict[str, Any] = {}
    for row in table:
        if row.name not in members:
            continue
        value = members[row.name]
        if isinstance(row.part, int):
            pair = found.setdefault(row.field, ("", ""))
            found[row.field] = (*pair[: row.part], value or "", *pair[row.part + 1 :])
        elif row.part is not None:
            found.setdefault(row.field, {}).update({} if value is None else {row.part: value})
        else:
            found[row.field] = _stored(row, value)
    for row in table:
        if row.part == 0 and found.get(row.field):
            alg, enc = found[row.field]
            found[row.field] = () if (alg, enc) == ("", "") else (alg, enc or DEFAULT_ENC)
    return found


_DEFAULTS: Final = Client("", 0, "", "confidential", 0, 0)


def _stored(row: Row, value: Any) -> Any:
    if value is None:
        return getattr(_DEFAULTS, row.field)
    return tuple(value) if isinstance(value, list) else value


def problems_of(members: Mapping[str, object], table: Iterable[Row]) -> tuple[dict[str, Any], Problems]:
    """The members of the table among those that were sent, read; and what is wrong with them. Others are ignored."""
    read: dict[str, Any] = {}
    problems: Problems = {}
    for row in table:
        value = members.get(row.name)
        if value is None:
            read[row.name] = None  # RFC 7592 section 2.2: null is as if it were left out
        elif not row.supported:
            problems[row.name] = "is not offered here"
        else:
            read[row.name] = row.schema.read(value, row.name, problems)
    return read, problems
