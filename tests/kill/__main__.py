"""Rounds of killing, as many as wanted: python -m tests.kill --rounds 50 [--compute ray] [--seed 0] [--kind killed]."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.kill import killing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; the next have the numbers after it")
    parser.add_argument("--compute", choices=("local", "ray"), default="local")
    parser.add_argument("--kind", choices=("killed", "at_once", "other_settings", "dropping"), default="killed")
    known = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="unisid-kill-"))
    calm = killing.calm(folder)
    print(f"an undisturbed run takes {calm.seconds:.1f} s; what fails stays in {folder}", flush=True)
    failed, total, begun = [], 0, time.monotonic()
    for seed in range(known.seed, known.seed + known.rounds):
        here = folder / str(seed)
        here.mkdir()
        more = (known.compute,) if known.kind == "killed" else ()
        try:
            total += getattr(killing, known.kind)(seed, here, calm, *more)
            shutil.rmtree(here)
        except Exception as error:  # whatever it is, the next rounds go on
            failed.append(seed)
            print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
        print(
            f"{seed - known.seed + 1} of {known.rounds} rounds, {total} kills or refusals, {len(failed)} failed, "
            f"{time.monotonic() - begun:.0f} s",
            flush=True,
        )
    if not failed:
        shutil.rmtree(folder)
    print(f"failed seeds: {failed}" if failed else f"all {known.rounds} rounds healed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
