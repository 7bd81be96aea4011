"""
Tests of the files in ``deploy/`` with the programs that read them: Helm, schemas of Kubernetes and Compose, hadolint.
"""

import json
import re
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.daemon import run_command, run_twistd
from tests.support.kubernetes import Objects, objects_in
from tests.support.proxies import program
from tools.alert_copies import copies
from twisted_registry.config.load import SETTINGS, load
from twisted_registry.config.setting import Machine

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "twisted-registry"
COMPOSE = ROOT / "deploy" / "compose"
COMPOSE_FILES = ("compose.yaml", "compose.secure.yaml")
MANIFESTS = sorted(KUBERNETES.glob("*.yaml"))

_HELM_LABELS = ("app.kubernetes.io/managed-by", "helm.sh/chart")

_VALIDATE = """
import { readFileSync } from "node:fs";
for (const [path, object] of JSON.parse(readFileSync(0))) {
  const { validate } = await import(path);
  if (!validate(object)) console.log(object.kind, JSON.stringify(validate.errors));
}
"""

_MONITORING = "ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1"
_SCHEMAS = {
    "Certificate": ("cert-manager", "ComGithubCertManagerCertManagerPkgApisCertmanagerV1Certificate"),
    "ServiceMonitor": ("prometheus-operator", f"{_MONITORING}ServiceMonitor"),
    "PrometheusRule": ("prometheus-operator", f"{_MONITORING}PrometheusRule"),
}
"""The package and the file with the schema of each custom resource."""


def node_modules() -> Path:
    """
    Return the directory of the programs for Node.js; skip the test if it does not exist.
    """
    found = Path(program("python")).parent.parent / "deploy-tools" / "node_modules"
    if not found.is_dir() or shutil.which("node") is None:
        raise SkipTest("the schemas are not installed: .ci/install-deploy-tools does it")
    return found


@cache
def rendered(*arguments: str) -> str:
    """
    Render the chart with Helm.
    """
    command = (program("helm"), "template", "registry", str(CHART), "--namespace", "models", *arguments)
    done = run_command(ROOT, *command)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


def without_helm(objects: Objects) -> Mapping[tuple[str, str], Any]:
    """
    Return objects without the labels that only Helm sets.
    """
    found = json.loads(json.dumps(list(objects.values())))
    for each in found:
        for label in _HELM_LABELS:
            del each["metadata"]["labels"][label]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


class SchemaTests(SynchronousTestCase):
    """
    The schemas of what the manifests and the chart contain.
    """

    def check_kubernetes(self, *paths: Path) -> None:
        """
        Check the objects that Kubernetes itself defines.
        """
        done = run_command(ROOT, program("kubernetes-validate"), "--strict", *paths)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("passed for resource statefulset/registry", done.stdout + done.stderr)

    def check_custom(self, objects: Objects) -> None:
        """
        Check those of cert-manager and of the Prometheus Operator.
        """
        modules = node_modules() / "@kubernetes-models"
        custom = [
            (str(modules / _SCHEMAS[kind][0] / "_schemas" / f"{_SCHEMAS[kind][1]}.js"), each)
            for (kind, _), each in objects.items()
            if kind in _SCHEMAS
        ]
        script = Path(self.mktemp()).with_suffix(".mjs").absolute()
        script.write_text(_VALIDATE)
        done = run_command(ROOT, "node", script, typed=json.dumps(custom))
        self.assertEqual((done.stdout, done.returncode), ("", 0), done.stderr)
        self.assertEqual({each["kind"] for _, each in custom}, set(_SCHEMAS))

    def test_manifests(self) -> None:
        """
        Kubernetes knows each field of the manifests.
        """
        self.check_kubernetes(*MANIFESTS)

    def test_custom_resources(self) -> None:
        """
        The objects of cert-manager and of the Prometheus Operator have the types of their schemas.
        """
        self.check_custom({key: each for path in MANIFESTS for key, each in objects_in(path).items()})

    def test_chart(self) -> None:
        """
        The same holds for the chart, with all values that differ from their defaults.
        """
        values = {
            "image": {"digest": "sha256:" + 64 * "0", "pullPolicy": "Always"},
            "imagePullSecrets": [{"name": "pull"}],
            "serverNames": ["registry.example.com"],
            "settings": {"keep-per-model": 10},
            "storage": {"className": "fast", "accessMode": "ReadWriteOnce"},
            "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
            "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]},
            "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
            "podAnnotations": {"a": "b"},
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
        }
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "values.yaml").write_text(yaml.safe_dump(values))
        output = folder / "objects.yaml"
        output.write_text(rendered("--values", str(folder / "values.yaml")))
        self.check_kubernetes(output)
        self.check_custom(objects_in(output))
        self.assertIn('"--keep-per-model=10"', output.read_text())


class ChartTests(SynchronousTestCase):
    """
    The Helm chart.
    """

    def test_same_objects(self) -> None:
        """
        With its default values, the policy of the manifests, and monitoring, it makes the objects of the manifests.
        """
        output = Path(self.mktemp())
        output.write_text(rendered("--values", str(CHART / "ci" / "example-values.yaml")))
        plain = {**objects_in(KUBERNETES / "registry.yaml"), **objects_in(KUBERNETES / "monitoring.yaml")}
        made = without_helm(objects_in(output))
        self.assertEqual(made.keys(), plain.keys())
        for key, each in plain.items():
            self.assertEqual(made[key], each, key)

    def test_less(self) -> None:
        """
        Objects that are switched off are not made.
        """
        off = ("certificate.issuerRef=null", "podDisruptionBudget.enabled=false", "networkPolicy.enabled=false")
        output = Path(self.mktemp())
        output.write_text(rendered(*(word for each in off for word in ("--set", each))))
        kinds = {kind for kind, _ in objects_in(output)}
        self.assertEqual(kinds, {"ConfigMap", "StatefulSet", "Service"})

    def test_lint(self) -> None:
        """
        Helm has no objection to it.
        """
        done = run_command(ROOT, program("helm"), "lint", "--strict", str(CHART))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_unknown_values(self) -> None:
        """
        Values that the chart does not know, or of another type, are refused.
        """
        for given in ("storage.sise=1Gi", "graceSeconds=soon", "image.digest=sha256:1"):
            done = run_command(ROOT, program("helm"), "template", str(CHART), "--set", given)
            self.assertNotEqual(done.returncode, 0, given)
            self.assertIn(given.partition("=")[0].rpartition(".")[2], done.stderr)

    def test_values_have_types(self) -> None:
        """
        The schema knows each value, and no others.
        """
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
        self.assertEqual(set(schema) - {"global"}, set(values))
        for name, each in schema.items():
            if "properties" in each:
                self.assertEqual(set(each["properties"]), set(values[name]), name)


class AlertTests(SynchronousTestCase):
    """
    The copies of the alert rules.
    """

    def test_current(self) -> None:
        """
        They are current; if not, run 'make reference'.
        """
        for path, text in copies().items():
            self.assertEqual(path.read_text(), text)


class ComposeTests(SynchronousTestCase):
    """
    The files for Compose.
    """

    def setUp(self) -> None:
        """
        Read them.
        """
        self.plain, self.secure = (yaml.safe_load((COMPOSE / name).read_text()) for name in COMPOSE_FILES)

    def test_schema(self) -> None:
        """
        Compose knows each field, and dclint has no objection.
        """
        dclint = node_modules() / ".bin" / "dclint"
        for name in COMPOSE_FILES:
            done = run_command(COMPOSE, dclint, name)
            self.assertEqual((done.stdout.strip(), done.returncode), ("", 0), done.stderr)

    def test_settings(self) -> None:
        """
        The daemon accepts its variables, and serves pages under the name by which Prometheus asks.
        """
        variables = self.plain["services"]["registry"]["environment"]
        done = run_twistd(Path.cwd(), "model-registry", "--check-config", environment=variables)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("unknown", done.stderr)
        names = {setting.variable for setting in SETTINGS}
        for each in (self.plain, self.secure):
            self.assertEqual(set(each["services"]["registry"]["environment"]) - names, set())
        for name in ("prometheus.yml", "prometheus.secure.yml"):
            (job,) = yaml.safe_load((COMPOSE / name).read_text())["scrape_configs"]
            host, port = job["static_configs"][0]["targets"][0].split(":")
            self.assertEqual(host, variables["COGMENT_MODEL_REGISTRY_HTTP_NAMES"])
            self.assertEqual(port, variables["COGMENT_MODEL_REGISTRY_HTTP_PORT"])

    def test_files(self) -> None:
        """
        Each mounted file exists, each secret is declared, and the board is where Grafana looks for it.
        """
        grafana = self.plain["services"]["grafana"]
        mounted = dict(each.split(":")[:2] for each in grafana["volumes"])
        provider = yaml.safe_load((COMPOSE / "grafana" / "dashboards" / "registry.yml").read_text())["providers"][0]
        self.assertEqual(mounted["../grafana"], provider["options"]["path"])
        for each in (self.plain, self.secure):
            for name, service in each["services"].items():
                for volume in service.get("volumes", ()):
                    source = volume.partition(":")[0]
                    is_there = (COMPOSE / source).exists() if source.startswith(".") else source in each["volumes"]
                    self.assertTrue(is_there, (name, volume))
                self.assertLessEqual(set(service.get("secrets", ())), set(each["secrets"]))

    def test_only_this_machine(self) -> None:
        """
        Each port is published to this machine alone, and no service has capabilities or may write its image.
        """
        for service in self.plain["services"].values():
            self.assertTrue(all(port.startswith("127.0.0.1:") for port in service["ports"]))
            self.assertEqual((service["read_only"], service["cap_drop"]), (True, ["ALL"]))

    def test_prometheus(self) -> None:
        """
        Prometheus accepts its configurations.
        """
        for name in ("prometheus.yml", "prometheus.secure.yml"):
            folder = Path(self.mktemp())
            folder.mkdir()
            text = (COMPOSE / name).read_text().replace("/run/secrets/", "")
            (folder / "prometheus.yml").write_text(text)
            shutil.copy(ROOT / "deploy" / "prometheus" / "alerts.yml", folder)
            for secret in ("ca.crt", "prometheus-token"):
                (folder / secret).touch()
            done = run_command(folder, program("promtool"), "check", "config", "prometheus.yml")
            self.assertEqual(done.returncode, 0, done.stderr)


class GraceTests(SynchronousTestCase):
    """
    How long running calls may take, against the time after which an engine kills the daemon.
    """

    STORAGE_SECONDS = 20
    """The seconds that storage may take after the grace."""

    def test_image(self) -> None:
        """
        ``docker stop`` kills after ten seconds: the grace of the image is shorter.
        """
        found = re.search(r"COGMENT_MODEL_REGISTRY_GRACE_SECONDS=([0-9]+)", (ROOT / "Dockerfile").read_text())
        assert found is not None
        self.assertLess(int(found[1]), 10)

    def test_compose(self) -> None:
        """
        Compose waits longer than the grace and the time for storage.
        """
        service = yaml.safe_load((COMPOSE / COMPOSE_FILES[0]).read_text())["services"]["registry"]
        seconds = int(service["environment"]["COGMENT_MODEL_REGISTRY_GRACE_SECONDS"])
        self.assertGreater(int(service["stop_grace_period"].removesuffix("s")), seconds + self.STORAGE_SECONDS)

    def test_kubernetes(self) -> None:
        """
        Kubelet waits longer than the grace and the time for storage.
        """
        spec = objects_in(KUBERNETES / "registry.yaml")["StatefulSet", "registry"]["spec"]["template"]["spec"]
        (flag,) = (each for each in spec["containers"][0]["args"] if each.startswith("--grace-seconds="))
        seconds = int(flag.partition("=")[2])
        self.assertGreater(spec["terminationGracePeriodSeconds"], seconds + self.STORAGE_SECONDS)


class MemoryTests(SynchronousTestCase):
    """
    The memory of the pod.
    """

    def test_fits(self) -> None:
        """
        The buffers that the daemon may fill by default leave a quarter of the limit of the pod for all else.
        """
        spec = objects_in(KUBERNETES / "registry.yaml")["StatefulSet", "registry"]["spec"]["template"]["spec"]
        resources = spec["containers"][0]["resources"]
        self.assertEqual(resources["limits"]["memory"], resources["requests"]["memory"])
        limit_bytes = int(resources["limits"]["memory"].removesuffix("Gi")) * 2**30
        settings = load({}, {}, Machine(memory_bytes=limit_bytes, descriptors=10_000)).settings
        memory, limits = settings.memory, settings.limits
        held = memory.max_bytes + memory.search_index_max_bytes
        under_way = limits.uploads_max_bytes + limits.downloads_max_bytes + limits.kept_uploads_max_memory_bytes
        self.assertLess(held + under_way, limit_bytes * 3 / 4)


class ImageTests(SynchronousTestCase):
    """
    The recipe of the image.
    """

    def test_lint(self) -> None:
        """
        hadolint has no objection to it.
        """
        done = run_command(ROOT, program("hadolint"), "--no-color", "Dockerfile")
        self.assertEqual((done.stdout, done.returncode), ("", 0))

    def test_pinned(self) -> None:
        """
        Its base is pinned by its digest.
        """
        text = (ROOT / "Dockerfile").read_text()
        self.assertRegex(text, r"(?m)^ARG PYTHON_IMAGE=\S+@sha256:[0-9a-f]{64}$")
        self.assertEqual(set(re.findall(r"(?m)^FROM (\S+)", text)), {"${PYTHON_IMAGE}"})
