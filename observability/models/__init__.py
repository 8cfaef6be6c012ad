"""What happened: spans, the calls among them, scores about calls, and the evidence that rollouts are judged on.

A rollout is known here only by the plain values of an exposure, never by a foreign key: what happened outlives it.
"""

from observability.models.alerts import Alert, AlertKind, Severity, Silence
from observability.models.budgets import SpendBudget
from observability.models.calls import Call, CostSource, OtherSpan
from observability.models.evaluations import (
    Evaluation,
    EvaluationStatus,
    EvaluationText,
    JudgingDay,
    Missing,
    RetrievedText,
)
from observability.models.evaluators import (
    PAID_KINDS,
    Evaluator,
    EvaluatorKind,
    EvaluatorVersion,
    JudgedShare,
    Judging,
    JudgingBudget,
)
from observability.models.evidence import ArmCost, Counted, Evidence, UnitBucket
from observability.models.objectives import Objective
from observability.models.prices import PriceOverride
from observability.models.quality import Refused, RefusedHour
from observability.models.rollups import (
    Dimension,
    ExposureHour,
    RolledDay,
    RollUpState,
    SpendDay,
    SpendHour,
    StaleHour,
    VersionHour,
    VersionSpan,
)
from observability.models.scores import Score, ScoreSource
from observability.models.series import FiguresBucket, JudgedBucket, MetricBucket, SeriesState, StaleBucket, Watch
from observability.models.spans import Span
from observability.models.texts import CallText, KeptBecause

__all__ = [
    "PAID_KINDS",
    "Alert",
    "AlertKind",
    "ArmCost",
    "Call",
    "CallText",
    "CostSource",
    "Counted",
    "Dimension",
    "Evaluation",
    "EvaluationStatus",
    "EvaluationText",
    "Evaluator",
    "EvaluatorKind",
    "EvaluatorVersion",
    "Evidence",
    "ExposureHour",
    "FiguresBucket",
    "JudgedBucket",
    "JudgedShare",
    "Judging",
    "JudgingBudget",
    "JudgingDay",
    "KeptBecause",
    "MetricBucket",
    "Missing",
    "Objective",
    "OtherSpan",
    "PriceOverride",
    "Refused",
    "RefusedHour",
    "RetrievedText",
    "RollUpState",
    "RolledDay",
    "Score",
    "ScoreSource",
    "SeriesState",
    "Severity",
    "Silence",
    "Span",
    "SpendBudget",
    "SpendDay",
    "SpendHour",
    "StaleBucket",
    "StaleHour",
    "UnitBucket",
    "VersionHour",
    "VersionSpan",
    "Watch",
]
