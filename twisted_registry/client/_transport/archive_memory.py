"""
What a client remembers of the archive it works with, and says with its calls.

So the server can refuse the call where its daemon was started with another archive, and can tell where an archive went
back to an earlier state.
"""

from typing import Any

from attrs import define, field

from twisted_registry.protocol.archive_metadata import ARCHIVE_KEY, ASKED, SEEN_KEY, archive_in

_MOST_MODELS = 1000

Metadata = tuple[tuple[str, str], ...]


@define
class ArchiveMemory:
    """
    An archive's id, and the highest number seen of each of its models.

    Attributes:
        archive_id: empty until a server has told it.
    """

    archive_id: str = ""
    _seen: dict[str, int] = field(factory=dict, repr=False)

    @property
    def metadata(self) -> Metadata:
        """
        What goes with each call.
        """
        return ((ARCHIVE_KEY, self.archive_id or ASKED),)

    def about(self, model_id: str) -> Metadata:
        """
        Return what goes, beside that, with a call that follows a model or creates a version of it.
        """
        seen = self._seen.get(model_id)
        return () if seen is None else ((SEEN_KEY, str(seen)),)

    async def learn(self, call: Any) -> None:
        """
        Remember the archive that has answered a call.  That of one that was refused does not count: it may be the wrong
        one.
        """
        if not self.archive_id:
            told = archive_in(await call.initial_metadata())
            self.archive_id = "" if told == ASKED else told

    def note(self, model_id: str, version_number: int) -> None:
        """
        Remember that a version was seen.  Of very many models those are forgotten that were seen first.
        """
        if version_number > self._seen.get(model_id, 0):
            self._seen[model_id] = version_number
            if len(self._seen) > _MOST_MODELS:
                del self._seen[next(iter(self._seen))]

    def forget(self, model_id: str) -> None:
        """
        Forget what was seen of a model that is gone: one of its name may be made anew.
        """
        self._seen.pop(model_id, None)
