"""Limits of several workers together, and a store that fills up."""

from __future__ import annotations

import re
import threading
import time

from tests.live.crew import lines_to_all
from tests.live.daemon import LiveCase, until
from tests.live.test_workers import CrewCase
from tests.live.visitor import App, Http, Line, Visitor

MACHINE = {"grant_type": "client_credentials"}
RATE, BURST, SECONDS = 4, 12, 10.0


class LimitTests(CrewCase):
    """Two workers and one limit."""

    def test_both_together(self) -> None:
        """Asked as fast as it goes at both: no more than is promised for the time it took, and the rate is given out.

        After a rest there is a burst again, for one of them alone as well. The counts say who was refused.
        """
        path = str(self.folder / "metrics")
        limits = {"limits_client_rate": str(RATE), "limits_client_burst": str(BURST)}
        daemon = self.crew(**limits, metrics_listen=f"unix:{path}")
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()
        lines = [line for (line, *_) in lines_to_all(daemon).values()]
        given, seconds = asked(lines, app, SECONDS)
        self.assertLessEqual(given, 3 * BURST + 1.1 * RATE * (seconds + 2) + 2)
        self.assertGreaterEqual(given, RATE * seconds / 2)
        time.sleep(BURST / RATE + 4)
        given, seconds = asked(lines[:1], app, 3.0)
        self.assertGreaterEqual(given, BURST / 2)
        page = Http(path=path).get("/metrics").text
        counted = dict(line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("oauthd_limited"))
        self.assertGreater(float(counted['oauthd_limited_total{scope="client"}']), 0)
        self.assertGreater(float(counted[f'oauthd_limited_clients_total{{client_id="{app.client_id}"}}']), 0)
        self.assertTrue('limited scope="client"' in daemon.output)


class FullTests(LiveCase):
    """A store that fills up."""

    def test_sheds_before(self) -> None:
        """Nearly full it takes no pushed request and issues tokens; with room again it takes both."""
        redis = self.store()
        daemon = self.daemon("--redis", redis.url)
        visitor = Visitor.of(daemon.http, daemon.credentials)
        app = visitor.client()

        def pushed() -> int:
            form = {"response_type": "code", "redirect_uri": "https://app.example/cb", "scope": "openid"}
            return daemon.http.post("/oauth2/par", form, basic_auth=app.auth).status

        self.assertEqual(pushed(), 201)
        told = redis.say("INFO", "memory")
        assert isinstance(told, bytes)
        used = int(told.split(b"used_memory:")[1].split(b"\r")[0])
        redis.say("CONFIG", "SET", "maxmemory", str(used * 8 // 7))
        until(lambda: pushed() == 503, "nothing is begun any more")
        self.assertEqual(daemon.http.post("/oauth2/token", MACHINE, basic_auth=app.auth).status, 200)
        redis.say("CONFIG", "SET", "maxmemory", str(used * 4))
        until(lambda: pushed() == 201, "it is begun again")
        said = re.compile(r'shedding\.began reason="store".*shedding\.ended reason="store"', re.DOTALL)
        until(lambda: said.search(daemon.output), "it says that it began and ended")


def asked(lines: list[Line], app: App, seconds: float) -> tuple[int, float]:
    """How many tokens were given out on all lines, each asked by a thread of its own, and how long that took."""
    counts = [0] * len(lines)
    began = time.monotonic()

    def ask(number: int) -> None:
        while time.monotonic() - began < seconds:
            answer = lines[number].request("POST", "/oauth2/token", form=MACHINE, basic_auth=app.auth)
            counts[number] += answer.status == 200

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(lines))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.monotonic() - began
