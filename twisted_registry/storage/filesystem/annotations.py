"""
The labels and metrics of versions, a hidden file each: ``.annotations-<number>``.

They are apart from the version's .yaml because they may change, and the .yaml never does.  Damage to such a file
concerns nothing else: the version can be read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import CorruptAnnotations, UnknownVersion, shown
from twisted_registry.storage.filesystem.documents import format_document, parse_document
from twisted_registry.storage.filesystem.failures import (
    Malformed,
    is_absent,
    is_link_loop,
    reading,
    unreadable,
    writing,
)
from twisted_registry.storage.filesystem.layout import ModelFolder
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import lexists, within


@frozen(eq=False)
class AnnotationFiles:
    """
    The part of an archive that keeps labels and metrics.  Its methods may be called in any thread.
    """

    _staging: StagingArea
    _models: ModelFolders

    def load(self, model_id: str, numbers: Sequence[int]) -> list[Annotations | CorruptAnnotations]:
        """
        See ``IAnnotationStore.load_annotations``.
        """
        with reading(f"the labels and metrics of model {shown(model_id)}"), self._models.open(model_id) as folder:
            return [self._load(folder, model_id, number) for number in numbers]

    def _load(self, folder: ModelFolder, model_id: str, number: int) -> Annotations | CorruptAnnotations:
        try:
            content = read_metadata(self._staging.system, within(folder.path, folder.annotations_name(number)))
            return parse_annotations(content)
        except Malformed as error:
            return CorruptAnnotations(model_id, number, error.reason)
        except OSError as error:
            if is_absent(error):
                return NO_ANNOTATIONS
            if is_link_loop(error):
                return CorruptAnnotations(model_id, number, unreadable(error))
            raise

    def save(self, model_id: str, number: int, annotations: Annotations) -> None:
        """
        See ``IAnnotationStore.save_annotations``.
        """
        with writing(), self._models.open_existing(model_id) as folder:
            if not lexists(self._staging.system, folder.version_yaml(number)):
                raise UnknownVersion(model_id, number)
            self._staging.replace_file(folder.handle, folder.annotations_name(number), format_annotations(annotations))

    def create(self, folder: ModelFolder, number: int, annotations: Annotations) -> None:
        """
        Write the annotations of a version that does not exist yet.  The caller syncs the folder.

        Raises:
            OSError: they cannot be written.
        """
        temp_name = self._staging.write_temp_file(folder.handle, format_annotations(annotations))
        self._staging.install(folder.handle, temp_name, folder.annotations_name(number))

    def discard(self, folder: ModelFolder, number: int) -> bool:
        """
        Remove the annotations of a version that does not exist.  Never raises.

        Returns:
            whether nothing is left.
        """
        return self._staging.discard(folder.handle, folder.annotations_name(number))


def format_annotations(annotations: Annotations) -> bytes:
    """
    Return the content of the file.
    """
    return format_document({"labels": dict(annotations.labels), "metrics": dict(annotations.metrics)})


def parse_annotations(content: bytes) -> Annotations:
    """
    Parse the content of the file.

    Raises:
        Malformed: it is damaged.
    """
    values = parse_document(content)
    try:
        return Annotations(_pairs(values["labels"], str), _numbers(values["metrics"]))
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        raise Malformed("it does not hold labels and metrics") from None


def _pairs(values: Mapping[str, Any], *kinds: type) -> dict[str, Any]:
    if not all(isinstance(value, kinds) for value in values.values()):
        raise TypeError
    return dict(values)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in _pairs(values, int, float).items()}
