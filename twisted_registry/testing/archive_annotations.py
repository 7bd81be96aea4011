"""
The contract of archives that keep labels and metrics, aliases and retention policies.
"""

from math import inf

from attrs import evolve

from twisted_registry.contracts.lifecycle import ILifecycleArchive, ILifecycleWriter
from twisted_registry.domain.aliases import AliasMove, AliasRequest, AliasState
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import UnknownModel, UnknownVersion
from twisted_registry.domain.retention import KeepBest, RetentionPolicy
from twisted_registry.testing.archive import ArchiveContract
from twisted_registry.testing.archive_lifecycle import lifecycle_writer
from twisted_registry.testing.samples import CREATED_NS, ODD_IDS, ODD_TEXTS, put, version_info

ANNOTATIONS = Annotations({"env": "walker"}, {"return": 231.5})


class ArchiveAnnotationContract(ArchiveContract):
    """
    The tests of ``IAnnotationStore``, ``IAliasJournal`` and ``IRetentionStore``.

    Attributes:
        lifecycle: the archive.
    """

    @property
    def lifecycle(self) -> ILifecycleArchive:
        """
        Return the open archive.
        """
        archive: ILifecycleArchive = ILifecycleArchive(self.archive)
        return archive

    def setUp(self) -> None:
        """
        Save a model with two versions.
        """
        super().setUp()
        self.save("m")
        for number in (1, 2):
            put(self.archive, "m", number)

    def writer(self, annotations: Annotations = NO_ANNOTATIONS, *moves: AliasMove) -> ILifecycleWriter:
        """
        Write a version, ready for the commit.

        Args:
            annotations: its labels and metrics.
            moves: the moves of aliases to it.

        Returns:
            The writer.
        """
        writer = lifecycle_writer(self.archive, "m", b"data")
        writer.set_annotations(annotations)
        writer.set_alias_moves(moves)
        return writer

    def assert_annotations(self, **expected: Annotations) -> None:
        """
        Check labels and metrics, before and after a restart.

        Args:
            expected: those of each version, by ``v`` and its number.
        """
        numbers = [int(name[1:]) for name in expected]
        for _ in range(2):
            self.assertEqual(self.lifecycle.load_annotations("m", numbers), list(expected.values()))
            self.reopen()

    def assert_moves(self, *moves: AliasMove, **aliases: int) -> None:
        """
        Check the history, and where the aliases are, before and after a restart.

        Args:
            moves: the moves, in order.
            aliases: the numbers that the aliases name.
        """
        for _ in range(2):
            self.assertEqual(self.lifecycle.alias_moves("m"), list(moves))
            state = self.lifecycle.load_aliases("m")
            self.assertEqual(state, AliasState.after(moves))
            self.assertEqual({alias: move.to_number for alias, move in state.aliases.items()}, aliases)
            self.reopen()

    # Labels and metrics.

    def test_no_annotations(self) -> None:
        """
        A version has no labels and metrics until they are saved, and other versions keep theirs.
        """
        self.lifecycle.save_annotations("m", 2, ANNOTATIONS)
        self.assert_annotations(v1=NO_ANNOTATIONS, v2=ANNOTATIONS)

    def test_replaced_annotations(self) -> None:
        """
        Labels and metrics are replaced as a whole, also by none.
        """
        for annotations in (ANNOTATIONS, Annotations({"a": "b"}), NO_ANNOTATIONS):
            self.lifecycle.save_annotations("m", 1, annotations)
            self.assert_annotations(v1=annotations)

    def test_odd_annotations(self) -> None:
        """
        All texts and numbers are returned unchanged, infinite numbers too.
        """
        labels = {f"k{n}{text[:50]}": text for n, text in enumerate(ODD_TEXTS)}
        metrics = {"": inf, "b": -inf, "c": 5e-324, "d": 1.7976931348623157e308, "e": 0.1, "f": 2.0**60}
        self.lifecycle.save_annotations("m", 1, Annotations(labels, metrics))
        self.assert_annotations(v1=Annotations(labels, metrics))

    def test_annotations_of_unknown_versions(self) -> None:
        """
        Labels and metrics cannot be saved for a version that does not exist.
        """
        self.assertRaises(UnknownVersion, self.lifecycle.save_annotations, "m", 3, ANNOTATIONS)
        self.assertRaises(UnknownModel, self.lifecycle.save_annotations, "n", 1, ANNOTATIONS)
        put(self.archive, "m", 3)
        self.assert_annotations(v3=NO_ANNOTATIONS)

    def test_committed_annotations(self) -> None:
        """
        Labels and metrics can be committed with a version.
        """
        self.writer(ANNOTATIONS).commit(version_info("m", 5, b"data"))
        self.writer(ANNOTATIONS).commit_between(version_info("m", 4, b"data"))
        self.assert_annotations(v4=ANNOTATIONS, v5=ANNOTATIONS)

    def test_aborted_annotations(self) -> None:
        """
        Labels and metrics of a version that is never committed do not exist.
        """
        self.writer(ANNOTATIONS, move(1, "prod", 0, 3)).abort()
        put(self.archive, "m", 3)
        self.assert_annotations(v3=NO_ANNOTATIONS)
        self.assert_moves()

    def test_deleted_annotations(self) -> None:
        """
        Labels and metrics are deleted with their version.
        """
        self.lifecycle.save_annotations("m", 1, ANNOTATIONS)
        self.lifecycle.save_annotations("m", 2, ANNOTATIONS)
        self.lifecycle.delete_version("m", 1)
        self.assert_annotations(v1=NO_ANNOTATIONS, v2=ANNOTATIONS)

    # Aliases.

    def test_no_aliases(self) -> None:
        """
        A model has no aliases until one is set, and neither has one that does not exist.
        """
        self.assert_moves()
        self.assertEqual(self.lifecycle.load_aliases("n"), AliasState())
        self.assertEqual(self.lifecycle.alias_moves("n"), [])
        self.assertRaises(UnknownModel, self.lifecycle.append_alias_moves, "n", [move(1, "prod", 0, 1)])

    def test_moves(self) -> None:
        """
        Moves are kept in order, with all their facts; an alias that is deleted keeps its history.
        """
        moves = [move(1, "prod", 0, 1), move(2, "best", 0, 2), move(3, "prod", 1, 2), move(4, "best", 2, 0)]
        for each in moves:
            self.lifecycle.append_alias_moves("m", [each])
        self.assert_moves(*moves, prod=2)
        self.assertEqual(self.lifecycle.alias_moves("m", "best"), [moves[1], moves[3]])
        self.assertEqual(self.lifecycle.alias_moves("m", "other"), [])

    def test_several_moves(self) -> None:
        """
        Several moves can be added at once.
        """
        moves = move(1, "prod", 0, 1), move(2, "best", 0, 2)
        self.lifecycle.append_alias_moves("m", moves)
        self.assert_moves(*moves, prod=1, best=2)

    def test_odd_moves(self) -> None:
        """
        Actors and reasons are returned unchanged, whatever they contain.
        """
        moves = [AliasMove("prod", 0, 1, CREATED_NS + n, text, text, n + 1) for n, text in enumerate(ODD_TEXTS)]
        self.lifecycle.append_alias_moves("m", moves)
        self.assert_moves(*moves, prod=1)

    def test_pages(self) -> None:
        """
        The history can be read in parts, from its end backwards, of all aliases or of one.
        """
        moves = [move(n, "prod" if n % 3 else "best", n - 1, n) for n in range(1, 11)]
        self.lifecycle.append_alias_moves("m", moves[:4])
        for each in moves[4:]:
            self.lifecycle.append_alias_moves("m", [each])
        for alias in (None, "prod", "best", "other"):
            wanted = [each for each in moves if alias in (None, each.alias)]
            self.assertEqual(self.lifecycle.alias_moves("m", alias), wanted)
            for before in range(13):
                earlier = [each for each in wanted if each.sequence < before]
                self.assertEqual(self.lifecycle.alias_moves("m", alias, before), earlier)
                for limit in range(4):
                    expected = earlier[max(0, len(earlier) - limit) :]
                    self.assertEqual(self.lifecycle.alias_moves("m", alias, before, limit), expected)
        self.assertEqual(self.lifecycle.alias_moves("n", "prod", 3, 3), [])

    def test_requests(self) -> None:
        """
        The requests for moves are kept, and the last of them are returned with the aliases.
        """
        requests = [AliasRequest.of(f"00000000-0000-4000-8000-{n:012d}", "set", n) for n in range(1, 5)]
        moves = [evolve(move(n, f"a{n}", 0, 1), request=request) for n, request in enumerate(requests, 1)]
        moves.insert(2, move(5, "without", 0, 1))
        self.lifecycle.append_alias_moves("m", moves)
        for _ in range(2):
            self.assertEqual(self.lifecycle.alias_moves("m"), moves)
            self.assertEqual(list(self.lifecycle.load_aliases("m").requested), [*moves[:2], *moves[3:]])
            self.reopen()

    def test_committed_moves(self) -> None:
        """
        Aliases can be moved in the commit of a version, and keep their history when it is deleted later.
        """
        moves = move(1, "prod", 0, 5), move(2, "best", 0, 5), move(3, "prod", 5, 4)
        self.writer(NO_ANNOTATIONS, *moves[:2]).commit(version_info("m", 5, b"data"))
        self.assert_moves(*moves[:2], prod=5, best=5)
        self.writer(NO_ANNOTATIONS, moves[2]).commit_between(version_info("m", 4, b"data"))
        self.assert_moves(*moves, prod=4, best=5)
        away = move(4, "best", 5, 4)
        self.lifecycle.append_alias_moves("m", [away])
        self.lifecycle.delete_version("m", 5)
        self.assert_moves(*moves, away, prod=4, best=4)

    def test_deleted_model(self) -> None:
        """
        A model that is created again has none of the annotations, aliases and policies of the deleted one.
        """
        self.lifecycle.save_annotations("m", 1, ANNOTATIONS)
        self.lifecycle.append_alias_moves("m", [move(1, "prod", 0, 1)])
        self.lifecycle.save_retention("m", RetentionPolicy(keep_last=3))
        self.archive.delete_model("m")
        self.save("m")
        put(self.archive, "m", 1)
        self.assert_annotations(v1=NO_ANNOTATIONS)
        self.assert_moves()
        self.assertIsNone(self.lifecycle.load_retention("m"))

    # Retention.

    def test_retention(self) -> None:
        """
        The policy of a model can be saved, replaced and removed.
        """
        best = KeepBest("loss", 3, lowest=True), KeepBest("return", 5)
        for policy in (RetentionPolicy(10, best, 100, 3600.5), RetentionPolicy(), None):
            self.lifecycle.save_retention("m", policy)
            for _ in range(2):
                self.assertEqual(self.lifecycle.load_retention("m"), policy)
                self.reopen()

    def test_retention_of_unknown_models(self) -> None:
        """
        A model that does not exist has no policy, and cannot get one.
        """
        self.assertIsNone(self.lifecycle.load_retention("n"))
        self.assertRaises(UnknownModel, self.lifecycle.save_retention, "n", RetentionPolicy())

    def test_prefixes(self) -> None:
        """
        Policies of prefixes are kept apart from those of models, and each can be replaced and removed.
        """
        self.assertEqual(self.lifecycle.retention_prefixes(), {})
        expected = {prefix: RetentionPolicy(keep_last=n) for n, prefix in enumerate(["", "m", *ODD_IDS])}
        for prefix, policy in expected.items():
            self.lifecycle.save_retention_prefix(prefix, policy)
        self.assertIsNone(self.lifecycle.load_retention("m"))
        self.reopen()
        self.assertEqual(self.lifecycle.retention_prefixes(), expected)
        self.lifecycle.save_retention_prefix("m", None)
        self.lifecycle.save_retention_prefix("other", None)
        del expected["m"]
        self.reopen()
        self.assertEqual(self.lifecycle.retention_prefixes(), expected)


def move(sequence: int, alias: str, from_number: int, to_number: int) -> AliasMove:
    """
    Make the move of an alias.

    Args:
        sequence: its position in the history.
        alias: the alias.
        from_number: the number that it named before.
        to_number: the number that it names since.

    Returns:
        The move.
    """
    return AliasMove(alias, from_number, to_number, CREATED_NS + sequence, "somebody", "because", sequence)
