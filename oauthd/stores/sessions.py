"""Browser sessions and the state of browser flows.

A session cookie's value is random and found by its digest; it changes at every sign-in. A session ends with
its user's generation: a deactivated user or a changed password signs out everywhere. An interaction is bound to the
browser that began it by the digest of a cookie of its own.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable

from attrs import frozen
from msgspec.structs import replace

from oauthd.protocol import opaque
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.messages import Request, Response, see_other
from oauthd.protocol.records import Interaction, Session
from oauthd.protocol.seals import Seals
from oauthd.shedding import Room
from oauthd.stores import kinds, tallies
from oauthd.stores.interface import IStore, Page, Ref, Stored, Write
from oauthd.stores.swap import readings, swap

LONGEST_VALUE = 128  # characters of a cookie or an id in an address; ours have 43
TOUCH_AFTER = 60  # seconds: an idle end is not rewritten more often than this
MOST_CLIENTS = 100  # of a session; the latest are remembered
MOST_BEGUN = 1000  # flows that one source may begin in a minute
UNDER_WAY = ("authorize", "device", "requests", "logout", "home")
ANSWERED = "answered"
ANSWERED_FOR = 60  # seconds that a flow which is over is remembered, for people who press a button twice


def _random(entropy: Callable[[int], bytes]) -> str:
    return base64.urlsafe_b64encode(entropy(32)).rstrip(b"=").decode()


def session_id(ref: Ref[Session]) -> str:
    """The id by which an administrator names a session: its digest, never its cookie."""
    return base64.urlsafe_b64encode(ref.ident).rstrip(b"=").decode()


def _ref_of(identifier: str) -> Ref[Session] | None:
    """The reference that a session's id names; None when it is none."""
    try:
        ident = base64.b64decode(identifier + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return kinds.SESSION.at(ident) if len(ident) == 32 else None


@frozen
class Sessions:
    """Who is signed in, by cookie.

    :ivar idle: seconds without use after which a session ends.
    :ivar absolute: seconds after sign-in at which it ends whatever happens.
    """

    store: IStore
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    idle: int
    absolute: int

    async def start(self, user_id: str, former: str, generation: int) -> tuple[str, Session]:
        """Sign a browser in; the cookie it had before (`former`) is worth nothing afterwards.

        Where the same person signs in once more, clients know the session as they did: its name stays.

        :param generation: the user's, read before the password was checked: a deactivation since then leaves a
            session that is dead.
        """
        now = int(self.clock())
        value = _random(self.entropy)
        before = await self.find(former)
        same = before is not None and before.user_id == user_id and before.sid
        session = Session(
            user_id=user_id,
            sid=before.sid if before and same else opaque.new_identifier(self.entropy),
            clients=before.clients if before and same else (),
            auth_time=now,
            user_generation=generation,
            ends_at=now + self.absolute,
            expires_at=now + min(self.idle, self.absolute),
        )
        await self.store.put(Write(kinds.SESSION.at(kinds.digest(value)), session))
        if before is not None:  # a dead one stays until its clients are told
            await self.end(former)
        return value, session

    async def find(self, value: str) -> Session | None:
        """The live session of a cookie value; its idle end moves on."""
        if not 0 < len(value) <= LONGEST_VALUE:
            return None
        (stored,) = await self.store.get(kinds.SESSION.at(kinds.digest(value)))
        if stored is None:
            return None
        session: Session = stored.record
        if not await self._stands(session):
            return None
        until = min(int(self.clock()) + self.idle, session.ends_at)
        if until - session.expires_at >= TOUCH_AFTER:
            # A swap, so that a session ended meanwhile is not written back.
            await swap(self.store, stored.ref, stored, replace(session, expires_at=until))
        return session

    async def page(self, user_id: str, cursor: str | None, limit: int) -> Page[Session]:
        """A page of the live sessions of a user.

        :raises ValueError: when the cursor is not one of ours.
        """
        page: Page[Session] = await self.store.scan(kinds.sessions_of_user(user_id), cursor, limit)
        return Page(tuple([one for one in page.items if await self._stands(one.record)]), page.cursor)

    async def named(self, session_id: str) -> Stored[Session] | None:
        """The live session of that id."""
        ref = _ref_of(session_id)
        (stored,) = await self.store.get(ref) if ref is not None else (None,)
        return stored if stored is not None and await self._stands(stored.record) else None

    async def _stands(self, session: Session) -> bool:
        """Is the session's generation in force?"""
        today = await self.store.generations("", session.user_id)
        return today.user is not None and session.user_generation >= today.user

    async def joined(self, value: str, session: Session, client_id: str) -> bool:
        """A client is to get something in a session; written down the first time alone.

        :return: False when the session has ended since it was read: the client would not be told of that.
        """
        if client_id in session.clients:
            return True
        ref = kinds.SESSION.at(kinds.digest(value))
        async for stored in readings(self.store, ref):
            if stored is None:
                return False
            clients = (*stored.record.clients, client_id)[-MOST_CLIENTS:]
            if client_id in stored.record.clients or await swap(
                self.store, ref, stored, replace(stored.record, clients=clients)
            ):
                return True
        return False

    async def goes_on(self, value: str) -> bool:
        """Has the session that was found by a cookie not been ended since? A look at it alone, not at its user."""
        (stored,) = await self.store.get(kinds.SESSION.at(kinds.digest(value)))
        return stored is not None

    async def end(self, value: str) -> None:
        """Sign the browser out."""
        if value:
            await self.store.forget(kinds.SESSION.at(kinds.digest(value)))


@frozen
class Interactions:
    """The browser flows under way, each bound to one browser by a cookie.

    Where two tabs begin at once in a browser that has no cookie yet, one cookie takes the place of the other. So a flow
    that had to set it sets another one besides, which is its own.
    """

    store: IStore
    seals: Seals
    cookie: Cookie
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    lifetime: int
    room: Room | None = None

    async def begin(self, request: Request, purpose: str, parameters: dict[str, str], page: str) -> Response:
        """Begin a flow in the browser that sent the request, and send it to the page that takes the first step.

        :raises OAuthError: `too_many_requests` when its source has begun too many, `temporarily_unavailable` when the
            store has no room for what may be left unfinished.
        """
        if self.room is not None:
            (self.room.register if purpose == "logout" else self.room.begin)()
        now, identifier = int(self.clock()), _random(self.entropy)
        what = "sign-ins were begun"
        await tallies.count_source(self.store, self.seals, request.connection, "flows begun", MOST_BEGUN, now, what)
        browser, cookies = self.cookie.read(request), list[tuple[str, str]]()
        if not 0 < len(browser) <= LONGEST_VALUE:  # one that is too long would be found by nobody
            browser = _random(self.entropy)
            cookies = [self.cookie.set(browser), self._own_cookie(identifier).set(browser, self.lifetime)]
        record = Interaction(
            purpose=purpose,
            parameters=parameters,
            browser=kinds.digest(browser),
            created_at=now,
            expires_at=now + self.lifetime,
        )
        await self.store.put(Write(kinds.INTERACTION.at(kinds.digest(identifier)), record))
        return see_other(f"{page}?interaction={identifier}").adding(*cookies)

    async def find(self, identifier: str, request: Request) -> Stored[Interaction] | None:
        """The flow of that id, if it is this browser's."""
        if not 0 < len(identifier) <= LONGEST_VALUE:
            return None
        cookies = [cookie.read(request) for cookie in (self.cookie, self._own_cookie(identifier))]
        browsers = [kinds.digest(value) for value in cookies if 0 < len(value) <= LONGEST_VALUE]
        if not browsers:
            return None
        (stored,) = await self.store.get(kinds.INTERACTION.at(kinds.digest(identifier)))
        if stored is None or not any(hmac.compare_digest(stored.record.browser, browser) for browser in browsers):
            return None
        found: Stored[Interaction] = stored
        return found

    def _own_cookie(self, identifier: str) -> Cookie:
        """The cookie of one flow."""
        return Cookie(f"{self.cookie.name}_{kinds.digest(identifier)[:6].hex()}", self.cookie.secure)

    async def save(self, stored: Stored[Interaction], changed: Interaction) -> bool:
        """Write down what a page learned; False when another request was faster."""
        return await swap(self.store, stored.ref, stored, changed)

    async def finish(self, stored: Stored[Interaction]) -> bool:
        """End the flow; True for the one request that ends it."""
        ends = min(stored.record.expires_at, int(self.clock()) + ANSWERED_FOR)
        over = replace(stored.record, purpose=ANSWERED, expires_at=ends)
        return await swap(self.store, stored.ref, stored, over)

    def csrf(self, stored: Stored[Interaction]) -> str:
        """The token that the forms of a flow carry: it stands for the flow and the browser that began it."""
        mac = self.seals.digest("csrf", stored.record.browser + stored.ref.ident)
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def csrf_fits(self, stored: Stored[Interaction], token: str) -> bool:
        """Did the form come from a page that we gave to this browser?"""
        return hmac.compare_digest(self.csrf(stored).encode(), token.encode("utf-8", "surrogatepass"))
