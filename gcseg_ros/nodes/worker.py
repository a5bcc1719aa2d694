"""The thread that maps. Callbacks only put frames here; nothing that takes time happens in them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from gcseg_ros.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A function to be run in the thread, and where its result goes."""

    function: Callable[[], Any]
    future: Future

    def __call__(self) -> None:
        try:
            self.future.set_result(self.function())
        except Exception as error:  # handed to whoever called
            self.future.set_exception(error)


class Worker(Generic[T]):
    """Hands items, one after the other, to `process` in a thread of its own, and calls `idle` when there are none.

    At most `size` items wait; when one more comes, the policy says which goes: 1 and drop_oldest is a latest-wins slot.
    `call` runs a function in the same thread, after the items that wait already: what it touches needs no lock.
    """

    def __init__(
        self,
        process: Callable[[T], None],
        idle: Callable[[], None],
        size: int,
        policy: Literal["drop_oldest", "drop_newest"],
        drop: Callable[[T], None],
        idle_s: float = 0.2,
    ) -> None:
        self._process, self._idle, self._idle_s = process, idle, idle_s
        self._size, self._policy, self._drop = size, policy, drop
        self._items: deque[T | Call] = deque()
        self._waiting = 0
        self._processing = self._stopped = self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="mapper", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Items that wait."""
        return self._waiting

    @property
    def at_work(self) -> bool:
        """Whether an item waits or is being processed."""
        return self._processing or self._waiting > 0

    def put(self, item: T) -> None:
        """Add an item; never blocks."""
        dropped: list[T] = []
        with self._changed:
            if self._stopped:
                return
            full = self._waiting >= self._size
            if full and self._policy == "drop_newest":
                dropped.append(item)
            else:
                if full:
                    dropped.append(self._pop_oldest())
                self._items.append(item)
                self._waiting += 1
                self._changed.notify()
        for gone in dropped:
            self._drop(gone)

    def _pop_oldest(self) -> T:
        """The item that waits longest, taken out."""
        for i, queued in enumerate(self._items):
            if not isinstance(queued, Call):
                del self._items[i]
                self._waiting -= 1
                return queued
        raise IndexError("no item waits")

    def call(self, function: Callable[[], Any]) -> Future:
        """Run `function` in the thread; its result or exception is in the future."""
        future: Future = Future()
        with self._changed:
            if self._stopped:
                future.set_exception(stopped())
                return future
            self._items.append(Call(function, future))
            self._changed.notify()
        return future

    def clear(self) -> None:
        """Forget the items that wait (not the calls)."""
        with self._changed:
            self._items = deque(item for item in self._items if isinstance(item, Call))
            self._waiting = 0

    def stop(self, timeout_s: float, or_go_on: bool = False) -> bool:
        """End the thread after what it is doing now; items that wait are left. Whether it has ended in time.

        or_go_on  if it has not, go on as if nothing had been said
        """
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout_s)
        with self._changed:
            if or_go_on and not self._ended:
                self._stopped = False
            return self._ended

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._items and not self._stopped:
                    self._changed.wait(self._idle_s)
                if self._stopped:
                    self._ended = True
                    break
                item = self._items.popleft() if self._items else None
                self._processing = item is not None and not isinstance(item, Call)
                self._waiting -= self._processing
            if item is None:
                self._idle()
            elif isinstance(item, Call):
                item()
            else:
                self._process(item)
        for left in self._items:
            if isinstance(left, Call):
                left.future.set_exception(stopped())


def stopped() -> UserError:
    return UserError("The node has stopped its work: nothing was done.")
