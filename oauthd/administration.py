"""The wiring of the admin API, each resource with what it needs.

A new resource is a line here, and its rows in `oauthd.web.routes`.
"""

from __future__ import annotations

from collections.abc import Mapping

from oauthd.admin import api as admin
from oauthd.admin.ciba import CibaResource
from oauthd.admin.client_members import ClientMembers
from oauthd.admin.clients import ClientsResource
from oauthd.admin.declarations import Access
from oauthd.admin.initial_access import InitialAccessResource
from oauthd.admin.keys import KeysResource
from oauthd.admin.messages import MessagesResource
from oauthd.admin.profile import ProfileResource
from oauthd.admin.scopes import ScopesResource
from oauthd.admin.sessions import SessionsResource
from oauthd.admin.tokens import TokensResource
from oauthd.admin.users import PasswordRule, UsersResource
from oauthd.config import longest_access
from oauthd.endpoints.interface import Endpoint
from oauthd.endpoints.revoke import Revoke
from oauthd.parts import Parts
from oauthd.protocol.client_metadata import Offered
from oauthd.web.routes import ROUTES


def administration(parts: Parts, offered: Offered, revoke: Revoke) -> Mapping[str, Endpoint]:
    """The endpoints of the admin API.

    :param offered: what clients may say that they use.
    :param revoke: the revocation endpoint, which is one of theirs, too.
    """
    world = parts.world
    settings, events, issuer = world.settings, world.events, world.issuer
    clients, users, tokens, scopes = parts.clients, parts.users, parts.tokens, parts.scopes
    owner_scopes = ("account", "read_write") if settings.userinfo.account_by_read_write else ("account",)
    access = Access(parts.administrator, parts.bearer, users, owner_scopes)
    rule = PasswordRule(settings.users.password_min_length, settings.users.password_max_length)
    members = ClientMembers(
        offered,
        settings.clients.machine_refresh,
        tuple(parts.minting.policy.claims),
        parts.keys.algorithms,
        longest_access(settings),
    )
    resources = (
        ClientsResource(
            clients=clients, scopes=scopes, tokens=tokens, events=events, members=members, issuer=issuer
        ),
        UsersResource(users, tokens, parts.sign_out, parts.passwords, events, rule),
        ProfileResource(users, parts.sign_out, parts.passwords, events, rule, parts.sign_in.knows_password),
        SessionsResource(parts.sessions, parts.sign_out, users, events),
        ScopesResource(scopes, events),
        TokensResource(
            tokens, parts.sign_out, parts.resources, clients, users, events, access, revoke.end, revoke
        ),
        KeysResource(parts.keys, clients, events),
        InitialAccessResource(parts.initial_access, scopes, events, offered),
        MessagesResource(parts.outbox, events),
        CibaResource(parts.ciba, users, world.clock),
    )
    places = [(path, route.endpoints) for route in ROUTES for path in route.paths]
    return admin.endpoints(resources, access, issuer, places)
