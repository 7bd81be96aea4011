"""
All parsers under Atheris, which searches for inputs that reach new code.
"""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.fuzzers import NAMES

_AT_ONCE = 2
_DONE = re.compile(rb"^Done (\d+) runs", re.MULTILINE)
_MOST_AT_A_TIME = 50_000
_MOST_TEXT = 3000


def _hindrance() -> str | None:
    if importlib.util.find_spec("atheris") is None:
        return "it needs atheris, which is made for Linux: pip install atheris"
    return None


def _portions(trial: Trial) -> Iterator[tuple[str, int, int]]:
    """
    Return which fuzzer to run, how many times, and from which seed.
    """
    each = -(-trial.count // len(NAMES))
    for start in range(0, each, _MOST_AT_A_TIME):
        for name in NAMES:
            yield name, min(_MOST_AT_A_TIME, each - start), trial.seed % 2**31 + start + 1  # 0 would mean any


def _fuzz(directory: Path, name: str, runs: int, seed: int) -> tuple[int, list[str]]:
    """
    Run a fuzzer.

    Returns:
        how many inputs it took, and what was wrong.
    """
    place = directory / f"{name}-{seed}"
    words = [name, "--runs", str(runs), "--seed", str(seed), "--directory", str(place)]
    ended = subprocess.run([sys.executable, "-m", "tests.robustness.fuzzers", *words], capture_output=True, check=False)
    done = _DONE.search(ended.stderr)
    if ended.returncode == 0 and done is not None:
        return int(done[1]), []
    output = (ended.stdout + ended.stderr)[-_MOST_TEXT:].decode("utf-8", "backslashreplace")
    inputs = [file for file in place.glob(f"{name}-*") if file.is_file()]
    return 0, [f"{name}, with seed {seed}, on {file.read_bytes().hex()}: {output}" for file in inputs] or [
        f"{name}, with seed {seed}, ended with {ended.returncode}: {output}"
    ]


def run(trial: Trial) -> Outcome:
    """
    Run them all, a few at a time.
    """
    done, wrong = 0, []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for taken, output in pool.map(lambda portion: _fuzz(trial.directory, *portion), _portions(trial)):
            done += taken
            wrong += output
            trial.progress(min(done, trial.count))
    return Outcome(done, wrong, {"parsers": len(NAMES)})


CASE = Case(
    name="parsers",
    counts="fuzzed inputs to what parses bytes",
    promise="What parses bytes reads any input or refuses it, as it says, and soon.",
    short=20_000,
    long=2_000_000,
    run=run,
    hindrance=_hindrance,
)
