"""
The time that the check of a wrong token takes, which must say nothing about the right one.
"""

import random
import time
from collections.abc import Sequence
from math import sqrt
from statistics import fmean, quantiles

from attrs import frozen

from tests.robustness.case import Case, Outcome, Trial
from twisted_registry.access.tokens.authenticator import OwnTokens
from twisted_registry.access.tokens.file import TokenRecord
from twisted_registry.access.tokens.token import Token
from twisted_registry.domain.access import Credentials
from twisted_registry.domain.errors import NotAuthenticated

_SECRET_CHARACTERS = 43
_TOKENS = 1000
"""The tokens in the file."""

_JUDGED = 100_000
"""With fewer checks, chance decides."""

_MOST_SIGMAS = 5.0
_MOST_DIFFERENCE = 0.05
"""The most by which the mean for unknown ids may differ from that for known ones, as a part of it."""

_ROUND = 5_000


@frozen
class Sample:
    """
    A check.

    Attributes:
        is_known: whether the file has the token's id.
        shared: how many leading characters of the secret are right.
    """

    is_known: bool
    shared: int
    nanoseconds: int


def _choose(chance: random.Random) -> Token:
    return Token.make(chance.choice)


def _wrong_token(chance: random.Random, right: Token, is_known: bool, shared: int) -> Token:
    other = _choose(chance)
    # The character after the shared ones differs.
    swapped = "1" if right.secret[shared] == "0" else "0"
    secret = right.secret[:shared] + swapped + other.secret[shared + 1 :]
    return Token(right.id if is_known else other.id, secret)


def _measure(tokens: OwnTokens, text: str) -> int:
    """
    Return how long a wrong token takes to be refused, in nanoseconds.
    """
    credentials = Credentials(text)
    began = time.perf_counter_ns()
    try:
        tokens.authenticate(credentials)
    except NotAuthenticated:
        return time.perf_counter_ns() - began
    raise AssertionError("a wrong token was accepted")


def _usual(samples: Sequence[Sample]) -> Sequence[Sample]:
    """
    Return the samples that nothing has interrupted.
    """
    limit = quantiles([sample.nanoseconds for sample in samples], n=10)[-1]
    return [sample for sample in samples if sample.nanoseconds <= limit]


def _correlation(samples: Sequence[Sample]) -> float:
    """
    Return Pearson's correlation between the number of shared characters and the time.
    """
    shared_mean, time_mean = fmean(it.shared for it in samples), fmean(it.nanoseconds for it in samples)
    pairs = [(it.shared - shared_mean, it.nanoseconds - time_mean) for it in samples]
    product = sum(one * other for one, other in pairs)
    return product / sqrt(sum(one**2 for one, _ in pairs) * sum(other**2 for _, other in pairs))


def run(trial: Trial) -> Outcome:
    """
    Check wrong tokens in a random order, and compare how long that takes.
    """
    chance, tokens = random.Random(trial.seed), OwnTokens()
    made = [_choose(chance) for _ in range(_TOKENS)]
    tokens.replace({it.id: TokenRecord(it.id, "ann", it.sha256, "reader", ("*",), 0, None) for it in made})
    samples: list[Sample] = []
    while not trial.is_over(len(samples)):
        # Made before the clock starts: making a token leaves the memory warm or cold for the check of the next one.
        kinds = [(chance.random() < 0.7, chance.randrange(_SECRET_CHARACTERS)) for _ in range(_ROUND)]
        texts = [_wrong_token(chance, chance.choice(made), *kind).text for kind in kinds]
        samples += [Sample(*kind, _measure(tokens, text)) for kind, text in zip(kinds, texts, strict=True)]
        trial.progress(min(len(samples), trial.count))
    return Outcome(len(samples), judge(samples) if len(samples) >= _JUDGED else [], _figures(samples))


def judge(samples: Sequence[Sample]) -> list[str]:
    """
    Return what the times reveal about the right token.
    """
    usual = _usual(samples)
    known = [sample for sample in usual if sample.is_known]
    correlation, wrong = _correlation(known), []
    if abs(correlation) > _MOST_SIGMAS / sqrt(len(known)):
        wrong.append(f"the time depends on the shared characters: a correlation of {correlation:.4f}")
    difference = _difference(usual)
    if abs(difference) > _MOST_DIFFERENCE:
        wrong.append(f"unknown ids take {difference:+.1%} longer than known ones")
    return wrong


def _difference(samples: Sequence[Sample]) -> float:
    means = [fmean(it.nanoseconds for it in samples if it.is_known is is_known) for is_known in (True, False)]
    return means[1] / means[0] - 1


def _figures(samples: Sequence[Sample]) -> dict[str, int]:
    usual = _usual(samples)
    known = [sample for sample in usual if sample.is_known]
    return {
        "nanoseconds of a check": round(fmean(it.nanoseconds for it in usual)),
        "millionths of correlation with shared characters": round(_correlation(known) * 1e6),
        "millionths by which unknown ids take longer": round(_difference(usual) * 1e6),
    }


CASE = Case(
    name="comparisons",
    counts="checks of wrong tokens",
    promise="The time that a wrong token takes says nothing about the right one.",
    short=5_000,
    long=300_000,
    run=run,
)
