"""
Pods as Kubernetes runs them, as far as a daemon can notice: its arguments, its user, and the files of its volumes.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from attrs import define, field

from tests.support.containers import as_user, has_users, with_read_only_root

Objects = Mapping[tuple[str, str], Mapping[str, Any]]

_DEFAULT_MODE = 0o644
_GROUP_MAY_READ = 0o440


def objects_in(path: Path) -> Objects:
    """
    Return the objects of a manifest, by their kinds and names.
    """
    documents = yaml.safe_load_all(path.read_text())
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


@define(eq=False)
class Volume:
    """
    A volume of a Secret or a ConfigMap, as kubelet writes it: links to links to files, which a rename replaces.

    Attributes:
        directory: its directory.
        mode: the mode of its files.
        group: the group of its files; ``None`` for that of this process.
    """

    directory: Path
    mode: int
    group: int | None
    _generation: int = field(default=0, init=False)

    def write(self, files: Mapping[str, bytes]) -> None:
        """
        Write files in place of those that are there.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        before = self.directory / f"..2026_11_28_{self._generation}"
        self._generation += 1
        new = self.directory / f"..2026_11_28_{self._generation}"
        new.mkdir()
        for name, content in files.items():
            path = new / name
            path.write_bytes(content)
            if self.group is not None:
                os.chown(path, 0, self.group)
            path.chmod(self.mode)
            if not (self.directory / name).is_symlink():
                (self.directory / name).symlink_to(f"..data/{name}")
        link = self.directory / "..data_tmp"
        link.symlink_to(new.name)
        link.rename(self.directory / "..data")
        if before.exists():
            shutil.rmtree(before)


@define(eq=False)
class Pod:
    """
    A pod with one container.

    Attributes:
        spec: its specification.
        root: the directory that stands for the root of its files.
    """

    spec: Mapping[str, Any]
    root: Path

    @property
    def container(self) -> Mapping[str, Any]:
        """
        The container.
        """
        (found,) = self.spec["containers"]
        container: Mapping[str, Any] = found
        return container

    @property
    def has_users(self) -> bool:
        """
        True if this process can start others as the user of the pod.
        """
        return has_users()

    @property
    def prefix(self) -> Sequence[str]:
        """
        The command that starts another one as the user of the pod, and with its read-only root.
        """
        security = self.spec["securityContext"]
        assert security["runAsNonRoot"]
        if not self.has_users:
            return ()
        read_only: Sequence[str] = ()
        if self.container.get("securityContext", {}).get("readOnlyRootFilesystem"):
            mounts = self.container["volumeMounts"]
            read_only = with_read_only_root([self.place(each["name"]) for each in mounts if not each.get("readOnly")])
        return (*read_only, *as_user(security["runAsUser"], security["runAsGroup"], security["fsGroup"]))

    def inside(self, text: str) -> str:
        """
        Return a text with its paths of the pod's files replaced by those below ``root``.
        """
        places = {mount["mountPath"]: str(self.place(mount["name"])) for mount in self.container["volumeMounts"]}
        return re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], text)

    def place(self, name: str) -> Path:
        """
        Return the directory of a volume.
        """
        (mount,) = (each for each in self.container["volumeMounts"] if each["name"] == name)
        return self.root / str(mount["mountPath"]).lstrip("/")

    def sources(self) -> Iterator[tuple[str, str, str]]:
        """
        Yield the name of each volume with files, the kind of object that they come from, and its name.
        """
        for volume in self.spec["volumes"]:
            if "secret" in volume:
                yield volume["name"], "Secret", volume["secret"]["secretName"]
            elif "configMap" in volume:
                yield volume["name"], "ConfigMap", volume["configMap"]["name"]

    def volume(self, name: str) -> Volume:
        """
        Return a volume of a Secret or a ConfigMap.
        """
        (found,) = (each for each in self.spec["volumes"] if each["name"] == name)
        source = found.get("secret") or found["configMap"]
        mode = source.get("defaultMode", _DEFAULT_MODE)
        if not self.has_users:
            # The files cannot belong to root, so they are as if the daemon's user owned them.
            return Volume(self.place(name), mode & ~0o077, None)
        return Volume(self.place(name), mode | _GROUP_MAY_READ, self.spec["securityContext"]["fsGroup"])
