"""Why a verdict was reached: one value per cause, one sentence each."""

from enum import StrEnum


class AssessmentReason(StrEnum):
    """The cause that decided a verdict. The value is what users see in conditions and events."""

    STEADY_GROWTH = "SteadyGrowth"
    GROWS_DAY_OVER_DAY = "GrowsDayOverDay"
    LIVES_GROW = "LivesGrow"
    LIVE_HEAP_GROWS = "LiveHeapGrows"
    GOROUTINES_GROW = "GoroutinesGrow"
    CROSSING_FAR = "CrossingFar"
    COULD_BE_BOUNDED = "CouldBeBounded"
    NO_LIMIT = "NoLimit"
    ONLY_WORKING_SET = "OnlyWorkingSet"
    CACHE_GROWS = "CacheGrows"
    NOTHING_KEPT = "NothingKept"
    FOLLOWS_LOAD = "FollowsLoad"
    LEVELLED_OFF_BEFORE = "LevelledOffBefore"
    RUN_TOO_YOUNG = "RunTooYoung"
    STALE = "Stale"
    GAPS = "Gaps"
    NO_DATA = "NoData"

    @property
    def sentence(self) -> str:
        """What this reason means, for people."""
        return SENTENCES[self]


_Reason = AssessmentReason

SENTENCES: dict[AssessmentReason, str] = {
    _Reason.STEADY_GROWTH: "Memory that is never given back grows steadily, above all that was seen "
    "before, and meets the threshold soon compared with how long it has grown.",
    _Reason.GROWS_DAY_OVER_DAY: "Memory at the same hour of successive days keeps growing.",
    _Reason.LIVES_GROW: "Life after life, memory grows until a restart gives it back.",
    _Reason.LIVE_HEAP_GROWS: "The live heap grows behind a flat resident memory.",
    _Reason.GOROUTINES_GROW: "The number of goroutines grows and never falls.",
    _Reason.CROSSING_FAR: "Memory grows, but the threshold is far away compared with how long it has "
    "grown: waiting is still cheap.",
    _Reason.COULD_BE_BOUNDED: "Memory grows, but something that stops by itself explains it as well.",
    _Reason.NO_LIMIT: "Memory grows, but there is neither a limit nor a threshold in bytes to meet.",
    _Reason.ONLY_WORKING_SET: "The working set grows, but without resident memory or active file cache "
    "nobody can say whether it is cache.",
    _Reason.CACHE_GROWS: "What grows belongs to files, shared memory or the kernel: a restart of the "
    "process does not help, or none is needed.",
    _Reason.NOTHING_KEPT: "No growth is kept.",
    _Reason.FOLLOWS_LOAD: "Memory follows the request rate.",
    _Reason.LEVELLED_OFF_BEFORE: "An earlier life or a replica of the same image grew like this and "
    "levelled off.",
    _Reason.RUN_TOO_YOUNG: "The container has not run long enough.",
    _Reason.STALE: "The newest sample is too old.",
    _Reason.GAPS: "Too much of the run was not measured.",
    _Reason.NO_DATA: "Nothing was measured.",
}
