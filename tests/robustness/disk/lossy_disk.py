"""
The remains of a disk after a power cut.

A model of files and directories that knows what is durable and what is not yet. It guarantees what POSIX guarantees,
read as strictly as possible, and nothing more:

- The content of a file is durable up to its last sync. Later writes, and cutting off its end, survive a cut in one of
  these ways, chosen for each file: not at all, a first part, all, or the right length with zeros from somewhere on. A
  name may be durable long before the content: closing, renaming or replacing a file writes nothing (ext4 without
  ``auto_da_alloc``).

- A sync of a file makes no name durable, not even its own.

- A sync of a directory makes the changes in it durable: what was created, removed, or renamed into it. It does not
  cover the directory's own name, what was renamed out of it, or any other directory.

- All other changes of names may have happened or not, each on its own, in any order: the last without the first, those
  of one directory without those of another. Only impossible states are excluded: a name is reused only once its owner
  is gone, and a directory is removed only once it is empty.

- A rename is atomic: afterwards the file has either name, never both and never none, and the file that had the new name
  exists as long as the other does not have it.

- A failed sync of a file makes nothing durable and marks everything as written, as Linux does: a later sync succeeds
  without making the earlier writes durable. A failed sync of a directory makes nothing durable; a later successful one
  makes everything durable. (File systems with a journal stop at the first failure.)

File systems are kinder: ext4, XFS and Btrfs keep the order of all changes of names, and make all earlier ones durable
with any sync of one of them; ext4 writes a new file's name with its sync, and by default the content of a replacing
file before the name.
"""

import os
import random
from collections.abc import Iterator
from enum import Enum, auto

from attrs import define, field


class Kind(Enum):
    """
    How a change changes names.
    """

    MADE = auto()
    RENAMED = auto()
    REMOVED = auto()


@define(eq=False)
class Node:
    """
    A file or a folder, whatever its name.

    Attributes:
        content: what a reader sees; of a folder, nothing.
        at_rest: what is left of it at least.
        kept_bytes: how much of the beginning of ``at_rest`` was not changed since.
        lost_bytes: up to where a sync that failed has marked the content as written.
    """

    is_folder: bool
    content: bytes = b""
    at_rest: bytes = b""
    kept_bytes: int = 0
    lost_bytes: int = 0

    def cut_off(self, size_bytes: int) -> None:
        """
        Make a file shorter.
        """
        self.content = self.content[:size_bytes]
        # Up to where it was durable before, nothing was lost.
        self.lost_bytes = 0 if size_bytes <= self.kept_bytes else min(self.lost_bytes, size_bytes)
        self.kept_bytes = min(self.kept_bytes, size_bytes)


@define(eq=False)
class Change:
    """
    A name given or taken.

    Attributes:
        folder: the folder of the name; for a rename, the target's.
        left: for a rename, the folder it came from, and the name it had there.
    """

    kind: Kind
    node: Node
    folder: Node
    name: str
    left: tuple[Node, str] | None = None

    def concerns(self, folder: Node, name: str) -> bool:
        """
        Return whether the change creates or removes this name.
        """
        return (self.folder, self.name) == (folder, name) or self.left == (folder, name)

    def is_out_of(self, folder: Node) -> bool:
        """
        Return whether the change takes something out of a directory.
        """
        if self.kind is Kind.REMOVED:
            return self.folder is folder
        return self.left is not None and self.left[0] is folder


@define
class Names:
    """
    Which names there are, at one moment or after one history.
    """

    nodes: dict[tuple[Node, str], Node] = field(factory=dict)
    places: dict[Node, tuple[Node, str]] = field(factory=dict)

    def copy(self) -> "Names":
        """
        Return an independent copy of these names.
        """
        return Names(dict(self.nodes), dict(self.places))

    def children(self, folder: Node) -> Iterator[tuple[str, Node]]:
        """
        Return the contents of a directory.
        """
        return ((name, node) for (parent, name), node in self.nodes.items() if parent is folder)

    def allows(self, change: Change) -> bool:
        """
        Return whether a change is possible.
        """
        if change.kind is Kind.REMOVED:
            return not any(self.children(change.node))
        there = self.nodes.get((change.folder, change.name))
        if there is None or there is change.node:
            return True
        return change.kind is Kind.RENAMED and not there.is_folder and not change.node.is_folder

    def apply(self, change: Change) -> None:
        """
        Make a change.
        """
        if change.kind is Kind.REMOVED:
            if self.places.get(change.node) == (change.folder, change.name):
                self._take_out(change.node)
            return
        self._take_out(change.node)
        there = self.nodes.get((change.folder, change.name))
        if there is not None:
            self._take_out(there)
        self.nodes[change.folder, change.name] = change.node
        self.places[change.node] = (change.folder, change.name)

    def _take_out(self, node: Node) -> None:
        place = self.places.pop(node, None)
        if place is not None:
            del self.nodes[place]


def _apply_with_what_it_needs(names: Names, change: Change, earlier: list[Change]) -> None:
    # What a change could not have happened without has happened: the oldest first.
    while not names.allows(change) and earlier:
        before = next((other for other in earlier if _is_needed(other, change)), None)
        if before is None:
            return
        position = earlier.index(before)
        earlier.remove(before)
        _apply_with_what_it_needs(names, before, earlier[:position])
    if names.allows(change):
        names.apply(change)


def _is_needed(other: Change, change: Change) -> bool:
    if change.kind is Kind.REMOVED:
        return other.is_out_of(change.node)
    return other.concerns(change.folder, change.name)


class Disk:
    """
    The files and directories under a root: their visible and their durable state.
    """

    def __init__(self, root: str) -> None:
        """
        Read the existing files, all of them durable.
        """
        self.root = Node(is_folder=True)
        self._now = Names()
        self._at_rest = Names()
        self._pending: list[Change] = []
        self._take_up(self.root, root)
        self._at_rest = self._now.copy()

    def _take_up(self, folder: Node, path: str) -> None:
        with os.scandir(path) as entries:
            for entry in entries:
                node = self._found(entry)
                self._now.apply(Change(Kind.MADE, node, folder, entry.name))
                if node.is_folder:
                    self._take_up(node, entry.path)

    def _found(self, entry: "os.DirEntry[str]") -> Node:
        if entry.is_dir():
            return Node(is_folder=True)
        with open(entry.path, "rb") as file:
            content = file.read()
        return Node(is_folder=False, content=content, at_rest=content, kept_bytes=len(content))

    # What changes it.

    def find(self, path: str) -> Node | None:
        """
        Return the target of a path that is relative to the root.
        """
        node: Node | None = self.root
        for name in path.split("/"):
            if node is not None and name not in ("", "."):
                node = self._now.nodes.get((node, name))
        return node

    def _place(self, path: str) -> tuple[Node, str]:
        folder = self.find(os.path.dirname(path))
        assert folder is not None, path
        return folder, os.path.basename(path)

    def _changed(self, change: Change) -> None:
        self._now.apply(change)
        self._pending.append(change)

    def make(self, path: str, *, is_folder: bool) -> Node:
        """
        There is a new file or folder.
        """
        node = Node(is_folder)
        self._changed(Change(Kind.MADE, node, *self._place(path)))
        return node

    def rename(self, source: str, target: str) -> None:
        """
        Something has another name.
        """
        left = self._place(source)
        self._changed(Change(Kind.RENAMED, self._now.nodes[left], *self._place(target), left))

    def remove(self, path: str) -> None:
        """
        Something is gone.
        """
        place = self._place(path)
        self._changed(Change(Kind.REMOVED, self._now.nodes[place], *place))

    def sync(self, node: Node) -> None:
        """
        A sync has succeeded.
        """
        if not node.is_folder:
            if not node.lost_bytes:
                node.at_rest, node.kept_bytes = node.content, len(node.content)
            return
        for change in [change for change in self._pending if change.folder is node]:
            if change not in self._pending:
                continue
            earlier = self._pending[: self._pending.index(change)]
            _apply_with_what_it_needs(self._at_rest, change, earlier)
            # It came last of all that happened to this node: what came before can no longer show.
            since = self._pending[self._pending.index(change) + 1 :]
            self._pending = [other for other in earlier if other.node is not change.node] + since

    def sync_failed(self, node: Node) -> None:
        """
        A sync has failed.
        """
        if node.content != node.at_rest:
            node.lost_bytes = len(node.content)

    # What is left of it.

    def lay_out(self, chance: random.Random, path: str) -> None:
        """
        Cut the power, and write down one of the ways in which things may be found.

        Args:
            path: a folder, made by this.
        """
        names = self._at_rest.copy()
        likely = {change.folder: chance.choice((0.0, 0.2, 0.5, 0.8, 1.0)) for change in self._pending}
        skipped: list[Change] = []
        for change in self._pending:
            if chance.random() < likely[change.folder]:
                _apply_with_what_it_needs(names, change, skipped)
            else:
                skipped.append(change)
        os.mkdir(path)
        _write_down(names, self.root, path, chance)


def _write_down(names: Names, folder: Node, path: str, chance: random.Random) -> None:
    for name, node in sorted(names.children(folder), key=lambda child: child[0]):
        inner = os.path.join(path, name)
        if node.is_folder:
            os.mkdir(inner)
            _write_down(names, node, inner, chance)
        else:
            with open(inner, "wb") as file:
                file.write(_left_of(node, chance))


def _left_of(node: Node, chance: random.Random) -> bytes:
    if node.content == node.at_rest:
        return node.at_rest
    grew = node.content.startswith(node.at_rest)
    end = chance.randint(node.kept_bytes, len(node.content))
    part, zeros = node.content[:end], bytes(len(node.content) - end)
    none = node.at_rest + (bytes(len(node.content) - len(node.at_rest)) if grew else b"")
    return chance.choice((node.at_rest, none, part, part + zeros, node.content))
