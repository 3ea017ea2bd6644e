"""Tells twistd that there is `twistd oauthd`."""

from twisted.application.service import ServiceMaker

oauthd = ServiceMaker(  # type: ignore[no-untyped-call]
    "oauthd", "oauthd.tap", "OAuth 2 and OpenID Connect token server.", "oauthd"
)
