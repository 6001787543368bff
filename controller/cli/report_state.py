"""An incident's report and files from the state of `bilgepump ecs`: `bilgepump report --state`."""

from datetime import timedelta

from controller.clients.reporter import REPORT
from controller.evidence.retention import EvidenceLimits
from controller.platforms.ecs.place import StatePlace
from controller.ports import EvidenceUnavailable


class CannotFetch(Exception):
    """What is wrong, and what to do about it."""


class StateDesk:
    """Where the files of one incident are read."""

    def __init__(self, place: StatePlace, region: str, name: str, namespace: str | None) -> None:
        """
        `namespace` is needed only where several have an incident of that name.

        Raises CannotFetch where there is not exactly one, PlatformUnavailable.
        """
        from controller.ecs_wiring import evidence_at, records_at

        kept = [one for one in records_at(place, region).read_all() if one.name == name]
        found = [one for one in kept if namespace in (None, one.namespace)]
        if len(found) != 1:
            where = ", ".join(one.namespace for one in kept)
            hint = (
                f"it is in: {where}; --namespace says which" if where else "`bilgepump incidents` lists them"
            )
            raise CannotFetch(f"no incident is called '{name}' in {namespace or place}; {hint}")
        self._folder = found[0].folder
        self._store = evidence_at(place, region, _READING)

    def get(self, what: str) -> bytes:
        """`report`, or `files/` and a name. Raises CannotFetch."""
        name = REPORT if what == "report" else what.removeprefix("files/")
        try:
            content = self._store.read(self._folder, name)
        except EvidenceUnavailable as error:
            raise CannotFetch(str(error)) from error
        if content is None:
            raise CannotFetch(f"{self._folder}/{name} is not kept, or no longer")
        return content


_READING = EvidenceLimits(maximum_bytes=2**40, maximum_age=timedelta(days=36500))
"""Nothing is written or removed here."""
