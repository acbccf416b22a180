"""Arrays for results that are filled again once nobody refers to them.

New arrays cost a small network more than its computation, and a large one the page faults of fresh memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any, Generic, TypeVar


class Reusable:
    """Something of a size that holds arrays; a subclass sets both in its constructor, and `Reused` calls `settle`."""

    __slots__ = ("_counts", "arrays", "size")

    size: tuple[int, ...]
    arrays: Sequence[Any]
    """All that a caller is given, and no part of another of them."""

    def settle(self) -> None:
        """Note the number of references to each array while no caller has one."""
        self._counts = list(map(getrefcount, self.arrays))

    def is_unused(self) -> bool:
        """Whether no caller refers to any of the arrays."""
        return list(map(getrefcount, self.arrays)) == self._counts


_Item = TypeVar("_Item", bound=Reusable)


class Reused(Generic[_Item]):
    """Items that were given out before, the last `most` of them; `make` makes one of a size.

    Any number of threads may take and give back.
    """

    def __init__(self, make: Callable[[tuple[int, ...]], _Item], most: int) -> None:
        self._make = make
        self._items: deque[_Item] = deque(maxlen=most)

    def take(self, size: tuple[int, ...]) -> _Item:
        """An item of this size that nobody else has."""
        items = self._items
        # The oldest one is free in a loop that keeps the results of one call.
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
        item.settle()
        return item

    def give_back(self, item: _Item) -> None:
        """Keep an item, to be taken again once no caller refers to its arrays.

        The caller refers to them already: another thread may take the item at once.
        """
        self._items.append(item)
