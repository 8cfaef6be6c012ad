"""The pages for people: what runs, what needs them, one rollout with everything it was judged on, and how prompts do.

Without a login they show names and numbers, never the text of a prompt or what was sent to a webhook, since
settings.STATUS_PAGES may leave them open to whoever reaches the server. Everything can be read without a script.
"""

from rollout.pages.acts import rollout_act
from rollout.pages.alert_acts import alert_act
from rollout.pages.alerts import alert_page, alerts_page
from rollout.pages.events import events_page
from rollout.pages.judging import judging_page
from rollout.pages.prompts import prompts_page
from rollout.pages.rollout import rollout_page
from rollout.pages.spend import spend_page
from rollout.pages.status import status_page
from rollout.pages.traces import trace_page
from rollout.pages.versions import prompt_page

__all__ = [
    "alert_act",
    "alert_page",
    "alerts_page",
    "events_page",
    "judging_page",
    "prompt_page",
    "prompts_page",
    "rollout_act",
    "rollout_page",
    "spend_page",
    "status_page",
    "trace_page",
]
