"""
Which models there are.
"""

from bisect import bisect_left
from itertools import count

from twisted_registry.domain.errors import UnknownModel
from twisted_registry.registry.model import Model


class Index:
    """
    The models by id.  Changed in the reactor's thread; single look-ups may be done in any.

    Attributes:
        listed: the ids of the models, ordered; ``None`` until all have been read, and while any of them is damaged.
    """

    def __init__(self) -> None:
        self._models: dict[str, Model] = {}
        self._incarnations = count(1)
        self._whole: list[str] = []
        self.listed: tuple[str, ...] | None = None

    def models(self) -> list[Model]:
        """
        Give all models, in no order.
        """
        return list(self._models.values())

    def find(self, model_id: str) -> Model | None:
        """
        Give a model; ``None`` where there is none.
        """
        return self._models.get(model_id)

    def get(self, model_id: str) -> Model:
        """
        Give a model.

        Raises:
            UnknownModel: there is none.
        """
        model = self._models.get(model_id)
        if model is None:
            raise UnknownModel(model_id)
        return model

    def add(self, model_id: str) -> Model:
        """
        Take up a model that was not there.
        """
        model = self._models[model_id] = Model(model_id, next(self._incarnations))
        return model

    def remove(self, model: Model) -> None:
        """
        Drop a model that was deleted.
        """
        del self._models[model.model_id]
        self._list(model.model_id, wanted=False)

    def mark(self, model: Model, *, whole: bool) -> None:
        """
        Note whether a model's metadata is whole.
        """
        # What could not be read is read again for each list: the disk may have failed for a moment only.
        model.checked = whole
        model.damaged = not whole
        if whole:
            self._list(model.model_id, wanted=True)
        else:
            self.listed = None

    def _list(self, model_id: str, *, wanted: bool) -> None:
        if self.listed is None:
            return
        position = bisect_left(self._whole, model_id)
        there = position < len(self._whole) and self._whole[position] == model_id
        if wanted and not there:
            self._whole.insert(position, model_id)
        elif there and not wanted:
            del self._whole[position]
        else:
            return
        self.listed = tuple(self._whole)

    def publish(self) -> tuple[str, ...]:
        """
        List the models, now that all have been read.
        """
        self._whole = sorted(model.model_id for model in self._models.values() if not model.damaged)
        listed = tuple(self._whole)
        self.listed = listed if len(listed) == len(self._models) else None
        return listed
