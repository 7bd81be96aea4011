"""
Tests for ``twisted_registry.application.followers``.
"""

from contextlib import ExitStack

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.application.followers import Follower, Followers, Following
from twisted_registry.domain.errors import InvalidRequest


class FollowersTests(SynchronousTestCase):
    """
    Streams are listed while they are under way.
    """

    def setUp(self) -> None:
        """
        Begin streams about models.
        """
        self.now_ns = 100
        self.followers = Followers(lambda: self.now_ns)
        self.streams = ExitStack()
        self.addCleanup(self.streams.close)
        self.walker = self.begin("walker")
        self.all = self.begin("", may_read=lambda model_id: model_id != "hidden")
        self.team = self.begin("", prefix="team/")
        self.second = self.begin("walker")
        self.hidden = self.begin("hidden")

    def begin(self, model_id: str, **fields: object) -> Follower:
        """
        Begin a stream.
        """
        following = Following(model_id, "VersionUpdate", "token:actor", "ipv4:192.0.2.7:5000", **fields)  # type: ignore[arg-type]
        return self.streams.enter_context(self.followers.add(following))

    def listed(self, model_id: str) -> list[Follower]:
        """
        List the streams that show a model.
        """
        return list(self.followers.page(model_id, 100, "").followers)

    def test_of_model(self) -> None:
        """
        Those of a model are those about it alone, and those about several that show it to their client.
        """
        self.assertEqual(self.listed("walker"), [self.walker, self.all, self.second])
        self.assertEqual(self.listed("team/a"), [self.all, self.team])
        self.assertEqual(self.listed("hidden"), [self.hidden])
        self.assertEqual(self.listed(""), [self.walker, self.all, self.team, self.second, self.hidden])

    def test_visible(self) -> None:
        """
        A list of all streams has those that may be seen.
        """
        page = self.followers.page("", 100, "", lambda following: following.scope.text == "walker")
        self.assertEqual((list(page.followers), page.total), ([self.walker, self.second], 2))

    def test_pages(self) -> None:
        """
        Pages go on where the one before has ended, whatever has ended meanwhile.
        """
        first = self.followers.page("walker", 1, "")
        self.assertEqual((list(first.followers), first.total), ([self.walker], 3))
        second = self.followers.page("walker", 2, first.next_token)
        self.assertEqual((list(second.followers), second.next_token), ([self.all, self.second], ""))
        self.streams.close()
        ended = self.followers.page("walker", 2, first.next_token)
        self.assertEqual((list(ended.followers), ended.next_token, ended.total), ([], "", 0))
        for token in ("x", "-1", "\u0663", "1" * 30):
            self.assertRaises(InvalidRequest, self.followers.page, "walker", 1, token)

    def test_sent(self) -> None:
        """
        The last version is known of a stream about one model, and of all streams when they were sent something.
        """
        self.assertEqual((self.walker.began_ns, self.walker.last_number, self.walker.last_ns), (100, 0, 0))
        self.now_ns = 200
        for follower in (self.walker, self.all):
            follower.note_sent(7)
        self.now_ns = 300
        self.walker.note_sent()
        self.assertEqual((self.walker.last_number, self.walker.last_ns), (7, 300))
        self.assertEqual((self.all.last_number, self.all.last_ns), (0, 200))
