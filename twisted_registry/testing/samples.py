"""
Sample ids, metadata and versions, and the steps to store versions in an archive.
"""

import base64
import hashlib
from collections.abc import Mapping

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.streams import IArchiveWriter
from twisted_registry.domain.models import Chunk, VersionInfo

CREATED_NS = 1_633_119_005_107_454_600

ODD_IDS = (
    *("m", "m-v000001", "m-v000001.yaml", "m.yaml", ".m", "..", ".", "...", "-", "_", "9", "-x", "~", "lost+found"),
    *("a/../../b", "/etc/passwd", "../b", "a/b", "a\\b", "C:", "CON", "nul", ".0", ".reserved", "tmp", "trash"),
    *("%", "%%", "%2E", "%2e", "%252E", "x%2F", " ", " m", "m ", "m.", "a:b", "*", "$HOME", "&", "=", "<<", "null"),
    *("M", "model", "Model", "MODEL", "\u00e9", "e\u0301", "\u00c9", "\u212a", "K", "\u2028", "\U0001f600", "\ufeff"),
    *("a" * 200, "b" * 199 + "-", "9" * 200, "." * 200, "\u00e9" * 100, "\u00e8" * 100, "\U0001f600" * 50, "%" * 200),
)
"""Model ids that a medium could mistake for a path, for another model's file, or for one another."""

ODD_TEXTS = (
    *("", " ", "=", "<<", "~", "null", "1", "1e3", "0x1F", "y", "on", "no", "2021-10-01", "- a", "a: b", "#", "{}"),
    *("\n", "a\nb\n", "\r\n", "\t", "\0", "\x7f", "\x85", "\u2028", "\ufeff", "\U0001f600", "'", '"', "\\n", "a  "),
    *("  a", "|", "word " * 100, "x" * 3000),
)
"""Keys and values of metadata that a file format could mistake for something else."""


def hash_of(data: bytes) -> str:
    """
    Return the SHA-256 of data in standard base64.

    Args:
        data: the bytes to hash.
    """
    return base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")


def version_info(
    model_id: str, number: int, data: bytes, *, archived: bool = True, metadata: Mapping[str, str] | None = None
) -> VersionInfo:
    """
    Return the info of a version.

    Args:
        model_id: the model's id.
        number: the version's number.
        data: the version's data, from which size and SHA-256 are computed.
        archived: whether the version counts as archived.
        metadata: key-value pairs; ``None`` for no pairs.
    """
    return VersionInfo(
        model_id=model_id,
        version_number=number,
        created_ns=CREATED_NS,
        archived=archived,
        sha256=hash_of(data),
        size_bytes=len(data),
        metadata={} if metadata is None else metadata,
    )


def finished(archive: IArchive, model_id: str, data: bytes) -> IArchiveWriter:
    """
    Write a version's data, without the commit.

    Args:
        archive: an open archive.
        model_id: the model's id.
        data: the version's data.

    Returns:
        The writer, ready for the commit.
    """
    writer = archive.create_version(model_id)
    writer.write(Chunk(b"frame" + data, 5))
    writer.finish()
    return writer


def put(archive: IArchive, model_id: str, number: int, data: bytes = b"data") -> VersionInfo:
    """
    Create a version in an archive.

    Args:
        archive: an open archive.
        model_id: the model's id.
        number: the version's number.
        data: the version's data.

    Returns:
        The version's info.
    """
    info = version_info(model_id, number, data)
    finished(archive, model_id, data).commit(info)
    return info


def data_of(archive: IArchive, model_id: str, number: int) -> bytes:
    """
    Return the data of a version, up to 1 MiB.

    Args:
        archive: an open archive.
        model_id: the model's id.
        number: the version's number.
    """
    reader = archive.open_version(model_id, number)
    try:
        return reader.read(2**20)
    finally:
        reader.close()
