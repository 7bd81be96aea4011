"""
The acts on versions, aliases and policies, as they are counted in reports.
"""

from collections.abc import Mapping

_COUNTED = {
    "moves of aliases": ("MoveAlias", "MoveAliases"),
    "later archived versions": ("ArchiveVersion", "PromoteVersion"),
    "deleted versions": ("DeleteVersion",),
    "pruned versions": ("PruneVersion",),
    "copied versions": ("CopyVersion",),
    "annotated versions": ("Annotate",),
    "retention policies": ("SetRetention",),
}


def counts_of(acts: Mapping[str, int]) -> dict[str, int]:
    """
    Return how many acts of each kind there were, without kinds of which there were none.

    Args:
        acts: a count for each class of acts, as ``Promises`` has it.
    """
    counts = {what: sum(acts.get(name, 0) for name in names) for what, names in _COUNTED.items()}
    return {what: count for what, count in counts.items() if count}
