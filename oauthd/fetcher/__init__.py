"""Layer 1: the one way out. Here documents are fetched that clients name: jwks_uri, request_uri, sector_identifier_uri.

OpenID Connect Registration section 5, RFC 9101 section 10.4 and RFC 9700 section 4.12 tell what happens to servers that
call whatever address they are given. `Fetcher.get` is all that others need; what is refused says `FetchRefused`.

`location` reads the URL, `addresses` says whom we may call, `outward` makes the connection, `keeping` remembers answers
for a while, `fetching` puts them together.
"""

from oauthd.fetcher.fetching import Fetcher
from oauthd.fetcher.outward import Outward
from oauthd.fetcher.refusal import FetchRefused

__all__ = ["FetchRefused", "Fetcher", "Outward"]
