"""Arrays for results that are filled again once nobody refers to them.

New arrays cost a small network more than its computation, and a large one the page faults of fresh memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any, Generic, TypeVar


class Reusable:
    """Arrays for the results of one call, of one size; a subclass sets both in its constructor."""

    __slots__ = ("_counts", "arrays", "size")

    size: tuple[int, ...]
    """The sizes that the shapes of the arrays follow from; only an equal size fits."""
    arrays: Sequence[Any]
    """Every array that a caller is given; none is a view of another."""

    def count_references(self) -> None:
        """Keep the number of references to each array; `Reused` calls this while no caller has one."""
        self._counts = list(map(getrefcount, self.arrays))

    def is_unused(self) -> bool:
        """Whether no caller refers to any of the arrays."""
        return list(map(getrefcount, self.arrays)) == self._counts


_Item = TypeVar("_Item", bound=Reusable)


class Reused(Generic[_Item]):
    """Items to be given out again, at most `most`; `make` makes one of a size where none fits.

    Any number of threads may take items and give them back.
    """

    def __init__(self, make: Callable[[tuple[int, ...]], _Item], most: int) -> None:
        self._make = make
        self._items: deque[_Item] = deque(maxlen=most)

    def take(self, size: tuple[int, ...]) -> _Item:
        """An item of this size that nobody else has."""
        items = self._items
        # In a loop that keeps the results of one call only, the oldest item is free.
        try:
            item = items.popleft()
        except IndexError:
            return self._new(size)
        if item.size == size and item.is_unused():
            return item
        items.append(item)
        for _ in items.copy():
            try:
                item = items.popleft()
            except IndexError:  # another thread has it
                break
            if item.size == size and item.is_unused():
                return item
            items.append(item)
        return self._new(size)

    def _new(self, size: tuple[int, ...]) -> _Item:
        item = self._make(size)
        item.count_references()
        return item

    def give_back(self, item: _Item) -> None:
        """Keep an item, to be taken again once no caller refers to its arrays.

        The arrays have to be referred to before: otherwise another thread may take the item at once.
        """
        self._items.append(item)
