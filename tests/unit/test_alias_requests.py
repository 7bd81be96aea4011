"""
Tests of requests for moves of aliases that are repeated, and of the number of aliases.
"""

from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.runtimes import DeferredRuntime, TwistedDriver
from twisted_registry.application.aliases import Aliases
from twisted_registry.application.queries import Queries
from twisted_registry.contracts.application import IRuntime
from twisted_registry.domain.aliases import (
    MAX_ALIASES_PER_MODEL,
    AliasMove,
    AliasRequest,
    AliasState,
    apply_move,
    check_alias_count,
)
from twisted_registry.domain.creation import CreationDetails
from twisted_registry.domain.errors import AliasMoved, InvalidRequest, TooManyAliases, UnknownAlias, UnknownVersion
from twisted_registry.domain.events import AliasChanged
from twisted_registry.domain.idempotency import KEY_SECONDS
from twisted_registry.domain.models import VersionHeader
from twisted_registry.domain.references import Reference
from twisted_registry.registry.alias_requests import AliasRequests


def uuid(number: int) -> str:
    """
    Return a UUID.
    """
    return str(UUID(int=number, version=4))


ONE, TWO = uuid(1), uuid(2)


class RequestTests(SynchronousTestCase):
    """
    The ids of requests.
    """

    def test_ids(self) -> None:
        """
        A UUID in any case is an id, and none means that the request cannot be recognized.
        """
        self.assertIsNone(AliasRequest.of("", "set"))
        upper, lower = AliasRequest.of(ONE.upper(), "set", 1), AliasRequest.of(ONE, "set", 1)
        self.assertEqual((upper, lower and lower.request_id), (lower, ONE))

    def test_malformed(self) -> None:
        """
        Anything else is refused.
        """
        for text in (
            "1",
            ONE[:-1],
            f"{ONE}0",
            ONE.replace("-", ""),
            f"{{{ONE}}}",
            str(UUID(int=0)),
            "é" * 36,
            f"{ONE}\n",
        ):
            self.assertRaises(InvalidRequest, AliasRequest.of, text, "set")

    def test_content(self) -> None:
        """
        Requests with the same id that ask for anything else differ.
        """
        contents = [("set", "m@1", "a", None, ""), ("set", "m@1", "a", 0, ""), ("set", "m@1", "a", None, "0"), ("set",)]
        requests = [AliasRequest.of(ONE, *content) for content in contents]
        self.assertEqual(len(set(requests)), len(contents))


class BoundTests(SynchronousTestCase):
    """
    The memory for requests.
    """

    def setUp(self) -> None:
        """
        Make a memory of three requests.
        """
        self.seconds = 10 * KEY_SECONDS
        self.requests = AliasRequests(lambda: self.seconds * 10**9, 3)

    def move(self, number: int) -> AliasMove:
        """
        Return a move, made now, whose request has a certain number.
        """
        return AliasMove("a", 0, number, self.seconds * 10**9, request=AliasRequest.of(uuid(number), number))

    def known(self) -> list[int]:
        """
        Return the numbers of the requests that are known.
        """
        return [n for n in range(1, 9) if self.requests.find(1, AliasRequest.of(uuid(n), n)) is not None]

    def test_oldest(self) -> None:
        """
        The oldest are forgotten.
        """
        for number in range(1, 6):
            move = self.move(number)
            self.requests.add(1, move.request, move)
        self.assertEqual(self.known(), [3, 4, 5])

    def test_day(self) -> None:
        """
        They are known for a day, from the history as well.
        """
        self.requests.load(1, [self.move(1)])
        self.seconds += KEY_SECONDS - 1
        yesterday = self.move(2)
        self.assertEqual(self.known(), [1])
        self.seconds += 1
        self.requests.load(1, [yesterday, AliasMove("a", 0, 3, self.seconds * 10**9)])
        self.assertEqual(self.known(), [2])
        self.seconds += KEY_SECONDS
        self.requests.load(1, [yesterday])
        self.assertEqual(self.known(), [])

    def test_models(self) -> None:
        """
        The same id of another model is another request.
        """
        move = self.move(1)
        self.requests.add(2, move.request, move)
        self.assertEqual(self.known(), [])


class RepeatedTests(TwistedDriver):
    """
    Requests that come again, because their answer was lost.
    """

    def setUp(self) -> None:
        """
        Make a model with two archived versions.
        """
        super().setUp()
        self.save()
        for _ in range(2):
            self.create(archived=True)
        self.events: list[Any] = []
        self.registry.subscribe(self.events.append, AliasChanged)

    def aliases(self, runtime: IRuntime) -> Aliases:
        """
        Return the use case.
        """
        return Aliases(Queries(self.registry, runtime))

    def set(self, number: object, request_id: str = "", expected: int | None = None, reason: str = "") -> AliasMove:
        """
        Point the alias ``production`` at a version.
        """
        reference = Reference.parse(f"m@{number}")
        return self.drive(
            lambda runtime: self.aliases(runtime).set(reference, "production", expected, reason, request_id=request_id)
        )

    def delete(self, request_id: str = "", expected: int | None = None) -> AliasMove:
        """
        Delete the alias.
        """
        return self.drive(
            lambda runtime: self.aliases(runtime).delete("m", "production", expected, "", request_id=request_id)
        )

    def named(self) -> int:
        """
        Return the number that the alias names; 0 if there is no such alias.
        """
        move = self.snapshot().aliases.get("production")
        return 0 if move is None else move.to_number

    def restart(self) -> None:
        """
        Open the registry again, as after a crash, with the model loaded.
        """
        self.open()
        self.done(self.registry.load_snapshot("m"))

    def test_moved_since(self) -> None:
        """
        A repeated request returns its move, and leaves alone what others have done since, also after a restart.
        """
        first = self.set(1, ONE)
        self.set(2)
        for _ in range(2):
            self.assertEqual(self.set(1, ONE), first)
            self.assertEqual(self.named(), 2)
            self.restart()
        self.assertEqual([event.move.to_number for event in self.events], [1, 2])
        self.assertEqual(self.set(1, TWO).sequence, 3)

    def test_deletion(self) -> None:
        """
        A repeated deletion does not delete an alias that was set since, and does not fail if it was not.
        """
        self.set(1)
        first = self.delete(ONE)
        for _ in range(2):
            self.assertEqual(self.delete(ONE), first)
            self.assertRaises(UnknownAlias, self.delete)
            self.restart()
        self.set(2)
        self.assertEqual(self.delete(ONE), first)
        self.assertEqual(self.named(), 2)

    def test_expected(self) -> None:
        """
        A repeated request with a condition that its own first try has broken succeeds.
        """
        first = self.set(1, ONE, expected=0)
        self.assertEqual(self.set(1, ONE, expected=0), first)
        self.assertRaises(AliasMoved, self.set, 1, TWO, 0)

    def test_latest(self) -> None:
        """
        A repeated request means the version that its reference named first, also if that one is gone.
        """
        first = self.set("latest", ONE)
        self.create(archived=True)
        self.assertEqual(self.set("latest", ONE), first)
        self.set(3)
        self.done(self.registry.delete_version(self.snapshot(), 2))
        self.assertEqual(self.set("latest", ONE), first)
        self.set(1, TWO)
        self.set(3)
        self.done(self.registry.delete_version(self.snapshot(), 1))
        self.assertEqual(self.set(1, TWO).to_number, 1)
        self.assertRaises(UnknownVersion, self.set, 1)
        self.assertEqual(self.named(), 3)

    def test_nothing_to_do(self) -> None:
        """
        A request that found the alias where it should be is not repeated either.
        """
        self.set(1)
        found = self.set(1, ONE)
        self.set(2)
        self.assertEqual(self.set(1, ONE), found)
        self.assertEqual(self.named(), 2)

    def test_other_content(self) -> None:
        """
        The same id for anything else is refused, also after a restart.
        """
        self.set(1, ONE, reason="why")
        for _ in range(2):
            self.assertRaises(InvalidRequest, self.set, 2, ONE, None, "why")
            self.assertRaises(InvalidRequest, self.set, 1, ONE, None, "other")
            self.assertRaises(InvalidRequest, self.set, 1, ONE, 0, "why")
            self.assertRaises(InvalidRequest, self.delete, ONE)
            self.restart()
        self.assertEqual(self.named(), 1)

    def test_at_once(self) -> None:
        """
        A request that is repeated while the first one is under way makes one move.
        """
        aliases = self.aliases(DeferredRuntime())
        results: list[AliasMove] = []
        for _ in range(3):
            call = aliases.set(Reference.parse("m@1"), "production", 0, "", request_id=ONE)
            Deferred.fromCoroutine(call).addCallback(results.append)
        self.pump()
        self.assertEqual([move.sequence for move in results], [1, 1, 1])
        self.assertEqual(len(self.events), 1)

    def test_refused(self) -> None:
        """
        A request that was refused may succeed later.
        """
        self.assertRaises(AliasMoved, self.set, 1, ONE, 2)
        self.set(2)
        self.assertEqual(self.set(1, ONE, 2).to_number, 1)


class NumberTests(TwistedDriver):
    """
    The number of aliases of a model.
    """

    def setUp(self) -> None:
        """
        Make a version with as many aliases as a model may have, less one.
        """
        super().setUp()
        self.save()
        self.create(archived=True)
        names = [f"a{n}" for n in range(1, MAX_ALIASES_PER_MODEL)]
        self.archive.append_alias_moves("m", [AliasMove(name, 0, 1, 0, sequence=n) for n, name in enumerate(names, 1)])
        self.open()
        self.done(self.registry.load_snapshot("m"))

    def set(self, alias: str) -> None:
        """
        Set an alias.
        """
        self.drive(
            lambda runtime: Aliases(Queries(self.registry, runtime)).set(Reference.parse("m@1"), alias, None, "")
        )

    def test_new(self) -> None:
        """
        One more is refused, and those that exist can be moved; when one is deleted, another can be set.
        """
        self.set("last")
        self.assertRaises(TooManyAliases, self.set, "more")
        self.set("a1")
        self.drive(lambda runtime: Aliases(Queries(self.registry, runtime)).delete("m", "a1", None, ""))
        self.set("more")
        self.assertEqual(len(self.snapshot().aliases), MAX_ALIASES_PER_MODEL)

    def test_creation(self) -> None:
        """
        A version with too many new ones is refused before its data, and in its commit.
        """
        header, details = VersionHeader("m", True, 0), CreationDetails(aliases=("one", "two"))
        self.assertRaises(TooManyAliases, self.registry.upload, header, self.snapshot(), "", details)
        upload = self.registry.upload(header, self.snapshot(), "", CreationDetails(aliases=("one",)))
        self.settle(upload.finish())
        self.set("last")
        self.fails(upload.commit(), TooManyAliases)
        moved = self.registry.upload(header, self.snapshot(), "", CreationDetails(aliases=("last", "a1")))
        self.settle(moved.finish())
        self.assertEqual(self.done(moved.commit()).version_number, 2)
        self.assertEqual(self.snapshot().aliases["a1"].to_number, 2)

    def test_count(self) -> None:
        """
        Aliases that exist do not count as new.
        """
        aliases: dict[str, AliasMove] = dict(AliasState().aliases)
        for n in range(MAX_ALIASES_PER_MODEL):
            apply_move(AliasMove(f"a{n}", 0, 1, 0), aliases)
        check_alias_count("m", aliases, ["a1", "a2"])
        self.assertRaises(TooManyAliases, check_alias_count, "m", aliases, ["a1", "new"])
