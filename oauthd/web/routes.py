"""The whole HTTP surface in one table: paths of both families, methods, endpoint, error delivery, CORS, metadata.

The first path of a row is the advertised one. An endpoint is named here and handed in by `oauthd.app`; OPTIONS is
answered for every row, HEAD wherever GET is. CORS never goes with credentials and never on authorize (RFC 9700 2.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import frozen


class Delivery(Enum):
    """How an error of this row reaches the caller."""

    JSON = "json"
    """A JSON object with `error`, `error_description` and `detail`."""
    PLAIN = "plain"
    """A JSON object with `error` and `error_description` alone, where others are not expected."""
    PAGE = "page"
    """An HTML page, status 400 or as the error says."""


@frozen
class Route:
    """A row.

    :ivar endpoints: each method, and the name of the endpoint that serves it.
    :ivar member: what the metadata document calls the advertised path; "" where it does not tell.
    :ivar direct: clients call it themselves, and with a certificate where they have one (RFC 8705 section 5).
    """

    paths: tuple[str, ...]
    endpoints: Mapping[str, str]
    delivery: Delivery = Delivery.JSON
    cors: bool = False
    member: str = ""
    direct: bool = False

    @property
    def visited(self) -> bool:
        """Does a browser come here as a whole, and never for a part of a page, such as a picture?"""
        return self.delivery is Delivery.PAGE and "static" not in self.endpoints.values()


def _row(
    paths: str, delivery: Delivery = Delivery.JSON, cors: bool = False, member: str = "", **endpoints: str
) -> Route:
    return Route(tuple(paths.split()), endpoints, delivery, cors, member)


def _direct(paths: str, member: str, cors: bool = False, **endpoints: str) -> Route:
    return Route(tuple(paths.split()), endpoints, Delivery.JSON, cors, member, direct=True)


PAGE = Delivery.PAGE
REGISTRATION, GLOBAL_REVOCATION = "registration_endpoint", "global_token_revocation_endpoint"
AGGREGATION = "status_list_aggregation_endpoint"
"""Members that are left out where there is no such thing."""

ROUTES: tuple[Route, ...] = (
    # protocol endpoints
    _row(
        "/oauth2/authorize /oauth/authorize",
        PAGE,
        member="authorization_endpoint",
        GET="authorize",
        POST="authorize",
    ),
    _direct("/oauth2/token /oauth/tokens /oauth/token", "token_endpoint", cors=True, POST="token"),
    _direct("/oauth2/introspect /oauth/introspect", "introspection_endpoint", POST="introspect"),
    # an extension of our own: no member that others know is its name, and clients find it behind introspection
    _row("/oauth2/introspect/batch /oauth/introspect/batch", POST="introspect_batch"),
    _direct("/oauth2/revoke /oauth/revoke", "revocation_endpoint", cors=True, POST="revoke"),
    _row("/oauth2/global-token-revocation", member=GLOBAL_REVOCATION, POST="global_token_revocation"),
    _direct("/oauth2/par /oauth/par", "pushed_authorization_request_endpoint", cors=True, POST="par"),
    _direct(
        "/oauth2/device_authorize /oauth/device_authorize",
        "device_authorization_endpoint",
        POST="device_authorization",
    ),
    Route(
        ("/oauth2/bc-authorize", "/oauth/bc-authorize"),
        {"POST": "backchannel_authentication"},
        Delivery.PLAIN,
        member="backchannel_authentication_endpoint",
        direct=True,
    ),
    _direct("/oauth2/userinfo /oauth/userinfo", "userinfo_endpoint", cors=True, GET="userinfo", POST="userinfo"),
    _row("/oauth2/register_client", POST="register_client"),
    _row("/oauth2/register /oauth/register", cors=True, member=REGISTRATION, POST="register"),
    _row(
        "/oauth2/register/<client_id>",
        cors=True,
        GET="client_configuration",
        PUT="client_configuration",
        DELETE="client_configuration",
    ),
    _row("/oauth2/logout", PAGE, member="end_session_endpoint", GET="end_session", POST="end_session"),
    _row("/oauth2/jwks /.well-known/jwks.json", cors=True, member="jwks_uri", GET="jwks"),
    _row("/.well-known/openid-configuration /oauth2/.well-known/openid-configuration", cors=True, GET="metadata"),
    _row("/.well-known/oauth-authorization-server", cors=True, GET="metadata"),
    _row("/oauth2/status-lists", cors=True, member=AGGREGATION, GET="status_list_aggregation"),
    _row("/oauth2/status-lists/<number>", cors=True, GET="status_list"),
    _row(
        "/.well-known/oauth-protected-resource /.well-known/oauth-protected-resource/<path:place>",
        cors=True,
        GET="protected_resource",
    ),
    # health
    _row("/health/live", GET="health.live"),
    _row("/health/ready", GET="health.ready"),
    # pages
    _row("/", PAGE, GET="home"),
    _row("/login", PAGE, GET="login", POST="login"),
    _row("/consent", PAGE, GET="consent", POST="consent"),
    _row("/device", PAGE, GET="device", POST="device"),
    _row("/requests", PAGE, GET="requests", POST="requests"),
    _row("/logout", PAGE, GET="logout", POST="logout"),
    _row("/static/<name>", PAGE, GET="static"),
    # admin API
    _row("/api/v1/openapi.json", GET="openapi"),
    _row("/api/v1/oauth/clients", GET="clients.list", POST="clients.create"),
    _row("/api/v1/oauth/clients/<client_id>", GET="clients.show", PUT="clients.update", DELETE="clients.delete"),
    _row("/api/v1/oauth/clients/<client_id>/secret", POST="clients.rotate_secret"),
    _row("/api/v1/oauth/initial-access-tokens", GET="initial_access.list", POST="initial_access.create"),
    _row("/api/v1/oauth/initial-access-tokens/<token_id>", DELETE="initial_access.revoke"),
    _row("/api/v1/oauth/scopes", GET="scopes.list", POST="scopes.create"),
    _row("/api/v1/oauth/scopes/<scope_id>", GET="scopes.show", PUT="scopes.update", DELETE="scopes.delete"),
    _row("/api/v1/oauth/tokens", GET="tokens.list", DELETE="tokens.revoke_all"),
    _row("/api/v1/oauth/tokens/revoke", POST="tokens.revoke"),
    _row("/api/v1/oauth/tokens/<token_id>", DELETE="tokens.delete"),
    _row("/api/v1/users", GET="users.list", POST="users.create"),
    _row("/api/v1/users/profile", GET="profile.show", PUT="profile.update"),
    _row("/api/v1/users/profile/password", PUT="profile.password"),
    _row("/api/v1/users/profile/user-code", PUT="profile.user_code"),
    _row("/api/v1/users/<user_id>", GET="users.show", PUT="users.update", DELETE="users.deactivate"),
    _row("/api/v1/users/<user_id>/reactivate", POST="users.reactivate"),
    _row("/api/v1/users/<user_id>/password", PUT="users.password"),
    _row("/api/v1/users/<user_id>/user-code", PUT="users.user_code"),
    _row("/api/v1/users/<user_id>/sessions", GET="sessions.list"),
    _row("/api/v1/sessions/<session_id>", DELETE="sessions.end"),
    _row("/api/v1/keys", GET="keys.list"),
    _row("/api/v1/keys/rotate", POST="keys.rotate"),
    _row("/api/v1/keys/reseal", POST="keys.reseal"),
    _row("/api/v1/keys/<kid>", DELETE="keys.drop"),
    _row("/api/v1/messages", GET="messages.list"),
    _row("/api/v1/messages/<message_id>", DELETE="messages.drop"),
    _row("/api/v1/messages/<message_id>/send", POST="messages.send"),
    _row("/api/v1/backchannel/requests", GET="backchannel.list"),
    _row("/api/v1/backchannel/requests/<request_id>", GET="backchannel.show"),
    _row("/api/v1/backchannel/requests/<request_id>/approve", POST="backchannel.approve"),
    _row("/api/v1/backchannel/requests/<request_id>/deny", POST="backchannel.deny"),
)


def paths_of(endpoint: str) -> tuple[str, ...]:
    """The paths of the row that an endpoint serves, the advertised one first."""
    return next(route.paths for route in ROUTES if endpoint in route.endpoints.values())
