"""That somebody does the work: where an evaluator runs, and when it was last seen."""

from django.db import models


class Heartbeat(models.Model):
    """Of the evaluators of one host."""

    host = models.CharField(max_length=255, primary_key=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["host"]

    def __str__(self) -> str:
        return f"{self.host} at {self.at}"
