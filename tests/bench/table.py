"""The table that people read: on the terminal, and between two marks in a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.bench.results import Figure, Rate, Result, Skipped, quietest

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"
RATES = (
    "what", "requests/s", "p50 ms", "p99 ms", "CPU us", "Valkey us", "nginx us", "x nginx", "Klein us", "Klein x",
    "RSS MB", "goal", "met",
)  # fmt: skip
FIGURES = ("what", "found", "goal", "met")
LEFT = frozenset({"what", "found", "goal"})
_MET = {True: "yes", False: "**no**", None: ""}


def rates(found: Iterable[Rate]) -> list[tuple[str, ...]]:
    """Lines of the table of rates."""
    lines: list[tuple[str, ...]] = []
    for rate in found:
        ours, nginx = quietest(rate.ours), quietest(rate.nginx)
        klein = quietest(rate.klein) if rate.klein else None
        lines.append(
            (
                rate.what + (f" ({rate.failed} failed)" if rate.failed else ""),
                f"{ours.rate:,.0f}",
                f"{ours.found.p50 * 1e3:.2f}",
                f"{ours.found.p99 * 1e3:.2f}",
                f"{ours.cpu * 1e6:.1f}",
                f"{ours.store * 1e6:.1f}",
                f"{nginx.cpu * 1e6:.1f}",
                f"{rate.to_nginx:.2f}",
                f"{klein.cpu * 1e6:.1f}" if klein else "",
                f"{rate.klein_to_us:.1f}" if klein else "",
                f"{ours.resident / 1e6:.0f}",
                rate.goal.text,
                _MET[rate.met],
            )
        )
    return lines


def figures(found: Iterable[Figure | Skipped]) -> list[tuple[str, ...]]:
    """Lines of the table of single figures."""
    return [
        (one.what, f"not run: {one.reason}", "", "")
        if isinstance(one, Skipped)
        else (one.what, one.found, one.goal, _MET[one.met])
        for one in found
    ]


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """A table."""
    return [
        _line(head),
        _line(["---" if name in LEFT else "---:" for name in head]),
        *(_line(line) for line in lines),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def written(results: Sequence[Result], about: str) -> str:
    """Both tables."""
    rows = rates(one for one in results if isinstance(one, Rate))
    rest = figures(one for one in results if not isinstance(one, Rate))
    parts = [[about], markdown(RATES, rows) if rows else [], markdown(FIGURES, rest) if rest else []]
    return "\n\n".join("\n".join(part) for part in parts if part)


def merged(page: str, new: str) -> str:
    """The page with a newer text between its marks; of lines that the new tables do not have, the old ones stay.

    A line is known by what was measured, without what stands in parentheses.

    Old lines stay only where they were measured on the same machine with the same programs.

    :raises ValueError: when the page has no marks.
    """
    before, begin, rest = page.partition(f"{BEGIN}\n")
    old, end, after = rest.partition(f"\n{END}")
    if not begin or not end:
        raise ValueError("the page has no place for the table")
    parts = new.strip().split("\n\n")
    formerly = old.strip().split("\n\n")
    if formerly[0] == parts[0]:
        found = [parts[0]]
        for head in (RATES, FIGURES):
            lines = _lines(head, formerly) | _lines(head, parts)
            if lines:
                found.append("\n".join((*markdown(head, ()), *lines.values())))
        new = "\n\n".join(found)
    return f"{before}{begin}\n{new.strip()}\n{end}{after}"


def _lines(head: Sequence[str], parts: Sequence[str]) -> dict[str, str]:
    """What is measured -> its line, of the table with that head."""
    for part in parts:
        lines = part.split("\n")
        if lines[0] == _line(head):
            return {line.split(" | ")[0].split(" (")[0]: line for line in lines[2:]}
    return {}
