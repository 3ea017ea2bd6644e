"""The table: what it says of itself, and what is read from the counts of a process."""

from __future__ import annotations

import os
import re
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from oauthd.metrics import Counts, PoolFacts
from oauthd.metrics import __main__ as regenerate
from oauthd.metrics.families import FAMILIES, INTROSPECTION, WHOLE
from oauthd.metrics.merging import read
from oauthd.metrics.writing import generated
from oauthd.web.routes import ROUTES

TOKEN = "/oauth2/token"
ROOT = Path(__file__).parents[2]
ALL = (*FAMILIES, *WHOLE)
SMALL = {"largest", "longest", "age", "advertised", "answered", "told", "issued", "connections", "limited"}
SMALL |= {"clients", "shed"}


class TableTests(SynchronousTestCase):
    """The declarations."""

    def test_page_is_up_to_date(self) -> None:
        """The reference page is as generated; `python -m oauthd.metrics .` makes it so."""
        for path, text in generated().items():
            self.assertEqual((ROOT / path).read_text(encoding="utf-8"), text, path)

    def test_regenerating(self) -> None:
        """The page is written where the test looks for it."""
        root = Path(self.mktemp())
        os.makedirs(root / "etc" / "docs")
        regenerate.write(root)
        for path, text in generated().items():
            self.assertEqual((root / path).read_text(encoding="utf-8"), text)

    def test_names(self) -> None:
        """Names are those of the exposition format, each once; counters end in _total, and nothing else does."""
        names = [family.name for family in ALL]
        self.assertEqual(len(names), len(set(names)))
        for family in ALL:
            self.assertRegex(family.name, r"\A(oauthd|process)_[a-z_]+\Z")
            self.assertEqual(family.name.endswith("_total"), family.kind == "counter", family.name)
            self.assertEqual(bool(family.bounds), family.kind == "histogram", family.name)
            self.assertTrue(family.help.endswith("."), family.name)

    def test_gauges_stand_apart(self) -> None:
        """No gauge of a process is ever summed: two caches are not one cache with twice the entries."""
        self.assertEqual([family.name for family in FAMILIES if family.kind == "gauge" and not family.apart], [])

    def test_endpoint_of_the_lane(self) -> None:
        """What the fast lane answered is counted under the path that the route table calls first."""
        first = {name: route.paths[0] for route in ROUTES for name in route.endpoints.values()}
        self.assertEqual(first["introspect"], INTROSPECTION)

    def test_everything_that_is_counted_is_told(self) -> None:
        """Each number of each holder changes what is read."""
        for name, holder in attrs.asdict(Counts(), recurse=False).items():
            if not attrs.has(type(holder)):
                continue
            for member in attrs.fields_dict(type(holder)):
                counts = Counts()
                before = read(counts)
                if member in SMALL:
                    continue
                part = getattr(counts, name)
                if isinstance(getattr(part, member), int):
                    setattr(part, member, 7)
                else:
                    getattr(part, member).observe(0.5)
                self.assertNotEqual(read(counts), before, f"{name}.{member}")


class ReadingTests(SynchronousTestCase):
    """The figures of one process."""

    def test_requests(self) -> None:
        """A route has one name, whichever of its paths was asked for."""
        counts = Counts()
        counts.requests.advertised = {"/oauth/token": "/oauth2/token"}
        counts.requests.count("POST", "/oauth/token", 200, 0.002)
        counts.requests.count("POST", "/oauth2/token", 200, 0.002)
        counts.requests.count("POST", "/oauth2/token", 400, 0.002)
        counts.requests.count("OPTIONS", "/oauth2/token", 200, 0.3)
        found = read(counts)
        self.assertEqual(
            found["oauthd_http_requests_total"],
            {(TOKEN, "POST", "200"): 2, (TOKEN, "POST", "400"): 1, (TOKEN, "OPTIONS", "200"): 1},
        )
        of_200 = found["oauthd_http_request_seconds"][TOKEN, "200"]
        assert isinstance(of_200, list)
        self.assertEqual(sum(of_200[:-1]), 3)
        self.assertAlmostEqual(of_200[-1], 0.304)

    def test_fast_lane(self) -> None:
        """Answers from memory are requests: counted, and in the first bucket without a duration. Others are told of."""
        counts = Counts()
        counts.requests.count("POST", INTROSPECTION, 200, 0.03)
        counts.lane.hits, counts.lane.inactive, counts.lane.misses, counts.lane.issued = 1000, 20, 1, 5
        found = read(counts)
        self.assertEqual(found["oauthd_http_requests_total"], {(INTROSPECTION, "POST", "200"): 1021})
        durations = found["oauthd_http_request_seconds"][INTROSPECTION, "200"]
        assert isinstance(durations, list)
        self.assertEqual((durations[0], sum(durations[:-1])), (1020, 1021))
        self.assertAlmostEqual(durations[-1], 0.03)
        self.assertEqual(found["oauthd_introspections_total"]["lane", "inactive"], 20)

    def test_states(self) -> None:
        """What is a state is asked for when it is read; a proof that there is none of has no age."""
        counts = Counts()
        self.assertEqual(read(counts)["oauthd_proof_age_seconds"], {})
        self.assertEqual(read(counts)["oauthd_proof_fresh"], {(): 0})
        counts.proof.age = lambda: 0.25
        counts.connections = lambda: 12
        counts.pools["signing"] = PoolFacts(lambda: 3, lambda: 2)
        counts.process = {"process_open_fds": 9.0}
        found = read(counts)
        self.assertEqual(found["oauthd_proof_age_seconds"], {(): 0.25})
        self.assertEqual(found["oauthd_proof_fresh"], {(): 1})
        self.assertEqual(found["oauthd_http_connections"], {(): 12})
        self.assertEqual(found["oauthd_pool_waiting"], {("signing",): 3})
        self.assertEqual(found["oauthd_pool_running"], {("signing",): 2})
        self.assertEqual(found["process_open_fds"], {(): 9.0})
        self.assertEqual(found["process_max_fds"], {})

    def test_labels_fit(self) -> None:
        """Every series has as many label values as its family has labels."""
        counts = Counts()
        counts.requests.count("GET", "/a", 200, 0.1)
        counts.pools["signing"] = PoolFacts(lambda: 3, lambda: 2)
        counts.events.issued["password"] = 1
        found = read(counts)
        for family in FAMILIES:
            for labels in found[family.name]:
                self.assertEqual(len(labels), len(family.labels), family.name)
                self.assertTrue(all(re.fullmatch(r"[ -~]+", label) for label in labels))
