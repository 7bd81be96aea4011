"""
This checkout beside another one, such as the commit that a change began from: the same suites, in one run.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve

from benchmarks.case import Fact, Operation
from benchmarks.context import Context, Suite
from benchmarks.servers import Checkout

LEAST_RATIO = 0.97


def other_checkout(root: Path) -> Checkout:
    """
    Return another checkout with its own virtual environment, which is named as the one that this process runs in.

    Raises:
        SystemExit: it has none.
    """
    root = root.resolve()
    venv = root / Path(sys.prefix).name
    if not (venv / "bin" / "twistd").exists():
        raise SystemExit(
            f"benchmarks: {root} has no environment {venv.name}: make it with "
            f"'make -C {root} VENV={venv.name} {venv.name}/.installed-dev'"
        )
    return Checkout(root, venv / "bin")


def compare(suite: Suite, own: Context, other: Context) -> Iterator[Operation | Fact]:
    """
    Run a suite on two checkouts at once, and yield operations whose opponent is the other checkout.

    Each operation is yielded once, whatever its opponents were. Figures come from both checkouts, under different
    names.
    """
    against = other.checkout.commit() or other.checkout.root.name
    seen = set()
    for one, another in zip(suite(own), suite(other), strict=True):
        if isinstance(one, Operation) and isinstance(another, Operation) and one.name not in seen:
            yield evolve(one, opponent=another.registry, other=another.server, against=against, bar=LEAST_RATIO)
        elif isinstance(one, Fact) and isinstance(another, Fact):
            yield from (one, evolve(another, name=f"{another.name} ({against})"))
        seen.add(one.name)
