"""The cluster of background tasks."""

import pytest
from django_q.models import Schedule

from config.management.commands.qcluster import TASKS


@pytest.mark.django_db
def test_cluster__every_scheduled_function__is_loaded_before_it_forks() -> None:
    scheduled = Schedule.objects.values_list("func", flat=True)

    assert {function.rpartition(".")[0] for function in scheduled} == set(TASKS)
