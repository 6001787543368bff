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
    LEVELS_OFF = "LevelsOff"
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


SENTENCES: dict[AssessmentReason, str] = {
    AssessmentReason.STEADY_GROWTH: "Memory that is never given back grows steadily, above all that was seen "
    "before, and meets the threshold soon compared with how long it has grown.",
    AssessmentReason.GROWS_DAY_OVER_DAY: "Memory at the same hour of successive days keeps growing.",
    AssessmentReason.LIVES_GROW: "Life after life, memory grows until a restart gives it back.",
    AssessmentReason.LIVE_HEAP_GROWS: "The live heap grows behind a flat resident memory.",
    AssessmentReason.GOROUTINES_GROW: "The number of goroutines grows and never falls.",
    AssessmentReason.CROSSING_FAR: "Memory grows, but the threshold is far away compared with how long it has "
    "grown: waiting is still cheap.",
    AssessmentReason.COULD_BE_BOUNDED: "Memory grows, but something that stops by itself explains it as well.",
    AssessmentReason.NO_LIMIT: "Memory grows, but there is neither a limit nor a threshold in bytes to meet.",
    AssessmentReason.ONLY_WORKING_SET: "The working set grows, but without resident memory or active file cache "
    "nobody can say whether it is cache.",
    AssessmentReason.CACHE_GROWS: "What grows belongs to files, shared memory or the kernel: a restart of the "
    "process does not help, or none is needed.",
    AssessmentReason.NOTHING_KEPT: "No growth is kept.",
    AssessmentReason.LEVELS_OFF: "Memory grew and levels off.",
    AssessmentReason.FOLLOWS_LOAD: "Memory follows the request rate.",
    AssessmentReason.LEVELLED_OFF_BEFORE: "An earlier life or a replica of the same image grew like this and "
    "levelled off.",
    AssessmentReason.RUN_TOO_YOUNG: "The container has not run long enough.",
    AssessmentReason.STALE: "The newest sample is too old.",
    AssessmentReason.GAPS: "Too much of the run was not measured.",
    AssessmentReason.NO_DATA: "Nothing was measured.",
}
