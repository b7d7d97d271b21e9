"""Assignment by trying everything, and by the plainest loops."""

import itertools


def least_total(distances):
    """The least total distance at which the rows can have distinct columns, over all permutations."""
    count = len(distances)
    return min(
        sum(float(distances[n][k]) for n, k in enumerate(columns))
        for columns in itertools.permutations(range(len(distances[0])), count)
    )


def place_within_room(distances, room):
    """Rounds of asking: everyone asks the nearest open code, a code takes its nearest askers, ties by number."""
    room, codes = list(room), {}
    while len(codes) < len(distances):
        asked = {}
        for item in range(len(distances)):
            if item not in codes:
                wish = min((k for k in range(len(room)) if room[k]), key=lambda k: (distances[item][k], k))
                asked.setdefault(wish, []).append(item)
        for code, items in asked.items():
            kept = sorted(items, key=lambda item: (distances[item][code], item))[: room[code]]
            codes |= dict.fromkeys(kept, code)
            room[code] -= len(kept)
    return [codes[item] for item in range(len(distances))]


def place_within_load(distances, loads, room):
    """As above; a code takes from its nearest askers as long as it holds less than its room."""
    held, codes = [0] * len(room), {}
    while len(codes) < len(distances):
        asked = {}
        for item in range(len(distances)):
            if item not in codes:
                wish = min((k for k in range(len(room)) if held[k] < room[k]), key=lambda k: (distances[item][k], k))
                asked.setdefault(wish, []).append(item)
        for code, items in asked.items():
            for item in sorted(items, key=lambda item: (distances[item][code], item)):
                if held[code] >= room[code]:
                    break
                codes[item], held[code] = code, held[code] + loads[item]
    return [codes[item] for item in range(len(distances))]


def greedy(distances):
    """Items in order take their nearest code that is left: what a loop without an assignment would do."""
    taken, codes = set(), []
    for row in distances:
        codes.append(min((k for k in range(len(row)) if k not in taken), key=lambda k: row[k]))
        taken.add(codes[-1])
    return codes
