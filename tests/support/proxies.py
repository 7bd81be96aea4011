"""
Proxies of other makes before a daemon, with the configurations that the documentation has.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import trustme
from twisted.trial.unittest import SkipTest

from tests.support.daemon import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "proxies.md"

_MAIN = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    {server}
}}
"""


def program(name: str) -> str:
    """
    Return the path of a program; skip the test where it is not installed.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        raise SkipTest(f"{name} is not installed: .ci/install-services does it")
    return found


def documented(language: str) -> str:
    """
    Return the configuration in a language that the page on proxies shows.
    """
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, language
    return found[1]


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """
    Replace parts of a text, each of which must be there.
    """
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


class Proxy:
    """
    A process of a proxy.
    """

    def __init__(self, folder: Path, command: Sequence[str], port: int) -> None:
        with (folder / "output").open("wb") as output:
            # In a new session, because nginx has workers that may survive a kill of nginx alone.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, start_new_session=True
            )
        wait_until(lambda: _listens(port) or self._has_ended(folder), "the proxy listens")

    def _has_ended(self, folder: Path) -> bool:
        if self._process.poll() is not None:
            raise AssertionError((folder / "output").read_text())
        return False

    def stop(self) -> None:
        """
        End it, with all processes it started.
        """
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def certify(folder: Path) -> bytes:
    """
    Write a certificate of localhost and its key into a folder, and return who has signed it.
    """
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "registry.key")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "registry.pem", append=True)
    return authority.cert_pem.bytes()


def start_nginx(folder: Path, server: str, port: int) -> Proxy:
    """
    Start nginx.

    Args:
        server: what is to stand in its block ``http``.
        port: where it listens.
    """
    user = "user root;" if os.geteuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(_MAIN.format(folder=folder, user=user, server=server))
    return Proxy(folder, [program("nginx"), "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(path)], port)


def start_envoy(folder: Path, configuration: str, port: int) -> Proxy:
    """
    Start Envoy.

    Args:
        port: where it listens.
    """
    path = folder / "envoy.yaml"
    path.write_text(configuration)
    command = [program("envoy"), "--config-path", str(path), "--concurrency", "1", "--disable-hot-restart"]
    return Proxy(folder, [*command, "--log-level", "warning"], port)
