"""
What other programs say.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from release._refusal import Refused


def output_of(name: str, command: Sequence[str], folder: Path) -> str:
    """
    Run a program.

    Args:
        name: how it is called where it fails.

    Returns:
        what it wrote to stdout.

    Raises:
        Refused: where it fails, with the last it said.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Refused(f"{name}: {said[-1] if said else f'ended with {done.returncode}'}")
    return done.stdout
