"""What a client shows of itself on our pages: its logo, and where its policy and terms stand (Registration section 2).

The browser loads the logo from where the client keeps it: https only, without telling where it stands (no-referrer),
and the page's policy names this one picture, so nothing else gets in. What that host learns is that a browser shows the
page. An address that a policy cannot spell is left out, one at our own host too, and a link that is none to the web.
Links open a page of their own, which knows nothing of this one.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from typing import Final

from attrs import asdict, frozen

from oauthd.protocol.client_rules import is_of
from oauthd.protocol.records import Client

# A host source with a path (CSP Level 3 section 2.3.1), of characters that need no escape there; then a query.
_PICTURE: Final = re.compile(
    r"(?P<source>https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/[A-Za-z0-9._~!$&()*+=:@%/-]*)(?:\?[\x21\x23-\x26\x28-\x7e]*)?",
    re.ASCII,
)
_LINK: Final = re.compile(r"https?://[^\x00-\x20\x7f-\xa0\\\"<>@]+", re.IGNORECASE)


@frozen
class ClientLinks:
    """Variables of the pages, None where there is nothing to show.

    :ivar logo: address of a picture.
    :ivar policy: address of what the client says it does with data; `terms`: of its terms of service.
    """

    logo: str | None = None
    policy: str | None = None
    terms: str | None = None

    @property
    def context(self) -> dict[str, str | None]:
        """The variables."""
        return asdict(self)

    @property
    def images(self) -> tuple[str, ...]:
        """The sources that the page's policy must let in."""
        found = _PICTURE.fullmatch(self.logo) if self.logo else None
        return (found["source"],) if found else ()


def shown_as(client: Client) -> str:
    """What stands in a form for all that its page shows of a client: another one, or a changed one, has another."""
    said = (client.client_id, client.name, client.client_uri, client.logo_uri, client.policy_uri, client.tos_uri)
    digest = sha256("\0".join((str(client.number), *said)).encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def client_links(client: Client | None, issuer: str) -> ClientLinks:
    """What the pages may show of a client.

    :param issuer: no picture is at its host.
    """
    if client is None:
        return ClientLinks()
    shown = _PICTURE.fullmatch(client.logo_uri) and not is_of(client.logo_uri, issuer)
    logo = client.logo_uri if shown else None
    policy, terms = (uri if _LINK.fullmatch(uri) else None for uri in (client.policy_uri, client.tos_uri))
    return ClientLinks(logo, policy, terms)
