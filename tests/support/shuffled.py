"""Work in an order that a seed draws, as threads may do it, and that can be repeated."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from random import Random
from typing import Final, Generic, TypeVar

from controller.engine.side_by_side import Results

LATE: Final = 0.3  # the share of the work that takes longer than the patience

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Shuffled:
    """`Run` in one thread, in a random order that a seed repeats; some of the work is late.

    late: how much of it was late so far.
    """

    def __init__(self, seed: int | str) -> None:
        self._random, self.late = Random(seed), 0

    def __call__(
        self,
        work: Callable[[_Item], _Result],
        items: Iterable[_Item],
        patience: timedelta | None = None,
        /,
        *,
        always: bool = False,
    ) -> Results[_Result]:
        """Return the results, as `Run` says; there is no stop signal."""
        indexed = list(enumerate(items))
        late = [one for one in indexed if patience and self._random.random() < LATE]
        self.late += len(late)
        in_time = [one for one in indexed if one not in late]

        def do(chosen: list[tuple[int, _Item]]) -> list[_Result]:
            order = self._random.sample(chosen, len(chosen))
            done = {index: work(item) for index, item in order}
            return [done[index] for index, _ in chosen]

        def do_later() -> list[_Result]:
            return do([late.pop() for _ in range(self._random.randint(0, len(late)))])

        return Results(do(in_time), LateWork(do_later, late) if late else None)


class LateWork(Generic[_Result]):
    """`Late` in one thread: the work is done when its results are taken, and some of it later.

    left: the items that are left by then.
    """

    def __init__(self, take: Callable[[], list[_Result]], left: Sequence[object]) -> None:
        self.take, self._left = take, left

    @property
    def is_over(self) -> bool:
        return not self._left

    def wait(self) -> None:
        """Wait for nothing."""
