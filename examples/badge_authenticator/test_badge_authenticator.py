"""
The contract of authenticators, on badges.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

from badge_authenticator import BadgeAuthenticator, make_badge

from twisted_registry.domain.access import Credentials
from twisted_registry.testing import AuthenticatorContract

KEY = b"a key that is long enough to keep"
SOON = int(time.time()) + 600


class BadgeTests(AuthenticatorContract, TestCase):
    """
    The contract.
    """

    def make_authenticator(self) -> BadgeAuthenticator:
        path = Path(self.enterContext(TemporaryDirectory())) / "badge.key"
        path.write_bytes(KEY)
        return BadgeAuthenticator(str(path))

    def valid_credentials(self) -> Credentials:
        return Credentials(make_badge(KEY, "ann", SOON))

    def invalid_credentials(self) -> Sequence[Credentials]:
        ended, forged = make_badge(KEY, "ann", 1), make_badge(b"another key", "ann", SOON)
        return [Credentials(ended), Credentials(forged), Credentials("badge-ann")]
