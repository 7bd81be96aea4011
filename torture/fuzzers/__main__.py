"""
Runs one fuzzer under Atheris, in this process, which ends with it.
"""

import argparse
import importlib
import sys
from pathlib import Path

import atheris

from torture.fuzzers import NAMES

_LONGEST_BYTES = 4096
_PATIENCE_SECONDS = 20


def main() -> None:
    """
    Fuzz.
    """
    parser = argparse.ArgumentParser(prog="python -m torture.fuzzers")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--runs", type=int, default=100_000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins; not 0")
    parser.add_argument("--directory", type=Path, default=Path("build/fuzzers"), help="for the inputs kept")
    arguments = parser.parse_args()
    corpus = arguments.directory / arguments.name
    corpus.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["twisted_registry"], enable_loader_override=False):
        fuzzer = importlib.import_module(f"torture.fuzzers.{arguments.name}")
    for number, seed in enumerate(fuzzer.SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-runs={arguments.runs}", f"-seed={arguments.seed}", f"-max_len={_LONGEST_BYTES}"]
    places = [f"-timeout={_PATIENCE_SECONDS}", f"-artifact_prefix={arguments.directory}/{arguments.name}-", str(corpus)]
    atheris.Setup([sys.argv[0], *limits, *places], fuzzer.test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
