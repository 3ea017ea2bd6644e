"""What a running server tells of itself: metrics of one process and of several, health, and its log."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import closing
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.live.crew import all_of
from tests.live.daemon import Daemon, LiveCase, until
from tests.live.visitor import Http, Visitor
from tests.ports import free_port

MACHINE = {"grant_type": "client_credentials"}


class Metrics:
    """What collectors read of a server."""

    def __init__(self, port: int) -> None:
        self.http = Http("127.0.0.1", port)
        self.read()

    def read(self) -> Metrics:
        """Look again."""
        answer = self.http.get("/metrics")
        assert answer.status == 200, answer
        self.samples = [
            sample for family in text_string_to_metric_families(answer.text) for sample in family.samples
        ]
        return self

    def series(self, name: str, **labels: str) -> dict[str, float]:
        """The values of a metric with these labels, by its label `worker`, "" where it has none."""
        return {
            sample.labels.get("worker", ""): sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    def sum(self, name: str, **labels: str) -> float:
        """The sum of the series with these labels."""
        found = [
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found)


class TellingCase(LiveCase):
    """A server with metrics, and somebody who uses it."""

    def telling(self, *flags: str, **environ: str) -> tuple[Daemon, Metrics]:
        """A daemon and its metrics."""
        port = free_port()
        daemon = self.daemon(*flags, metrics_listen=f"tcp:{port}:interface=127.0.0.1", **environ)
        self.visitor = Visitor.of(daemon.http, daemon.credentials)
        self.app = self.visitor.client()
        return daemon, Metrics(port)

    def issue(self) -> str:
        """A token."""
        token: str = self.visitor.tokens(self.app, **MACHINE)["access_token"]
        return token


class MetricsTests(TellingCase):
    """Metrics."""

    def test_one_process(self) -> None:
        """Tokens, introspections, requests and the store are counted as they happen, whoever answered them."""
        daemon, metrics = self.telling()
        issued = metrics.sum("oauthd_tokens_issued_total", grant_type="client_credentials")
        token = self.issue()
        before = metrics.read().sum("oauthd_introspections_total")
        for _ in range(20):
            self.assertTrue(self.visitor.is_active(self.app, token))
        metrics.read()
        self.assertEqual(metrics.sum("oauthd_introspections_total") - before, 20)
        self.assertGreater(metrics.sum("oauthd_introspections_total", path="lane", outcome="hit"), 0)
        self.assertEqual(
            metrics.sum("oauthd_http_requests_total", endpoint="/oauth2/introspect", status="200"),
            metrics.sum("oauthd_introspections_total"),
        )
        self.assertEqual(metrics.sum("oauthd_tokens_issued_total", grant_type="client_credentials") - issued, 1)
        self.assertEqual(
            metrics.sum("oauthd_events_total", event="token.issued"), metrics.sum("oauthd_tokens_issued_total")
        )
        self.assertEqual(metrics.series("oauthd_workers"), {"": 1})
        self.assertEqual(metrics.series("oauthd_proof_fresh"), {"0": 1})
        self.assertGreater(metrics.sum("oauthd_store_seconds_count"), 10)
        until(lambda: metrics.read().sum("oauthd_loop_delay_seconds_count") > 0, "the event loop was looked at")
        self.assertGreater(metrics.sum("process_resident_memory_bytes", worker="0"), 10e6)
        self.assertEqual(daemon.stop(), 0)

    def test_nothing_else_is_served_there(self) -> None:
        """The listener of the metrics serves them alone, and the other listener does not."""
        daemon, metrics = self.telling()
        for path in ("/", "/health/ready", "/oauth2/jwks", "/api/v1/openapi.json"):
            self.assertEqual(metrics.http.get(path).status, 404, path)
        self.assertEqual(daemon.http.get("/metrics").status, 404)

    def test_workers(self) -> None:
        """Of several workers one answer has the sums, which do not go backwards when one is killed."""
        daemon, metrics = self.telling("--workers", "2")
        for _ in range(10):
            self.issue()
        metrics.read()
        issued = metrics.sum("oauthd_tokens_issued_total")
        self.assertGreaterEqual(issued, 10)
        self.assertEqual(set(metrics.series("oauthd_proof_fresh")), {"1", "2"})
        self.assertEqual(set(metrics.series("process_cpu_seconds_total")), {"1", "2", "parent"})
        began = metrics.series("process_start_time_seconds")
        os.kill(all_of(daemon, 2)[1], signal.SIGKILL)

        def replaced() -> bool:
            now = metrics.read().series("process_start_time_seconds")
            self.assertEqual(metrics.sum("oauthd_tokens_issued_total"), issued)
            return len(now) == 3 and now["1"] > began["1"]

        until(replaced, "the worker is replaced")
        self.assertEqual(metrics.series("oauthd_workers"), {"": 2})
        self.assertEqual(metrics.sum("oauthd_workers_replaced_total"), 1)
        self.issue()
        self.assertEqual(metrics.read().sum("oauthd_tokens_issued_total"), issued + 1)
        self.assertEqual(daemon.stop(), 0)

    def test_taken(self) -> None:
        """A listener of metrics that cannot be had stands in the way of the start."""
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            said = self.prepared(metrics_listen=f"tcp:{port}:interface=127.0.0.1").refused()
        self.assertIn(f"cannot listen on tcp:{port}:interface=127.0.0.1", said)


class LogTests(TellingCase):
    """The log."""

    def lines(self, daemon: Daemon) -> list[dict[str, Any]]:
        """The lines of a log in JSON, those of twistd's own beginning left out."""
        return [json.loads(line) for line in daemon.output.splitlines() if line.startswith("{")]

    def test_usual(self) -> None:
        """A line for each request on the ordinary path and each event, but not for each token."""
        daemon, _ = self.telling("--log-json")
        token = self.issue()
        self.assertTrue(self.visitor.is_active(self.app, token))
        self.assertEqual(daemon.stop(), 0)
        lines = self.lines(daemon)
        events = [line["event"] for line in lines if "event" in line]
        self.assertIn("client.created", events)
        self.assertNotIn("token.issued", events)
        requests = [(line["method"], line["route"], line["status"]) for line in lines if "route" in line]
        self.assertIn(("POST", "/oauth2/introspect", 200), requests)
        self.assertTrue(all(line["message"] for line in lines))

    def test_all_and_none(self) -> None:
        """Every request is written if so wished, the fast lane's too; or none; or each so many."""
        for access, every, expected in (("all", "1", 20), ("off", "1", 0), ("all", "5", 4)):
            daemon, _ = self.telling(log_access=access, log_access_every=every)
            token = self.issue()
            for _ in range(20):
                self.assertTrue(self.visitor.is_active(self.app, token))
            self.assertEqual(daemon.stop(), 0)
            self.assertEqual(daemon.output.count("POST /oauth2/introspect 200"), expected, access)

    def test_workers(self) -> None:
        """Each line of a worker is there in the end, and says whose it is."""
        daemon, _ = self.telling("--workers", "2", "--log-json", log_leave_out="")
        for _ in range(30):
            self.issue()
        self.assertEqual(daemon.stop(), 0)
        workers = [line.get("worker") for line in self.lines(daemon) if line.get("event") == "token.issued"]
        self.assertGreaterEqual(len(workers), 30)
        self.assertLessEqual(set(workers), {1, 2})

    def test_killed(self) -> None:
        """A server that is killed has written what it did a moment before."""
        daemon, _ = self.telling()
        self.assertEqual(daemon.http.get("/nothing/at/all").status, 404)
        until(lambda: "GET - 404" in daemon.output, "the line is written", 2.0)
        daemon.kill()
