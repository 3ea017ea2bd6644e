"""Token requests that come in one turn of the reactor, answered together: what clients ask for again and again.

Read, decide, mint, commit once, as ever, but one step for all of them and then the next: one exchange with the store
reads, and one writes. It costs a third of a coroutine, a Deferred and two exchanges for each. Nobody is told before the
server has confirmed what the answer stands on, and each hears of its own failure alone.

Whatever is not the ordinary case (a repeat, a refusal, a signature by a thread, a record that cannot be read) goes on
in the ordinary way, one by one.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.endpoints.token_answer import TokenAnswer, TokenAnswers
from oauthd.grants.interface import Redemption
from oauthd.protocol.messages import Told
from oauthd.protocol.records import UNBOUND, AccessToken, Client
from oauthd.stores.interface import IStore, Ref, Stored, StoreUnavailable

MOST_UNDER_WAY = 2  # batches; what is asked meanwhile goes together with the next one, and costs less
LARGEST_BATCH = 256  # requests; a longer one would hold the reactor up


@define(eq=False)
class Asked:
    """A request of which nothing was proved that counts once.

    :ivar refs: the records by which it is decided; () where it is decided already.
    :ivar decide: the decision by these; None for what is not the ordinary case.
    :ivar onward: answers in the ordinary way, by what was decided so far.
    """

    client: Client
    grant_type: str
    waiter: Told
    refs: tuple[Ref[Any], ...]
    decide: Callable[[Sequence[Stored[Any] | None]], Redemption | None]
    onward: Callable[[Redemption | None], Coroutine[Any, Any, bytes]]
    _told: bool = field(default=False, init=False)

    def tell(self, outcome: bytes | Failure) -> None:
        """Tell the waiter, once."""
        if not self._told:
            self._told = True
            self.waiter(outcome)


@define(eq=False)
class TokenTurns:
    """Answers them.

    :ivar issued: told of each access token that was handed out, and by which grant.
    """

    store: IStore
    answers: TokenAnswers
    reactor: IReactorTime
    issued: Callable[[str, AccessToken], None]
    _log: ClassVar[Logger] = Logger()
    _next: list[Asked] = field(factory=list, init=False, repr=False)
    _under_way: int = field(default=0, init=False)

    def add(self, asked: Asked) -> None:
        """Answer a request with those of this turn."""
        if not self._next and self._under_way < MOST_UNDER_WAY:
            self.reactor.callLater(0, self._send)
        self._next.append(asked)

    def _send(self) -> None:
        batch, self._next = self._next[:LARGEST_BATCH], self._next[LARGEST_BATCH:]
        if batch:  # else a batch that ended meanwhile has taken them along
            self._under_way += 1
            ensureDeferred(self._answer(batch)).addErrback(self._failed, batch).addBoth(self._done)

    def _done(self, nothing: object) -> None:
        self._under_way -= 1
        if self._next and self._under_way < MOST_UNDER_WAY:
            self._send()

    def _failed(self, failure: Failure, batch: list[Asked]) -> None:
        """An error in this program; whoever was told already does not hear of it."""
        self._log.failure("token requests could not be answered together", failure)
        self._tell_all(batch, failure)

    async def _answer(self, batch: list[Asked]) -> None:
        made = self._make(await self._decide(batch))
        await self._put([(asked, answer) for asked, answer in made if answer.step is None])
        await self._commit([(asked, answer) for asked, answer in made if answer.step is not None])

    async def _decide(self, batch: list[Asked]) -> list[tuple[Asked, Redemption]]:
        try:
            found = iter(await self.store.get(*[ref for asked in batch for ref in asked.refs]))
        except StoreUnavailable:
            self._tell_all(batch, Failure())
            return []
        except Exception:  # one that cannot be read is nobody else's trouble
            self._all_onward(batch)
            return []
        decided = []
        for asked in batch:
            redemption = self._decision(asked, [next(found) for _ in asked.refs])
            if redemption is None:
                self._onward(asked, None)
            else:
                decided.append((asked, redemption))
        return decided

    def _decision(self, asked: Asked, found: list[Stored[Any] | None]) -> Redemption | None:
        try:
            return asked.decide(found)
        except Exception:
            self._log.failure("a token request could not be decided together with others")
            return None

    def _make(self, decided: list[tuple[Asked, Redemption]]) -> list[tuple[Asked, TokenAnswer]]:
        answers: list[TokenAnswer | None]
        try:
            answers = self.answers.make_together([(asked.client, redemption, UNBOUND) for asked, redemption in decided])
        except Exception:
            self._log.failure("tokens could not be made together")
            answers = [None] * len(decided)
        made = []
        for (asked, redemption), answer in zip(decided, answers, strict=True):
            if answer is None:
                self._onward(asked, redemption)
            else:
                made.append((asked, answer))
        return made

    async def _put(self, made: list[tuple[Asked, TokenAnswer]]) -> None:
        """Write access tokens that stand alone."""
        if not made:
            return
        try:
            await self.store.put(*[write for _, answer in made for write in answer.puts])
        except StoreUnavailable:
            self._tell_all([asked for asked, _ in made], Failure())
        except Exception:
            self._all_onward([asked for asked, _ in made])
        else:
            for asked, answer in made:
                self._issued(asked, answer)

    async def _commit(self, made: list[tuple[Asked, TokenAnswer]]) -> None:
        if not made:
            return
        try:
            done = await self.store.commits([answer.step for _, answer in made if answer.step is not None])
        except StoreUnavailable:
            self._tell_all([asked for asked, _ in made], Failure())
        except Exception:  # what was carried out all the same, the grant sees
            self._all_onward([asked for asked, _ in made])
        else:
            for (asked, answer), carried_out in zip(made, done, strict=True):
                if carried_out:
                    self._issued(asked, answer)
                else:  # somebody was faster
                    self._onward(asked, None)

    def _issued(self, asked: Asked, answer: TokenAnswer) -> None:
        self.issued(asked.grant_type, answer.access.record)
        self._tell(answer.body, asked)

    def _all_onward(self, batch: list[Asked]) -> None:
        for asked in batch:
            self._onward(asked, None)

    def _onward(self, asked: Asked, decided: Redemption | None) -> None:
        ensureDeferred(asked.onward(decided)).addBoth(self._tell, asked)

    def _tell_all(self, batch: list[Asked], failure: Failure) -> None:
        for asked in batch:
            self._tell(failure, asked)

    def _tell(self, outcome: bytes | Failure, asked: Asked) -> None:
        try:
            asked.tell(outcome)
        except Exception:
            self._log.failure("who waited for a token failed over it")
