"""
The diagnosis as JSON, the contract of `bilgepump diagnose -o json`, and back.

It is also how a diagnosis leaves the process that read the untrusted files, so reading it checks every type.
"""

import json
from typing import Any

from controller.detection.assessment import GrowthClass
from controller.evidence.advice import Advice
from controller.evidence.answers import Answers
from controller.evidence.cause_matching import NamedCause
from controller.evidence.causes import BY_ID
from controller.evidence.churn import Churn
from controller.evidence.diagnosis import Diagnosis
from controller.evidence.flame import FlameNode
from controller.evidence.goroutines import GoroutineGroup, WaitState
from controller.evidence.origin import Origin
from controller.evidence.profile import Frame
from controller.evidence.retainer import Retainer
from controller.evidence.runtime_metrics import Runtime
from controller.evidence.summary import summarize

_DEEPEST_STACK = 128

Document = dict[str, Any]


class BadDocument(ValueError):
    """JSON that is not a diagnosis."""


def diagnosis_document(diagnosis: Diagnosis, *, with_flame: bool = False) -> Document:
    """The diagnosis as JSON values: sizes in whole bytes, shares in 0..1; stacks leaf first."""
    document: Document = {
        "runtime": diagnosis.runtime.value,
        "class": diagnosis.growth_class.value,
        "summary": summarize(diagnosis),
        "plain": diagnosis.plain,
        "confidence": diagnosis.confidence,
        "explainedShare": diagnosis.explained_share,
        "growthBytes": round(diagnosis.growth_bytes),
        "plusMinusBytes": round(diagnosis.plus_minus_bytes),
        "baseline": diagnosis.has_baseline,
        "retainers": [_retainer(each) for each in diagnosis.retainers],
        "churn": [
            {
                "function": each.function,
                "allocBytes": round(each.alloc_bytes),
                "share": round(each.share, 4),
                "retainedBytes": round(each.retained_bytes),
                "note": each.note,
            }
            for each in diagnosis.churn
        ],
        "goroutines": [_group(each) for each in diagnosis.goroutines],
        "causes": [_cause(each) for each in diagnosis.causes],
        "answers": {
            "rightDirection": diagnosis.answers.right_direction,
            "rightDirectionBecause": diagnosis.answers.right_direction_because,
            "suspectsCleared": list(diagnosis.answers.suspects_cleared),
            "canMemoryBeFreedByHand": diagnosis.answers.can_memory_be_freed_by_hand,
            "freedByHandBecause": diagnosis.answers.freed_by_hand_because,
        },
        "advice": {
            "gomemlimit": diagnosis.advice.gomemlimit,
            "gomemlimitBytes": diagnosis.advice.gomemlimit_bytes,
            "gogc": diagnosis.advice.gogc,
            "limit": diagnosis.advice.limit,
            "settings": list(diagnosis.advice.settings),
        },
        "warnings": list(diagnosis.warnings),
    }
    if with_flame:
        document["flame"] = _flame(diagnosis.flame)
    return document


def read_diagnosis(text: str | bytes) -> Diagnosis:
    """A diagnosis from its document (with flame). Raises BadDocument."""
    try:
        return _read(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadDocument(f"not a diagnosis: {type(error).__name__} {error}") from error


def _retainer(each: Retainer) -> Document:
    return {
        "function": each.function,
        "file": each.file,
        "line": each.line,
        "inuseBytes": round(each.inuse_bytes),
        "deltaBytes": round(each.delta_bytes),
        "share": round(each.share, 4),
        "allocator": each.allocator,
        "via": each.via,
        "origin": each.origin.name.lower(),
        "allocBytes": round(each.alloc_bytes),
        "keptRatio": round(each.kept_ratio, 4),
        "stack": _stack(each.stack),
    }


def _group(each: GoroutineGroup) -> Document:
    return {
        "count": each.count,
        "delta": each.delta,
        "state": each.state.value,
        "function": each.function,
        "file": each.file,
        "line": each.line,
        "origin": each.origin.name.lower(),
        "stack": _stack(each.stack),
    }


def _cause(each: NamedCause) -> Document:
    return {
        "id": each.cause.id,
        "title": each.cause.title,
        "confidence": each.confidence,
        "function": each.function,
        "file": each.file,
        "line": each.line,
        "evidence": each.evidence,
        "byGoroutines": each.by_goroutines,
        "why": each.cause.why,
        "lookFor": each.cause.look_for,
        "linter": each.cause.linter,
        "fix": each.cause.fix,
    }


def _stack(frames: tuple[Frame, ...]) -> list[str]:
    return [f"{each.function} {each.file}:{each.line}" for each in frames[:_DEEPEST_STACK]]


def _flame(node: FlameNode) -> list[Any]:
    children = [_flame(each) for each in node.children]
    return [node.function, round(node.bytes), int(node.origin), children]


def _read(document: Document) -> Diagnosis:
    answers, advice = document["answers"], document["advice"]
    return Diagnosis(
        growth_class=GrowthClass(document["class"]),
        confidence=float(document["confidence"]),
        growth_bytes=float(document["growthBytes"]),
        plus_minus_bytes=float(document["plusMinusBytes"]),
        explained_share=float(document["explainedShare"]),
        has_baseline=bool(document["baseline"]),
        retainers=tuple(_read_retainer(each) for each in document["retainers"]),
        churn=tuple(
            Churn(
                function=_text(each["function"]),
                alloc_bytes=float(each["allocBytes"]),
                share=float(each["share"]),
                retained_bytes=float(each["retainedBytes"]),
            )
            for each in document["churn"]
        ),
        goroutines=tuple(_read_group(each) for each in document["goroutines"]),
        causes=tuple(_read_cause(each) for each in document["causes"]),
        answers=Answers(
            right_direction=_answer(answers["rightDirection"]),
            right_direction_because=_text(answers["rightDirectionBecause"]),
            suspects_cleared=tuple(_text(each) for each in answers["suspectsCleared"]),
            can_memory_be_freed_by_hand=_answer(answers["canMemoryBeFreedByHand"]),
            freed_by_hand_because=_text(answers["freedByHandBecause"]),
        ),
        advice=Advice(
            gomemlimit=_text(advice["gomemlimit"]),
            gogc=_text(advice["gogc"]),
            limit=_text(advice["limit"]),
            settings=tuple(_text(each) for each in advice["settings"]),
            gomemlimit_bytes=None if advice["gomemlimitBytes"] is None else int(advice["gomemlimitBytes"]),
        ),
        warnings=tuple(_text(each) for each in document["warnings"]),
        flame=_read_flame(document["flame"]),
        runtime=Runtime(document["runtime"]),
        plain=_text(document["plain"]),
    )


def _read_retainer(each: Document) -> Retainer:
    return Retainer(
        function=_text(each["function"]),
        file=_text(each["file"]),
        line=int(each["line"]),
        inuse_bytes=float(each["inuseBytes"]),
        delta_bytes=float(each["deltaBytes"]),
        share=float(each["share"]),
        stack=_read_stack(each["stack"]),
        allocator=_text(each["allocator"]),
        via=_text(each["via"]),
        origin=Origin[each["origin"].upper()],
        alloc_bytes=float(each["allocBytes"]),
        kept_ratio=float(each["keptRatio"]),
    )


def _read_group(each: Document) -> GoroutineGroup:
    return GoroutineGroup(
        count=int(each["count"]),
        delta=int(each["delta"]),
        state=WaitState(each["state"]),
        function=_text(each["function"]),
        file=_text(each["file"]),
        line=int(each["line"]),
        origin=Origin[each["origin"].upper()],
        stack=_read_stack(each["stack"]),
    )


def _read_cause(each: Document) -> NamedCause:
    return NamedCause(
        cause=BY_ID[each["id"]],
        confidence=float(each["confidence"]),
        function=_text(each["function"]),
        file=_text(each["file"]),
        line=int(each["line"]),
        evidence=_text(each["evidence"]),
        by_goroutines=bool(each["byGoroutines"]),
    )


def _read_stack(texts: list[str]) -> tuple[Frame, ...]:
    frames = []
    for text in texts:
        rest, _, line = text.rpartition(":")
        function, _, file = rest.rpartition(" ")
        frames.append(Frame(function or file, file if function else "", int(line)))
    return tuple(frames)


def _read_flame(node: list[Any]) -> FlameNode:
    function, size, origin, children = node
    return FlameNode(
        function=_text(function),
        bytes=float(size),
        origin=Origin(origin),
        children=tuple(_read_flame(each) for each in children),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, got {type(value).__name__}")
    return value


def _answer(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise TypeError(f"true, false or null expected, got {type(value).__name__}")
