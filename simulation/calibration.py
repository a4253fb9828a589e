"""Derives the figures of the simulated week from the data files; prints them as they stand in
simulation/src/week/calibration.rs.

    python3 simulation/calibration.py ../shared/data

Standard library only; half a minute. The rows of the data stay where they are.
"""

import collections
import csv
import datetime
import glob
import gzip
import sys

DATA = sys.argv[1] if len(sys.argv) > 1 else "../shared/data"
CITY = ("Avon Street CP", "Charlotte Street CP", "Podium CP", "SouthGate General CP")
RIDE = ("Lansdown P+R", "Newbridge P+R", "Odd Down P+R")
HOURS = range(7 * 24)
# Minutes at which the distribution of stays is told.
EDGES = (0, 5, 10, 15, 20, 30, 45, 60, 75, 90, 120, 150, 180, 240, 300, 360, 480, 720)


def rows(path):
    with gzip.open(path, "rt", newline="") as file:
        yield from csv.DictReader(file)


def occupancy():
    """Mean share of the capacity taken, by group of car parks and hour of the week."""
    sums = collections.defaultdict(lambda: [0.0, 0])
    for row in rows(f"{DATA}/bath-2014-2016/carparks.csv.gz"):
        measured = datetime.datetime.fromisoformat(row["last_update_local"])
        uploaded = datetime.datetime.fromisoformat(row["uploaded_local"])
        delay = (uploaded - measured).total_seconds()
        capacity, occupied = int(row["capacity"] or 0), int(row["occupancy"])
        group = "city" if row["name"] in CITY else "ride" if row["name"] in RIDE else None
        if group is None or capacity <= 0 or not 0 <= occupied <= capacity or not 0 <= delay <= 3600:
            continue
        cell = sums[group, measured.weekday() * 24 + measured.hour]
        cell[0] += occupied / capacity
        cell[1] += 1
    return {group: [sums[group, hour][0] / sums[group, hour][1] for hour in HOURS] for group in ("city", "ride")}


def survival():
    """Share of stays longer than each of EDGES.

    Where people come and go evenly, the ages of the cars that stand at an instant have the density
    S(age) / mean stay: so the histogram of ages, against its height at zero, is the share that stays longer.
    """
    ages = []
    for path in sorted(glob.glob(f"{DATA}/melbourne-2025/snapshot_*.csv.gz")):
        bays = [
            (datetime.datetime.fromisoformat(row["Lastupdated"]), datetime.datetime.fromisoformat(row["Status_Timestamp"]), row)
            for row in rows(path)
        ]
        now = max(updated for updated, _, _ in bays)
        ages += [(now - since).total_seconds() / 60 for _, since, row in bays if row["Status_Description"] == "Present"]
    height = [sum(low <= age < high for age in ages) / (high - low) for low, high in zip(EDGES, EDGES[1:])]
    middle = [(low + high) / 2 for low, high in zip(EDGES, EDGES[1:])]
    for at in range(1, len(height)):
        height[at] = min(height[at], height[at - 1])
    # The line through the first two bars meets age zero.
    top = height[0] + (height[0] - height[1]) * middle[0] / (middle[1] - middle[0])
    found = [1.0]
    for edge in EDGES[1:-1]:
        at = next(n for n, m in enumerate(middle) if m >= edge)
        part = (edge - middle[at - 1]) / (middle[at] - middle[at - 1])
        found.append((height[at - 1] + (height[at] - height[at - 1]) * part) / top)
    return found + [0.0], len([age for age in ages if age < EDGES[-1]])


def longer(curve, minutes):
    for (low, high), (a, b) in zip(zip(EDGES, EDGES[1:]), zip(curve, curve[1:])):
        if low <= minutes < high:
            return a + (b - a) * (minutes - low) / (high - low)
    return 0.0


def arrivals(target, curve):
    """Arrivals per slot and hour whose stays fill the lot as `target` says: Richardson and Lucy, cyclic."""
    # Of those who come in one hour, how many are there on average k hours later.
    step = 6
    kernel = []
    for k in range(14):
        pairs = [(60 * k + i - j) for i in range(0, 60, step) for j in range(0, 60, step)]
        kernel.append(sum(longer(curve, age) for age in pairs if age >= 0) / len(pairs))
    rate = [0.3] * len(target)
    size = len(target)
    for _ in range(3000):
        told = [sum(rate[(i - k) % size] * kernel[k] for k in range(len(kernel))) for i in range(size)]
        ratio = [target[i] / told[i] for i in range(size)]
        rate = [rate[j] * sum(kernel[k] * ratio[(j + k) % size] for k in range(len(kernel))) / sum(kernel) for j in range(size)]
    return rate


def days(values):
    """Monday to Thursday in the mean, Friday, Saturday, Sunday."""
    day = [values[24 * number : 24 * number + 24] for number in range(7)]
    return [[sum(day[n][hour] for n in range(4)) / 4 for hour in range(24)], *day[4:]]


def show(name, lines, digits):
    print(f"{name}:")
    for line in lines:
        print("    [" + ", ".join(f"{value:.{digits}f}" for value in line) + "],")


def main():
    filled = occupancy()
    curve, cars = survival()
    print(f"stays, from {cars} ages (minutes, share not longer):")
    print("    " + ", ".join(f"({edge}, {1 - share:.3f})" for edge, share in zip(EDGES, curve)))
    mean = sum((a + b) / 2 * (high - low) for low, high, a, b in zip(EDGES, EDGES[1:], curve, curve[1:]))
    print(f"    mean {mean:.1f} min")
    show("CITY occupancy", days(filled["city"]), 3)
    show("CITY arrivals per slot and hour", days(arrivals(filled["city"], curve)), 3)
    show("RIDE occupancy", days(filled["ride"]), 3)
    for name, sign in (("RIDE share of a day's coming", 1), ("RIDE share of a day's going", -1)):
        # One of the three sets its counter back at four every night: nobody leaves then.
        night = [hour % 24 in (2, 3, 4) for hour in HOURS]
        change = [
            0.0 if night[hour] else max(0.0, sign * (filled["ride"][(hour + 1) % 168] - filled["ride"][hour]))
            for hour in HOURS
        ]
        groups = days([change[(hour - 1) % 168] / 2 + change[hour] / 2 for hour in HOURS])
        show(name, [[value / sum(line) for value in line] for line in groups], 4)


if __name__ == "__main__":
    main()
