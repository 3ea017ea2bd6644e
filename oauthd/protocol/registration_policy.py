"""What a client that registers itself may be: the operator's limits, as pure rules (RFC 7591 section 5).

Refused rather than narrowed in silence: scopes that it may not ask for, grant types and authentication methods that are
not for such clients, and clients without what they must have. An initial access token's own limits come in place of
the operator's, for as long as there is the client; what it has already it may keep when it changes itself. Nobody gives
himself types of authorization details that no person is asked for (RFC 9396 section 6): they are an administrator's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import evolve, frozen

from oauthd.protocol.grant_types import WITHOUT_CONSENT
from oauthd.protocol.records import Client, Limits, Scopes


@frozen
class RegistrationPolicy:
    """Limits.

    :ivar scopes: None: every one that is not reserved, or all with `reserved`.
    :ivar grant_types: None for all; as `auth_methods`.
    :ivar require: members, by their names on the wire.
    :ivar details_types: of authorization details that it may have beside a grant `WITHOUT_CONSENT`.
    """

    scopes: tuple[str, ...] | None = None
    grant_types: tuple[str, ...] | None = None
    auth_methods: tuple[str, ...] | None = None
    require: tuple[str, ...] = ()
    reserved: bool = False
    details_types: tuple[str, ...] = ()

    def under(self, limits: Limits) -> RegistrationPolicy:
        """The same under the limits of an initial access token."""
        return evolve(
            self,
            scopes=self.scopes if limits.scopes is None else limits.scopes,
            grant_types=self.grant_types if limits.grant_types is None else limits.grant_types,
            auth_methods=self.auth_methods if limits.auth_methods is None else limits.auth_methods,
        )

    def keeping(self, client: Client, method: str) -> RegistrationPolicy:
        """The limits for a client that changes itself."""
        return evolve(
            self,
            scopes=_widened(self.scopes, client.scopes or ()),
            grant_types=_widened(self.grant_types, client.grant_types),
            auth_methods=_widened(self.auth_methods, (method,)),
            details_types=(client.details_types or ()) if WITHOUT_CONSENT & set(client.grant_types) else (),
        )

    def allowed(self, known: Scopes, had: Collection[str] = ()) -> set[str]:
        """The scopes that it may ask for."""
        if self.scopes is None:
            reserved = self.reserved
            return {one.name for one in known.scopes if reserved or not one.reserved or one.name in had}
        return {scope.name for scope in known.scopes if scope.name in self.scopes}

    def problems(self, client: Client, method: str, sent: Mapping[str, object]) -> dict[str, str]:
        """What is wrong with a client, by the names of members on the wire.

        :param method: how it authenticates, on the wire.
        :param sent: the members that it sent.
        """
        found = {name: "is required" for name in self.require if sent.get(name) in (None, "", [], {})}
        beyond = [] if self.grant_types is None else [one for one in client.grant_types if one not in self.grant_types]
        if beyond:
            found["grant_types"] = f"{beyond[0]} is not for clients that register themselves"
        alone = WITHOUT_CONSENT & set(client.grant_types)
        if alone and set(client.details_types or ()) - set(self.details_types) and not self.reserved:
            found["authorization_details_types"] = "are given by an administrator, where no person is asked for consent"
        if self.auth_methods is not None and method not in self.auth_methods:
            found["token_endpoint_auth_method"] = f"must be {' or '.join(self.auth_methods)}"
        return found


def _widened(limit: tuple[str, ...] | None, more: tuple[str, ...]) -> tuple[str, ...] | None:
    return None if limit is None else (*limit, *more)
