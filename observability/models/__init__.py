"""What happened: spans, the calls among them, scores about calls, and the evidence that rollouts are judged on.

A rollout is known here only by the plain values of an exposure, never by a foreign key: what happened outlives it.
"""

from observability.models.calls import Call, CostSource, OtherSpan
from observability.models.evidence import Counted, Evidence, UnitBucket
from observability.models.prices import PriceOverride
from observability.models.quality import Refused, RefusedHour
from observability.models.rollups import (
    Dimension,
    ExposureHour,
    RolledDay,
    RollUpState,
    SpendHour,
    StaleHour,
    VersionHour,
    VersionSpan,
)
from observability.models.scores import Score, ScoreSource
from observability.models.spans import Span
from observability.models.texts import CallText, KeptBecause

__all__ = [
    "Call",
    "CallText",
    "CostSource",
    "Counted",
    "Dimension",
    "Evidence",
    "ExposureHour",
    "KeptBecause",
    "OtherSpan",
    "PriceOverride",
    "Refused",
    "RefusedHour",
    "RollUpState",
    "RolledDay",
    "Score",
    "ScoreSource",
    "Span",
    "SpendHour",
    "StaleHour",
    "UnitBucket",
    "VersionHour",
    "VersionSpan",
]
