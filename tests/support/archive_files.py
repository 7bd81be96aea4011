"""
Archives laid out by hand, as the existing server writes them.
"""

from pathlib import Path

from tests.support.client import data_hash


def write_model(archive: Path, model_id: str, yaml: str | None = None) -> Path:
    """
    Lay out a model whose id is its own folder's name.

    Args:
        yaml: its metadata, where that is not to be as it should.

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
    Give the metadata of a version.
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
    Lay out a version.

    Args:
        yaml: its metadata, where that is not to be as it should.

    Returns:
        its data's file; its metadata has the same name with another suffix.
    """
    path = folder / f"{folder.name}-v{number:06d}.data"
    path.write_bytes(data)
    path.with_suffix(".yaml").write_text(version_yaml(folder.name, number, data) if yaml is None else yaml)
    return path


def all_files(archive: Path) -> list[str]:
    """
    Give the paths of all files in an archive, hidden ones too, ordered.
    """
    return sorted(str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file())


def temp_files(archive: Path) -> list[Path]:
    """
    Give the files that are not under their names yet, or no longer.
    """
    paths = [*archive.glob(".0/*/**/*"), *archive.glob("*/.new-*")]
    return [path for path in paths if path.is_file()]
