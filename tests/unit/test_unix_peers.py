"""
Tests for ``twisted_registry.access.unix_peers``.
"""

import os
import pwd
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.access import Grants, NamedTokens, grant
from twisted_registry.access.callers import Callers
from twisted_registry.access.unix_peers import UnixPeers, overflow_number
from twisted_registry.contracts.execution import INonBlocking
from twisted_registry.domain.access import ANONYMOUS, Credentials, Identity, UnixUser
from twisted_registry.domain.errors import NotAuthenticated

NOBODY = 65534
USERS = {1000: "ann", 1001: "1000", 1002: "a\nb"}
GROUPS = {50: "ml", 51: "50"}


class UnixPeersTests(SynchronousTestCase):
    """
    ``UnixPeers`` names users of this machine.
    """

    def setUp(self) -> None:
        """
        Make an authenticator with three users and two groups.
        """
        self.users: dict[int, str] = dict(USERS)
        self.now_seconds = 100.0
        self.peers = UnixPeers(
            self.users.__getitem__, GROUPS.__getitem__, lambda name: NOBODY, lambda: self.now_seconds
        )

    def identity(self, uid: int, *gids: int) -> Identity | None:
        """
        Return the identity of a user.
        """
        return self.peers.authenticate(Credentials(unix_user=UnixUser(uid, gids)))

    def groups(self, uid: int, *gids: int) -> set[str]:
        """
        Return the further subjects of a user.
        """
        identity = self.identity(uid, *gids)
        assert identity is not None
        return set(identity.groups)

    def test_names(self) -> None:
        """
        A user has its name, or its number if it has none, and is in the policy by number too.
        """
        identity = self.identity(1000)
        assert identity is not None
        self.assertEqual((identity.subject, identity.groups), ("unix:ann", ("unix:1000",)))
        nameless = self.identity(7)
        assert nameless is not None
        self.assertEqual((nameless.subject, nameless.groups), ("unix:7", ()))

    def test_groups(self) -> None:
        """
        Groups are in the policy by name and by number.
        """
        self.assertEqual(self.groups(7, 50, 60), {"unix-group:ml", "unix-group:50", "unix-group:60"})

    def test_misleading_names(self) -> None:
        """
        A name of digits does not pass for another number, and a name with a line break is not used.
        """
        for uid in (1001, 1002):
            identity = self.identity(uid)
            assert identity is not None
            self.assertEqual(identity.subject, f"unix:{uid}")
        self.assertEqual(self.groups(7, 51), {"unix-group:51"})

    def test_other_namespace(self) -> None:
        """
        A user or a group that does not exist in this user namespace has no identity.
        """
        self.assertIsNone(self.identity(NOBODY, 50))
        self.assertEqual(self.groups(7, NOBODY), set())

    def test_other_connections(self) -> None:
        """
        A connection that is not one of the Unix socket is not known.
        """
        self.assertIsNone(self.peers.authenticate(Credentials("token")))

    def test_names_are_looked_up_again(self) -> None:
        """
        After a minute, a user is looked up again, in a thread that may block.
        """
        self.assertFalse(INonBlocking.providedBy(self.peers))
        callers = Callers([self.peers], Grants(), lambda: self.now_seconds)
        credentials = Credentials(unix_user=UnixUser(1000))
        self.assertIsNone(callers.known_caller(credentials))
        self.assertEqual(callers.find_caller(credentials).identity.name, "ann")
        self.users[1000] = "bob"
        self.now_seconds += 59
        known = callers.known_caller(credentials)
        assert known is not None
        self.assertEqual(known.identity.name, "ann")
        self.now_seconds += 2
        self.assertIsNone(callers.known_caller(credentials))
        self.assertEqual(callers.find_caller(credentials).identity.name, "bob")

    def test_databases_of_the_system(self) -> None:
        """
        By default the names are the system's.
        """
        identity: Any = UnixPeers().authenticate(Credentials(unix_user=UnixUser(os.getuid())))
        self.assertEqual(identity.name, pwd.getpwuid(os.getuid()).pw_name)

    def test_overflow_number(self) -> None:
        """
        The number of users of other namespaces is the kernel's; Linux' default if it cannot be read.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "overflowuid").write_text("99\n")
        self.assertEqual(overflow_number("overflowuid", folder), 99)
        self.assertEqual(overflow_number("overflowgid", folder), NOBODY)


class TokenAndUserTests(SynchronousTestCase):
    """
    A token that comes through the Unix socket.
    """

    def callers(self, **by_subject: Any) -> Callers:
        """
        Return callers with one token and one user.
        """
        policy = Grants(by_subject={subject.replace("_", ":"): grants for subject, grants in by_subject.items()})
        tokens = NamedTokens(names={"ci": None})
        return Callers([tokens, UnixPeers(USERS.__getitem__, GROUPS.__getitem__, lambda name: NOBODY)], policy)

    def test_user_without_grants(self) -> None:
        """
        The token counts if the user has no grants.
        """
        callers = self.callers(token_ci=[grant("reader", "*")])
        caller = callers.find_caller(Credentials("ci", unix_user=UnixUser(1000)))
        self.assertEqual(caller.identity.subject, "token:ci")

    def test_user_with_grants(self) -> None:
        """
        A token and a user who both have grants are refused.
        """
        callers = self.callers(token_ci=[grant("reader", "*")], unix_ann=[grant("admin", "*")])
        error = self.assertRaises(NotAuthenticated, callers.find_caller, Credentials("ci", unix_user=UnixUser(1000)))
        self.assertIn("token:ci and unix:ann", str(error))

    def test_user_of_another_namespace(self) -> None:
        """
        It is a caller without credentials, and may send a token.
        """
        callers = self.callers()
        nobody = UnixUser(NOBODY)
        self.assertEqual(callers.find_caller(Credentials(unix_user=nobody)).identity, ANONYMOUS)
        self.assertEqual(callers.find_caller(Credentials("ci", unix_user=nobody)).identity.subject, "token:ci")
