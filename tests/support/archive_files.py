"""
Archives with files as the existing registry writes them.
"""

import os
from pathlib import Path

from tests.support.client import data_hash


def write_model(archive: Path, model_id: str, yaml: str | None = None) -> Path:
    """
    Write a model whose id is its own folder's name.

    Args:
        yaml: the content of its .yaml; by default a valid one.

    Returns:
        its folder.
    """
    folder = archive / model_id
    folder.mkdir(parents=True)
    if yaml is None:
        yaml = f"model_id: {model_id}\nuser_data: {{}}\n"
    (folder / f"{model_id}.yaml").write_text(yaml)
    return folder


def version_yaml(model_id: str, number: int, data: bytes, user_data: str = "{}") -> str:
    """
    Return the content of a version's .yaml.
    """
    return (
        f"model_id: {model_id}\n"
        f"version_number: {number}\n"
        "creation_timestamp: 2021-10-01T22:10:05.1074546+02:00\n"
        f"data_hash: {data_hash(data)}\n"
        f"data_size: {len(data)}\n"
        f"user_data: {user_data}\n"
    )


def write_version(folder: Path, number: int, data: bytes, yaml: str | None = None) -> Path:
    """
    Write a version.

    Args:
        yaml: the content of its .yaml; by default a valid one.

    Returns:
        the path of its data; the path of its .yaml differs only in the suffix.
    """
    path = folder / f"{folder.name}-v{number:06d}.data"
    path.write_bytes(data)
    path.with_suffix(".yaml").write_text(version_yaml(folder.name, number, data) if yaml is None else yaml)
    return path


def all_files(archive: Path) -> list[str]:
    """
    Return the paths of all files in an archive, including hidden ones, sorted.
    """
    return sorted(str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file())


def temp_files(archive: Path) -> list[Path]:
    """
    Return the temp files, and the files in the private folder's subfolders.
    """
    # Not by a glob, which fails if a directory is removed meanwhile.
    private = [Path(folder, name) for folder, _, names in os.walk(archive / ".0") for name in names]
    nested = [path for path in private if len(path.relative_to(archive).parts) > 2]
    return [*nested, *(path for path in archive.glob("*/.new-*") if path.is_file())]


def leftover_marks(archive: Path) -> list[str]:
    """
    Return the paths of what deletions and promotions leave until it is removed: marks, and annotations of versions that
    do not exist.
    """
    marks = [path for pattern in ("*/.deleted-*", "*/.promoting-*") for path in archive.glob(pattern)]
    annotations = [path for path in archive.glob("*/.annotations-*") if not _version_exists(path)]
    return sorted(str(path.relative_to(archive)) for path in (*marks, *annotations))


def _version_exists(annotations: Path) -> bool:
    folder, number = annotations.parent, annotations.name.rpartition("-")[2]
    return (folder / f"{folder.name}-v{number}.yaml").exists()
