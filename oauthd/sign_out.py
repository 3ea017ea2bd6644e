"""Signing out: the session ends, and with it what clients have of it.

OpenID Connect Back-Channel Logout 1.0: clients that registered an address are sent a logout token, by the outbox; it is
written down before the session ends, and nobody waits until it is sent. Front-Channel Logout 1.0: those that are to be
told by the browser are named to whoever shows the page. Clients that asked for it lose their tokens (Back-Channel
Logout section 2.7), but for those that were given for use without the person, by the scope `offline_access`.

A changed password, a deactivation, a role that is taken away and a revocation of all that a user has end sessions of
browsers that are not here: these sign out by the back channel alone. Whoever ends them waits until it is written down
who is to be told, and asks again where that failed: what is still to be told of stands there until it has been.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from attrs import frozen

from oauthd.config import Settings
from oauthd.deliveries import Post
from oauthd.events import Events
from oauthd.keys import Keys
from oauthd.nested_jwt import NestedJwts
from oauthd.protocol import logout, opaque, profile
from oauthd.protocol.records import Client, Session
from oauthd.stores import kinds
from oauthd.stores.clients import Clients
from oauthd.stores.interface import IStore, Ref, Stored
from oauthd.stores.outbox import Note, Outbox
from oauthd.stores.sessions import Sessions
from oauthd.stores.swap import readings, swap
from oauthd.subjects import Subjects

SORT = "logout"
FORM = "application/x-www-form-urlencoded"
PAGE = 200  # sessions or grants that are looked at in one step


@frozen
class LogoutTokens:
    """Makes the messages of back-channel logout: a maker of `oauthd.deliveries`."""

    issuer: str
    settings: Settings
    keys: Keys
    nested: NestedJwts
    subjects: Subjects
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]

    async def __call__(self, client: Client, facts: Mapping[str, Any]) -> Post | None:
        """The logout request for one client (Back-Channel Logout section 2.5)."""
        if not client.backchannel_logout_uri:
            return None
        said = logout.claims(
            issuer=self.issuer,
            audience=client.client_id,
            subject=self.subjects.of(client, facts["user_id"]),
            session=logout.sid(facts["session"], client.client_id),
            now=int(self.clock()),
            identifier=opaque.new_identifier(self.entropy),
        )
        token = await self.nested.signed(
            client,
            said,
            self._algorithm(client),
            client.id_token_encryption,  # section 2.6: as id tokens are
            logout.TYPE,
            issuer=self.issuer,  # section 2.4: told outside, too, where nobody else can read it inside
        )
        return Post(client.backchannel_logout_uri, urlencode({"logout_token": token}).encode(), FORM)

    def _algorithm(self, client: Client) -> str:
        usual = self.settings.tokens.id_token_algorithm
        return profile.signs_id_tokens(client, usual, self.keys.algorithms, self.settings.server.profile)


@frozen
class SignOut:
    """Ends sessions."""

    store: IStore
    sessions: Sessions
    clients: Clients
    outbox: Outbox
    events: Events
    issuer: str

    async def end(self, value: str, client_id: str | None = None) -> tuple[str, ...]:
        """End the session of a cookie.

        :param client_id: who asked for it.
        :return: the addresses that the browser is to show in frames.
        """
        session = await self.sessions.find(value)
        if session is None:  # one that has died with its user's generation stays until its clients are told of that
            return ()
        known = await self._over(kinds.SESSION.at(kinds.digest(value)), session)
        self.events.tell("sign_out", user_id=session.user_id, client_id=client_id)
        framed, untold = logout.framed(known)
        for client in untold:
            self.events.tell("client.untold", client_id=client.client_id, user_id=session.user_id)
        return tuple(logout.frame(client, self.issuer, session.sid) for client in framed)

    async def revoke(self, session_id: str) -> Session | None:
        """End the session of that id with every grant that was given in it, offline ones too; None for no session."""
        stored = await self.sessions.named(session_id)
        if stored is not None:
            await self._over(stored.ref, stored.record, every=True)
        return None if stored is None else stored.record

    async def _over(self, ref: Ref[Session], session: Session, every: bool = False) -> Sequence[Client]:
        """End a session; the clients that know it.

        :param every: end all its grants.
        """
        told: dict[str, Client] = {}
        async for stored in readings(self.store, ref):
            if stored is None:  # somebody else was faster
                return tuple(told.values())
            known = [client for client in await self._clients(stored.record) if client.client_id not in told]
            # First, for whoever asks again after a failure finds the session, and everybody is told then.
            await self.outbox.add(*_notes(session, known))
            told |= {client.client_id: client for client in known}
            await self._end_grants(session, every)
            # Over from here on, unless another client got something in it meanwhile: it is to be told, too.
            if await swap(self.store, ref, stored, None):
                break
        await self.store.forget(ref)  # as what is revoked is, which has to be confirmed
        await self._end_grants(session, every)  # that came meanwhile
        return tuple(told.values())

    async def everywhere(self, user_id: str) -> None:
        """End every session and token of a user, and tell the clients.

        :raises StoreUnavailable: when it is not known whether all of it was done; to be done again then.
        """
        # Told of first: who asks by a token that is dead afterwards could not ask again.
        await self._sessions_of(user_id, None)
        await self.store.raise_generation(f"user:{user_id}")
        await self.of_user(user_id)  # sessions that began meanwhile

    async def of_user(self, user_id: str) -> None:
        """Tell the clients of the sessions that have died with a user's generation; not of those that began since."""
        today = (await self.store.generations("", user_id)).user
        await self._sessions_of(user_id, sys.maxsize if today is None else today)

    async def _sessions_of(self, user_id: str, today: int | None) -> None:
        """Tell of sessions, and forget them; their grants are for whoever raises the generation, and end with it.

        :param today: the generation in force, of which the sessions go on; None for those of every generation.
        """
        cursor: str | None = None
        while True:
            page = await self.store.scan(kinds.sessions_of_user(user_id), cursor, PAGE)
            ended = [one for one in page.items if today is None or one.record.user_generation < today]
            notes = [_notes(one.record, await self._clients(one.record)) for one in ended]
            await self.outbox.add(*chain(*notes))  # before they are gone, for whoever asks again after a failure
            for one in ended:
                if not await swap(self.store, one.ref, one, None):
                    await self._tell_others(one)
            await self.store.forget(*(one.ref for one in ended))  # which has to be confirmed
            cursor = page.cursor
            if cursor is None:
                return

    async def _tell_others(self, former: Stored[Session]) -> None:
        """End a session that has changed since it was read; those clients are told that got something in it since."""
        told = set(former.record.clients)
        async for stored in readings(self.store, former.ref):
            if stored is None:
                return
            known = [client for client in await self._clients(stored.record) if client.client_id not in told]
            await self.outbox.add(*_notes(stored.record, known))
            told.update(stored.record.clients)
            if await swap(self.store, stored.ref, stored, None):
                return

    async def _clients(self, session: Session) -> Sequence[Client]:
        found = [await self.clients.find(client_id) for client_id in session.clients]
        return [client for client in found if client is not None and client.is_active]

    async def _end_grants(self, session: Session, every: bool = False) -> None:
        """End the grants that are to end with a session, or every one of it."""
        if not session.sid:
            return
        cursor: str | None = None
        while True:
            page = await self.store.scan(kinds.grants_of_session(session.sid), cursor, PAGE)
            ended = [stored for stored in page.items if every or stored.record.ends_with_session]
            await self.store.forget(*(stored.ref for stored in ended))
            for stored in ended:
                grant = stored.record
                self.events.tell("grant.ended", client_id=grant.client_id, user_id=grant.user_id)
            cursor = page.cursor
            if cursor is None:
                return


def _notes(session: Session, known: Iterable[Client]) -> Sequence[Note]:
    facts = {"user_id": session.user_id, "session": session.sid}
    return [Note(SORT, client.client_id, facts) for client in known if client.backchannel_logout_uri]
