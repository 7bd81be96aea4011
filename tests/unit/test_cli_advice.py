"""
Tests for ``twisted_registry.cli.advice``.
"""

import re
import shlex

from attrs import fields
from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.cli import subcommands
from twisted_registry.cli.advice import explain
from twisted_registry.client import errors
from twisted_registry.domain.errors import REWRITE_MODEL
from twisted_registry.protocol.error_map import REASONS
from twisted_registry.registry.lost_models import LostModel

_CALL = re.compile(r"\b(Create|Retrieve|Delete|Update|Version)[A-Z]\w+")


def example(kind: type, model_id: str = "walker") -> errors.RegistryError:
    """
    Make an error of a class.
    """
    facts = {
        "model_id": model_id,
        "alias": "production",
        "reason": "the cause; do this",
        "address": "localhost:1",
        "remedy": REWRITE_MODEL,
    }
    error: errors.RegistryError = kind(*(facts.get(fact.name, 3) for fact in fields(kind)))
    return error


class AdviceTests(SynchronousTestCase):
    """
    Errors as a person at a shell reads them.
    """

    def test_no_calls(self) -> None:
        """
        No text names the API's calls.
        """
        for kind in REASONS.values():
            self.assertIsNone(_CALL.search(explain(example(kind))), kind)

    def test_commands(self) -> None:
        """
        Remedies are commands and flags.
        """
        for kind, named in {
            errors.UnknownModel: "'push --create'",
            errors.UnknownVersion: "'twisted-registry versions walker'",
            errors.UnknownAlias: "'twisted-registry alias ls walker'",
            errors.AliasMoved: "'twisted-registry alias log walker@production'",
            errors.AliasedVersion: "'twisted-registry alias rm walker@production'",
            errors.CursorExpired: "'twisted-registry events'",
            errors.ModelReplaced: "'twisted-registry push --create'",
            errors.Overloaded: "(the cause); try again later, or retry for longer, for example with --retry-seconds 60",
            errors.StorageFull: "'twisted-registry prune MODEL --keep-last 10' or 'twisted-registry rm'",
            errors.CorruptModel: "'twisted-registry set --replace walker KEY=VALUE...'",
            errors.CorruptVersion: "'twisted-registry rm walker@3'",
            errors.CorruptAnnotations: "'twisted-registry label --replace walker@3 KEY=VALUE'",
            errors.CorruptAliases: "'twisted-registry alias ls walker'",
            errors.CorruptRetention: "'twisted-registry retention set'",
            errors.UnsupportedByArchive: "another archive provider",
            errors.Unreachable: "--server or TWISTED_REGISTRY_SERVER",
            errors.CreationUncertain: "'twisted-registry versions walker'",
            errors.NotAuthenticated: "TWISTED_REGISTRY_TOKEN",
        }.items():
            self.assertIn(named, explain(example(kind)))

    def test_commands_are_understood(self) -> None:
        """
        Each command that a text names exists, with the flags named.
        """
        found = set()
        for kind in REASONS.values():
            for line in re.findall(
                r"'(?:twisted-registry )?((?:push|prune|set|rm|ls|versions|label)\b[^']*)'", explain(example(kind))
            ):
                name, *words = shlex.split(line)
                self.assertLessEqual(
                    {word for word in words if word.startswith("--")},
                    {flag for option in subcommands()[name].params for flag in option.opts},
                )
                found.add(name)
        self.assertEqual(found, {"push", "prune", "set", "rm", "ls", "versions", "label"})

    def test_lost_model(self) -> None:
        """
        The remedy for a model whose directory is gone is a command too.
        """
        lost = LostModel("walker")
        advice = explain(errors.CorruptModel(lost.model_id, lost.reason, lost.remedy))
        self.assertIn("create the model again with 'twisted-registry set walker', without versions", advice)
        self.assertIsNone(_CALL.search(advice))

    def test_derived(self) -> None:
        """
        A subclass of an error with advice has its own text.
        """
        damaged = errors.CorruptTransfer("walker", 3, "x")
        self.assertEqual(explain(damaged), str(damaged))

    def test_odd_ids(self) -> None:
        """
        An id that a shell would misread is not written into a command.
        """
        for model_id, word in {"team@3": "team%403", "two words": "MODEL", "-x": "MODEL", "$(reboot)": "MODEL"}.items():
            said = explain(errors.UnknownVersion(model_id, 3))
            self.assertIn(f"'twisted-registry versions {word}'", said)

    @given(st.text(min_size=1, max_size=40))
    def test_any_id(self, model_id: str) -> None:
        """
        Any id has a text.
        """
        for kind in (errors.UnknownModel, errors.UnknownVersion, errors.CorruptVersion, errors.CreationUncertain):
            self.assertTrue(explain(example(kind, model_id)))
