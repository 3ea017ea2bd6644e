"""What the server remembers: frozen values, without any word on how they are stored.

Times are whole wall-clock seconds since the epoch unless a field says otherwise. A record with `expires_at` is gone
when the injected clock reaches it, whatever the store still holds. Each field has a short stored name: a live
access token must cost little memory. Names once used for a field are never given another meaning; a new field needs a
default, so that readers of a neighbouring version understand both (rolling upgrades).

Nothing here holds a token, code, password or secret in clear: only digests, Argon2id hashes and sealed bytes.
"""

from __future__ import annotations

from oauthd.protocol.records.clients import UNLIMITED, Client, ClientSecret, InitialAccess, Limits
from oauthd.protocol.records.outgoing import Outgoing
from oauthd.protocol.records.people import Administrators, Consent, Interaction, Lockout, Session, Tally, User, Username
from oauthd.protocol.records.record import Record
from oauthd.protocol.records.server import KeyRing, Resources, Salt, Scope, Scopes, SealedKey, World
from oauthd.protocol.records.status import Lease, StatusEntry, StatusList, StatusRange
from oauthd.protocol.records.tokens import (
    UNBOUND,
    AccessToken,
    Answer,
    BackchannelRequest,
    Binding,
    Code,
    DeviceCode,
    Generations,
    Grant,
    Once,
    PushedRequest,
    RefreshToken,
    Reused,
    Revoked,
    Spent,
    UserCode,
)

__all__ = [
    "UNBOUND",
    "UNLIMITED",
    "AccessToken",
    "Administrators",
    "Answer",
    "BackchannelRequest",
    "Binding",
    "Client",
    "ClientSecret",
    "Code",
    "Consent",
    "DeviceCode",
    "Generations",
    "Grant",
    "InitialAccess",
    "Interaction",
    "KeyRing",
    "Lease",
    "Limits",
    "Lockout",
    "Once",
    "Outgoing",
    "PushedRequest",
    "Record",
    "RefreshToken",
    "Resources",
    "Reused",
    "Revoked",
    "Salt",
    "Scope",
    "Scopes",
    "SealedKey",
    "Session",
    "Spent",
    "StatusEntry",
    "StatusList",
    "StatusRange",
    "Tally",
    "User",
    "UserCode",
    "Username",
    "World",
]
