"""
The plugin that offers ``badge_authenticator`` to the daemon: ``twistd model-registry --authenticator badge:badge.key``.

Every twistd on the machine imports this module, so it imports almost nothing.
"""

from twisted_registry.daemon.authenticators import LazyAuthenticatorProvider

badge = LazyAuthenticatorProvider("badge", "badge_authenticator.BadgeAuthenticator")
