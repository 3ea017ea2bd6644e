"""OpenID Connect Relying Party Metadata Choices 1.0: all that a client can do, beside what it likes best.

Read was draft 04, of which the final text of March 2026 was made. A member with a list (section 2) stands beside the
member with one value. Chosen is the one value where it is offered here, else the first of the list that is (section 4).
Lists are read and never told. Where neither is offered the list is refused, and so is one value that is not in its own
list.

A list alone changes only what has to be one thing: how the client authenticates, its subjects, its id tokens. What a
client is merely able to take, such as encryption, is not for that reason done to it; and what it signs with itself may
be any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from oauthd.protocol.client_metadata import Row
from oauthd.protocol.schemas import Choice

MOST: Final = 50


@frozen
class Choosable:
    """A list, and the member that it is a list for.

    :ivar alone: is one of the list chosen where the member is not there?
    """

    several: str
    one: str
    alone: bool = False


CHOICES: Final = (
    Choosable("subject_types_supported", "subject_type", alone=True),
    Choosable("id_token_signing_alg_values_supported", "id_token_signed_response_alg", alone=True),
    Choosable("id_token_encryption_alg_values_supported", "id_token_encrypted_response_alg"),
    Choosable("id_token_encryption_enc_values_supported", "id_token_encrypted_response_enc"),
    Choosable("userinfo_signing_alg_values_supported", "userinfo_signed_response_alg"),
    Choosable("userinfo_encryption_alg_values_supported", "userinfo_encrypted_response_alg"),
    Choosable("userinfo_encryption_enc_values_supported", "userinfo_encrypted_response_enc"),
    Choosable("request_object_signing_alg_values_supported", "request_object_signing_alg"),
    Choosable("request_object_encryption_alg_values_supported", "request_object_encryption_alg"),
    Choosable("request_object_encryption_enc_values_supported", "request_object_encryption_enc"),
    Choosable("token_endpoint_auth_methods_supported", "token_endpoint_auth_method", alone=True),
    Choosable("token_endpoint_auth_signing_alg_values_supported", "token_endpoint_auth_signing_alg"),
    Choosable("backchannel_authentication_request_signing_alg_values_supported",
              "backchannel_authentication_request_signing_alg"),
    Choosable("authorization_signing_alg_values_supported", "authorization_signed_response_alg"),
    Choosable("authorization_encryption_alg_values_supported", "authorization_encrypted_response_alg"),
    Choosable("authorization_encryption_enc_values_supported", "authorization_encrypted_response_enc"),
    Choosable("introspection_signing_alg_values_supported", "introspection_signed_response_alg"),
    Choosable("introspection_encryption_alg_values_supported", "introspection_encrypted_response_alg"),
    Choosable("introspection_encryption_enc_values_supported", "introspection_encrypted_response_enc"),
)  # fmt: skip


def chosen(
    body: Mapping[str, Any], table: Iterable[Row], auth_methods: Sequence[str], usual: str = ""
) -> tuple[dict[str, Any], dict[str, str]]:
    """The body with one value in the place of each list, and what is wrong with lists, by their names.

    :param table: the members that there are here; a list for another is ignored, as that is.
    :param auth_methods: those that are on, `none` among them where there are public clients.
    :param usual: what signs id tokens where nobody chooses: taken, where a list alone has it.
    """
    offered = {row.name: row.schema.words for row in table if isinstance(row.schema, Choice)}
    offered["token_endpoint_auth_method"] = tuple(auth_methods)
    found, problems = dict(body), {}
    for choice in CHOICES:
        values = found.pop(choice.several, None)
        if values is None or choice.one not in offered:
            continue
        if not _is_list(values):
            problems[choice.several] = f"must be a list of at most {MOST} strings"
            continue
        wanted, here = found.get(choice.one), offered[choice.one]
        fitting = [value for value in values if value in here]
        if wanted is not None and wanted not in values:
            problems[choice.several] = f"must hold what {choice.one} is"
        elif not fitting:
            problems[choice.several] = "has nothing in it that is offered here"
        elif wanted is not None or choice.alone:
            found[choice.one] = next((value for value in (wanted, usual) if value in fitting), fitting[0])
    return found, problems


def _is_list(values: object) -> bool:
    return isinstance(values, list) and 0 < len(values) <= MOST and all(isinstance(value, str) for value in values)
