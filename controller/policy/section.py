"""A mapping of the policy document that hands out its fields checked, and notes all that is wrong."""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from controller.policy.problem import PolicyProblem
from controller.policy.units import DURATION, format_duration, parse_duration

Choice = TypeVar("Choice", bound=StrEnum)
Parsed = TypeVar("Parsed")


MOST_ENTRIES = 16
"""The longest list or mapping a policy may have, where nothing else is said."""


class Section:
    """
    One mapping of a document, at its path.

    Every question answers with a usable value: the field's, or, after noting a problem, the default. So all
    problems of a document are found in one reading. A null counts as absent, as it does for the API server.
    """

    def __init__(self, value: object, path: str, problems: list[PolicyProblem]) -> None:
        self.path = path
        self._problems = problems
        self._asked: set[str] = set()
        self._fields: dict[str, Any] = {}
        if isinstance(value, Mapping):
            self._fields = {str(key): field for key, field in value.items()}
        elif value is not None:
            self.refuse("", "must be a mapping of field names to values", value)

    def __contains__(self, name: str) -> bool:
        return self.raw(name) is not None

    @property
    def says_nothing(self) -> bool:
        """No field, known or not, holds anything."""
        return not any(self._fields.values())

    def path_of(self, name: str) -> str:
        """The path of the field called `name`."""
        return ".".join(part for part in (self.path, name) if part)

    def refuse(self, name: str, message: str, value: object = None) -> None:
        """Notes that the field called `name` is wrong: `message` says what is allowed."""
        self._asked.add(name)
        shown = "" if value is None else json.dumps(value, default=str, ensure_ascii=False)
        self._problems.append(
            PolicyProblem(field=self.path_of(name) or "document", value=shown[:200], message=message)
        )

    def refuse_unknown(self) -> None:
        """Notes every field nobody has asked for. To be called when all questions are asked."""
        known = sorted(name for name in self._asked if name)
        for name, value in self._fields.items():
            if name in self._asked:
                continue
            close = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean `{close[0]}`?" if close else f"allowed here: {', '.join(known)}"
            self.refuse(name, f"is not a field of a MemoryPolicy; {advice}", value)

    def raw(self, name: str) -> object:
        """The field as it stands, unchecked; None where it is absent."""
        self._asked.add(name)
        return self._fields.get(name)

    def section(self, name: str) -> "Section":
        """The mapping called `name`; an empty one where it is absent."""
        return Section(self.raw(name), self.path_of(name), self._problems)

    def sections(self, name: str, *, maximum: int = MOST_ENTRIES) -> tuple["Section", ...]:
        """The list of mappings called `name`, `maximum` at most."""
        return tuple(
            Section({} if entry is None else entry, f"{self.path_of(name)}[{index}]", self._problems)
            for index, entry in enumerate(self.entries(name, maximum=maximum))
        )

    def entries(self, name: str, *, maximum: int = MOST_ENTRIES) -> Sequence[object]:
        """The list called `name`, its entries unchecked, `maximum` at most; empty where it is absent."""
        value = self.raw(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            self.refuse(name, "must be a list", value)
            return ()
        if len(value) > maximum:
            self.refuse(name, f"must have at most {maximum} entries", len(value))
        return value[:maximum]

    def choice(self, name: str, default: Choice) -> Choice:
        """One of the values of the default's enum."""
        value = self.raw(name)
        if value is None:
            return default
        options = type(default)
        if isinstance(value, str) and value in set(options):
            return options(value)
        self.refuse(name, f"must be one of {', '.join(options)}", value)
        return default

    def boolean(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.raw(name)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.refuse(name, "must be true or false, without quotes", value)
        return default

    def whole_number(self, name: str, *, lowest: int, highest: int, unit: str = "", default: int = 0) -> int:
        """A whole number within bounds; `unit` is what it counts."""
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 70.0 is whole: kubectl sends it as 70
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        what = f"a whole number of {unit}" if unit else "a whole number"
        self.refuse(name, f"must be {what} from {lowest} to {highest}", value)
        return default

    def duration(self, name: str, default: timedelta, *, lowest: timedelta, highest: timedelta) -> timedelta:
        """A duration such as `1h30m`, within bounds."""
        duration = self.text_as(name, parse_duration, DURATION)
        if duration is None:
            return default
        if lowest <= duration <= highest:
            return duration
        bounds = f"must be from {format_duration(lowest)} to {format_duration(highest)}"
        self.refuse(name, bounds, self.raw(name))
        return default

    def text(self, name: str, pattern: str, allowed: str, *, default: str = "", longest: int = 253) -> str:
        """Text that matches `pattern` wholly; `allowed` completes "must be"."""

        def parse(text: str) -> str:
            if len(text) > longest or re.fullmatch(pattern, text) is None:
                raise ValueError(text)
            return text

        text = self.text_as(name, parse, allowed)
        return default if text is None else text

    def text_as(self, name: str, parse: Callable[[str], Parsed], allowed: str) -> Parsed | None:
        """
        What `parse` makes of the text called `name`; None where it is absent.

        Where it is no text, or `parse` raises ValueError, the problem is that it
        "must be" what `allowed` says.
        """
        value = self.raw(name)
        if value is None:
            return None
        try:
            if isinstance(value, str):
                return parse(value)
        except ValueError:
            pass
        self.refuse(name, f"must be {allowed}", value)
        return None

    def require(self, *names: str) -> None:
        """Notes which of these fields are absent."""
        for name in names:
            if name not in self:
                self.refuse(name, "is required")

    def names(self, name: str, pattern: str, what: str) -> tuple[str, ...]:
        """A list of different texts that match `pattern`."""
        names = self.entries(name)
        for entry in names:
            if not isinstance(entry, str) or re.fullmatch(pattern, entry) is None:
                self.refuse(name, f"must be a list of {what}", entry)
                return ()
        if len(set(names)) < len(names):
            self.refuse(name, "must not name anything twice", list(names))
        return tuple(str(entry) for entry in names)

    def labels(self, name: str, key: str, value: str) -> tuple[tuple[str, str], ...]:
        """A mapping of labels whose keys and values match these patterns, in the order of its keys."""
        labels = self.raw(name)
        if labels is None:
            return ()
        if not isinstance(labels, Mapping):
            self.refuse(name, "must be a mapping of labels to values", labels)
            return ()
        if len(labels) > MOST_ENTRIES:
            self.refuse(name, f"must have at most {MOST_ENTRIES} entries", len(labels))
        for label, text in labels.items():
            if not isinstance(label, str) or re.fullmatch(key, label) is None:
                self.refuse(name, "must have valid label names as keys", label)
                return ()
            if not isinstance(text, str) or re.fullmatch(value, text) is None:
                self.refuse(f"{name}.{label}", "must be a label's value, as text in quotes", text)
                return ()
        return tuple(sorted(labels.items()))

    def ratio(self, name: str, default: float, *, lowest: int = 1, highest: int) -> float:
        """A whole percentage as a ratio."""
        percent = self.whole_number(
            name, lowest=lowest, highest=highest, unit="percent", default=round(default * 100)
        )
        return percent / 100
