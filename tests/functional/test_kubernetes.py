"""
Tests of the manifests for Kubernetes: the daemon takes their arguments, and the files of their volumes as they lie.
"""

import os
import re
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import trustme

from tests.functional.test_start_failures import StartFailureTestCase
from tests.support.cli import all_commands, invoke
from tests.support.daemon import TIMEOUT_SECONDS, TWISTD, Daemon, clean_environment, free_port, wait_until
from tests.support.jwts import SigningIssuer, key_set
from tests.support.kubernetes import Pod, Volume, objects_in
from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.client import BlockingClient, Tls
from twisted_registry.client.errors import NotAuthenticated, NotPermitted

_DIRECTORY = Path(__file__).parents[2] / "deploy" / "kubernetes"
_PAGE = Path(__file__).parents[2] / "docs" / "guides" / "kubernetes.md"
_DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"
_REGISTRY = objects_in(_DIRECTORY / "registry.yaml")
_MONITORING = objects_in(_DIRECTORY / "monitoring.yaml")
_TRAINER = objects_in(_DIRECTORY / "trainer.yaml")
_JOB = _TRAINER["Job", "trainer"]


def https_port(daemon: Daemon) -> int:
    """
    Return the port of HTTPS of a daemon that has just started.
    """
    return int(daemon.wait_for(r"HTTP is served at https://127\.0\.0\.1:([0-9]+)/")[1])


class ManifestTestCase(StartFailureTestCase):
    """
    The pod of the manifest, with the files of its volumes.
    """

    def setUp(self) -> None:
        """
        Write the files.
        """
        super().setUp()
        self.pod = Pod(_REGISTRY["StatefulSet", "registry"]["spec"]["template"]["spec"], self.directory / "root")
        self.ca = trustme.CA()
        self.tls, self.tokens, self.policy = (self.pod.volume(name) for name in ("tls", "tokens", "policy"))
        self.renew()
        self.deployer = self.write_token()
        self.issuer = SigningIssuer(algorithm="RS256", claims=self.claims())
        self.token = self.issuer.sign(seconds=3600.0)
        self.keys = self.pod.volume("keys")
        self.keys.write({"keys.json": key_set(self.issuer.jwk())})
        data: dict[str, str] = _REGISTRY["ConfigMap", "registry-policy"]["data"]
        self.policy_text = self.pod.inside(data["policy.toml"])
        self.write_policy(self.policy_text)
        self.archive = self.pod.place("archive")
        self.archive.mkdir(parents=True)
        if self.pod.has_users:
            group = self.pod.spec["securityContext"]["fsGroup"]
            os.chown(self.archive, 0, group)
            self.archive.chmod(0o2775)

    def renew(self, *more_names: str) -> None:
        """
        Write a certificate as cert-manager does.
        """
        names = _REGISTRY["Certificate", "registry"]["spec"]["dnsNames"]
        leaf = self.ca.create_child_ca().issue_cert(*names, *more_names, key_type=trustme.KeyType.ECDSA)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        key = leaf.private_key_pem.bytes()
        self.tls.write({"tls.crt": chain, "tls.key": key, "ca.crt": self.ca.cert_pem.bytes()})

    def write_policy(self, text: str) -> None:
        """
        Write the policy.
        """
        self.policy.write({"policy.toml": text.encode()})

    def claims(self) -> dict[str, Any]:
        """
        Return the claims of the trainer's token, as Kubernetes makes them.
        """
        projected = _JOB["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"]
        (requested,) = (each["serviceAccountToken"] for each in projected if "serviceAccountToken" in each)
        account = _JOB["spec"]["template"]["spec"]["serviceAccountName"]
        namespace = _JOB["metadata"]["namespace"]
        return {
            "iss": "https://kubernetes.default.svc.cluster.local",
            "aud": [requested["audience"]],
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "nbf": int(time.time()),
            "jti": "0b5b9f2c",
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": "1f6f0c1c"}},
        }

    def write_token(self) -> str:
        """
        Write a file of tokens with a new one of ``deployer``, and return that.
        """
        path = Path(self.mktemp())
        made = {name: Token.make() for name in ("deployer", "prometheus")}
        with editing_tokens(path) as records:
            now = int(time.time())
            for name, token in made.items():
                records.append(TokenRecord(token.id, name, token.sha256, "reader", ("none",), now, None))
        self.tokens.write({"tokens": path.read_bytes()})
        self.made_tokens = {name: token.text for name, token in made.items()}
        return self.made_tokens["deployer"]

    def token_of(self, name: str) -> str:
        """
        Return the token that has a name.
        """
        return self.made_tokens[name]

    @property
    def flags(self) -> list[str]:
        """
        The arguments of the container, and what its image sets.
        """
        return [*map(self.pod.inside, self.pod.container["args"]), f"--archive-dir={self.archive}"]

    def start_pod(self, *flags: str) -> Daemon:
        """
        Start the daemon.
        """
        changes = {
            "--health-port=9001": f"--health-port={free_port()}",
            "--http-port=9002": "--http-port=0",
            "--http-interface=0.0.0.0": "--http-interface=127.0.0.1",
        }
        daemon = Daemon(self.directory, [*(changes.get(flag, flag) for flag in self.flags), *flags])
        daemon.prefix = self.pod.prefix
        self.addCleanup(daemon.kill)
        return daemon.start()

    def is_known(self, daemon: Daemon, token: str) -> bool:
        """
        Return whether the daemon accepts a token.
        """
        try:
            self.client(daemon, token).server_versions()
        except NotAuthenticated:
            return False
        return True

    def client(self, daemon: Daemon, token: str | None) -> BlockingClient:
        """
        Return a client that trusts the authority, and expects the name of the service.
        """
        tls = Tls(root_certificates=self.ca.cert_pem.bytes(), server_name="registry.models.svc")
        client = BlockingClient(f"127.0.0.1:{daemon.port}", tls=tls, token=token, retry_seconds=0)
        self.addCleanup(client.close)
        return client


class ManifestTests(ManifestTestCase):
    """
    The registry of the manifest.
    """

    def test_check_config(self) -> None:
        """
        The settings are valid, with the interface of the image.
        """
        image = dict(re.findall(r"(COGMENT_MODEL_REGISTRY_\w+)=(\S+)", _DOCKERFILE.read_text()))
        self.assertEqual(image["COGMENT_MODEL_REGISTRY_INTERFACE"], "0.0.0.0")
        del image["COGMENT_MODEL_REGISTRY_ARCHIVE_DIR"]
        done = subprocess.run(
            [*self.pod.prefix, TWISTD, "model-registry", *self.flags, "--check-config"],
            env=clean_environment(image),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)

    def test_calls(self) -> None:
        """
        The registry serves callers as its policy says, from its files as they lie, and warns of none of them.
        """
        daemon = self.start_pod()
        warnings = [line for line in daemon.lines if "#warn]" in line or "#error]" in line]
        self.assertEqual(len(warnings), 1, warnings)
        self.assertIn("new archive", warnings[0])
        client = self.client(daemon, self.token)
        client.ensure_model("team-a/walker")
        client.publish("team-a/walker", b"1")
        self.assertRaises(NotPermitted, client.ensure_model, "team-b/walker")
        deployer = self.client(daemon, self.deployer)
        self.assertEqual(deployer.retrieve("team-a/walker"), b"1")
        self.assertRaises(NotPermitted, deployer.publish, "team-a/walker", b"2")
        for claims in ({"aud": ["https://kubernetes.default.svc"]}, {"sub": "system:serviceaccount:team-b:trainer"}):
            stranger = self.client(daemon, self.issuer.sign(**claims))
            self.assertRaises((NotAuthenticated, NotPermitted), stranger.model, "team-a/walker")
        self.assertRaises(NotAuthenticated, self.client(daemon, None).models().__next__)

    def test_rotation(self) -> None:
        """
        A new certificate, new tokens, new keys of the cluster and a new policy are used when kubelet has replaced them.
        """
        daemon = self.start_pod()
        self.client(daemon, self.token).ensure_model("team-a/walker")
        self.ca = trustme.CA()
        self.renew()
        daemon.wait_for("tls.crt was read again")
        self.client(daemon, self.token).model("team-a/walker")
        before, after = self.deployer, self.write_token()
        daemon.wait_for("tokens was read again")
        self.assertRaises(NotAuthenticated, self.client(daemon, before).model, "team-a/walker")
        self.client(daemon, after).model("team-a/walker")
        other = SigningIssuer(algorithm="RS256", key_id="2", number=1, claims=self.issuer.claims)
        self.keys.write({"keys.json": key_set(other.jwk())})
        wait_until(lambda: self.is_known(daemon, other.sign(seconds=3600.0)), "the new key is used")
        self.write_policy(self.policy_text.replace("team-a/*", "team-b/*"))
        daemon.wait_for("policy.toml was read again")
        client = self.client(daemon, other.sign(seconds=3600.0))
        client.ensure_model("team-b/walker")
        self.assertRaises(NotPermitted, client.model, "team-a/walker")
        self.assertNotIn("#error]", daemon.log)

    def test_read_only_root(self) -> None:
        """
        The daemon of these tests can write to its volumes alone.
        """
        archive, other = self.archive / "file", self.directory / "file"
        done = subprocess.run([*self.pod.prefix, "touch", archive, other], capture_output=True, text=True, check=False)
        if "unshare" not in self.pod.prefix:
            self.skipTest("only root can make a root that is read-only")
        self.assertTrue(archive.exists())
        self.assertFalse(other.exists())
        self.assertIn("Read-only file system", done.stderr)

    def test_readable_for_all(self) -> None:
        """
        With the default mode of a Secret, all users could read the tokens, and the daemon does not start.
        """
        if not self.pod.has_users:
            self.skipTest("only root can make files of root")
        content = {"tokens": (self.tokens.directory / "tokens").read_bytes()}
        Volume(self.tokens.directory.with_name("open"), 0o644, self.tokens.group).write(content)
        words = [flag.replace("/tokens/tokens", "/open/tokens") for flag in self.flags]
        daemon = Daemon(self.directory, words)
        daemon.prefix = self.pod.prefix
        self.addCleanup(daemon.kill)
        daemon.launch()
        self.assertEqual(daemon.wait(), 1)
        self.assertIn("is open to other users (mode 0644)", daemon.log)

    def test_probes(self) -> None:
        """
        The probes ask the port that serves health checks, which the health command finds serving, or the page that
        shows that the process runs.
        """
        container = self.pod.container
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        self.assertIn(f"--health-port={ports['health']}", container["args"])
        for probe in ("startupProbe", "readinessProbe"):
            self.assertEqual(container[probe]["grpc"], {"port": ports["health"]})
        self.assertIn(f"--http-port={ports['https']}", container["args"])
        live = container["livenessProbe"]["httpGet"]
        self.assertEqual((live["port"], live["scheme"]), ("https", "HTTPS"))
        health_port = free_port()
        port = https_port(self.start_pod(f"--health-port={health_port}"))
        done = invoke("", "health", "--server", f"127.0.0.1:{health_port}")
        self.assertEqual(done.exit_code, 0, done.stderr)
        # Kubelet asks by the address of the pod, and does not check the certificate.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = f"https://127.0.0.1:{port}{live['path']}"
        with urlopen(address, context=context, timeout=TIMEOUT_SECONDS) as answer:
            self.assertEqual(answer.status, 200)

    def test_metrics(self) -> None:
        """
        Prometheus reads the metrics as its monitor says: with the authority, the name and the token that it has.
        """
        (endpoint,) = _MONITORING["ServiceMonitor", "registry"]["spec"]["endpoints"]
        (port,) = (
            each for each in _REGISTRY["Service", "registry"]["spec"]["ports"] if each["name"] == endpoint["port"]
        )
        daemon = self.start_pod()
        self.assertEqual(port["targetPort"], "https")
        context = ssl.create_default_context(cadata=self.ca.cert_pem.bytes().decode())
        address = ("127.0.0.1", https_port(daemon))
        for token, status in ((self.token_of("prometheus"), 200), (None, 401)):
            self.assertEqual(self.scrape(address, endpoint, context, token), status)

    def scrape(self, address: tuple[str, int], endpoint: Any, context: ssl.SSLContext, token: str | None) -> int:
        """
        Read the metrics under the name of the service, and return the HTTP status.
        """
        name = endpoint["tlsConfig"]["serverName"]
        headers = "" if token is None else f"Authorization: Bearer {token}\r\n"
        with (
            socket.create_connection(address, TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            request = f"GET {endpoint['path']} HTTP/1.1\r\nHost: {name}:9002\r\n{headers}Connection: close\r\n\r\n"
            connection.sendall(request.encode())
            return int(connection.recv(64).split()[1])

    def test_references(self) -> None:
        """
        Volumes, claims and services name objects that exist, or that the page creates.
        """
        certificate = _REGISTRY["Certificate", "registry"]["spec"]["secretName"]
        by_page = {("Secret", "registry-tokens"), ("ConfigMap", "registry-issuer-keys")}
        created = {*by_page, ("Secret", certificate)}
        for _, name in by_page:
            self.assertIn(f" {name} --from-file=", _PAGE.read_text())
        for _, kind, name in self.pod.sources():
            self.assertIn((kind, name), {*created, *_REGISTRY})
        mounted = {mount["name"] for mount in self.pod.container["volumeMounts"]}
        claims = _REGISTRY["StatefulSet", "registry"]["spec"]["volumeClaimTemplates"]
        claimed = {claim["metadata"]["name"] for claim in claims}
        self.assertEqual(mounted, {volume["name"] for volume in self.pod.spec["volumes"]} | claimed)
        stateful = _REGISTRY["StatefulSet", "registry"]["spec"]
        self.assertEqual(_REGISTRY["Service", stateful["serviceName"]]["spec"]["clusterIP"], "None")
        service = _REGISTRY["Service", "registry"]["spec"]
        template = _REGISTRY["StatefulSet", "registry"]["spec"]["template"]
        self.assertEqual(service["selector"], template["metadata"]["labels"])
        self.assertIn(
            f"useradd --system --uid {self.pod.spec['securityContext']['runAsUser']} ", _DOCKERFILE.read_text()
        )


class TrainerTests(ManifestTestCase):
    """
    The trainer of the manifest.
    """

    def test_push(self) -> None:
        """
        Its command publishes, with the variables and the files that it has.
        """
        self.assertIn(("ServiceAccount", _JOB["spec"]["template"]["spec"]["serviceAccountName"]), _TRAINER)
        pod = Pod(_JOB["spec"]["template"]["spec"], self.directory / "trainer")
        (source,) = (volume["projected"] for volume in pod.spec["volumes"])
        (authority,) = (each["configMap"]["items"] for each in source["sources"] if "configMap" in each)
        self.assertEqual(authority, [{"key": "ca.crt", "path": "ca.crt"}])
        place = pod.place("registry")
        Volume(place, 0o440, None).write({"ca.crt": self.ca.cert_pem.bytes(), "token": self.token.encode()})
        variables: Any = {each["name"]: pod.inside(each["value"]) for each in pod.container["env"]}
        self.assertEqual(variables["TWISTED_REGISTRY_SERVER"], "registry.models.svc:9000")
        daemon = self.start_pod()
        del variables["TWISTED_REGISTRY_SERVER"]
        program, command, *arguments = pod.container["command"]
        self.assertEqual(program, "twisted-registry")
        self.assertIn(command, all_commands())
        weights = self.directory / "walker.pt"
        weights.write_bytes(b"weights")
        self.renew("localhost")  # the name of the service is known in a cluster only
        daemon.wait_for("tls.crt was read again")
        words = [str(weights) if word == "walker.pt" else word for word in arguments]
        done = invoke(f"localhost:{daemon.port}", command, *words, **variables)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        self.assertEqual(self.client(daemon, self.token).retrieve("team-a/walker"), b"weights")
