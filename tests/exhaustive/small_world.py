"""A world so small that it can be put back: one function, its metrics, a store and a clock.

All that processes share is a `Shared`, a value that can be compared, kept and put back.
"""

import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from controller.adapters.sqlite import SqliteStore
from controller.core.policy import Policy
from controller.simulation.clock import VirtualClock
from controller.simulation.fake_lambda import FakeLambda, Function, code_digest
from controller.simulation.people import pair_of, weight_of
from controller.simulation.script import UpdateRules
from tests.simulation.worlds import FUNCTION, START
from tests.stage import SECRET

Canary: TypeAlias = Literal["healthy", "sick", "silent"]
Frozen: TypeAlias = tuple[Any, ...]

SLOW: Final = timedelta(seconds=2)
REQUESTS_PER_MINUTE: Final = 600
_ORDER: Final = {"rollouts": "id", "history": "rollout, seq", "locks": "lock"}
_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Due:
    """What the clock fires at a moment: the end of an update, of which there is one at a time.

    So two that are due at one moment, for a function that shows the same, do the same.
    """

    at: datetime
    number: int = field(compare=False)
    action: Callable[[], None] = field(compare=False)


class Shared(NamedTuple):
    """Everything that processes share, and what their store objects remember.

    rows: of each table. function: its configuration, field by field. updates: how many it has had.
    served: since which second which weight is served. due: what the clock has still to fire.
    memories: of each store object, the fences that it holds.
    """

    rows: Frozen
    function: Frozen
    updates: int
    now: datetime
    served: Frozen
    due: tuple[Due, ...]
    memories: Frozen

    def without(self, process: str) -> "Shared":
        """Return it once `process` is gone, with all that only it could remember."""
        return self._replace(memories=tuple(one for one in self.memories if one[0] != process))

    def of_function(self, name: str) -> Any:
        """Return one field of the function."""
        return self.function[_FIELDS.index(name)]

    def variables(self) -> dict[str, str]:
        """Return the environment of the function, as it is shown."""
        return dict(self.of_function("variables"))


_FIELDS: Final = [one.name for one in fields(Function)]


class _Clock(VirtualClock):
    def keep(self) -> tuple[datetime, tuple[Due, ...]]:
        return self._now, tuple(Due(*planned) for planned in sorted(self._due))

    def put_back(self, now: datetime, due: tuple[Due, ...]) -> None:
        self._now, self._due = now, [(one.at, one.number, one.action) for one in due]
        heapq.heapify(self._due)


class _Lambda(FakeLambda):
    """Revisions are numbered by the updates, so they have the same names on every way."""

    updates = 0

    def _revision(self) -> str:
        self.updates += 1
        return f"revision-{self.updates}"


class SmallWorld:
    """One function, one store, one clock.

    canary: how its requests are answered. takes: how long an update of the function takes; at once
    when it is zero.
    """

    def __init__(
        self,
        folder: Path,
        policy: Policy,
        canary: Canary = "healthy",
        takes: timedelta | None = None,
    ) -> None:
        self.policy, self.canary = policy, canary
        self.clock = _Clock(START)
        self.takes = takes or timedelta()
        self._served: list[tuple[float, int]] = [(_NEVER, 0)]
        self._lambda = _Lambda(self.clock, self._rules, self._serve, seed=0)
        self._template = {"API_KEY": SECRET, **pair_of(policy.target, 0)}
        self._function = self._lambda.add(FUNCTION, self._template)
        self._file = folder / "rollouts.db"
        self._stores: dict[str, SqliteStore] = {}
        self._loaded: tuple[int, Frozen] | None = None

    # --- what processes get ---------------------------------------------------------------------

    def client(self) -> "Client":
        """Return what stands for the boto3 clients of Lambda and CloudWatch."""
        return Client(self)

    def store(self, name: str) -> SqliteStore:
        """Return the store as the process `name` has it open."""
        if name not in self._stores:
            store = SqliteStore(self._file, durable=False)
            vars(store)["_holder"] = name
            self._stores[name] = store
        return self._stores[name]

    def close(self) -> None:
        """Close every store."""
        for store in self._stores.values():
            store.close()

    def call(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one call as AWS would; an update that takes no time is over with its answer."""
        if method == "get_metric_data":
            return self._metrics(request)
        answer: dict[str, Any] = getattr(self._lambda, method)(request)
        if method.startswith("update_"):
            self.clock.advance(timedelta())
        return answer

    # --- other hands ----------------------------------------------------------------------------

    def set_variables(self, variables: Mapping[str, str]) -> None:
        """Change these variables as another hand does. Raises ClientError during an update."""
        environment = {"Variables": {**self._function.variables, **variables}}
        request = {"FunctionName": FUNCTION, "Environment": environment}
        self.call("update_function_configuration", request)

    def set_weight(self, weight: int) -> None:
        """Set the pair of variables as a person does. Raises ClientError during an update."""
        self.set_variables(pair_of(self.policy.target, weight))

    def deploy(self) -> None:
        """Put the environment back to that of the template. Raises ClientError during an update."""
        self.set_variables(self._template)
        self._function.code_sha256 = code_digest(f"stack {self._lambda.updates}")

    # --- keeping and putting back ---------------------------------------------------------------

    def keep(self) -> Shared:
        """Return everything as it stands."""
        now, due = self.clock.keep()
        function = tuple(_frozen(getattr(self._function, name)) for name in _FIELDS)
        fences = {name: _frozen(_fences(one)) for name, one in sorted(self._stores.items())}
        memories = tuple((name, held) for name, held in fences.items() if held)
        rows = self._rows()
        return Shared(rows, function, self._lambda.updates, now, tuple(self._served), due, memories)

    def put_back(self, shared: Shared) -> None:
        """Make everything as it was."""
        self._put_rows_back(shared.rows)
        for name, value in zip(_FIELDS, shared.function, strict=True):
            setattr(self._function, name, _thawed(getattr(self._function, name), value))
        self._lambda.updates = shared.updates
        self._served[:] = shared.served
        self.clock.put_back(shared.now, shared.due)
        known = dict(shared.memories)
        for name, store in self._stores.items():
            vars(store)["_fences"] = dict(known.get(name, ()))

    def _rows(self) -> Frozen:
        keeper = _connection(self.store("keeper"))
        if self._loaded is None or self._loaded[0] != _changes(keeper):
            changes = _changes(keeper)
            tables = (f"SELECT * FROM {table} ORDER BY {order}" for table, order in _ORDER.items())
            self._loaded = changes, tuple(tuple(keeper.execute(one).fetchall()) for one in tables)
        return self._loaded[1]

    def _put_rows_back(self, rows: Frozen) -> None:
        if rows is self._rows():
            return
        keeper = _connection(self.store("keeper"))
        keeper.execute("BEGIN IMMEDIATE")
        keeper.execute("PRAGMA defer_foreign_keys = ON")
        for table, kept in zip(_ORDER, rows, strict=True):
            keeper.execute(f"DELETE FROM {table}")  # noqa: S608 - three names from above
            if kept:
                places = ", ".join("?" * len(kept[0]))
                keeper.executemany(f"INSERT INTO {table} VALUES ({places})", kept)  # noqa: S608
        keeper.execute("COMMIT")
        self._loaded = _changes(keeper), rows

    # --- inside ---------------------------------------------------------------------------------

    def _rules(self) -> UpdateRules:
        return UpdateRules(takes=self.takes)

    def _serve(self, function: Function) -> None:
        weight = weight_of(self.policy.target, function.in_force)
        if weight != self._served[-1][1]:
            self._served.append((self.clock.now().timestamp(), weight))

    def _metrics(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Every minute that is over has the weight's share of the requests from its begin on."""
        first, end = int(request["StartTime"].timestamp()), request["EndTime"].timestamp()
        seconds = range(first, int(min(end, self.clock.now().timestamp() - 59)), 60)
        results = []
        for query in request["MetricDataQueries"]:
            points = [(one, self._measured(query, one)) for one in seconds]
            points = [(second, value) for second, value in points if value is not None]
            results.append(
                {
                    "Id": query["Id"],
                    "Timestamps": [datetime.fromtimestamp(one, START.tzinfo) for one, _ in points],
                    "Values": [value for _, value in points],
                    "StatusCode": "Complete",
                }
            )
        return {"MetricDataResults": results, "Messages": []}

    def _measured(self, query: Mapping[str, Any], second: int) -> float | None:
        weight = next(weight for since, weight in reversed(self._served) if since <= second)
        if not weight or self.canary == "silent":
            return None
        requests = REQUESTS_PER_MINUTE * weight / 100
        match query["MetricStat"]["Metric"]["MetricName"]:
            case "Count":
                return requests
            case "5XXError" if self.canary == "sick":
                return requests / 5
            case _:
                return 0.0


class Client:
    """The methods of boto3 clients that a tick calls."""

    def __init__(self, world: SmallWorld) -> None:
        self._world = world

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda **request: self._world.call(method, request)


def _connection(store: SqliteStore) -> Any:
    return vars(store)["_connection"]


def _changes(keeper: Any) -> int:
    """Return a number that is another one once anybody else has changed the store."""
    (version,) = keeper.execute("PRAGMA data_version").fetchone()
    return int(version)


def _fences(store: SqliteStore) -> dict[str, int]:
    fences: dict[str, int] = vars(store)["_fences"]
    return fences


def _frozen(value: Any) -> Any:
    return tuple(sorted(value.items())) if isinstance(value, dict) else _listed(value)


def _listed(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def _thawed(like: Any, value: Any) -> Any:
    if isinstance(like, dict):
        return dict(value)
    return json.loads(value) if isinstance(like, list) else value
