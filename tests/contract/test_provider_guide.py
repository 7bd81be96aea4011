"""
Tests of the guide on writing a provider: its tests run, outside trial.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "write-a-provider.md"


class GuideTests(SynchronousTestCase):
    """
    The test module that the guide shows.
    """

    def test_suites(self) -> None:
        """
        It runs the suites on the example with unittest alone.
        """
        section = GUIDE.read_text().partition("## 4. The contract, as tests")[2]
        (snippet,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "test_sqlite.py").write_text(snippet)
        path = os.pathsep.join((str(ROOT), str(ROOT / "examples" / "sqlite_provider")))
        done = subprocess.run(
            [sys.executable, "-m", "unittest", "test_sqlite"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        (count,) = re.findall(r"Ran (\d+) tests", done.stderr)
        self.assertGreater(int(count), 25)
