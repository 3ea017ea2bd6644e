"""oauthd: an OAuth 2 and OpenID Connect token server on the Twisted reactor."""

__version__ = "0.1.0"
