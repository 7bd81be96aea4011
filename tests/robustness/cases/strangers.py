"""
Strangers who send wrong tokens as fast as they can.
"""

import time
from pathlib import Path

from benchmarks.client.stranger import Stranger
from tests.robustness.case import Case, Outcome, Trial
from tests.support.daemon import Daemon
from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import RegistryError
from twisted_registry.protocol.messages import SERVICE_NAME

MIB = 2**20
_ROUND = 3_000
_WINDOW = 50
_PATH = f"/{SERVICE_NAME}/RetrieveVersionInfos"
_GROWTH_BYTES = 60 * MIB
_LINES_A_MINUTE = 2


def _add_token(file: Path) -> str:
    token = Token.make()
    with editing_tokens(file) as records:
        records.append(TokenRecord(token.id, "ann", token.sha256, "admin", ("*",), int(time.time()), None))
    return token.text


def _round(daemon: Daemon, client: BlockingClient, calls: int) -> list[str]:
    """
    Let a stranger make calls, and check meanwhile and afterwards that a client is served.
    """
    with Stranger("127.0.0.1", daemon.port, _PATH, _WINDOW, calls, tls=False) as stranger:
        wrong = [] if client.latest("m").version_number == 1 else ["wrong version"]
        stranger.wait()
    if stranger.counts["answered"] < calls - 2 * _WINDOW:
        wrong.append(f"only {stranger.counts['answered']} of {calls} calls were answered")
    client.publish("other", b"data")
    return wrong


def run(trial: Trial) -> Outcome:
    """
    Flood a daemon.
    """
    token = _add_token(trial.directory / "tokens")
    daemon = Daemon(trial.directory, ["--tokens-file", "tokens"]).start()
    client = BlockingClient(daemon.address, token=token)
    wrong: list[str] = []
    done, began = 0, time.monotonic()
    try:
        for model_id in ("m", "other"):
            client.ensure_model(model_id)
        client.publish("m", b"data")
        before_bytes = daemon.memory_bytes()
        while not trial.is_over(done) and not wrong:
            calls = min(_ROUND, trial.count - done)
            wrong += _round(daemon, client, calls)
            done += calls
            trial.progress(done)
        grown_bytes = daemon.memory_bytes(peak=True) - before_bytes
        if grown_bytes > _GROWTH_BYTES:
            wrong.append(f"the daemon took {grown_bytes // MIB} MiB more")
    except RegistryError as error:
        wrong.append(f"a good call failed: {error}")
    finally:
        client.close()
        status = daemon.stop()
        daemon.kill()
    lines = [line for line in daemon.lines if "refused" in line]
    minutes = int((time.monotonic() - began) / 60) + 1
    if status != 0 or "Traceback" in daemon.log or "trg_" in "".join(lines):
        wrong.append(f"the daemon ended with {status}: {daemon.log[-2000:]}")
    if len(lines) > _LINES_A_MINUTE * minutes:
        wrong.append(f"the log has {len(lines)} lines about refused calls")
    return Outcome(done, wrong, {"lines in the log about them": len(lines)})


CASE = Case(
    name="strangers",
    counts="calls with wrong tokens",
    promise="Whatever strangers send who cannot sign in, others are served, and memory and the log stay bounded.",
    short=3_000,
    long=20_000,
    run=run,
)
