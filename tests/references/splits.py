"""The three protocols as samples with their histories, one at a time. Rows are (user, item, time), in any order."""

Row = tuple[str, str, int]
Sample = tuple[str, tuple[str, ...], str]


def sequences(rows: list[Row]) -> dict[str, list[Row]]:
    """Each user's rows, oldest first; rows of one time stay in the order given."""
    users: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row[2]):
        users.setdefault(row[0], []).append(row)
    return users


def leave_one_out(rows: list[Row], length: int) -> dict[str, list[Sample]]:
    splits: dict[str, list[Sample]] = {"train": [], "valid": [], "test": []}
    for user, mine in sequences(rows).items():
        for i in range(1, len(mine)):
            left = len(mine) - 1 - i
            split = "train" if len(mine) < 3 or left > 1 else ("test", "valid")[left]
            splits[split].append(_sample(user, mine, i, length))
    return splits


def temporal(rows: list[Row], length: int) -> dict[str, list[Sample]]:
    """Times must all differ: what decides between equal ones is not this function's business."""
    pooled = []
    for user, mine in sequences(rows).items():
        pooled += [(mine[i][2], _sample(user, mine, i, length)) for i in range(1, len(mine))]
    pooled.sort()
    first, second = int(len(pooled) * 0.8 + 1e-9), int(len(pooled) * 0.9 + 1e-9)
    samples = [sample for _, sample in pooled]
    return {"train": samples[:first], "valid": samples[first:second], "test": samples[second:]}


def future_window(rows: list[Row], length: int) -> dict[str, list[Sample]]:
    """Two windows of a tenth of the time; what lies in one is no history of it. Nothing where the time has no room."""
    first, last = min(row[2] for row in rows), max(row[2] for row in rows)
    window = max(1, (last - first + 1) // 10)
    if 2 * window > last - first:
        return {}
    splits: dict[str, list[Sample]] = {"train": [], "valid": [], "test": []}
    for user, mine in sequences(rows).items():
        for i, (_, item, time) in enumerate(mine):
            split = "test" if time > last - window else "valid" if time > last - 2 * window else "train"
            begin = {"train": time, "valid": last - 2 * window + 1, "test": last - window + 1}[split]
            known = [other for _, other, when in mine[:i] if when < begin]
            if known:
                splits[split].append((user, tuple(known[-length:]), item))
    return splits


def _sample(user: str, mine: list[Row], i: int, length: int) -> Sample:
    return user, tuple(item for _, item, _ in mine[max(i - length, 0) : i]), mine[i][1]


def newest_split(rows: list[tuple[int, int, int]], valid: float, test: float) -> list[int]:
    """The label of each (user, time, is new), sorted by user and time: 0 train, 1 valid, 2 test."""
    first = [i == 0 or rows[i - 1][0] != row[0] for i, row in enumerate(rows)]
    pooled = sorted((i for i, row in enumerate(rows) if row[2]), key=lambda i: (rows[i][1], i))
    samples = [i for i in pooled if not first[i]]
    if not samples:
        return [0] * len(rows)
    ends = (len(samples) - round(len(samples) * (valid + test)), len(samples) - round(len(samples) * test))
    label, seen = [0] * len(rows), 0
    for i in pooled:
        label[i] = sum(seen >= end for end in ends)
        seen += not first[i]
    for i, row in enumerate(rows[:-1]):
        if first[i] and row[2] and rows[i + 1][0] == row[0]:
            label[i] = label[i + 1]
    return label
