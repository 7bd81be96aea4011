"""
The page in a browser, with a model of very many versions: the time until it shows something, and its memory.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.archives import lay_out_annotations, lay_out_model
from benchmarks.case import Fact, Operation
from benchmarks.context import Context
from tests.support.daemon import free_port
from twisted_registry.domain.annotations import Annotations

_MODEL = "large"
_VERSIONS, _SHORT_VERSIONS = 100_000, 300
_OPENINGS, _JUMPS = 7, 60
_PAINT_MS, _MEMORY_MB = 1000.0, 60.0
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure it, if there is a browser.
    """
    versions = _SHORT_VERSIONS if context.short else _VERSIONS
    name, port = "registry with a page", free_port()
    archive = context.directory / name.replace(" ", "-")
    lay_out_model(archive, _MODEL, versions)
    lay_out_annotations(archive, _MODEL, versions, lambda number: Annotations(metrics={"return": number % 977 / 10}))
    with context.registry(name, "--http-port", str(port)) as _, _browser() as browser:
        if browser is None:
            return
        many = f"{versions:,} versions"
        address = f"http://127.0.0.1:{port}/#/models/{_MODEL}"
        seen = [_opened(browser, address) for _ in range(context.times(_OPENINGS))]
        yield Fact(f"page of {many}: first paint, ms", round(median(paint for paint, _ in seen)), _PAINT_MS)
        yield Fact(f"page of {many}: until its rows are there, ms", round(median(rows for _, rows in seen)), _PAINT_MS)
        used_mb = _memory_mb(browser, address, versions, context.times(_JUMPS))
        yield Fact(f"page of {many}, scrolled: memory in the browser, MB", round(used_mb, 1), _MEMORY_MB)


@contextmanager
def _browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        yield None
        return
    # Imported late: it is a library of the tests.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


def _opened(browser: Any, address: str) -> tuple[float, float]:
    """
    Open the page in a browser that does not know it yet, and return the milliseconds until its first paint and until
    its rows are there.
    """
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.locator("[role=row][data-address]").nth(5).wait_for()
    rows = page.evaluate("performance.now()")
    paint = page.evaluate(_PAINT)
    context.close()
    return float(paint), float(rows)


def _memory_mb(browser: Any, address: str, versions: int, jumps: int) -> float:
    """
    Scroll through the whole list, and return the megabytes that the page then holds: scripts, document and buffers.
    """
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.locator("[role=row][data-address]").nth(5).wait_for()
    for jump in range(1, jumps + 1):
        row = max(0, versions * jump // jumps - 1)
        page.evaluate("row => document.querySelector('[role=grid]').scrollTop = row * 34", row)
        page.locator(f"[data-index='{row}'][data-address]").wait_for()
    session = context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    time.sleep(0.5)  # what is freed is counted a little later
    usage = session.send("Runtime.getHeapUsage")
    context.close()
    return sum(float(usage.get(part, 0)) for part in ("usedSize", "embedderHeapUsedSize", "backingStorageSize")) / 1e6
