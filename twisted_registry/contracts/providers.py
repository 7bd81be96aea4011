"""
The contracts of plugins that offer storage.
"""

from zope.interface import Attribute, Interface

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.transient import ITransientStore, TransientBudget


class IArchiveProvider(Interface):
    """
    A plugin that makes archives from descriptions such as ``filesystem:/data``.
    """

    name: str = Attribute("The part of the description before the first colon.")

    def create_archive(*arguments: str, **options: str) -> IArchive:
        """
        Make an archive, not opened yet.  Touches nothing.

        Args:
            arguments: the parts of the description after the name, as between colons.
            options: those parts that have the form ``name=value``.

        Raises:
            CannotStart: the description makes no sense.
        """


class ITransientProvider(Interface):
    """
    A plugin that makes transient stores from descriptions such as ``memory``.
    """

    name: str = Attribute("The part of the description before the first colon.")

    def create_transient_store(budget: TransientBudget, *arguments: str, **options: str) -> ITransientStore:
        """
        Make a transient store.  Touches nothing.

        Args:
            arguments: the parts of the description after the name, as between colons.
            options: those parts that have the form ``name=value``.

        Raises:
            CannotStart: the description makes no sense.
        """
