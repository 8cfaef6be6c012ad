"""Every change of what exists: one function, one transaction, one recorded fact each.

Locks are taken in one order, so that no two transactions wait for each other: label, prompt, then the sequences
`generation` (registry.sequences.touch) and `event` (registry.events.record). Publishing locks the prompt before its
label `latest`, which is why nobody else may move or hold that one.
"""

from registry.services.drafts import publish_draft, save_draft
from registry.services.imports import Imported, import_prompt
from registry.services.keys import issue_key, revoke_key
from registry.services.labels import LATEST, hold_label, move_label, promote_label, release_label
from registry.services.prompts import archive_prompt, change_prompt, create_prompt, unarchive_prompt
from registry.services.publishing import Published, publish_version

__all__ = [
    "LATEST",
    "Imported",
    "Published",
    "archive_prompt",
    "change_prompt",
    "create_prompt",
    "hold_label",
    "import_prompt",
    "issue_key",
    "move_label",
    "promote_label",
    "publish_draft",
    "publish_version",
    "release_label",
    "revoke_key",
    "save_draft",
    "unarchive_prompt",
]
