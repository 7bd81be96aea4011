"""
Files of access control that are rewritten all the time while clients call.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import trustme
from attrs import define, field, frozen

from tests.robustness.case import Case, Outcome, Trial
from tests.support.daemon import TIMEOUT_SECONDS, Daemon
from twisted_registry.access.tokens.file import TokenRecord
from twisted_registry.access.tokens.token import Token
from twisted_registry.protocol.messages import api

_PAUSE_SECONDS = 0.01
_HALF_SECONDS = 0.001
_REWRITES_PER_SIGNAL = 10
_CERTIFICATES = 10
_KINDS = ("token file", "policy", "certificate")
_MODEL = "team/m"
_DEADLINE_SECONDS = 60.0
_METHOD = "/cogmentAPI.ModelRegistrySP/RetrieveVersionInfos"
_CREATE_MODEL = "/cogmentAPI.ModelRegistrySP/CreateOrUpdateModel"


@frozen
class Files:
    """
    The files, and their rewriting.

    Attributes:
        directory: where they are.
        token: the token that stays valid.
    """

    directory: Path
    chance: random.Random
    authority: trustme.CA = field(factory=trustme.CA)
    token: Token = field(factory=Token.make)
    _leaves: list[tuple[bytes, bytes]] = field(factory=list)

    def write_first(self) -> None:
        """
        Write all of them for the first time.
        """
        for _ in range(_CERTIFICATES):
            leaf = self.authority.issue_cert("localhost")
            chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
            self._leaves.append((chain, leaf.private_key_pem.bytes()))
        self._replace("tokens", self.tokens())
        self._replace("policy.toml", self.policy())
        self._rewrite_certificate()

    def flags(self) -> Sequence[str]:
        """
        Return the daemon's flags.
        """
        names = {
            "--tokens-file": "tokens",
            "--policy-file": "policy.toml",
            "--tls-certificate": "cert.pem",
            "--tls-key": "key.pem",
        }
        return [word for flag, name in names.items() for word in (flag, str(self.directory / name))]

    def tokens(self, *, has_caller: bool = True) -> bytes:
        """
        Return a file of tokens: the one that stays, and others.
        """
        tokens = [Token.make() for _ in range(self.chance.randrange(1, 20))] + [self.token] * has_caller
        self.chance.shuffle(tokens)
        records = [
            TokenRecord(it.id, "ann" if it is self.token else "other", it.sha256, "status-only", ("none",), 0, None)
            for it in tokens
        ]
        return "".join(f"{record.to_json()}\n" for record in records).encode()

    def policy(self) -> bytes:
        """
        Return a policy: the caller's grant, and others.
        """
        grants = [
            f'[[grants]]\nto = "token:other"\nrole = "reader"\nmodels = "x-{self.chance.random()}/*"\n'
            for _ in range(self.chance.randrange(1, 20))
        ]
        grants.append('[[grants]]\nto = "token:ann"\nrole = "publisher"\nmodels = "team/*"\n')
        self.chance.shuffle(grants)
        return ('[roles]\nstatus-only = ["status"]\n' + "".join(grants)).encode()

    def rewrite(self) -> str:
        """
        Rewrite one of them, in one of the ways in which programs do, and return its kind.
        """
        kind = self.chance.choice(_KINDS)
        if kind == "certificate":
            self._rewrite_certificate()
            return kind
        name, content = ("tokens", self.tokens()) if kind == "token file" else ("policy.toml", self.policy())
        rewrite = self.chance.choice([self._replace, self._replace, self._write_in_place, self._remove_first])
        rewrite(name, content)
        return kind

    def revoke(self) -> None:
        """
        Write a file without the token.
        """
        self._replace("tokens", self.tokens(has_caller=False))

    def _replace(self, name: str, content: bytes) -> None:
        new_file = self.directory / f"{name}.new"
        with open(os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        new_file.replace(self.directory / name)

    def _write_in_place(self, name: str, content: bytes) -> None:
        # The first part ends in the middle of a line: a program that is stopped there leaves a damaged file.
        half = content.index(b'"', len(content) // 2) + 1
        with open(os.open(self.directory / name, os.O_WRONLY), "wb", buffering=0) as file:
            file.write(content[:half])
            file.truncate()
            time.sleep(_HALF_SECONDS)
            file.write(content[half:])

    def _remove_first(self, name: str, content: bytes) -> None:
        (self.directory / name).unlink()
        time.sleep(_HALF_SECONDS)
        self._replace(name, content)

    def _rewrite_certificate(self) -> None:
        chain, key = self.chance.choice(self._leaves)
        self._replace("cert.pem", chain)
        time.sleep(_HALF_SECONDS)
        self._replace("key.pem", key)


@define
class Clients:
    """
    Clients that call all the time.

    Attributes:
        calls: how many calls were made, by the kind of client.
        wrong: the calls that failed.
    """

    port: int
    files: Files
    calls: Counter[str] = field(factory=Counter)
    wrong: list[str] = field(factory=list)
    _over: threading.Event = field(factory=threading.Event)
    _threads: list[threading.Thread] = field(factory=list)

    def start(self) -> None:
        """
        Make the model, and begin to call.
        """
        with self._connect() as channel:
            request = api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id=_MODEL))
            self.call(channel, _CREATE_MODEL, request.SerializeToString())
        self._threads = [threading.Thread(target=each) for each in (self._stay, self._stay, self._reconnect)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """
        End the calls.
        """
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _connect(self) -> grpc.Channel:
        trusted = grpc.ssl_channel_credentials(self.files.authority.cert_pem.bytes())
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.secure_channel(f"localhost:{self.port}", trusted, options)

    def call(self, channel: grpc.Channel, method: str, request: bytes) -> None:
        """
        Make a call.
        """
        begin: Any = channel.unary_unary(method, bytes, bytes)
        metadata = [("authorization", f"Bearer {self.files.token.text}")]
        begin(request, metadata=metadata, timeout=_DEADLINE_SECONDS)

    def _stay(self) -> None:
        with self._connect() as channel:
            self._repeat("calls on old connections", lambda: self._ask(channel))

    def _reconnect(self) -> None:
        def act() -> None:
            with self._connect() as channel:
                self._ask(channel)

        self._repeat("calls on new connections", act)

    def _ask(self, channel: grpc.Channel) -> None:
        self.call(channel, _METHOD, api.RetrieveVersionInfosRequest(model_id=_MODEL).SerializeToString())

    def _repeat(self, kind: str, act: Callable[[], None]) -> None:
        while not self._over.is_set():
            try:
                act()
            except grpc.RpcError as error:
                self.wrong.append(f"{kind}: {error}")
            self.calls[kind] += 1

    def refusal(self) -> grpc.StatusCode:
        """
        Call until that is refused, and return the code; OK if it never is.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        with self._connect() as channel:
            while time.monotonic() < deadline:
                try:
                    self._ask(channel)
                except grpc.RpcError as error:
                    code: grpc.StatusCode = error.code()
                    return code
        return grpc.StatusCode.OK


def _rewrite(trial: Trial, files: Files, daemon: Daemon) -> Counter[str]:
    rewrites: Counter[str] = Counter()
    while not trial.is_over(rewrites.total()):
        rewrites[files.rewrite()] += 1
        if rewrites.total() % _REWRITES_PER_SIGNAL == 0:
            daemon.process.send_signal(signal.SIGHUP)
        trial.progress(rewrites.total())
        time.sleep(_PAUSE_SECONDS)
    return rewrites


def run(trial: Trial) -> Outcome:
    """
    Rewrite the files a hundred times a second.
    """
    files = Files(trial.directory, random.Random(trial.seed))
    files.write_first()
    daemon = Daemon(trial.directory, ["--archive-dir", str(trial.directory / "archive"), *files.flags()]).start()
    clients = Clients(daemon.port, files)
    try:
        clients.start()
        try:
            rewrites = _rewrite(trial, files, daemon)
        finally:
            clients.stop()
        files.revoke()
        code = clients.refusal()
        if code is not grpc.StatusCode.UNAUTHENTICATED:
            clients.wrong.append(f"the token was revoked in the end, and a call with it ended with {code.name}")
        status = daemon.stop()
    finally:
        daemon.kill()
    wrong = [*clients.wrong, *_problems(daemon, status)]
    reloads = sum("was read again" in line for line in daemon.lines)
    return Outcome(rewrites.total(), wrong, {**rewrites, **clients.calls, "files read again": reloads})


def _problems(daemon: Daemon, status: int) -> Sequence[str]:
    """
    Return what is wrong with the daemon's end and with its log.
    """
    problems = [] if status == 0 else [f"the daemon stopped with {status}"]
    problems += [f"no {kind} was read again" for kind in _KINDS if f"the {kind} " not in daemon.log]
    return [*problems, *(line for line in daemon.lines if "Traceback" in line or "incident" in line)]


CASE = Case(
    name="reloads",
    counts="rewrites of the files of access control",
    promise="Certificates, tokens and policies are read again under load without one failed call.",
    short=200,
    long=6_000,
    run=run,
)
