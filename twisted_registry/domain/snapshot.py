"""
Snapshots of a model's versions: frozen, so that any thread may read them.
"""

from collections.abc import Mapping

from attrs import field, frozen

from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.errors import UnknownAlias, UnknownVersion
from twisted_registry.domain.models import VersionInfo, VersionKey
from twisted_registry.domain.numbers import VersionNumbers
from twisted_registry.domain.references import Reference


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
        aliases: the last move of each alias.
        annotated: the labels and metrics of the transient versions that have any, by number.
    """

    model_id: str
    incarnation: int
    numbers: VersionNumbers = field(factory=VersionNumbers)
    held: Mapping[int, VersionInfo] = field(factory=dict)
    latest: VersionInfo | None = None
    aliases: Mapping[str, AliasMove] = field(factory=dict)
    annotated: Mapping[int, Annotations] = field(factory=dict)

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

    def resolve(self, reference: Reference) -> int:
        """
        Return the number of the version that a reference names; the latest if it names a model.

        Raises:
            UnknownAlias: there is no such alias.
            UnknownVersion: there is no such version.
        """
        if reference.alias is None:
            return self.select(reference.version)
        move = self.aliases.get(reference.alias)
        if move is None:
            raise UnknownAlias(self.model_id, reference.alias)
        return self.select(move.to_number)
