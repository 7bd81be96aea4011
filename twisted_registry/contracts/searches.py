"""
The contract of searches among the versions of a model, for the edges.
"""

from twisted.internet.defer import Deferred
from zope.interface import Interface

from twisted_registry.contracts.execution import ISerialExecutor
from twisted_registry.domain.query import Order
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.domain.version_index import VersionIndex


class ISearches(Interface):
    """
    The indexes in which versions are found.
    """

    def version_index(snapshot: ModelSnapshot, order: Order) -> VersionIndex | None:
        """
        Return the index of a model as it is now.  May be called in any thread.

        Args:
            snapshot: the model.
            order: an order that the index is to have.

        Returns:
            ``None`` if the index, or this order of it, is not in memory.
        """

    def index_progress(snapshot: ModelSnapshot) -> tuple[int, int]:
        """
        Return how many versions of a model were read for its index so far, and how many it has.  May be called in any
        thread.

        Args:
            snapshot: the model.
        """

    def load_version_index(snapshot: ModelSnapshot, order: Order) -> Deferred[VersionIndex]:
        """
        Make the index of a model, or one more order of it, unless it is in memory.  The archive is read in the
        background.  From then on the index is kept current, until others need its memory.  Called in the reactor's
        thread.

        Args:
            snapshot: the model.
            order: an order that the index is to have.

        Returns:
            Fires with the index, without damaged versions; fails with ``UnknownModel`` if the model was deleted, with
            ``TooLarge`` if its versions do not fit into the memory for indexes, with ``Unavailable`` if too many
            searches of the model wait already, or with ``StorageFailure``.
        """

    def search_executor() -> ISerialExecutor:
        """
        Make an executor for the work of one search.  May be called in any thread.

        Returns:
            An executor without jobs.
        """
