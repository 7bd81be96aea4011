"""
Tests for ``tests.robustness.cases.comparisons``.
"""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.robustness.cases.comparisons import Sample, judge

_SAMPLES = 50_000


class JudgeTests(SynchronousTestCase):
    """
    ``judge`` finds what times reveal about a token.
    """

    def judge(self, per_character: float = 0.0, for_unknown: float = 0.0) -> list[str]:
        """
        Judge noisy checks of 3 µs.

        Args:
            per_character: the nanoseconds that each shared character adds.
            for_unknown: the nanoseconds that an unknown id adds.
        """
        chance, samples = Random(1), []
        for _ in range(_SAMPLES):
            is_known, shared = chance.random() < 0.7, chance.randrange(43)
            usual = chance.gauss(3000, 200) + shared * per_character + for_unknown * (not is_known)
            samples.append(Sample(is_known, shared, round(usual + chance.choice([0] * 50 + [50_000]))))
        return judge(samples)

    def test_constant(self) -> None:
        """
        Times that depend on nothing reveal nothing.
        """
        self.assertEqual(self.judge(), [])

    def test_shared_characters(self) -> None:
        """
        A comparison that ends at the first difference is found.
        """
        (found,) = self.judge(per_character=1.0)
        self.assertIn("depends on the shared characters", found)

    def test_unknown_id(self) -> None:
        """
        A check that ends early for unknown ids is found.
        """
        (found,) = self.judge(for_unknown=-500.0)
        self.assertIn("unknown ids take -", found)
