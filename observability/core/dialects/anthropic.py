"""The Anthropic SDK's own spans, from its version 2 on (scope `com.anthropic.sdk.python`).

They are `gen_ai.*`, and stand beside those of any other instrumentation. Source: anthropic-sdk-python.
"""

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Source

ANTHROPIC = Dialect(
    name="Anthropic SDK",
    fields={"finish_reason": (Source("anthropic.message.stop_reason", read.finish_reason),)},
)
