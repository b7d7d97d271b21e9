"""What is timed, beside whom. Every benchmark first checks that both sides give the same answer.

`python -m benchmarks` runs them all and writes `benchmarks/results/DATE.json`; `python -m benchmarks.graph` runs one.
Figures are ratios measured side by side in one run; absolute times are of the machine named in the file.
"""
