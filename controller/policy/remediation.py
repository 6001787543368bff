"""The `remediation` of a policy: what may be done, and when."""

from datetime import time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from controller.policy.memory_policy import Budget, Day, RemediationRules, Window
from controller.policy.section import Section
from controller.policy.syntax import ALERT_NAME, TIME_OF_DAY
from controller.policy.units import DAY, MINUTE, MONTH


def parse_remediation(remediation: Section, *, on_ecs: bool = False) -> RemediationRules:
    """
    The rules that `remediation` describes; its problems are noted in it.

    `on_ecs`: it is read for `bilgepump ecs`, which has nobody to ask and no alerts to read.
    """
    default = RemediationRules()
    rules = RemediationRules(
        strategy=remediation.choice("strategy", default.strategy),
        lead_time=remediation.duration("leadTime", default.lead_time, lowest=timedelta(), highest=DAY),
        cooldown=remediation.duration("cooldown", default.cooldown, lowest=MINUTE, highest=MONTH),
        budget=_budget(remediation.section("budget")),
        maintenance_windows=_windows(remediation, "maintenanceWindows"),
        blackouts=_windows(remediation, "blackouts"),
        critical_overrides_windows=remediation.boolean(
            "criticalOverridesWindows", default.critical_overrides_windows
        ),
        suspect_above_critical=remediation.choice("suspectAboveCritical", default.suspect_above_critical),
        allow_image_drift=remediation.boolean("allowImageDrift", default.allow_image_drift),
        approval=remediation.choice("approval", default.approval),
        blocking_alerts=remediation.names("blockingAlerts", ALERT_NAME, "names of alerts"),
    )
    if on_ecs and rules.approval is not default.approval:
        remediation.refuse(
            "approval", "needs Kubernetes: an incident of `bilgepump ecs` is a file", rules.approval
        )
    if on_ecs and rules.blocking_alerts:
        remediation.refuse("blockingAlerts", "needs the cluster's controller", list(rules.blocking_alerts))
    remediation.refuse_unknown()
    return rules


def _budget(budget: Section) -> Budget:
    default = Budget()
    parsed = Budget(
        remediations=budget.whole_number(
            "remediations", lowest=1, highest=100, unit="remediations", default=default.remediations
        ),
        period=budget.duration("period", default.period, lowest=60 * MINUTE, highest=MONTH),
    )
    budget.refuse_unknown()
    return parsed


def _windows(remediation: Section, name: str) -> tuple[Window, ...]:
    return tuple(_window(entry) for entry in remediation.sections(name))


def _window(entry: Section) -> Window:
    entry.require("start", "end")
    window = Window(
        days=_days(entry),
        start=_time_of_day(entry, "start"),
        end=_time_of_day(entry, "end"),
        time_zone=entry.text_as("timeZone", _time_zone, "an IANA time zone, such as Asia/Kolkata or UTC")
        or ZoneInfo("UTC"),
    )
    entry.refuse_unknown()
    return window


def _days(entry: Section) -> tuple[Day, ...]:
    if "days" not in entry:
        return tuple(Day)
    names = entry.entries("days")
    if not names or len(set(map(str, names))) < len(names) or any(name not in tuple(Day) for name in names):
        entry.refuse("days", f"must be one or more of {', '.join(Day)}, each once", entry.raw("days"))
        return tuple(Day)
    return tuple(day for day in Day if day in names)


def _time_of_day(entry: Section, name: str) -> time:
    text = entry.text(
        name, TIME_OF_DAY, 'a time of day from "00:00" to "23:59", in quotes', default="00:00", longest=5
    )
    return time.fromisoformat(text)


def _time_zone(name: str) -> ZoneInfo:
    """The zone called `name`. Raises ValueError where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(name) from error
