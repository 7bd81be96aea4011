"""
Large archives, laid out as if they had been there for long: nothing is synced, and data is shared by links.
"""

import hashlib
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from attrs import evolve

from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.annotations import format_annotations
from twisted_registry.storage.filesystem.layout import model_folder
from twisted_registry.storage.filesystem.metadata import dump_model, dump_version

_DATA = b"0123456789abcdef" * 64
_CREATED_NS = 1_600_000_000_000_000_000
_MOST_LINKS = 50_000


def lay_out_model(archive: Path, model_id: str, versions: int) -> None:
    """
    Lay out a model, and versions of a kilobyte.
    """
    folder = model_folder(str(archive), model_id)
    os.makedirs(folder.path)
    Path(folder.yaml).write_bytes(dump_model(ModelInfo(model_id)))
    data_hash = b64encode(hashlib.sha256(_DATA).digest()).decode()
    info = VersionInfo(model_id, 1, _CREATED_NS, True, data_hash, len(_DATA))
    for number in range(1, versions + 1):
        data = folder.version_data(number)
        if number % _MOST_LINKS == 1 or versions == 1:
            Path(data).write_bytes(_DATA)
            first = data
        else:
            os.link(first, data)
        Path(folder.version_yaml(number)).write_bytes(dump_version(evolve(info, version_number=number)))


def lay_out_annotations(
    archive: Path, model_id: str, versions: int, annotations_of: Callable[[int], Annotations]
) -> None:
    """
    Lay out the labels and metrics of a model's versions.

    Args:
        annotations_of: returns those of a version.
    """
    folder = model_folder(str(archive), model_id)
    for number in range(1, versions + 1):
        content = format_annotations(annotations_of(number))
        Path(folder.path, folder.annotations_name(number)).write_bytes(content)


def lay_out_models(archive: Path, count: int) -> None:
    """
    Lay out models of a version each.
    """
    for number in range(count):
        lay_out_model(archive, f"model-{number:06}", 1)
