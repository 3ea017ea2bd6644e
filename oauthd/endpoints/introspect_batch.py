"""Introspection of many tokens in one request: an extension of RFC 7662 of this server's own making.

A JSON object: `tokens`, an array of up to a thousand strings, and beside it whatever a form of the introspection
endpoint may hold, as strings: credentials, and what is demanded of the tokens. The answer is `{"results": [...]}`, in
which each member is what the introspection endpoint would say of the token at that place, to this caller. The same
token counts once, and all that memory does not know is read together.

All are answered or none: where the store does not answer for one the answer is 503. Whatever is no token of ours, the
empty string included, is inactive, for one bad token that somebody sent to a resource server must not keep it from the
others. Refused: more tokens than that, anything in the array but strings, JSON that two readers could read in two ways.

No result is older than a single answer would be: what was found first is looked at again when the last one is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Final

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oauthd.endpoints.introspect import Introspect, seen_by
from oauthd.proofs.client_authentication import FORM, Caller
from oauthd.protocol import introspection, opaque
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.json_body import read_json
from oauthd.protocol.messages import JSON, Parameters, Request, Response
from oauthd.stores.cache import TOO_LATE, TRIES
from oauthd.stores.entries import Entry
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.tokens import LONGEST_TOKEN

MOST_TOKENS: Final = 1000
DEPTH: Final = 2  # the object, and the array in it


@frozen
class IntrospectBatch:
    """Tells a resource server what many tokens are good for.

    :ivar introspect: who may ask, and what is said of one token.
    :ivar largest: octets of a request.
    """

    introspect: Introspect
    largest: int

    async def __call__(self, request: Request) -> Response:
        """Answer for all tokens of a request."""
        body = read_json(request, depth=DEPTH, size=self.largest)
        tokens = _tokens(body.pop("tokens", None))
        form = _parameters(body)
        # Clients that prove themselves in the body do so by the same members as in a form.
        caller = await self.introspect.caller(evolve(request, form=form, body=b"", content_type=FORM))
        required = self.introspect.verdicts.required(form)
        distinct = dict.fromkeys(tokens)
        caller.spend(len(distinct) - 1)  # each is a question
        found = await self._answers(caller, distinct)
        if required is not None:
            judged, now = self.introspect.verdicts.judged, self.introspect.clock()
            found = {token: judged(answer, required, now) for token, answer in found.items()}
        return Response(200, JSON, b'{"results":[%b]}' % b",".join([found[token] for token in tokens]))

    async def _answers(self, caller: Caller, tokens: Collection[str]) -> dict[str, bytes]:
        """What this caller is told of each.

        :raises StoreUnavailable: where the store does not answer, or too late, for any.
        """
        cache, counts = self.introspect.cache, self.introspect.counts
        refresh = [token for token in tokens if token.startswith(opaque.REFRESH_TOKEN)]
        access = [token for token in tokens if not token.startswith(opaque.REFRESH_TOKEN)] if refresh else tokens
        found, missing = self._remembered(caller, access, {})
        dead = sum(answer is INACTIVE for answer in found.values())
        counts.hits += len(found) - dead
        counts.inactive += dead
        counts.misses += len(missing) + len(refresh)
        if not (missing or refresh):
            return found
        told: dict[str, Entry] = {}
        for _ in range(TRIES):
            told |= await self._read(missing)
            began = cache.monotonic()
            of_grants = await self._of_grants(caller, refresh)
            late = bool(refresh) and cache.monotonic() >= began + cache.max_staleness
            # What was in memory is looked at once more: time has passed, and it may have ended meanwhile.
            found, missing = self._remembered(caller, access, told)
            if not (missing or late):
                return found | of_grants
        raise StoreUnavailable(TOO_LATE)

    def _remembered(
        self, caller: Caller, tokens: Iterable[str], told: Mapping[str, Entry]
    ) -> tuple[dict[str, bytes], list[str]]:
        """What memory knows of tokens, and of the others what was read of them just now; and those that are neither."""
        cache, wall = self.introspect.cache, self.introspect.clock()
        entries, now, own = cache.entries, cache.monotonic(), caller.entry
        kept = entries if now < cache.lease else {}
        longest = now + cache.max_staleness
        found: dict[str, bytes] = {}
        missing: list[str] = []
        for token in tokens:
            entry = kept.get(sha256(token.encode()).digest())
            # As `IntrospectionLesson.recall`, without its look at the clocks for each.
            if (
                entry is None
                or now >= entry.aged
                or wall >= entry.until
                or not (entry.first.stands and entry.second.stands and entry.third.stands and entry.fourth.stands)
            ):
                entry = told.get(token)
                # Of what was read only that is good which nothing was kept of, or that says nothing but inactive.
                if entry is None or not (
                    entry.value is INACTIVE or (now < entry.aged <= longest and wall < entry.until and entry.stands)
                ):
                    missing.append(token)
                    continue
            entry.hot = True
            views = entry.views
            found[token] = entry.value if views is None else views.get(own) or seen_by(caller, entry)
        return found, missing

    async def _read(self, tokens: Sequence[str]) -> dict[str, Entry]:
        """What the store has of them; read together with whatever else is asked for in this turn."""
        short = [token for token in tokens if len(token) <= LONGEST_TOKEN]
        told = dict.fromkeys(tokens, _NOTHING)
        if short:
            reading = _Reading(len(short), told)
            for token in short:
                said = token.encode()
                self.introspect.answers.ask(sha256(said).digest(), partial(reading.tell, token), said)
            await reading.finished
        return told

    async def _of_grants(self, caller: Caller, tokens: Collection[str]) -> dict[str, bytes]:
        """Refresh tokens are nobody's business but their client's (RFC 6749 section 10.4)."""
        if not tokens:
            return {}
        one, client = self.introspect, caller.client
        found = await one.tokens.find_refresh_all(tokens, client.client_id)
        alive = {
            token: introspection.active(record, one.issuer, one.subjects.of(client, record.user_id))
            for token, record in found.items()
        }
        return {token: alive.get(token, INACTIVE) for token in tokens}


_NOTHING: Final = Entry(INACTIVE, 0, 0, ())


@define(eq=False)
class _Reading:
    """What is still to be read, and what was: the first failure fails it all, when the last one is there."""

    left: int
    told: dict[str, Entry]
    failed: Failure | None = None
    finished: Deferred[None] = field(factory=Deferred)

    def tell(self, token: str, outcome: Entry | Failure) -> None:
        """What came of one token."""
        if isinstance(outcome, Failure):
            self.failed = self.failed or outcome
        else:
            self.told[token] = outcome
        self.left -= 1
        if not self.left and not self.finished.called:
            if self.failed is None:
                self.finished.callback(None)
            else:
                self.finished.errback(self.failed)


def _tokens(given: object) -> list[str]:
    """The array of tokens.

    :raises OAuthError: `invalid_request`.
    """
    if not isinstance(given, list):
        raise INVALID_REQUEST("tokens must be an array")
    if len(given) > MOST_TOKENS:
        raise INVALID_REQUEST(f"there are more than {MOST_TOKENS} tokens")
    if not all(type(one) is str for one in given):
        raise INVALID_REQUEST("every token must be a string")
    return given


def _parameters(members: Mapping[str, Any]) -> Parameters:
    """The other members, as if they had come in a form.

    :raises OAuthError: `invalid_request`.
    """
    pairs = []
    for name, value in members.items():
        text = str(value) if type(value) is int else value  # max_age, as JSON has it
        if not isinstance(text, str) or not text.isprintable():
            raise INVALID_REQUEST("members beside tokens must be strings")
        pairs.append((name, text))
    return Parameters(tuple(pairs))
