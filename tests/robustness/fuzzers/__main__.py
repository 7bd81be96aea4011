"""
A runner of one fuzzer under Atheris, in a separate process that this one starts.

Atheris stops a fuzzer that takes too much memory, and measures that by the peak of its process. A process begins with
the peak of its parent, which may be a test runner of gigabytes. This one is small.
"""

import argparse
import importlib
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from tests.robustness.fuzzers import NAMES

_LONGEST_BYTES = 4096
_TIMEOUT_SECONDS = 20


def main() -> int:
    """
    Fuzz.

    Returns:
        the exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.fuzzers")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--runs", type=int, default=100_000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins; not 0")
    parser.add_argument("--directory", type=Path, default=Path("build/fuzzers"), help="for the inputs kept")
    parser.add_argument("--here", action="store_true", help="fuzz in this process, which ends with it")
    arguments = parser.parse_args()
    if arguments.here:
        _fuzz(arguments)
    command = [sys.executable, "-m", "tests.robustness.fuzzers", *sys.argv[1:], "--here"]
    return subprocess.run(command, check=False).returncode


def _fuzz(arguments: argparse.Namespace) -> NoReturn:
    # Not at the top, because it takes memory.
    import atheris

    corpus = arguments.directory / arguments.name
    corpus.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["twisted_registry"], enable_loader_override=False):
        fuzzer = importlib.import_module(f"tests.robustness.fuzzers.{arguments.name}")
    for number, seed in enumerate(fuzzer.SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-runs={arguments.runs}", f"-seed={arguments.seed}", f"-max_len={_LONGEST_BYTES}"]
    places = [f"-timeout={_TIMEOUT_SECONDS}", f"-artifact_prefix={arguments.directory}/{arguments.name}-", str(corpus)]
    atheris.Setup([sys.argv[0], *limits, *places], fuzzer.test_one_input)
    atheris.Fuzz()
    raise AssertionError("Atheris ends the process")


if __name__ == "__main__":
    sys.exit(main())
