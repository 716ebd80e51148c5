"""Stand-in for neuron-explorer and neuron-profile at their command line; NEURON_STAND_IN chooses how it goes wrong.

`capture` leaves a trace per profiled execution, `view` prints the recorded summary with the execution's time in it.
"""

import json
import os
import sys
import time
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "data" / "neuron_profile" / "summary.json"
BEHAVIOUR = os.environ.get("NEURON_STAND_IN", "right")


def option(*names: str) -> str:
    return next(sys.argv[sys.argv.index(name) + 1] for name in names if name in sys.argv)


def capture() -> int:
    slower = {b"NEFF": 0, b"NEFF slower": 1}[Path(option("-n")).read_bytes()]
    trace = Path(option("-s"))
    count, nth = int(option("--num-exec")), int(option("--profile-nth-exec"))
    if BEHAVIOUR == "refused":
        print("ERROR NRT:nrt_init failed: no NeuronCore is free, status=9", file=sys.stderr)
        return 1
    if BEHAVIOUR == "hang":
        time.sleep(600)
    profiled = [nth] if BEHAVIOUR == "keeps one" else range(nth, count + 1, nth)
    for number in profiled if BEHAVIOUR != "keeps none" else ():
        # The first executions are slow; one later is disturbed.
        micros = 90 if number <= 2 else 60 if number == 7 else 40 + number / 10 + slower
        trace.with_name(f"{trace.stem}_exec_{number}.ntff").write_text(json.dumps(micros))
    return 0


def view() -> int:
    assert option("--output-format") == "summary-json"
    if BEHAVIOUR == "babbles":
        print("processing profile 100%")
        return 0
    summary = json.loads(RECORDED.read_text())
    (metrics,) = summary.values()
    metrics["total_time"] = json.loads(Path(option("-s")).read_text()) * 1e-6
    print("INFO processing profile")
    print(json.dumps(summary))
    return 0


sys.exit({"capture": capture, "view": view}[sys.argv[1]]())
