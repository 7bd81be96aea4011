"""
Settings of storage: where versions are kept.
"""

from attrs import frozen

from twisted_registry.config.descriptions import escape
from twisted_registry.config.setting import setting
from twisted_registry.config.values import DESCRIPTION, DIRECTORY, SWITCH, whole


@frozen
class StorageSettings:
    """
    Settings of storage.

    Attributes:
        archive_dir: the directory of a filesystem archive.
        archive: the description of any other archive; ``None`` for ``archive_dir``.
        archive_must_exist: whether the daemon refuses to create an archive.
        min_free_bytes: the least space on the archive's disk with which writes are reported as served; ``None`` for
            the default, 0 for no limit.
        transient: the description of the transient store.
    """

    archive_dir: str = setting(
        "archive-dir",
        DIRECTORY,
        "directory of the archive, created if missing; short for --archive filesystem:DIRECTORY, and cannot be "
        "combined with it",
        ".cogment_model_registry",
    )
    archive: str | None = setting(
        "archive",
        DESCRIPTION,
        "where archived versions are kept, as NAME:ARGUMENTS of an installed storage provider; a ':', '=' or backslash "
        "inside an argument needs a backslash before it; the option threads=N sets how many threads call the provider",
        None,
        "filesystem:.cogment_model_registry",
        excludes="archive-dir",
    )
    archive_must_exist: bool = setting(
        "archive-must-exist",
        SWITCH,
        "start only if the archive exists already, so that a disk that is not mounted is noticed",
        False,
        "off",
    )
    min_free_bytes: int | None = setting(
        "min-free-bytes",
        whole(0, 2**63 - 1, " of bytes"),
        "health checks of writes fail while less space than this is free on the archive's disk; the log warns at twice "
        "as much; 0 switches both off; nothing is refused before the disk is full",
        None,
        "1 GiB, or a twentieth of a smaller disk",
    )
    transient: str = setting(
        "transient", DESCRIPTION, "where transient versions are kept, written like --archive", "memory"
    )

    @property
    def archive_description(self) -> str:
        """
        The description of the archive.
        """
        return self.archive or f"filesystem:{escape(self.archive_dir)}"
