"""
The contracts of quotas: what the edge asks before it serves a call.
"""

from collections.abc import Callable

from zope.interface import Attribute, Interface

from twisted_registry.domain.access import Identity


class IMeter(Interface):
    """
    The quotas of calls and bytes a second that one call is subject to.
    """

    counts_bytes: bool = Attribute("Whether one of them limits bytes.")

    def take_call(upload_bytes: int | None = None) -> None:
        """
        Count the call, and the data of its upload as ``take_bytes`` does.

        Args:
            upload_bytes: how many bytes it uploads; ``None`` if it is not an upload.

        Raises:
            QuotaExceeded: a quota does not permit it now; nothing was counted.
        """

    def take_bytes(size_bytes: int) -> None:
        """
        Count data in advance.  If a quota permits any data now, it permits all of it, and less afterwards.

        Args:
            size_bytes: how many bytes.

        Raises:
            QuotaExceeded: a quota permits no data now; nothing was counted.
        """

    def count_bytes(size_bytes: int) -> float:
        """
        Count data that is sent in any case.

        Args:
            size_bytes: how many bytes.

        Returns:
            How many seconds the sender should wait before it sends more; 0 if it need not.
        """

    def return_bytes(size_bytes: int) -> None:
        """
        Take back data that was counted and did not come.

        Args:
            size_bytes: how many bytes.
        """


class IRateQuotas(Interface):
    """
    The quotas of calls and bytes a second.  Used in the edge's thread.
    """

    def meter(identity: Identity, model_id: Callable[[], str | None]) -> IMeter | None:
        """
        Return the quotas of a call.

        Args:
            identity: who makes it.
            model_id: returns the id of the model that the call is about, ``None`` for no single one; called only if a
                quota depends on it.

        Returns:
            ``None`` if no quota limits the call.
        """
