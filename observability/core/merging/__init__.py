"""Several spans may tell of one call: instrumentations one above the other, retries, the late record of a stream.

`group` says which belong together, `unite` makes one call of them. Source: otlp.md, 4.3 to 4.5.
"""

from observability.core.merging.grouping import Related, awaits_another_attempt, group
from observability.core.merging.uniting import unite

__all__ = ["Related", "awaits_another_attempt", "group", "unite"]
