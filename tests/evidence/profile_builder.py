"""Builds pprof profiles by hand: stacks as function names, the allocating function first."""

import gzip
from collections.abc import Iterable, Sequence

from controller.evidence.origin import package_of
from controller.evidence.profile_pb2 import Profile

HEAP_TYPES = (
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
)
MEBIBYTE = 1 << 20


class ProfileBuilder:
    """Adds samples; one function per location, numbered in order of appearance."""

    def __init__(self, types: Sequence[tuple[str, str]] = HEAP_TYPES, *, period: int = 1) -> None:
        self.message = Profile(string_table=[""], period=period)
        self._strings = {"": 0}
        self._locations: dict[tuple[str, str, int], int] = {}
        for name, unit in types:
            self.message.sample_type.add(type=self.string(name), unit=self.string(unit))

    def string(self, text: str) -> int:
        if text not in self._strings:
            self._strings[text] = len(self.message.string_table)
            self.message.string_table.append(text)
        return self._strings[text]

    def location(self, function: str, file: str = "", line: int = 10) -> int:
        file = file or _file_of(function)
        key = (function, file, line)
        if key not in self._locations:
            number = len(self._locations) + 1
            self.message.function.add(id=number, name=self.string(function), filename=self.string(file))
            self.message.location.add(id=number).line.add(function_id=number, line=line)
            self._locations[key] = number
        return self._locations[key]

    def sample(self, stack: Iterable[str], values: Sequence[int], *, block: int = 0) -> "ProfileBuilder":
        sample = self.message.sample.add(location_id=[self.location(each) for each in stack], value=values)
        if block:
            sample.label.add(key=self.string("bytes"), num=block)
        return self

    def heap(
        self, *stack: str, inuse: int, allocated: int | None = None, block: int = 1024
    ) -> "ProfileBuilder":
        allocated = inuse if allocated is None else allocated
        return self.sample(stack, (allocated // block, allocated, inuse // block, inuse), block=block)

    def plain(self) -> bytes:
        return bytes(self.message.SerializeToString())

    def gzipped(self) -> bytes:
        return gzip.compress(self.plain(), 1)


def _file_of(function: str) -> str:
    package = package_of(function)
    if package == "main":
        return "/app/main.go"
    if "." in package.split("/", 1)[0]:
        return f"/root/go/pkg/mod/{package}@v1.2.3/code.go"
    return f"/usr/local/go/src/{package}/code.go"


def heap_profile(*, period: int = 1) -> ProfileBuilder:
    return ProfileBuilder(period=period)


def goroutine_profile() -> ProfileBuilder:
    return ProfileBuilder((("goroutine", "count"),))
