"""Layer 1: every setting of oauthd, declared once, and all that is computed from the declarations.

`load` reads file, environment and flags into `Settings`; `flags`, `sample_toml`, `reference_markdown` and `shown` write
what people and the command line need. Knows neither the reactor nor the store.
"""

from oauthd.config.ciba import CibaSettings
from oauthd.config.commandline import Flag, flags
from oauthd.config.declarations import Settings
from oauthd.config.derived import https_only, key_retirement, longest_access, master_keys, token_policy
from oauthd.config.documents import ClientDocumentSettings, ResourceSettings
from oauthd.config.introspection import IntrospectionSettings
from oauthd.config.issuer import issuer_of
from oauthd.config.limits import LimitSettings
from oauthd.config.listeners import Listener, listener
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
from oauthd.config.reading import SettingsError, load
from oauthd.config.redis_url import RedisAddress, redis_address
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
from oauthd.config.writing import reference_markdown, sample_toml, shown

__all__ = [
    "AdministratorSettings",
    "AuthenticationSettings",
    "AuthorizationSettings",
    "CacheSettings",
    "CibaSettings",
    "ClientDocumentSettings",
    "ClientSettings",
    "DeviceSettings",
    "DpopSettings",
    "ExchangeSettings",
    "FetchSettings",
    "Flag",
    "IntrospectionSettings",
    "JwtBearerSettings",
    "KeySettings",
    "LimitSettings",
    "Listener",
    "LogSettings",
    "MetricsSettings",
    "MtlsSettings",
    "OutboxSettings",
    "RedisAddress",
    "RegistrationSettings",
    "ResourceSettings",
    "ServerSettings",
    "SessionSettings",
    "Settings",
    "SettingsError",
    "StatusListSettings",
    "StoreSettings",
    "TokenSettings",
    "UserSettings",
    "UserinfoSettings",
    "flags",
    "https_only",
    "issuer_of",
    "key_retirement",
    "listener",
    "load",
    "longest_access",
    "master_keys",
    "redis_address",
    "reference_markdown",
    "sample_toml",
    "shown",
    "token_policy",
]
