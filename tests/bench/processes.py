"""The processes of a benchmark: started on a core of their own, watched, and ended whatever happens.

CPU is read from each process's own clock of the kernel, in nanoseconds: all its threads, those that have ended too.
It tells what a request costs also where others use the machine at the same moment; what a run took does not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from attrs import define, field, frozen

from oauthd.runtime.process import die_with_parent

PATIENCE = 30.0  # seconds for a start, an end, or an answer
_PAGE = os.sysconf("SC_PAGE_SIZE")


@frozen
class Cores:
    """Which core is whose.

    :ivar server: what is measured, and nothing else of the benchmark.
    :ivar load: wrk, Valkey and the benchmark itself.
    """

    server: int
    load: int

    @property
    def both(self) -> tuple[int, ...]:
        """All cores that are used."""
        return (self.server, self.load)


def cores() -> Cores:
    """The first two cores that we may use.

    :raises SystemExit: on a machine with one: the load would be measured with the server.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("benchmarks need two cores, one of them for the load")
    return Cores(usable[0], usable[1])


def cpu(pid: int) -> int:
    """Nanoseconds of CPU that a process has used, threads that have ended included; 0 for one that is gone."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)  # what clock_getcpuclockid(3) gives for another process
    except OSError:
        return 0


def busy(of: Iterable[int]) -> float:
    """Seconds that cores have been busy since the machine started."""
    wanted = {f"cpu{core}" for core in of}
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines() if line.split(" ", 1)[0] in wanted]
    # user nice system idle iowait irq softirq steal: all but idle and iowait.
    ticks = sum(sum(map(int, cells[1:9])) - int(cells[4]) - int(cells[5]) for cells in lines)
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 for one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def family(pid: int) -> list[int]:
    """A process and all that came of it and live, itself first."""
    found = [pid]
    for parent in found:
        for told in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in told.read_text().split()]
            except OSError:
                continue
    return found


@contextmanager
def going_first(*pids: int) -> Iterator[None]:
    """Let threads, or the main threads of processes, go before everything else on their cores, where we may say so.

    For what is timed and rests most of the time: others on the machine make it wait else. New threads are as usual.
    What goes first in the same way waits for each other; `Children.start` knows of what goes before these.
    """
    for pid in pids:
        with suppress(PermissionError, ProcessLookupError):
            os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        for pid in pids:
            with suppress(PermissionError, ProcessLookupError):
                os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


@define(eq=False)
class Child:
    """One process that was started here, with whatever it starts."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    on: tuple[int, ...] = ()

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def cpu(self) -> int:
        """Nanoseconds of CPU of it and its children."""
        return sum(map(cpu, family(self.pid)))

    def own_cpu(self) -> int:
        """Nanoseconds of CPU of it alone: a child of Valkey that writes the data to disk comes and goes."""
        return cpu(self.pid)

    def resident(self) -> int:
        """Bytes of memory of it and its children."""
        return sum(map(resident, family(self.pid)))

    def said(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-3000:]

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until it is of use.

        :raises RuntimeError: it ended, or takes too long; with what it printed.
        """
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start:\n{self.said()}")
            time.sleep(0.01)

    def end(self) -> None:
        """End it in order, or at once when it takes too long."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE / 3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@define(eq=False)
class Children:
    """Everything that a benchmark has started; all of it ends with the `with`, the last one first."""

    folder: Path
    _stack: ExitStack = field(factory=ExitStack)
    _count: int = 0

    def __enter__(self) -> Children:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that an order to end is an exception, too
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(
        self,
        name: str,
        command: Iterable[str],
        on: Iterable[int],
        environ: Mapping[str, str] | None = None,
        goes_first: int = 0,
    ) -> Child:
        """Start a process.

        :param on: the cores that it may use.
        :param goes_first: before everything else on its cores, only for what rests most of the time: 1 for among those
            of `going_first`, 2 for before these, 0 for not.
        """
        self._count += 1
        place = self.folder / f"{self._count}-{name}"
        place.mkdir()
        arrange, allowed = die_with_parent(), set(on)

        def prepare() -> None:
            arrange()
            os.sched_setaffinity(0, allowed)
            if goes_first:
                with suppress(PermissionError):
                    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(goes_first))

        with (place / "output.log").open("wb") as output:
            process = subprocess.Popen(
                list(command),
                cwd=place,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(place), "LANG": "C.UTF-8", **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for us, who end it
                preexec_fn=prepare,  # noqa: PLW1509 (it takes no lock and imports nothing)
            )
        child = Child(name, process, place / "output.log", tuple(sorted(allowed)))
        self._stack.callback(child.end)
        return child
