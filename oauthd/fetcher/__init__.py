"""Layer 1: the one way out. Here documents are fetched that clients name: jwks_uri, request_uri, sector_identifier_uri.
And clients are told things, at addresses that they registered.

OpenID Connect Registration section 5, RFC 9101 section 10.4 and RFC 9700 section 4.12 tell what happens to servers that
call whatever address they are given. `Fetcher.get` and `Posting.post` are all that others need; what is refused says
`FetchRefused`.

`location` reads the URL, `addresses` says whom we may call, `outward` makes the connection, `keeping` remembers answers
for a while, `fetching` puts them together; `posting` sends.
"""

from oauthd.fetcher.fetching import Fetcher
from oauthd.fetcher.outward import Outward
from oauthd.fetcher.posting import Posting
from oauthd.fetcher.refusal import FetchRefused

__all__ = ["FetchRefused", "Fetcher", "Outward", "Posting"]
