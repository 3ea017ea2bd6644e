"""All settings of oauthd: every section by its name, each declared once in the module it is imported from.

Reading, environment variables, flags, the sample file and the reference page are computed from here; a new setting is
one field of a section; a new section is one class, one line below, and its name in `oauthd.config` for those who are
given it. Rules over several settings are in `rules`.
"""

from __future__ import annotations

import attrs

from oauthd.config.ciba import CibaSettings
from oauthd.config.documents import ClientDocumentSettings, ResourceSettings
from oauthd.config.introspection import IntrospectionSettings
from oauthd.config.limits import LimitSettings
from oauthd.config.policy import (
    AuthenticationSettings,
    AuthorizationSettings,
    ClientSettings,
    DeviceSettings,
    DpopSettings,
    SessionSettings,
    TokenSettings,
    UserinfoSettings,
    UserSettings,
)
from oauthd.config.registration import RegistrationSettings
from oauthd.config.server import MtlsSettings, ServerSettings
from oauthd.config.service import (
    AdministratorSettings,
    FetchSettings,
    KeySettings,
    LogSettings,
    MetricsSettings,
    OutboxSettings,
)
from oauthd.config.status_lists import StatusListSettings
from oauthd.config.store import CacheSettings, StoreSettings
from oauthd.config.trust import ExchangeSettings, JwtBearerSettings


@attrs.frozen
class Settings:
    """All settings of one server, by section. Read by `load`; immutable."""

    server: ServerSettings = attrs.Factory(ServerSettings)
    store: StoreSettings = attrs.Factory(StoreSettings)
    cache: CacheSettings = attrs.Factory(CacheSettings)
    fetch: FetchSettings = attrs.Factory(FetchSettings)
    outbox: OutboxSettings = attrs.Factory(OutboxSettings)
    mtls: MtlsSettings = attrs.Factory(MtlsSettings)
    tokens: TokenSettings = attrs.Factory(TokenSettings)
    authorization: AuthorizationSettings = attrs.Factory(AuthorizationSettings)
    dpop: DpopSettings = attrs.Factory(DpopSettings)
    device: DeviceSettings = attrs.Factory(DeviceSettings)
    ciba: CibaSettings = attrs.Factory(CibaSettings)
    sessions: SessionSettings = attrs.Factory(SessionSettings)
    keys: KeySettings = attrs.Factory(KeySettings)
    clients: ClientSettings = attrs.Factory(ClientSettings)
    authentication: AuthenticationSettings = attrs.Factory(AuthenticationSettings)
    registration: RegistrationSettings = attrs.Factory(RegistrationSettings)
    users: UserSettings = attrs.Factory(UserSettings)
    userinfo: UserinfoSettings = attrs.Factory(UserinfoSettings)
    limits: LimitSettings = attrs.Factory(LimitSettings)
    administrator: AdministratorSettings = attrs.Factory(AdministratorSettings)
    metrics: MetricsSettings = attrs.Factory(MetricsSettings)
    log: LogSettings = attrs.Factory(LogSettings)
    status_lists: StatusListSettings = attrs.Factory(StatusListSettings)
    client_documents: ClientDocumentSettings = attrs.Factory(ClientDocumentSettings)
    exchange: ExchangeSettings = attrs.Factory(ExchangeSettings)
    jwt_bearer: JwtBearerSettings = attrs.Factory(JwtBearerSettings)
    introspection: IntrospectionSettings = attrs.Factory(IntrospectionSettings)
    protected_resources: ResourceSettings = attrs.Factory(ResourceSettings)
