"""
A real twistd that runs the service of a test in a separate directory.
"""

import os
import subprocess
import sys
from pathlib import Path

TAP = "made-up"

PLUGIN = f"""
from twisted.application.service import ServiceMaker
made_up = ServiceMaker("Made up", "made_up_service", "Made up by a test", "{TAP}")
"""

MAIN = "from twisted.scripts.twistd import run; run()"


def run_twistd(folder: Path, service: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """
    Run twistd to its end; what it prints is returned.  See ``run_twistd_to``.
    """
    return run_twistd_to(subprocess.PIPE, folder, service, *arguments, **environ)


def run_twistd_to(
    stdout: int, folder: Path, service: str, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    """
    Run twistd to its end.

    Args:
        stdout: the descriptor that it prints to.
        folder: where it runs, and where its plugin is put.
        service: the source of the service's module, ``made_up_service``; its command is ``TAP``.
        environ: variables beyond those that are there, of which none is a setting.
    """
    plugins = folder / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "made_up_plugin.py").write_text(PLUGIN)
    (folder / "made_up_service.py").write_text(service)
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COGMENT_")}
    return subprocess.run(
        [sys.executable, "-c", MAIN, "--pidfile=", *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": path} | environ,
        text=True,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
