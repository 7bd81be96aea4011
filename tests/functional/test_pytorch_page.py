"""
Tests of the guide on PyTorch: its programs run, if PyTorch is installed.
"""

import importlib.util
from pathlib import Path

from tests.support.guide import ADDRESS, blocks, run_program
from tests.support.registry_case import RegistryTestCase

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "pytorch.md").read_text()


class PyTorchTests(RegistryTestCase):
    """
    The programs of the guide, in its order, with one daemon.
    """

    if not all(importlib.util.find_spec(name) for name in ("torch", "safetensors")):
        skip = "torch and safetensors are not installed"

    def test_programs_run(self) -> None:
        """
        The trainer publishes, an actor receives the latest version, and a checkpoint is resumed.
        """
        printed = []
        for block in blocks(PAGE):
            done = run_program(self.directory, block.text.replace(ADDRESS, self.daemon.address))
            self.assertEqual(done.returncode, 0, done.stderr)
            printed.append(done.stdout.splitlines()[-1])
        self.assertEqual(printed, ["published version 3", "act with version 3", "resumed from version 1"])
