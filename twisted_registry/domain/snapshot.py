"""
Snapshots of a model's versions: frozen, so that any thread may read them.
"""

from collections.abc import Mapping

from attrs import field, frozen

from twisted_registry.domain.errors import UnknownVersion
from twisted_registry.domain.models import VersionInfo, VersionKey
from twisted_registry.domain.numbers import VersionNumbers


@frozen
class ModelSnapshot:
    """
    A model's versions at one point in time.

    Attributes:
        model_id: the model's id.
        incarnation: distinguishes a model from a deleted one with the same id.
        numbers: the numbers of all versions.
        held: the infos of the versions in the transient store, including copies of archived ones, by number.
        latest: the latest version's info; ``None`` if there is no version or it was not read from the archive yet.
    """

    model_id: str
    incarnation: int
    numbers: VersionNumbers = field(factory=VersionNumbers)
    held: Mapping[int, VersionInfo] = field(factory=dict)
    latest: VersionInfo | None = None

    def key(self, number: int) -> VersionKey:
        """
        Return the key of one of the model's versions.
        """
        return VersionKey(self.model_id, self.incarnation, number)

    def select(self, selector: int) -> int:
        """
        Return the number of the version that a selector selects: the number itself, or -n for the n-th to last version.

        Raises:
            UnknownVersion: there is no such version.
        """
        if selector == -1 and self.latest is not None:
            return self.latest.version_number
        if selector < 0 and -selector <= len(self.numbers):
            return self.numbers.at(len(self.numbers) + selector)
        if selector in self.numbers:
            return selector
        raise UnknownVersion(self.model_id, selector)
