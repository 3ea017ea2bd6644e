"""A fleet at work: three resource servers ask about many tokens at a time, on two nodes, while tokens are issued,
exchanged and revoked and one thing after the other breaks. Nobody is told longer than is promised that a token is good
which is not, and nobody ever that one is dead which lives.
"""

from __future__ import annotations

import contextlib  # whole: a test module's own `suppress` would be trial's
import math
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

from attrs import define, field

from tests.live.daemon import Daemon
from tests.live.test_outages import STALENESS, OutageCase
from tests.live.visitor import GRANTS, PASSWORD, App, Line, Unreachable
from tests.wire import Answer

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
RESOURCES = ("https://orders.example", "https://stock.example")
WAYS = ("token", "", "subject", "user", "grant", "token", "resource")
"""How things end, in turn; a number of them that the nodes do not divide."""
EXCHANGES = 4  # of one token
TOGETHER = 300  # tokens in a request
KNOWN = 1500  # tokens that are asked about; the oldest are left alone
WHILE = 2.5  # seconds that each state of things lasts


@define(eq=False)
class Known:
    """A token. Times are monotonic seconds.

    :ivar ending: when its end was asked for; `ended`: when that was answered 200; `by`: who answered.
    :ivar born: when it was asked for.
    """

    value: str = field(repr=False)
    user_id: str
    resource: str
    family: int
    ending: float = math.inf
    ended: float = math.inf
    by: Daemon | None = None
    born: float = math.inf


@define(eq=False)
class Fleet:
    """What everybody works at."""

    nodes: tuple[Daemon, ...]
    tokens: list[Known] = field(factory=list)
    resources: dict[str, float] = field(factory=dict)  # when each was revoked last
    faults: list[str] = field(factory=list)
    counts: Counter[str] = field(factory=Counter)
    over: threading.Event = field(factory=threading.Event)

    def asking(self, line: Line, node: Daemon, caller: App) -> None:
        """One batch by a resource server, and what is wrong with its answer."""
        some = random.sample(known := self.tokens[-KNOWN:], min(TOGETHER, len(known)))
        asked = time.monotonic()
        body = {"tokens": [one.value for one in some]}
        answer = line.request("POST", "/oauth2/introspect/batch", json_body=body, basic_auth=caller.auth)
        told = time.monotonic()
        if answer.status == 503:
            self.counts["batches refused"] += 1
            if not answer.header("retry-after").isdigit():
                self.faults.append("a 503 that does not say when to come again")
            return
        self.counts["batches"] += 1
        for one, said in zip(some, answer.json()["results"], strict=True):
            self.counts["answers"] += 1
            late = asked - one.ended
            if said["active"] and (late > STALENESS or (late > 0 and one.by is node)):
                self.faults.append(f"active {late:.3f} s after its end, where it was ended: {one.by is node}")
            # Who has not heard yet that a resource was revoked issues under its former number: dead, never live.
            stillborn = one.born < self.resources.get(one.resource, -math.inf) + STALENESS
            if not said["active"] and told < one.ending and not stillborn:
                self.faults.append("inactive, and nobody had ended it")

    def end(self, by: Daemon, ended: Callable[[Known], bool], send: Callable[[], Answer]) -> None:
        """Revoke something; of what it ends it is noted when."""
        some = [one for one in self.tokens if one.ending == math.inf and ended(one)]
        now = time.monotonic()
        for one in some:
            one.ending = now
        if send().status in (200, 204):
            now = time.monotonic()
            for one in some:
                one.ended, one.by = now, by


class FleetTests(OutageCase):
    """Three resource servers, a gateway that exchanges, people, and somebody who revokes."""

    def setUp(self) -> None:
        """Make them."""
        super().setUp()
        visitor = self.visitors[0]
        self.people = [visitor.user(f"person{n}") for n in range(4)]
        self.servers = [visitor.client(f"Server {n}", resources=list(RESOURCES)) for n in range(3)]
        rule = {"from": self.app.client_id, "audience": list(RESOURCES), "act": "delegate"}
        self.gateway = visitor.client("Gateway", grant_types=[*GRANTS, EXCHANGE], exchanges=[rule])
        self.fleet = Fleet((self.near, self.far))

    def test_under_load(self) -> None:
        """Through cut, silent and late subscriptions, a node that stands still, and a store that stops and starts."""
        work = [threading.Thread(target=self.working, args=(self.serving, server)) for server in self.servers]
        work.append(threading.Thread(target=self.working, args=(self.issuing,)))
        for thread in work:
            thread.start()
        try:
            self.happenings()
        finally:
            self.fleet.over.set()
            for thread in work:
                thread.join()
        counts = self.fleet.counts
        print(f"{', '.join(f'{name}: {count}' for name, count in sorted(counts.items()))}")
        self.assertEqual(self.fleet.faults, [])
        for name in ("batches", "batches refused", "exchange", *filter(None, WAYS)):
            self.assertGreater(counts[name], 0, name)

    def happenings(self) -> None:
        """One after the other."""
        time.sleep(WHILE)
        for _ in range(5):
            self.redis.say("CLIENT", "KILL", "TYPE", "pubsub")
            time.sleep(WHILE / 5)
        time.sleep(WHILE)
        (behind,) = set(self.subscribers()) & set(self.between.ports)
        self.between.stop(behind)
        time.sleep(2 * STALENESS)
        with self.far.standing_still():
            time.sleep(1.5 * STALENESS)
        time.sleep(WHILE)
        self.redis.signal(signal.SIGSTOP)
        time.sleep(1.5 * STALENESS)
        self.redis.signal(signal.SIGCONT)
        time.sleep(WHILE)
        self.redis.kill()
        time.sleep(1)
        self.redis.begin()
        time.sleep(2 * WHILE)

    def working(self, work: Callable[..., None], *words: Any) -> None:
        """What a thread does; an error of the test itself is a fault, too."""
        try:
            work(*words)
        except Exception as error:
            self.fleet.faults.append(repr(error))

    def serving(self, caller: App) -> None:
        """A resource server: batch after batch, at one node and the other."""
        while not self.fleet.over.is_set():
            for node in self.fleet.nodes:
                with contextlib.suppress(Unreachable), closing(node.http.line()) as line:
                    for _ in range(10):
                        self.fleet.asking(line, node, caller)

    def issuing(self) -> None:
        """Tokens are issued and exchanged; every now and then something ends."""
        number = 0
        while not self.fleet.over.is_set():
            number += 1
            node = self.fleet.nodes[number % 2]
            with contextlib.suppress(Unreachable):
                self.family(node, number)

    def family(self, node: Daemon, number: int) -> None:
        """Somebody's token, what it was exchanged for, and perhaps their end."""
        person, resource = random.randrange(len(self.people)), random.choice(RESOURCES)
        user_id = self.people[person]
        asked = {"grant_type": "password", "username": f"person{person}", "password": PASSWORD}
        given = self.given(node, self.app, asked, Known("", user_id, "", number))
        if given is None:
            return
        subject = {"subject_token": given["access_token"], "subject_token_type": ACCESS_TOKEN}
        asked = {"grant_type": EXCHANGE, "resource": resource, **subject}
        for _ in range(EXCHANGES):
            if self.given(node, self.gateway, asked, Known("", user_id, resource, number)):
                self.fleet.counts["exchange"] += 1
        self.ended(WAYS[number % len(WAYS)], node, number, given, user_id, resource)

    def given(self, node: Daemon, app: App, form: dict[str, str], known: Known) -> dict[str, Any] | None:
        """A token answer; None where there is none now."""
        known.born = time.monotonic()
        answer = node.http.post("/oauth2/token", form, basic_auth=app.auth)
        if answer.status != 200:
            self.fleet.counts[f"token requests answered {answer.status}"] += 1
            return None
        found: dict[str, Any] = answer.json()
        known.value = found["access_token"]
        self.fleet.tokens.append(known)
        return found

    def ended(
        self, way: str, node: Daemon, number: int, given: dict[str, Any], user_id: str, resource: str
    ) -> None:
        """Something ends in that way."""
        exchanged = self.fleet.tokens[-1]

        def revoke(token: str, app: App) -> Callable[[], Answer]:
            return lambda: node.http.post("/oauth2/revoke", {"token": token}, basic_auth=app.auth)

        def all_of(name: str, value: str) -> Callable[[], Answer]:
            bearer, query = self.visitors[0].token, {name: value}
            return lambda: node.http.request("DELETE", "/api/v1/oauth/tokens", query=query, bearer=bearer)

        ways: dict[str, tuple[Callable[[Known], bool], Callable[[], Answer]]] = {
            "token": (lambda one: one is exchanged, revoke(exchanged.value, self.gateway)),
            "subject": (lambda one: one.family == number, revoke(given["access_token"], self.app)),
            "grant": (lambda one: one.family == number, revoke(given["refresh_token"], self.app)),
            "user": (lambda one: one.user_id == user_id, all_of("user_id", user_id)),
            "resource": (lambda one: one.resource == resource, all_of("resource", resource)),
        }
        if way in ways and exchanged.family == number and exchanged.resource:
            if way == "resource":
                self.fleet.resources[resource] = math.inf
            self.fleet.end(node, *ways[way])
            if way == "resource":
                self.fleet.resources[resource] = time.monotonic()
            self.fleet.counts[way] += 1
