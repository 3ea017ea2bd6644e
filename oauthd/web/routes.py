"""The whole HTTP surface in one table: paths of both families, methods, endpoint, error delivery, CORS.

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
    PAGE = "page"
    """An HTML page, status 400 or as the error says."""


@frozen
class Route:
    """A row: `endpoints` maps each method to the name of the endpoint that serves it."""

    paths: tuple[str, ...]
    endpoints: Mapping[str, str]
    delivery: Delivery = Delivery.JSON
    cors: bool = False


def _row(paths: str, delivery: Delivery = Delivery.JSON, cors: bool = False, **endpoints: str) -> Route:
    return Route(tuple(paths.split()), endpoints, delivery, cors)


PAGE = Delivery.PAGE

ROUTES: tuple[Route, ...] = (
    # protocol endpoints
    _row("/oauth2/authorize /oauth/authorize", PAGE, GET="authorize", POST="authorize"),
    _row("/oauth2/token /oauth/tokens /oauth/token", cors=True, POST="token"),
    _row("/oauth2/introspect /oauth/introspect", POST="introspect"),
    _row("/oauth2/revoke /oauth/revoke", cors=True, POST="revoke"),
    _row("/oauth2/par /oauth/par", cors=True, POST="par"),
    _row("/oauth2/device_authorize /oauth/device_authorize", POST="device_authorization"),
    _row("/oauth2/userinfo /oauth/userinfo", cors=True, GET="userinfo", POST="userinfo"),
    _row("/oauth2/register_client", POST="register_client"),
    _row("/oauth2/register /oauth/register", cors=True, POST="register"),
    _row(
        "/oauth2/register/<client_id>",
        cors=True,
        GET="client_configuration",
        PUT="client_configuration",
        DELETE="client_configuration",
    ),
    _row("/oauth2/logout", PAGE, GET="end_session", POST="end_session"),
    _row("/oauth2/jwks /.well-known/jwks.json", cors=True, GET="jwks"),
    _row("/.well-known/openid-configuration /oauth2/.well-known/openid-configuration", cors=True, GET="metadata"),
    _row("/.well-known/oauth-authorization-server", cors=True, GET="metadata"),
    # health
    _row("/health/live", GET="health.live"),
    _row("/health/ready", GET="health.ready"),
    # pages
    _row("/", PAGE, GET="home"),
    _row("/login", PAGE, GET="login", POST="login"),
    _row("/consent", PAGE, GET="consent", POST="consent"),
    _row("/device", PAGE, GET="device", POST="device"),
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
    _row("/api/v1/users/<user_id>", GET="users.show", PUT="users.update", DELETE="users.deactivate"),
    _row("/api/v1/users/<user_id>/reactivate", POST="users.reactivate"),
    _row("/api/v1/users/<user_id>/password", PUT="users.password"),
    _row("/api/v1/keys", GET="keys.list"),
    _row("/api/v1/keys/rotate", POST="keys.rotate"),
    _row("/api/v1/keys/reseal", POST="keys.reseal"),
    _row("/api/v1/keys/<kid>", DELETE="keys.drop"),
)
