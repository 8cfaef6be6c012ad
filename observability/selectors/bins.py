"""Bins of 1 %, computed by the database."""

from math import log
from typing import Any

from django.db.models import Case, FloatField, When
from django.db.models.functions import Cast, Floor, Least, Ln
from django.db.models.lookups import LessThan

from observability.core.evidence import LOG_STEP, SMALLEST, TOP_LOG_BIN


def log_bin(value: Any, measure: str) -> Case:
    """core.evidence.log_bin in SQL. value: an expression that is null where a call does not have the measure.

    A value within rounding of the edge between two bins may fall into the other one than there.
    """
    smallest = SMALLEST[measure]
    bin_ = 1 + Floor(Ln(Cast(value, FloatField()) / smallest) / log(LOG_STEP))
    return Case(When(LessThan(value, smallest), then=0.0), default=Least(bin_, float(TOP_LOG_BIN)))
