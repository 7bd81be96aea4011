"""
The acts on versions and aliases as calls of ``twisted_registry.v1``.
"""

from base64 import b64encode
from typing import Any

import grpc
from attrs import evolve

from tests.robustness.oracles.acts import (
    PIN,
    Act,
    Aliases,
    Annotate,
    ArchiveVersion,
    CopyVersion,
    DeleteVersion,
    History,
    Items,
    Move,
    MoveAlias,
    Outcome,
    PruneVersion,
    ReadAlias,
    ReadAliases,
    ReadHistory,
    ReadRecord,
    Record,
    Reply,
    State,
    Version,
    items,
)
from tests.support.client import data_hash
from tests.support.registry_v1 import RegistryV1, v1
from twisted_registry.domain.references import Reference

_METRIC = "metric "
_LABEL = "label "
_REFUSALS = {
    grpc.StatusCode.NOT_FOUND: Outcome.NOT_FOUND,
    grpc.StatusCode.ABORTED: Outcome.ABORTED,
    grpc.StatusCode.FAILED_PRECONDITION: Outcome.PRECONDITION,
}


def some_annotations(label: str, metric: float, *, is_pinned: bool = False) -> Items:
    """
    Return a label and a metric, as the model has them.

    Args:
        is_pinned: whether the label that protects from pruning is another one.
    """
    return items({f"{_LABEL}l": label, f"{_METRIC}m": repr(metric), **({PIN: ""} if is_pinned else {})})


def annotations_of(labels: Any, metrics: Any) -> Items:
    """
    Return labels and metrics as the model has them.
    """
    named = {f"{_LABEL}{key}": value for key, value in labels.items()}
    return items(named | {f"{_METRIC}{key}": repr(value) for key, value in metrics.items()})


def labels_and_metrics(annotations: Items) -> tuple[dict[str, str], dict[str, float]]:
    """
    Return the labels and the metrics of the model's annotations.
    """
    labels = {key.removeprefix(_LABEL): value for key, value in annotations if key.startswith(_LABEL)}
    metrics = {key.removeprefix(_METRIC): float(value) for key, value in annotations if key.startswith(_METRIC)}
    return labels, metrics


def _reference(model_id: str, number: int) -> str:
    return str(Reference(model_id, number))


def _time_ns(time: Any) -> int:
    return int(time.seconds) * 10**9 + int(time.nanos)


def record_of(message: Any) -> Record:
    """
    Return a ``Version`` message as the model has it.
    """
    sha256 = b64encode(message.sha256).decode()
    facts = message.number, sha256, message.size_bytes, message.archived, items(message.metadata)
    annotations = annotations_of(message.labels, message.metrics)
    return Record(Version(*facts, _time_ns(message.create_time)), annotations, tuple(message.aliases))


def _move_of(event: Any) -> Move:
    return Move(event.sequence, event.alias, event.from_number, event.to_number, event.reason)


def send(registry: RegistryV1, model_id: str, act: Act) -> Reply:
    """
    Make the call for an act.

    Raises:
        grpc.RpcError: it was refused as no act is.
    """
    try:
        return _send(registry, model_id, act)
    except grpc.RpcError as error:
        refused: Any = error
        if refused.code() in _REFUSALS:
            return _REFUSALS[refused.code()]
        raise


def _send(registry: RegistryV1, model_id: str, act: Act) -> Reply:
    if isinstance(act, MoveAlias):
        return _move(registry, model_id, act)
    if isinstance(act, ReadAlias):
        return read_named(registry, str(Reference(model_id, alias=act.alias)))
    if isinstance(act, ReadAliases):
        aliases = registry.ListAliases(model_id=model_id).aliases
        return Aliases(tuple((one.alias, one.number) for one in aliases))
    if isinstance(act, ReadHistory):
        return History(_history(registry, model_id))
    if isinstance(act, CopyVersion):
        source, is_transient = _reference(act.source, act.source_number), not act.version.archived
        return record_of(registry.CopyVersion(reference=source, model_id=model_id, transient=is_transient)).version
    return _send_of_version(registry, model_id, act)


def _send_of_version(registry: RegistryV1, model_id: str, act: Act) -> Reply:
    assert isinstance(act, Annotate | ArchiveVersion | DeleteVersion | PruneVersion | ReadRecord)
    reference = _reference(model_id, act.number)
    if isinstance(act, Annotate):
        labels, metrics = labels_and_metrics(act.annotations)
        registry.UpdateVersion(reference=reference, version=v1.Version(labels=labels, metrics=metrics))
    elif isinstance(act, ArchiveVersion):
        registry.ArchiveVersion(reference=reference)
    elif isinstance(act, DeleteVersion):
        registry.DeleteVersion(reference=reference)
    elif isinstance(act, PruneVersion):
        return _prune(registry, model_id, act.number)
    else:
        return record_of(registry.GetVersion(reference=reference))
    return None


def _prune(registry: RegistryV1, model_id: str, number: int) -> Reply:
    only = [{"model_id": model_id, "numbers": [number]}]
    parts = list(registry.Prune(model_id=model_id, policy={"keep_last": 1}, only=only))
    pruned = [number for part in parts for model in part.models for number in model.numbers]
    assert pruned in ([], [number]), f"{pruned} were pruned instead of {number}"
    return None if pruned else Outcome.KEPT


def read_named(registry: RegistryV1, reference: str) -> Record:
    """
    Read a version's data, and return what the header of the data says of the version.

    Raises:
        grpc.RpcError: it was refused.
        AssertionError: the data is that of another version.
    """
    messages = list(registry.ReadVersion(reference=reference))
    record = record_of(messages[0].header.version)
    sha256 = data_hash(b"".join(message.chunk for message in messages[1:]))
    assert sha256 == record.version.sha256, f"{reference} names {record}, and its data has the SHA-256 {sha256}"
    return record


def _move(registry: RegistryV1, model_id: str, act: MoveAlias) -> Reply:
    fields: dict[str, Any] = {"alias": act.alias, "reason": act.reason}
    if act.expected is not None:
        fields["expected_number"] = act.expected
    if act.number:
        return _move_of(registry.SetAlias(reference=_reference(model_id, act.number), **fields).move)
    registry.DeleteAlias(model_id=model_id, **fields)
    return None


def _history(registry: RegistryV1, model_id: str) -> tuple[Move, ...]:
    moves: list[Move] = []
    token = ""
    while True:
        page = registry.ListAliasEvents(model_id=model_id, page_size=1000, page_token=token)
        moves += map(_move_of, page.events)
        token = page.next_page_token
        if not token:
            return tuple(reversed(moves))


def with_names(registry: RegistryV1, model_id: str, state: State, annotated: frozenset[int]) -> State:
    """
    Return the state of an existing model with its aliases, their history and some annotations.

    Args:
        annotated: the versions whose annotations are read; the others have none.
    """
    aliases, moves = send(registry, model_id, ReadAliases()), send(registry, model_id, ReadHistory())
    assert isinstance(aliases, Aliases) and isinstance(moves, History)
    state = evolve(state, aliases=aliases.pairs, moves=moves.moves)
    for number in sorted(annotated):
        record = send(registry, model_id, ReadRecord(number))
        if isinstance(record, Record):
            state = state.with_annotations(number, record.annotations)
    return state
