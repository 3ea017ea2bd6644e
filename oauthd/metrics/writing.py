"""The reference page of all metrics, written from the table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from oauthd.metrics.families import FAMILIES, WHOLE, WORKER, Family

PAGE = "etc/docs/metrics.md"
_WIDTH = 110
_INTRODUCTION = (
    "oauthd tells how it fares at `/metrics`, in the text format of Prometheus, on listeners of its own: those of "
    "`metrics.listen`, which is empty at first. Who can read it learns how much traffic there is and of what kind, so "
    "it must not be public.",
    "With several workers one answer holds the figures of all. Counters and histograms are sums over every process "
    "there ever was, and do not go backwards when one is replaced; what a process counted after the last look at it is "
    "lost if it is killed. Gauges, and what the table marks so, are told for each process, with the label "
    f"`{WORKER}`: its number, `0` where there is only one, `parent` for the one that starts the others.",
    "A scrape costs the server a few milliseconds; nothing is computed between two of them. Times are in seconds.",
)


def reference_markdown() -> str:
    """The page."""
    return "\n".join(_lines()) + "\n"


def generated() -> dict[str, str]:
    """What the source tree must hold, by path."""
    return {PAGE: reference_markdown()}


def _lines() -> Iterator[str]:
    yield "# Metrics"
    for paragraph in _INTRODUCTION:
        yield from ("", *textwrap.wrap(paragraph, _WIDTH, break_on_hyphens=False))
    yield from ("", "This page is generated from `oauthd/metrics`.", "")
    yield from ("| name | type | labels | help |", "| --- | --- | --- | --- |")
    yield from (_row(family) for family in (*FAMILIES, *WHOLE))
    yield from ("", "## Buckets", "")
    for family in (family for family in FAMILIES if family.bounds):
        yield f"- `{family.name}`: {', '.join(f'{bound:g}' for bound in family.bounds)}"


def _row(family: Family) -> str:
    labels = " ".join(f"`{label}`" for label in (*family.labels, *((WORKER,) if family.apart else ())))
    return f"| `{family.name}` | {family.kind} | {labels} | {family.help} |"
