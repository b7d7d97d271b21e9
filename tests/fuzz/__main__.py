"""Bad inputs in numbers: `python -m tests.fuzz --n 5000 --seed 0`; one of them again: `--only tables:17`.

Every kind runs in processes of its own: an input that brings its process down is named like any other that fails.
"""

import argparse
import collections
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from tests.fuzz.running import Verdict, apart, known, tried


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=5000, help="how many inputs, of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=sorted(known()), choices=sorted(known()))
    parser.add_argument("--only", default="", metavar="KIND:NUMBER", help="one input, with all that is known of it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part or given.only:
        kind, _, numbers = (given.part or given.only).partition(":")
        start, _, stop = numbers.partition("-")
        for verdict in tried(kind, given.seed, range(int(start), int(stop or int(start) + 1))):
            print(json.dumps(asdict(verdict)), flush=True)
        return 0
    return whole(given.n, given.seed, given.kinds, given.workers)


def whole(n: int, seed: int, kinds: list[str], workers: int) -> int:
    """Try all inputs and print what failed; the exit code."""
    shares = {kind: known()[kind].SHARE for kind in kinds}
    counts = {kind: max(1, n * share // sum(shares.values())) for kind, share in shares.items()}
    counts[max(counts, key=lambda kind: counts[kind])] += n - sum(counts.values())
    begun, found = time.monotonic(), []
    with ThreadPoolExecutor(workers) as pool:
        for verdicts in pool.map(lambda kind: apart(kind, seed, counts[kind]), counts):
            found += verdicts
            show(verdicts)
    broken = [verdict for verdict in found if verdict.breach]
    print(
        f"{len(found)} inputs, seed {seed}: {sum(v.answered for v in found)} answered rightly, "
        f"{sum(not v.answered and not v.breach for v in found)} refused in words, {len(broken)} broke the law; "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 1 if broken else 0


def show(verdicts: list[Verdict]) -> None:
    """Print a kind's figures, and each failing input with the words that try it again."""
    kind = verdicts[0].kind
    counts = collections.Counter("broke" if v.breach else "answered" if v.answered else "refused" for v in verdicts)
    print(f"{kind:<12}{len(verdicts):>6} inputs  {dict(counts)}")
    for v in verdicts:
        if v.breach:
            print(f"  {v.breach}\n      input: {v.note}\n      again: make fuzz SEED={v.seed} ONLY={kind}:{v.number}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
