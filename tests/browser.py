"""A real Chromium for tests: pages at a given size and colour scheme, with or without script, and axe-core's verdict.

The synchronous interface of playwright runs in the thread that calls it and needs no reactor, so a test that starts its
server as a process or in a thread uses it directly. A test that itself waits on the reactor puts the whole conversation
with the browser into one function for ``deferToThread``: browser and pages belong to the thread that made them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Literal
from unittest import SkipTest

import attrs
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Page, Request, sync_playwright

ARGUMENTS = (
    "--no-sandbox",  # a container's root has no user namespaces
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str:
    """Return the browser's path: ``CHROMIUM`` from the environment, else the first on PATH; skip the test without."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    raise SkipTest("no Chromium on PATH; CHROMIUM names one elsewhere")


@attrs.frozen
class Tab:
    """One page in a context (cookies, cache) of its own, and every complaint its console and network made."""

    page: Page
    complaints: list[str] = attrs.field(factory=list)

    def open(self, address: str) -> None:
        """Load a page, and wait until the field that is to have the keyboard has it."""
        self.page.goto(address, wait_until="load")
        if self.page.locator("[autofocus]").count():
            self.page.locator("[autofocus]:focus").wait_for()

    def prefer(self, *, width: int, height: int, dark: bool) -> None:
        """Change the size and the colour scheme of the page as it stands."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme="dark" if dark else "light")

    def violations(self) -> list[str]:
        """Return what axe-core finds wrong with the page as it stands: rule, element, reason; needs script."""
        self.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
        rules: list[dict[str, Any]] = self.page.evaluate("axe.run().then(results => results.violations)")
        return [f"{rule['id']}: {node['target']}: {node['failureSummary']}" for rule in rules for node in rule["nodes"]]

    def overflow(self) -> int:
        """Return by how many CSS pixels the page is wider than the window; 0 if it needs no horizontal scrolling."""
        widths: list[int] = self.page.evaluate("[document.scrollingElement.scrollWidth, window.innerWidth]")
        return max(0, widths[0] - widths[1])

    def focused(self) -> str:
        """Return the id of the element that has the keyboard, or an empty string."""
        found: str = self.page.evaluate("document.activeElement.id")
        return found

    def tab_order(self, limit: int = 30) -> list[str]:
        """Press Tab from the top of the page until the document loses focus; return the ids it met."""
        self.page.mouse.click(1, 1)  # a blur alone leaves the starting point where it was
        met: list[str] = []
        for _ in range(limit):
            self.page.keyboard.press("Tab")
            where = self.page.evaluate("document.activeElement === document.body ? null : document.activeElement.id")
            if where is None or where in met:
                break
            met.append(where)
        return met


@attrs.frozen
class Chromium:
    """A running headless browser."""

    browser: PlaywrightBrowser

    @contextmanager
    def tab(
        self,
        width: int = 1440,
        height: int = 900,
        *,
        dark: bool = False,
        script: bool = True,
        forced_colors: bool = False,
        contrast: Literal["more", "no-preference"] = "no-preference",
        reduced_motion: bool = False,
        accept_any_certificate: bool = False,
    ) -> Iterator[Tab]:
        """Open an empty page of that size in CSS pixels; closed with its context at the end."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            forced_colors="active" if forced_colors else "none",
            contrast=contrast,
            reduced_motion="reduce" if reduced_motion else "no-preference",
            ignore_https_errors=accept_any_certificate,
        )
        try:
            tab = Tab(context.new_page())

            def failed(request: Request) -> None:
                if request.failure != "net::ERR_ABORTED":  # given up by the browser: an answer without content
                    tab.complaints.append(f"{request.failure}: {request.url}")

            tab.page.on("console", lambda message: tab.complaints.append(f"{message.type}: {message.text}"))
            tab.page.on("pageerror", lambda error: tab.complaints.append(f"script: {error}"))
            tab.page.on("requestfailed", failed)
            yield tab
        finally:
            context.close()


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start a headless browser; it ends with the block."""
    path = executable()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=list(ARGUMENTS), handle_sigint=False, handle_sigterm=False, handle_sighup=False
        )
        try:
            yield Chromium(browser)
        finally:
            browser.close()
