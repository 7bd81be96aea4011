"""
A client's memory of the archive that it works with, sent with its calls.

With it the server refuses a call if its daemon was started with another archive, and notices an archive that was reset
to an earlier state.
"""

from typing import Any

from attrs import define, field

from twisted_registry.protocol.call_metadata import ARCHIVE_KEY, ASKED, SEEN_KEY, archive_in

_MOST_MODELS = 1000

Metadata = tuple[tuple[str, str], ...]


@define
class ArchiveMemory:
    """
    An archive's id, and the highest version number seen of each of its models.

    Attributes:
        archive_id: empty until a server has sent it.
    """

    archive_id: str = ""
    _seen: dict[str, int] = field(factory=dict, repr=False)

    @property
    def metadata(self) -> Metadata:
        """
        The metadata of each call.
        """
        return ((ARCHIVE_KEY, self.archive_id or ASKED),)

    def metadata_about(self, model_id: str) -> Metadata:
        """
        Return the additional metadata of a call that follows a model or creates a version of it.
        """
        seen = self._seen.get(model_id)
        return () if seen is None else ((SEEN_KEY, str(seen)),)

    async def learn(self, call: Any) -> None:
        """
        Remember the archive that answered a call, if none is known.  Call this only after a call that succeeded: a
        server that refuses a call may have the wrong archive.
        """
        if not self.archive_id:
            found = archive_in(await call.initial_metadata())
            self.archive_id = "" if found == ASKED else found

    def saw(self, model_id: str, version_number: int) -> None:
        """
        Remember that a version was seen.  If there are very many models, the one seen first is forgotten.
        """
        if version_number > self._seen.get(model_id, 0):
            self._seen[model_id] = version_number
            if len(self._seen) > _MOST_MODELS:
                del self._seen[next(iter(self._seen))]

    def forget(self, model_id: str) -> None:
        """
        Forget a deleted model: one with the same name may be created again.
        """
        self._seen.pop(model_id, None)
