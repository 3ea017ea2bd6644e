"""The standard claims about a person (OpenID Connect Core section 5.1), each by its type."""

from __future__ import annotations

from typing import Any, Final

from oauthd.protocol.client_metadata import LINE, LONGEST_URI, NAME, WEB_URI
from oauthd.protocol.schemas import Flag, Member, Members, Nullable, Text

_PART = r"[^\x00-\x20\x7f-\xa0@<>(),:;\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\uffff]+"

_name = Text(NAME, "one line of text without blanks at its ends", 1, 200)
_line = Text(LINE, "one line of text", longest=200)
_lines = Text(rf"(?:{LINE}\n)*{LINE}", "lines of text", longest=500)  # Core section 5.1.1
_address = Text(WEB_URI, "an http or https address", 1, LONGEST_URI)
EMAIL: Final = Text(f"{_PART}@{_PART}", "an email address", 3, 254, example="alice@example.com")

ADDRESS: Final = Members(
    (
        Member("formatted", _lines, "All of it, for a letter."),
        Member("street_address", _lines),
        Member("locality", _line),
        Member("region", _line),
        Member("postal_code", _line),
        Member("country", _line),
    ),
    name="Address",
)

_OWN: Final = (
    Member("name", _name),
    Member("given_name", _name),
    Member("family_name", _name),
    Member("middle_name", _name),
    Member("nickname", _name),
    Member("preferred_username", _name),
    Member("profile", _address),
    Member("picture", _address),
    Member("website", _address),
    Member("email", EMAIL),
    Member("gender", _name),
    Member(
        "birthdate",
        Text("[0-9]{4}(?:-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))?", "a date like 1970-01-31, or a year", 4, 10),
    ),
    Member("zoneinfo", Text("[A-Za-z0-9_+/-]{1,64}", "a time zone like Europe/Berlin")),
    Member("locale", Text("[A-Za-z]{2,8}(?:[_-][A-Za-z0-9]{1,8}){0,4}", "a language tag like de-AT")),
    Member("address", ADDRESS),
    Member(
        "phone_number", Text(r"\+?[0-9().\x20/-]{1,39}(?:;ext=[0-9]{1,10})?", "a phone number like +1 425 555 1212")
    ),
)
_JUDGED: Final = (Member("email_verified", Flag()), Member("phone_number_verified", Flag()))

CLAIMS: Final = Members((*_OWN, *_JUDGED), name="Claims")
"""What an administrator may say of a person."""
PROFILE: Final = Members(
    tuple(Member(one.name, Nullable(one.schema), "null removes it.") for one in _OWN), least=1
)
"""What a person may say of the own self: not that somebody else has verified it."""
_VERIFIED: Final = {"email": "email_verified", "phone_number": "phone_number_verified"}


def known(claims: dict[str, Any]) -> dict[str, Any]:
    """Those of the claims that are documented."""
    names = {one.name for one in CLAIMS.members}
    return {name: value for name, value in claims.items() if name in names}


def changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The claims after a person changed some; what was verified of a former value is not of another one."""
    after = {name: value for name, value in (claims | changes).items() if value is not None}
    for name, verified in _VERIFIED.items():
        if after.get(name) != claims.get(name):
            after.pop(verified, None)
    return after
