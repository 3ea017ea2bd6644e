"""The benchmarks' own arithmetic: what wrk says, what CPU is counted, and what becomes of the table."""

from __future__ import annotations

import os
import time
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.bench import profiling, soak, table, undisturbed
from tests.bench.introspection import ORDER, uniform, zipf
from tests.bench.load import Found, Reading, read
from tests.bench.processes import cpu, family, resident
from tests.bench.results import Figure, Goal, Rate, Skipped, quietest
from tests.bench.revocation import percentile
from tests.bench.rows import ROWS
from tests.bench.stage import Ask

SAID = """Running 5s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.85ms  220.00us  12.50ms   92.11%
    Req/Sec    74.92k     3.21k   80.10k    86.00%
  Latency Distribution
     50%  812.00us
     75%    0.93ms
     90%    1.05ms
     99%    1.61ms
  372905 requests in 5.01s, 191.32MB read
Requests/sec:  74432.13
Transfer/sec:     38.19MB
"""
FOUND = Found(requests=1000, seconds=2.0, p50=0.001, p99=0.002, worst=0.01, failed=0)
READING = Reading(found=FOUND, cpu=12e-6, store=0.0, busy=0.9, others=0.0, load_busy=0.5, resident=50_000_000)


def costing(*microseconds: float) -> list[Reading]:
    """Readings of that CPU a request."""
    return [evolve(READING, cpu=one / 1e6) for one in microseconds]


class WrkTests(SynchronousTestCase):
    """What wrk prints."""

    def test_reads_counts_and_latencies(self) -> None:
        """Times of any unit become seconds, and nothing has failed where nothing is said of it."""
        self.assertEqual(read(SAID), Found(372905, 5.01, 812e-6, 1.61e-3, 12.5e-3, 0))

    def test_counts_failures(self) -> None:
        """Answers that are no success and broken connections are counted together."""
        said = SAID + "  Socket errors: connect 0, read 3, write 1, timeout 2\n  Non-2xx or 3xx responses: 40\n"
        self.assertEqual(read(said).failed, 46)

    def test_refuses_anything_else(self) -> None:
        """What is not wrk's report is told instead of guessed at."""
        with self.assertRaises(ValueError):
            read("unable to connect to 127.0.0.1:8000 Connection refused")


class UndisturbedTests(SynchronousTestCase):
    """p99 beside slow work."""

    def test_compares_the_middle_rounds(self) -> None:
        """One round that something else disturbed changes neither of the two."""
        quiet, busy = ([evolve(FOUND, p99=one / 1e3) for one in p99] for p99 in ((0.3, 9.0, 0.2), (0.6, 0.5, 80.0)))
        text, ratio = undisturbed.told(quiet, busy)
        self.assertEqual(text, "0.60 ms, quiet 0.30 ms: 2.00 x")
        self.assertAlmostEqual(ratio, 2.0)


class ProcessTests(SynchronousTestCase):
    """What the kernel says of processes."""

    def test_counts_cpu(self) -> None:
        """The CPU of a process is the one that it reads of itself."""
        before = time.process_time_ns()
        told = cpu(os.getpid())
        self.assertTrue(before <= told <= time.process_time_ns())

    def test_a_process_that_is_gone_counts_nothing(self) -> None:
        """Of a number that no process can have there is neither CPU nor memory, and no error."""
        self.assertEqual((cpu(2**22 + 1), resident(2**22 + 1)), (0, 0))

    def test_a_family_begins_with_the_process(self) -> None:
        """A process is the first of its family."""
        self.assertEqual(family(os.getpid())[0], os.getpid())


class RateTests(SynchronousTestCase):
    """Rates against the constants of their rounds."""

    def test_compares_quiet_rounds(self) -> None:
        """Noise that doubles what some rounds cost changes no ratio."""
        rate = Rate("hit", Goal(nginx=1.7), costing(13, 26, 13), costing(10, 20, 20), costing(400, 400, 200))
        self.assertAlmostEqual(rate.to_nginx, 1.3)
        self.assertAlmostEqual(rate.klein_to_us, 200 / 13)
        self.assertIs(rate.met, True)

    def test_a_goal_is_missed(self) -> None:
        """More than the goal's multiple of nginx, or too little of Klein, is no success."""
        self.assertIs(Rate("hit", Goal(nginx=1.7), costing(18), costing(10)).met, False)
        self.assertIs(Rate("hit", Goal(klein=10), costing(18), costing(10), costing(170)).met, False)

    def test_no_goal(self) -> None:
        """Without a goal nothing is met or missed."""
        self.assertIsNone(Rate("hit", Goal(), costing(18), costing(10)).met)

    def test_failed_requests_meet_no_goal(self) -> None:
        """Errors may be cheap; they are no success."""
        failing = [evolve(READING, found=evolve(FOUND, failed=1))]
        self.assertIs(Rate("hit", Goal(nginx=1.7), failing, costing(10)).met, False)

    def test_disturbed_rounds_are_not_shown(self) -> None:
        """The cheapest round is the one that counts."""
        self.assertEqual(quietest(costing(50, 12, 13)).cpu, 12e-6)


class TableTests(SynchronousTestCase):
    """The table of the documentation."""

    page = f"# Benchmarks\n\n{table.BEGIN}\nNot measured yet.\n{table.END}\n\nMore.\n"

    def written(self, what: str, cost: float, about: str = "A machine.") -> str:
        """A table of one rate and one figure."""
        rate = Rate(what, Goal(nginx=1.7), costing(cost), costing(10))
        return table.written([rate, Figure("memory", "90 MB", "<= 150 MB", True), Skipped("peer", "no npm")], about)

    def test_stands_between_the_marks(self) -> None:
        """What is around the marks stays, what was between them goes."""
        page = table.merged(self.page, self.written("hit", 12))
        self.assertTrue(page.startswith(f"# Benchmarks\n\n{table.BEGIN}\n\nA machine.\n\n| what |"))
        self.assertTrue(page.endswith(f"|\n\n{table.END}\n\nMore.\n"))
        self.assertNotIn("Not measured", page)
        self.assertIn("| memory | 90 MB | <= 150 MB | yes |", page)
        self.assertIn("| peer | not run: no npm |  |  |", page)

    def test_keeps_lines_that_were_not_measured_again(self) -> None:
        """A part of the rows replaces its own lines, and no others."""
        page = table.merged(self.page, self.written("hit", 12))
        page = table.merged(page, self.written("miss", 30))
        page = table.merged(page, self.written("hit", 14))
        self.assertEqual(page.count("| hit |"), 1)
        self.assertIn("| 1.40 |", page)
        self.assertIn("| 3.00 |", page)
        self.assertEqual(page.count("| memory |"), 1)

    def test_another_machine_begins_anew(self) -> None:
        """Lines of different machines never stand in one table."""
        page = table.merged(self.page, self.written("hit", 12))
        page = table.merged(page, self.written("miss", 30, "Another machine."))
        self.assertNotIn("| hit |", page)

    def test_a_page_without_marks_is_left_alone(self) -> None:
        """There is nowhere to write to."""
        with self.assertRaises(ValueError):
            table.merged("# Benchmarks\n", "text")

    def test_the_page_has_its_marks(self) -> None:
        """The documentation can be written into, also twice."""
        page = (Path(__file__).parents[1] / "etc" / "docs" / "benchmarks.md").read_text()
        new = self.written("a row that is not there", 12)
        once = table.merged(page, new)
        self.assertEqual(table.merged(once, new), once)


class RowTests(SynchronousTestCase):
    """The rows and what they ask."""

    def test_names_are_unique(self) -> None:
        """A name chooses one row."""
        self.assertEqual(len({row.name for row in ROWS}), len(ROWS))

    def test_orders_name_tokens_that_there_are(self) -> None:
        """Both orders count from 1 to the number of tokens; Zipf's asks about the first far more often."""
        for order in (uniform(100), zipf(100)):
            self.assertEqual((len(order), min(order), max(order)), (ORDER, 1, 100))
        self.assertGreater(zipf(100).count(1), 10 * uniform(100).count(1))

    def test_a_request_is_a_file(self) -> None:
        """Path, header fields, an empty line and the body."""
        text = Ask("/oauth2/introspect", ("client", "secret"), "token=%s").text
        head, _, body = text.partition("\n\n")
        self.assertEqual(body, "token=%s")
        self.assertTrue(head.startswith("/oauth2/introspect\nAuthorization: Basic "))

    def test_percentiles(self) -> None:
        """The last of a hundred is beyond 99 %, and of few values the worst counts."""
        self.assertEqual(percentile([float(n) for n in range(100)], 50), 50.0)
        self.assertEqual(percentile([3.0, 1.0, 2.0], 99), 3.0)


class ProfileTests(SynchronousTestCase):
    """What py-spy wrote."""

    def test_counts_lines_of_the_reactors_thread(self) -> None:
        """Of another thread nothing counts, and a line that calls itself counts once."""
        text = "thread (1): MainThread;run;again;again;leaf 3\nthread (1): MainThread;run 1\nthread (2): Pool;leaf 9\n"
        found = profiling.read(text)
        self.assertEqual(found.total, 4)
        self.assertEqual(found.alone, {"leaf": 3, "run": 1})
        self.assertEqual(found.within, {"run": 4, "again": 3, "leaf": 3})


class SoakTests(SynchronousTestCase):
    """Whether memory is flat."""

    def readings(self, climb: float) -> list[soak.Reading]:
        """A minute and more of readings; the server's climbs by so many bytes a second."""
        times = map(float, range(0, 120, 6))
        return [soak.Reading(at, 1e8 + climb * at + (at % 12) * 1e4, 5e7, 2e7, 100) for at in times]

    def test_a_line_is_fitted(self) -> None:
        """A straight line is found again."""
        line = soak.slope([(n, 5.0 + 2 * n) for n in range(10)])
        self.assertAlmostEqual(line.first, 5.0)
        self.assertAlmostEqual(line.climbs, 18.0)
        with self.assertRaises(ValueError):
            soak.slope([(1.0, 5.0)])

    def test_noise_is_flat(self) -> None:
        """What goes up and down does not climb."""
        self.assertTrue(soak.judged(self.readings(0), 30)[1])

    def test_a_leak_is_not(self) -> None:
        """A twentieth more in a minute and a half is seen, and said of whom."""
        lines, flat = soak.judged(self.readings(60_000), 30)
        self.assertFalse(flat)
        self.assertIn("oauthd: ", lines[0])
        self.assertTrue(lines[0].endswith("NOT FLAT"))

    def test_too_short(self) -> None:
        """Nothing is called flat that was not watched after it had settled."""
        self.assertFalse(soak.judged(self.readings(0), 110)[1])
