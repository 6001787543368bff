"""Documents that a reader of `query_range` answers may meet: broken, odd, and hostile ones.

None of them holds a leak: whatever a reader keeps of one, `Leaking` would be said for lack of data.
"""

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

STEP = 60
BEGIN = 1_772_409_600
SAMPLES = 240
_NAMES = (
    "container_memory_rss",
    "container_memory_working_set_bytes",
    "container_spec_memory_limit_bytes",
    "container_start_time_seconds",
)

Answer = dict[str, Any]
Mutation = Callable[[Answer, np.random.Generator], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """`is_answer` tells whether a reader must take it (keeping what is sound) or must refuse it with a
    clear error.
    """

    name: str
    body: bytes
    is_answer: bool


def documents(seed: int, rounds: int = 3) -> Iterator[Document]:
    """Yield every kind of document `rounds` times with different draws, then random piles of mutations."""
    rng = np.random.default_rng([seed, 0xF0])
    for name, body in _REFUSED.items():
        yield Document(name=name, body=body, is_answer=False)
    for name, mutate in MUTATIONS.items():
        for _ in range(rounds):
            yield _mutated(name, (mutate,), rng)
    names = list(MUTATIONS)
    for number in range(rounds * 5):
        pile = rng.choice(names, rng.integers(2, 6), replace=False)
        yield _mutated(f"pile {number}: {', '.join(pile)}", tuple(MUTATIONS[name] for name in pile), rng)


def large(mebibytes: int) -> Iterator[bytes]:
    """Yield one valid answer of about this size in pieces, too large to be made in memory first."""
    labels = b'{"__name__":"container_memory_rss","namespace":"n","pod":"p%d","container":"c"}'
    series = b'{"metric":' + labels + b',"values":[%s]}'
    values = b",".join(b'[%d,"104857600"]' % (BEGIN + STEP * i) for i in range(2880))
    yield b'{"status":"success","data":{"resultType":"matrix","result":['
    count = mebibytes * 2**20 // len(values) + 1
    for number in range(count):
        yield (b"," if number else b"") + series % (number, values)
    yield b"]}}"


def flat_answer(rng: np.random.Generator) -> Answer:
    """A sound answer for two containers of flat memory."""
    result = []
    for pod in ("a-7d4b9c6f5-x2k8q", "b-0"):
        level = rng.uniform(50, 200) * 2**20
        values = {
            _NAMES[0]: level * (1 + rng.normal(0, 0.002, SAMPLES)),
            _NAMES[1]: 1.05 * level * (1 + rng.normal(0, 0.002, SAMPLES)),
            _NAMES[2]: np.full(SAMPLES, 2.0**29),
            _NAMES[3]: np.full(SAMPLES, BEGIN - 3600.0),
        }
        for name, numbers in values.items():
            labels = {"__name__": name, "namespace": "fuzz", "pod": pod, "container": "app"}
            samples = [[BEGIN + STEP * i, f"{v:.0f}"] for i, v in enumerate(numbers)]
            result.append({"metric": labels, "values": samples})
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def _mutated(name: str, mutations: tuple[Mutation, ...], rng: np.random.Generator) -> Document:
    answer = copy.deepcopy(flat_answer(rng))
    for mutate in mutations:
        mutate(answer, rng)
    return Document(name=name, body=json.dumps(answer).encode(), is_answer=True)


def _some(answer: Answer, rng: np.random.Generator) -> list[Any]:
    """The samples of one series; where an earlier mutation left none, an empty list."""
    with_samples = [
        series["values"]
        for series in answer["data"]["result"]
        if isinstance(series, dict) and isinstance(series.get("values"), list)
    ]
    return with_samples[rng.integers(len(with_samples))] if with_samples else []


def _values(*choices: Any) -> Mutation:
    """Replace a third of one series' values by something else."""

    def mutate(answer: Answer, rng: np.random.Generator) -> None:
        samples = _some(answer, rng)
        for i in np.flatnonzero(rng.random(len(samples)) < 0.33):
            samples[i] = [BEGIN + STEP * int(i), choices[rng.integers(len(choices))]]

    return mutate


def _times(*choices: Any) -> Mutation:
    def mutate(answer: Answer, rng: np.random.Generator) -> None:
        samples = _some(answer, rng)
        for i in np.flatnonzero(rng.random(len(samples)) < 0.2):
            samples[i] = [choices[rng.integers(len(choices))], "104857600"]

    return mutate


def _samples(*choices: Any) -> Mutation:
    """Replace some samples by what is no pair."""

    def mutate(answer: Answer, rng: np.random.Generator) -> None:
        samples = _some(answer, rng)
        for i in np.flatnonzero(rng.random(len(samples)) < 0.2):
            samples[i] = choices[rng.integers(len(choices))]

    return mutate


def _shuffle(answer: Answer, rng: np.random.Generator) -> None:
    rng.shuffle(_some(answer, rng))


def _reverse(answer: Answer, rng: np.random.Generator) -> None:
    _some(answer, rng).reverse()


def _repeat(answer: Answer, rng: np.random.Generator) -> None:
    samples = _some(answer, rng)
    samples += copy.deepcopy(samples[: len(samples) // 2])


def _truncate(answer: Answer, rng: np.random.Generator) -> None:
    del _some(answer, rng)[int(rng.integers(0, 4)) :]


def _duplicate_series(answer: Answer, rng: np.random.Generator) -> None:
    result = answer["data"]["result"]
    if result:
        result.append(copy.deepcopy(result[rng.integers(len(result))]))


def _series(replacement: Any) -> Mutation:
    def mutate(answer: Answer, rng: np.random.Generator) -> None:
        result = answer["data"]["result"]
        if result:
            result[rng.integers(len(result))] = copy.deepcopy(replacement)

    return mutate


def _label(name: str, value: Any) -> Mutation:
    """Set a label of one series; None removes it."""

    def mutate(answer: Answer, rng: np.random.Generator) -> None:
        found = [
            s for s in answer["data"]["result"] if isinstance(s, dict) and isinstance(s.get("metric"), dict)
        ]
        for series in found[:1]:
            series["metric"].pop(name, None)
            if value is not None:
                series["metric"][name] = value

    return mutate


def _no_results(answer: Answer, rng: np.random.Generator) -> None:
    answer["data"]["result"] = []


MUTATIONS: dict[str, Mutation] = {
    "not a number": _values("NaN", "nan", "", "abc", "0x10", "1,000", "１２３"),
    "infinite": _values("+Inf", "-Inf", "Inf", "1e999"),
    "negative": _values("-1", "-104857600", "-0"),
    "huge": _values("1e300", "9" * 400, "18446744073709551616"),
    "tiny": _values("1e-320", "0.0000001", "0"),
    "values of wrong types": _values(None, True, [], {}, 104857600, 1.5e8),
    "times out of range": _times(-1, 0, 4e9, 1e300, -1e300),
    "times of wrong types": _times(None, "soon", True, [], {}, "1772409600"),
    "times not finite": _times(float("nan"), float("inf"), float("-inf")),
    "times in milliseconds": _times(BEGIN * 1000, (BEGIN + 60) * 1000),
    "samples that are no pairs": _samples(None, [], [BEGIN], [BEGIN, "1", "2"], "text", 7, {}),
    "out of order": _shuffle,
    "reversed": _reverse,
    "duplicate timestamps": _repeat,
    "nearly empty": _truncate,
    "duplicated series": _duplicate_series,
    "series without values": _series({"metric": {"__name__": _NAMES[0], "pod": "p"}}),
    "series without metric": _series({"values": [[BEGIN, "1"]]}),
    "series that is null": _series(None),
    "series that is a list": _series([[BEGIN, "1"]]),
    "values that are null": _series({"metric": {"__name__": _NAMES[0], "pod": "p"}, "values": None}),
    "values that are text": _series({"metric": {"__name__": _NAMES[0], "pod": "p"}, "values": "NaN"}),
    "metric of a wrong type": _series({"metric": "container_memory_rss", "values": [[BEGIN, "1"]]}),
    "native histogram": _series({"metric": {"__name__": _NAMES[0], "pod": "p"}, "histograms": [[BEGIN, {}]]}),
    "no pod": _label("pod", None),
    "no container": _label("container", None),
    "empty container": _label("container", ""),
    "pause container": _label("container", "POD"),
    "label of a wrong type": _label("namespace", 7),
    "label that is null": _label("pod", None),
    "label with markup and escapes": _label("pod", "<b>\u202e\x1b[31m\n\u0000"),
    "label of 100 kB": _label("pod", "p" * 100_000),
    "unknown metric": _label("__name__", "up"),
    "no results": _no_results,
}

_REFUSED: dict[str, bytes] = {
    "empty file": b"",
    "white space": b" \n",
    "no JSON": b"memory 1 2 3",
    "half of a document": b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{',
    "binary": bytes(range(256)),
    "not UTF-8": b'{"status":"\xff\xfe"}',
    "null": b"null",
    "a list": b"[]",
    "a number": b"7",
    "no data": b'{"status":"success"}',
    "data that is null": b'{"status":"success","data":null}',
    "an error answer": b'{"status":"error","errorType":"bad_data","error":"parse error"}',
    "a vector": b'{"status":"success","data":{"resultType":"vector","result":[]}}',
    "result of a wrong type": b'{"status":"success","data":{"resultType":"matrix","result":{}}}',
    "deeply nested": b"[" * 100_000,
    "truncated gzip": gzip.compress(b'{"status":"success"}' * 50, mtime=0)[:40],
}
