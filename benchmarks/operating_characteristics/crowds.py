"""Whose calls they are: which unit makes each of n calls, by how much one unit makes of them."""

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.operating_characteristics.measures import Ints

Crowd = Callable[[np.random.Generator, int], Ints]


def one_call_a_unit(rng: np.random.Generator, n: int) -> Ints:
    return np.arange(n)


def pool(*, users: int, calls_each: int) -> Crowd:
    """So many users live at any time; each makes so many calls in all, among everybody else's, and a new one comes."""

    def crowd(rng: np.random.Generator, n: int) -> Ints:
        place = rng.integers(0, users, n)
        by_place = np.argsort(place, kind="stable")
        sizes = np.bincount(place, minlength=users)
        earlier = np.empty(n, dtype=np.int64)
        earlier[by_place] = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        unit: Ints = np.unique(place + users * (earlier // calls_each), return_inverse=True)[1]
        return unit

    return crowd


CROWDS: Mapping[str, Crowd] = {
    "20 calls a unit": lambda rng, n: np.arange(n) // 20,
    "sessions of 20 on average": lambda rng, n: np.repeat(np.arange(n), rng.geometric(0.05, n))[:n],
    "1 000 users come again": lambda rng, n: rng.integers(0, 1000, n),
    "3 units": lambda rng, n: rng.integers(0, 3, n),
    "30 units": lambda rng, n: rng.integers(0, 30, n),
    "one unit makes half of all calls": lambda rng, n: np.where(rng.random(n) < 0.5, 0, np.arange(1, n + 1)),
    "one unit makes 1 % of all calls": lambda rng, n: np.where(rng.random(n) < 0.01, 0, np.arange(1, n + 1)),
}
