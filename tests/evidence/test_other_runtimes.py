"""Programs without pprof: which kind of memory grew, by their own metrics, and what is advised."""

import json

import hypothesis
import hypothesis.strategies as st
import pytest
from prometheus_client import exposition

from controller.detection.assessment import GrowthClass
from controller.evidence.diagnosis import Diagnosis, Evidence, diagnose
from controller.evidence.document import diagnosis_document, read_diagnosis
from controller.evidence.memstats import NO_GOMEMLIMIT, MemStats, memstats_json, read_memstats
from controller.evidence.rejection import ProfileRejected, RejectionReason
from controller.evidence.runtime_metrics import Runtime, memory_metrics, read_runtime_metrics
from controller.evidence.summary import summarize
from tests.evidence.profile_builder import MEBIBYTE, heap_profile


def text(**values: float) -> bytes:
    """Metrics in Prometheus' format; `name__label__value` stands for a label."""
    lines = []
    for key, value in values.items():
        name, *labels = key.split("__")
        pairs = ",".join(
            f'{label}="{content}"' for label, content in zip(labels[::2], labels[1::2], strict=True)
        )
        lines.append(f"{name}{{{pairs}}} {value * MEBIBYTE}")
    return "\n".join(lines).encode() + b"\n"


def jvm(*, used: float, committed: float, rss: float, direct: float = 10, meta: float = 60) -> bytes:
    return text(
        jvm_memory_used_bytes__area__heap__id__Old=used - 10,
        jvm_memory_used_bytes__area__heap__id__Eden=10,
        jvm_memory_used_bytes__area__nonheap__id__Metaspace=meta,
        jvm_memory_committed_bytes__area__heap=committed,
        jvm_memory_max_bytes__area__heap__id__Old=900,
        jvm_memory_max_bytes__area__heap__id__Eden=-1,
        jvm_buffer_memory_used_bytes__id__direct=direct,
        process_resident_memory_bytes=rss,
    )


def node(*, used: float, total: float, external: float, rss: float) -> bytes:
    return text(
        nodejs_heap_size_used_bytes=used,
        nodejs_heap_size_total_bytes=total,
        nodejs_external_memory_bytes=external,
        process_resident_memory_bytes=rss,
    )


def python(*, rss: float, uncollectable: int = 0) -> bytes:
    counted = f'python_gc_objects_uncollectable_total{{generation="2"}} {uncollectable}\n'.encode()
    return text(process_resident_memory_bytes=rss) + counted


def compared(now: bytes, before: bytes | None = None, limit_bytes: int | None = None) -> Diagnosis:
    return diagnose(Evidence(metrics=now, metrics_baseline=before, limit_bytes=limit_bytes))


@pytest.mark.parametrize(
    ("before", "now", "runtime", "growth_class", "sentence"),
    [
        pytest.param(
            jvm(used=100, committed=300, rss=450),
            jvm(used=500, committed=550, rss=700),
            Runtime.JVM,
            GrowthClass.HEAP,
            "JVM: the heap grew by 400 MiB",
            id="JVM heap",
        ),
        pytest.param(
            jvm(used=100, committed=300, rss=450),
            jvm(used=110, committed=300, rss=800, direct=350),
            Runtime.JVM,
            GrowthClass.NATIVE,
            "JVM: buffers outside the heap grew by 340 MiB",
            id="direct buffers",
        ),
        pytest.param(
            jvm(used=100, committed=300, rss=450),
            jvm(used=110, committed=300, rss=700, meta=300),
            Runtime.JVM,
            GrowthClass.NATIVE,
            "JVM: classes and compiled code grew by 240 MiB",
            id="class loaders",
        ),
        pytest.param(
            jvm(used=100, committed=300, rss=450),
            jvm(used=110, committed=300, rss=800),
            Runtime.JVM,
            GrowthClass.NATIVE,
            "JVM: memory outside its runtime grew by 350 MiB",
            id="malloc",
        ),
        pytest.param(
            jvm(used=100, committed=120, rss=250),
            jvm(used=110, committed=700, rss=830),
            Runtime.JVM,
            GrowthClass.FRAGMENTATION,
            "JVM: heap held free and not returned grew by 570 MiB",
            id="heap that is not returned",
        ),
        pytest.param(
            node(used=50, total=80, external=5, rss=150),
            node(used=350, total=380, external=6, rss=460),
            Runtime.NODE,
            GrowthClass.HEAP,
            "Node: the heap grew by 300 MiB",
            id="Node heap",
        ),
        pytest.param(
            node(used=50, total=80, external=5, rss=150),
            node(used=60, total=80, external=205, rss=350),
            Runtime.NODE,
            GrowthClass.NATIVE,
            "Node: buffers outside the heap grew by 200 MiB",
            id="Node buffers",
        ),
        pytest.param(
            python(rss=100),
            python(rss=400, uncollectable=7),
            Runtime.PYTHON,
            GrowthClass.UNKNOWN,
            "Python: its resident memory grew by 300 MiB; 7 objects that Python's collector gave up",
            id="Python",
        ),
        pytest.param(
            jvm(used=100, committed=300, rss=450),
            jvm(used=108, committed=300, rss=452),
            Runtime.JVM,
            GrowthClass.UNKNOWN,
            "JVM: nothing grew by as much as 16 MiB since the baseline",
            id="nothing",
        ),
    ],
)
def test_the_kind_of_memory_that_grew_is_told(
    before: bytes, now: bytes, runtime: Runtime, growth_class: GrowthClass, sentence: str
):
    diagnosis = compared(now, before)
    assert diagnosis.runtime is runtime
    assert diagnosis.growth_class is growth_class
    assert summarize(diagnosis) == sentence
    assert diagnosis.causes == ()
    assert diagnosis.retainers == ()
    assert any("profiles left out" in each for each in diagnosis.warnings)


def test_a_heap_that_is_free_and_not_returned_can_be_freed_by_hand():
    held = compared(jvm(used=110, committed=700, rss=830), jvm(used=100, committed=120, rss=250))
    assert held.answers.can_memory_be_freed_by_hand is True
    live = compared(jvm(used=680, committed=700, rss=830), jvm(used=100, committed=120, rss=250))
    assert live.answers.can_memory_be_freed_by_hand is False


def test_advice_is_of_the_runtime_and_fits_the_limit():
    diagnosis = compared(jvm(used=500, committed=550, rss=700), limit_bytes=1000 * MEBIBYTE)
    assert any(each.startswith("-Xmx750m (now 900 MiB") for each in diagnosis.advice.settings)
    assert "does not apply" in diagnosis.advice.gomemlimit
    of_node = compared(node(used=50, total=80, external=5, rss=150), limit_bytes=512 * MEBIBYTE)
    assert any("--max-old-space-size=384" in each for each in of_node.advice.settings)


def test_one_moment_is_shown_with_little_confidence():
    diagnosis = compared(jvm(used=500, committed=550, rss=700))
    assert diagnosis.confidence <= 0.3
    assert "most of it is the heap" in summarize(diagnosis)
    assert any("--metrics-baseline" in each for each in diagnosis.warnings)


def test_the_metrics_of_a_go_program_stand_in_for_memstats():
    metrics = text(
        go_memstats_heap_alloc_bytes=20,
        go_memstats_heap_idle_bytes=400,
        go_memstats_heap_released_bytes=10,
        go_memstats_sys_bytes=450,
        process_resident_memory_bytes=430,
    )
    heap = heap_profile().gzipped()
    diagnosis = diagnose(Evidence(heap=heap, heap_baseline=heap, metrics=metrics))
    assert diagnosis.runtime is Runtime.GO
    assert diagnosis.growth_class is GrowthClass.FRAGMENTATION


def test_the_metrics_of_a_real_exporter_are_read():
    diagnosis = compared(exposition.generate_latest())
    assert diagnosis.runtime is Runtime.PYTHON
    assert diagnosis.growth_bytes > MEBIBYTE


def test_it_survives_its_document():
    document = diagnosis_document(compared(python(rss=400), python(rss=100)), with_flame=True)
    assert document["runtime"] == "python"
    assert diagnosis_document(read_diagnosis(json.dumps(document)), with_flame=True) == document


GO = text(
    go_memstats_heap_alloc_bytes=20,
    go_memstats_heap_sys_bytes=430,
    go_memstats_heap_idle_bytes=400,
    go_memstats_heap_released_bytes=10,
    go_memstats_sys_bytes=450,
    process_resident_memory_bytes=430,
)


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        pytest.param(b"", "GOMEMLIMIT=460MiB", id="not told"),
        pytest.param(b"go_gc_gomemlimit_bytes 9.223372036854776e+18\n", "460MiB (none is set)", id="none"),
        pytest.param(b"go_gc_gomemlimit_bytes 1.073741824e+09\n", "460MiB (now 1024MiB)", id="too high"),
    ],
)
def test_a_missing_memory_limit_of_go_is_told(limit: bytes, told: str):
    with_heap = Evidence(
        heap=heap_profile().gzipped(),
        memstats=b'{"HeapAlloc": 1, "HeapIdle": 2}',
        metrics=GO + limit,
        limit_bytes=512 * MEBIBYTE,
    )
    for diagnosis in (diagnose(with_heap), compared(GO + limit, limit_bytes=512 * MEBIBYTE)):
        assert diagnosis.advice.gomemlimit.endswith(told)
        assert diagnosis.advice.gomemlimit in diagnosis.meanwhile


@pytest.mark.parametrize("beside", [True, False], ids=["beside", "inside"])
def test_a_memory_limit_of_go_is_read_from_memstats(beside: bool):
    stats = {"HeapAlloc": 5, "Sys": 9}
    limit = {"gomemlimit_bytes": 2**63 - 1}
    document = {"memstats": stats, **limit} if beside else {"memstats": {**stats, **limit}}
    found = read_memstats(json.dumps(document).encode())
    assert found == MemStats(heap_alloc=5, sys=9, gomemlimit=NO_GOMEMLIMIT)
    assert read_memstats(memstats_json(found)) == found


def test_go_without_a_profile_tells_what_is_held_free():
    """HeapSys less HeapAlloc would count what is already returned as well."""
    released = GO.replace(b"heap_released_bytes{} %d" % (10 * MEBIBYTE), b"heap_released_bytes{} 4e+08")
    assert compared(GO).answers.can_memory_be_freed_by_hand is True
    assert compared(released).answers.can_memory_be_freed_by_hand is False


def test_resident_memory_is_the_least_that_is_known():
    """The platform's number may hold page cache, which is not native memory of the program."""
    heap = heap_profile().gzipped()
    small = text(go_memstats_heap_alloc_bytes=20, go_memstats_sys_bytes=40, process_resident_memory_bytes=45)
    evidence = Evidence(heap=heap, heap_baseline=heap, metrics=small, rss_bytes=400 * MEBIBYTE)
    assert diagnose(evidence).growth_class is GrowthClass.UNKNOWN


def test_only_lines_about_memory_are_kept():
    users = b"".join(b'visits_total{user="user-%d"} 1\n' % number for number in range(300_000))
    named_alike = b'process_orders_total{user="a"} 1\ngo_info_asked{user="a"} 1\n# TYPE go_orders gauge\n'
    kept = memory_metrics(users + GO + b"# TYPE go_info gauge\ngo_info 1\n" + named_alike + users)
    assert kept == GO + b"# TYPE go_info gauge\ngo_info 1\n"
    assert read_runtime_metrics(users + GO) == read_runtime_metrics(kept)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"<html>sign in</html>", RejectionReason.NOT_A_PROFILE, id="web page"),
        pytest.param(b"\xff\xfe\x00", RejectionReason.WRONG_KIND, id="no text"),
        pytest.param(b'go_info{version="\xff"} 5\n', RejectionReason.NOT_A_PROFILE, id="no UTF-8"),
        pytest.param(b"http_requests_total 5\n", RejectionReason.WRONG_KIND, id="nothing about memory"),
        pytest.param(b"jvm_memory_used_bytes{area=\n", RejectionReason.NOT_A_PROFILE, id="cut off"),
        pytest.param(
            b"process_resident_memory_bytes NaN\n", RejectionReason.WRONG_KIND, id="no number at all"
        ),
        pytest.param(b"#" * (65 << 20), RejectionReason.TOO_LARGE, id="too large"),
        pytest.param(b"go_info 1\n" * (1 << 17), RejectionReason.TOO_LARGE, id="too much of a runtime"),
        pytest.param(b"go_info{%s} 1\n" % (b'a="b",' * 1000), RejectionReason.TOO_LARGE, id="a long line"),
    ],
)
def test_what_are_no_metrics_is_refused(content: bytes, reason: RejectionReason):
    with pytest.raises(ProfileRejected) as caught:
        compared(content)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(b"JAVA PROFILE 1.0.2\0" + bytes(50), "heap dump of a JVM", id="hprof"),
        pytest.param(b'{"snapshot":{"meta":{}}}', "heap snapshot of Node", id="heapsnapshot"),
        pytest.param(b" num     #instances         #bytes\n", "class histogram", id="histogram"),
    ],
)
def test_dumps_of_other_runtimes_are_refused_with_the_way_that_works(content: bytes, what: str):
    with pytest.raises(ProfileRejected, match=f"{what}.*--metrics"):
        diagnose(Evidence(heap=content))


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(st.binary(max_size=60), st.integers(0, 400))
def test_any_bytes_are_read_or_refused(noise: bytes, place: int):
    good = jvm(used=100, committed=300, rss=450)
    try:
        compared(good[:place] + noise + good[place:])
    except ProfileRejected:
        return
