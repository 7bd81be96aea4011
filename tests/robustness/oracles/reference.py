"""
A registry that does one thing at a time, kept in memory: what any other must answer.
"""

import re
from collections.abc import Sequence

from attrs import define, field, frozen
from grpc import StatusCode

from tests.robustness.oracles.ledger import hash_of
from twisted_registry.domain.errors import InvalidModelId
from twisted_registry.domain.models import check_model_id

_DECIMAL = re.compile(r"[0-9]+", re.ASCII)


class Refused(Exception):
    """
    A call is refused.
    """

    def __init__(self, code: StatusCode) -> None:
        super().__init__(code)
        self.code = code


@frozen
class Version:
    """
    A version.

    Attributes:
        created_ns: 0 where it was left to the registry.
    """

    number: int
    data: bytes
    archived: bool
    user_data: dict[str, str]
    created_ns: int = 0


@define
class Model:
    """
    A model.

    Attributes:
        last: the highest number given out.
        exact: the next one is one higher; after a crash it may be any that is higher.
    """

    user_data: dict[str, str]
    versions: dict[int, Version] = field(factory=dict)
    last: int = 0
    exact: bool = True


@frozen
class Upload:
    """
    A creation.

    Attributes:
        size_bytes: the declared size.
        data_hash: the declared hash.
    """

    data: bytes
    archived: bool
    size_bytes: int
    data_hash: str
    user_data: dict[str, str]
    created_ns: int = 0


def _check(holds: bool, code: StatusCode) -> None:
    if not holds:
        raise Refused(code)


@define
class Reference:
    """
    All nine calls, as the specification has them.
    """

    models: dict[str, Model] = field(factory=dict)

    def save_model(self, model_id: str, user_data: dict[str, str]) -> None:
        """
        ``CreateOrUpdateModel``.
        """
        try:
            check_model_id(model_id)
        except InvalidModelId:
            raise Refused(StatusCode.INVALID_ARGUMENT) from None
        if model_id in self.models:
            self.models[model_id].user_data = user_data
        else:
            self.models[model_id] = Model(user_data)

    def model(self, model_id: str) -> Model:
        """
        Return an existing model.
        """
        _check(model_id in self.models, StatusCode.NOT_FOUND)
        return self.models[model_id]

    def delete_model(self, model_id: str) -> None:
        """
        ``DeleteModel``.
        """
        self.model(model_id)
        del self.models[model_id]

    def list_models(self, asked: Sequence[str], count: int, handle: str) -> tuple[list[str], str]:
        """
        ``RetrieveModels``, of all models that the reference knows.
        """
        _check(not handle or _DECIMAL.fullmatch(handle) is not None, StatusCode.INVALID_ARGUMENT)
        for model_id in asked:
            self.model(model_id)
        offset = int(handle or "0")
        page = list(asked or sorted(self.models))[offset:]
        page = page[:count] if count else page
        return page, str(offset + len(page)) if page else handle or "0"

    def check_upload(self, model_id: str, upload: Upload) -> Model:
        """
        ``CreateVersion``, up to where the version gets its number.
        """
        model = self.model(model_id)
        _check(upload.size_bytes == len(upload.data), StatusCode.INVALID_ARGUMENT)
        _check(upload.data_hash in ("", hash_of(upload.data)), StatusCode.INVALID_ARGUMENT)
        return model

    def create(self, model_id: str, upload: Upload, number: int) -> None:
        """
        The rest of ``CreateVersion``.

        Args:
            number: the one it was given.

        Raises:
            AssertionError: it should have been another one.
        """
        model = self.check_upload(model_id, upload)
        next_number = model.last + 1
        assert number == next_number or (not model.exact and number > next_number), (
            f"a version of {model_id!r} is number {number} after {model.last}"
        )
        model.versions[number] = Version(number, upload.data, upload.archived, upload.user_data, upload.created_ns)
        model.last, model.exact = number, True

    def select(self, model_id: str, selector: int) -> Version:
        """
        Return the version that a number or a negative selector means.
        """
        versions = self.model(model_id).versions
        numbers = sorted(versions)
        if selector < 0:
            _check(-selector <= len(numbers), StatusCode.NOT_FOUND)
            return versions[numbers[selector]]
        _check(selector in versions, StatusCode.NOT_FOUND)
        return versions[selector]

    def list_versions(self, model_id: str, count: int, handle: str) -> tuple[list[Version], str]:
        """
        ``RetrieveVersionInfos`` without numbers.
        """
        _check(not handle or _DECIMAL.fullmatch(handle) is not None, StatusCode.INVALID_ARGUMENT)
        versions = self.model(model_id).versions
        numbers = [number for number in sorted(versions) if number >= int(handle or "0")]
        page = numbers[:count] if count else numbers
        return [versions[number] for number in page], str(page[-1] + 1) if page else handle or "0"

    def select_versions(self, model_id: str, selectors: Sequence[int], handle: str) -> tuple[list[Version], str]:
        """
        ``RetrieveVersionInfos`` with numbers and no count, from the beginning.
        """
        _check(handle in ("", "0"), StatusCode.INVALID_ARGUMENT)
        versions = [self.select(model_id, selector) for selector in selectors]
        return versions, str(versions[-1].number + 1)

    def latest(self, model_id: str) -> Version | None:
        """
        Return the first version for a new subscriber; ``None`` if there is none yet.
        """
        versions = self.model(model_id).versions
        return versions[max(versions)] if versions else None

    def restart(self, clean: bool) -> None:
        """
        All that is transient is lost.
        """
        for model in self.models.values():
            model.versions = {number: one for number, one in model.versions.items() if one.archived}
            model.exact = model.exact and clean
