"""Drives oauthd and the two constants in turn, so that the noise of the machine hits all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from attrs import frozen

from tests.bench.load import Reading
from tests.bench.results import Goal, Rate
from tests.bench.stage import Ask, Oauthd, Served, Stage, answer_to

WARMING = 20.0  # seconds that filling the cache may take


@frozen
class Bench:
    """What rows are given.

    :ivar seconds: how long each server is driven in each round.
    """

    stage: Stage
    seconds: float
    rounds: int

    def compare(
        self,
        what: str,
        goal: Goal,
        ask: Ask,
        token: str,
        ours: Callable[[Path, int], tuple[str, ...]] | None = None,
        theirs: Callable[[Path, int], tuple[str, ...]] | None = None,
        *,
        server: Oauthd | Served | None = None,
        klein: bool = True,
        warming: float = 1.0,
    ) -> Rate:
        """A rate, beside those of nginx and Klein.

        :param token: a token that `ask` is good with, for as often as it likes.
        :param warming: seconds that the server is driven before the first round.
        :param ours: script and its words, given the file of the request and the number of the round; None for the same
            request again and again.
        :param theirs: the same for the constants, which need no other token each time: it would be wrk that is slow.
        """
        stage = self.stage
        place = stage.file("request", ask.text)
        again = lambda place, n: ("same", str(place), token)  # noqa: E731
        ours = ours or again
        theirs = theirs or again
        server = server or stage.main
        readings: dict[str, list[Reading]] = {"nginx": [], "ours": [], "klein": []}
        with ExitStack() as stack:
            answer = answer_to(server.port, ask, token)
            nginx = stage.start_nginx(answer)
            stack.callback(nginx.child.end)
            constants = [("nginx", nginx)]
            if klein:
                plain = stage.start_klein(answer)
                stack.callback(plain.child.end)
                constants.append(("klein", plain))
            if warming:
                stage.drive(server, *again(place, 0), seconds=warming)
            for n in range(self.rounds):
                for name, constant in constants[:1]:
                    readings[name].append(stage.drive(constant, *theirs(place, n), seconds=self.seconds))
                readings["ours"].append(stage.drive(server, *ours(place, n), seconds=self.seconds))
                for name, constant in constants[1:]:
                    readings[name].append(stage.drive(constant, *theirs(place, n), seconds=self.seconds))
                tell(what, server.child.name, n, readings)
        return Rate(what, goal, readings["ours"], readings["nginx"], readings["klein"])

    def warm(self, ask: Ask, tokens: Path, count: int, server: Oauthd | None = None) -> int:
        """Ask about each token once, so that the cache has it; how many were reached within `WARMING` seconds."""
        place, done = self.stage.file("request", ask.text), 0
        deadline = time.monotonic() + WARMING
        while done < count and time.monotonic() < deadline:
            words = ("tokens", str(place), str(tokens), str(done), str(count - done), "-")
            done += self.stage.drive(server or self.stage.main, *words, seconds=2).found.requests
        return min(done, count)


def tell(what: str, server: str, n: int, readings: dict[str, list[Reading]]) -> None:
    """Say how a round went."""
    parts = [
        f"{server if name == 'ours' else name} {found[-1].cpu * 1e6:.1f} us, {found[-1].rate:.0f}/s"
        f" (core {found[-1].busy:.0%}, others {found[-1].others:.0%}, wrk {found[-1].load_busy:.0%})"
        for name, found in readings.items()
        if found
    ]
    print(f"  {what}, round {n + 1}: {'; '.join(parts)}", file=sys.stderr, flush=True)
