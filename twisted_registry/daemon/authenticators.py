"""
Authenticators of plugins, chosen by a description such as ``ldap:ldaps\\://ldap.example.com``.
"""

from collections.abc import Callable

from attrs import frozen
from twisted.plugin import IPlugin
from zope.interface import implementer

from twisted_registry.access.plugin_identities import PluginIdentities
from twisted_registry.access.policy.subject_map import ANYONE
from twisted_registry.access.policy.subjects import KINDS
from twisted_registry.config.descriptions import parse_description
from twisted_registry.contracts.access import IAuthenticator
from twisted_registry.contracts.providers import IAuthenticatorProvider
from twisted_registry.daemon.factories import (
    FindPlugins,
    call_factory,
    check_complete,
    choose_provider,
    import_factory,
)
from twisted_registry.daemon.plugins import installed_plugins
from twisted_registry.domain.access import ANONYMOUS_KIND, SERVER_KIND
from twisted_registry.domain.errors import CannotStart, shown

_WHAT = "authenticator"


@implementer(IPlugin, IAuthenticatorProvider)
@frozen
class LazyAuthenticatorProvider:
    """
    A provider of authenticators whose code is imported when one is made.

    Attributes:
        name: the name in descriptions, and the kind of the identities.
        factory_name: the dotted name of a function or class that takes a description's arguments and makes an
            authenticator.
    """

    name: str
    factory_name: str

    def create_authenticator(self, /, *arguments: str, **options: str) -> IAuthenticator:
        """
        Make an authenticator.

        Raises:
            CannotStart: the description is not valid.
        """
        factory: Callable[..., IAuthenticator] = import_factory(self.name, self.factory_name, _WHAT)
        return call_factory(factory, (), self.name, arguments, options, _WHAT)


def create_authenticator(description: str, find_plugins: FindPlugins = installed_plugins) -> PluginIdentities:
    """
    Make the authenticator of a description.

    Raises:
        CannotStart: the description is not valid, or no installed provider has its name.
    """
    parsed = parse_description(description)
    provider = choose_provider(_WHAT, parsed, find_plugins(IAuthenticatorProvider))
    if parsed.name in (*KINDS, ANYONE, ANONYMOUS_KIND, SERVER_KIND):
        raise CannotStart(f"the {_WHAT} {shown(parsed.name)} has the name of a built-in kind of callers; rename it")
    made = call_factory(provider.create_authenticator, (), parsed.name, parsed.arguments, parsed.options, _WHAT)
    check_complete(_WHAT, description, made, IAuthenticator)
    return PluginIdentities(parsed.name, made)
