"""The pages for people: what runs, what needs them, and one rollout with everything it was judged on.

Without a login they show names and numbers, never the text of a prompt or what was sent to a webhook, since
settings.STATUS_PAGES may leave them open to whoever reaches the server. Everything can be read without a script.
"""

from rollout.pages.acts import rollout_act
from rollout.pages.rollout import rollout_page
from rollout.pages.status import status_page

__all__ = ["rollout_act", "rollout_page", "status_page"]
