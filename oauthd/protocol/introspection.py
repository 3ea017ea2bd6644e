"""What introspection says of a token (RFC 7662 section 2.2), and to whom.

Unknown, expired, revoked, malformed and foreign tokens all look the same: exactly `{"active":false}`, so nothing can be
scanned for (section 4). Whether a token is alive is left to the stores.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from oauthd.protocol.confirmation import confirmation
from oauthd.protocol.json_text import text
from oauthd.protocol.records import UNBOUND, AccessToken, Client, RefreshToken

INACTIVE: Final = b'{"active":false}'

_text = json.encoder.encode_basestring  # a string as JSON, for known members: a third of what an encoder takes


def active(token: AccessToken | RefreshToken, issuer: str, told: str = "") -> bytes:
    """The answer about a live token, as JSON.

    :param told: the `sub` that a refresh token's client knows its user by; "" for the user id.
    """
    to, subject = token.audience or (issuer,), told or token.user_id or token.client_id
    if isinstance(token, AccessToken) and token.subject:
        subject = token.subject
    audience = _text(to[0]) if len(to) == 1 else f"[{','.join(map(_text, to))}]"
    parts = [
        f'{{"active":true,"scope":{_text(" ".join(token.scope))},"client_id":{_text(token.client_id)},'
        f'"exp":{token.expires_at},"iat":{token.issued_at},"sub":{_text(subject)},'
        f'"aud":{audience},"iss":{_text(issuer)}'
    ]
    if isinstance(token, AccessToken):
        kind = "DPoP" if token.binding.jkt else "Bearer"  # RFC 9449 section 6.2
        parts.append(f',"token_type":"{kind}","nbf":{token.issued_at},"jti":{_text(token.jti)}')
        if token.username and not token.subject:  # a name would undo what a pairwise subject is for
            parts.append(f',"username":{_text(token.username)}')
        if token.auth_time:
            parts.append(f',"auth_time":{token.auth_time}')  # RFC 9470 section 6.2
        if token.acr:
            parts.append(f',"acr":{_text(token.acr)}')  # RFC 9470 section 6.2
        if token.binding is not UNBOUND:
            # RFC 9449 section 6.2, RFC 8705 section 3.2: whether its sender holds it is for the resource server to see.
            parts.append(f',"cnf":{text(confirmation(token.binding))}')
        if token.details:
            parts.append(f',"authorization_details":{text(list(token.details))}')  # RFC 9396 section 9.2
        if token.act:
            parts.append(f',"act":{text(token.act)}')  # RFC 8693 section 4.1
        if token.may_act:
            parts.append(f',"may_act":{text(token.may_act)}')  # RFC 8693 section 4.4
        if token.extra:
            parts.append(f",{text(token.extra)[1:-1]}")  # none of them is called like a member above
    parts.append("}")
    return "".join(parts).encode()


def may_see(caller: Client, client_id: str, audience: Collection[str]) -> bool:
    """Is a token for this caller? One with an audience is for its owners and for its own client only."""
    return not audience or client_id == caller.client_id or not set(audience).isdisjoint(caller.resources)


def told_to(caller: Client, answer: bytes) -> bytes:
    """What this caller is told, given the answer about a token that has an audience."""
    if answer == INACTIVE:
        return INACTIVE
    said = json.loads(answer)
    audience = said["aud"] if isinstance(said["aud"], list) else [said["aud"]]
    return answer if may_see(caller, said["client_id"], audience) else INACTIVE
