"""Record what this version stores: `python -m tests.recordings FORMAT`, once before its release."""

import sys
from typing import cast

from controller.ports.store import Store
from controller.process import logging
from tests.chaos import run
from tests.chaos.dynamodb import TABLE, DynamoDbStores
from tests.chaos.program import FaultFreeStore, Program
from tests.chaos.random_plan import draw
from tests.chaos.simulator import Simulator
from tests.recordings import MOMENTS, Recording, dump_file, dump_items


class RecordingSimulator(Simulator):
    """A simulator that writes `recording` before its turn."""

    recording: Recording

    def _take_turn(self) -> None:
        if self._turn == self.recording.turn:
            stores, content = self.stores, ""
            if isinstance(stores, run.SqliteStores):
                content = dump_file(stores.file)
            elif isinstance(stores, DynamoDbStores):
                content = dump_items(stores.client.scan(TableName=TABLE)["Items"])
            self.recording.file.parent.mkdir(exist_ok=True)
            self.recording.file.write_text(content, "utf-8")
        super()._take_turn()


def main(stored_format: int) -> None:
    """Write each recording of `stored_format`."""
    logging.disable()
    for store, moments in MOMENTS.items():
        for moment in moments:
            recording = Recording(stored_format, store, moment)
            plan = draw(recording.seed, store)
            opening = run._dynamodb_stores() if store == "dynamodb" else run._sqlite_stores()
            with opening as stores, stores.fault_free() as opened:
                fault_free = cast("Store", FaultFreeStore(opened))
                simulator = RecordingSimulator(plan, stores, fault_free, Program)
                simulator.recording = recording
                simulator.simulate()


if __name__ == "__main__":
    main(int(sys.argv[1]))
