"""The admin of what happened, of who judges it, and of what watches it."""

from observability.admin import alerts as alerts
from observability.admin import budgets as budgets
from observability.admin import calls as calls
from observability.admin import evaluators as evaluators
from observability.admin import objectives as objectives
from observability.admin import prices as prices
