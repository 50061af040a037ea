"""Steps of a workflow on DBOS, run by a Python that has it. Prints the median step, in seconds.

Both steps and workflow do nothing, so what is measured is what it takes to make them durable.
"""

from __future__ import annotations

import statistics
import sys
import time

from dbos import DBOS  # type: ignore[import-not-found]  # it lives in an environment of its own


@DBOS.step()  # type: ignore[untyped-decorator]
def step() -> int:
    return 1


@DBOS.workflow()  # type: ignore[untyped-decorator]
def workflow(steps: int) -> list[float]:
    took = []
    for _ in range(steps):
        began_s = time.perf_counter()
        step()
        took.append(time.perf_counter() - began_s)
    return took


def main(file: str, steps: int) -> None:
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{file}", "log_level": "ERROR"})
    DBOS.launch()
    took = workflow(steps)
    print(statistics.median(took), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
