"""What is wrong with a policy, said so that its author can put it right."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProblem:
    """One thing that is wrong in a policy document."""

    field: str
    """Where: a path as `kubectl explain` takes it, such as `spec.detection.threshold.percent`."""
    value: str
    """What stands there, as JSON-like text; empty where nothing stands there."""
    message: str
    """What is allowed, beginning with "must", "may" or what the field is."""

    def __str__(self) -> str:
        found = f" (is {self.value})" if self.value else ""
        return f"{self.field}: {self.message}{found}"
