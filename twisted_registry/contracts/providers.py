"""
The contracts of plugins.
"""

from zope.interface import Attribute, Interface

from twisted_registry.contracts.access import IAuthenticator
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.transient import ITransientStore, TransientBudget


class IArchiveProvider(Interface):
    """
    A plugin that makes archives from descriptions such as ``filesystem:/data``.
    """

    name: str = Attribute("The part of the description before the first colon.")

    def create_archive(*arguments: str, **options: str) -> IArchive:
        """
        Make an archive without opening it.  Touches nothing on the medium.

        Args:
            arguments: the parts of the description after the name, which are separated by colons.
            options: the parts that have the form ``name=value``, except ``threads``.  A provider that annotates its
                arguments with other types, such as ``int``, gets values of these types.

        Returns:
            An archive that is not open yet.

        Raises:
            CannotStart: the description is invalid.
        """


class ITransientProvider(Interface):
    """
    A plugin that makes transient stores from descriptions such as ``memory``.
    """

    name: str = Attribute("The part of the description before the first colon.")

    def create_transient_store(budget: TransientBudget, *arguments: str, **options: str) -> ITransientStore:
        """
        Make a transient store.  Touches nothing on the medium.

        Args:
            budget: how much the store may hold.
            arguments: the parts of the description after the name, which are separated by colons.
            options: the parts that have the form ``name=value``, except ``threads``.  A provider that annotates its
                arguments with other types, such as ``int``, gets values of these types.

        Returns:
            An empty store.

        Raises:
            CannotStart: the description is invalid.
        """


class IAuthenticatorProvider(Interface):
    """
    A plugin that makes authenticators from descriptions such as ``ldap:ldaps\\://ldap.example.com``.
    """

    name: str = Attribute(
        "The part of the description before the first colon, and the kind of the identities: ``ldap`` in ``ldap:ann``."
    )

    def create_authenticator(*arguments: str, **options: str) -> IAuthenticator:
        """
        Make an authenticator.  Touches neither files nor the network: the daemon also calls this to check its settings.

        Args:
            arguments: the parts of the description after the name, which are separated by colons.
            options: the parts that have the form ``name=value``.  A provider that annotates its arguments with other
                types, such as ``int``, gets values of these types.

        Returns:
            The authenticator.  The kind of its identities is the provider's name; that of their groups is too, or ends
            with ``-group``, as in ``ldap-group:ml``.

        Raises:
            CannotStart: the description is invalid.
        """
