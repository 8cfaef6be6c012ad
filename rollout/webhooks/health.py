"""What is still to be delivered to endpoints and what never will be: two counts each, all in one query."""

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from rollout.models import Delivery, DeliveryStatus, WebhookEndpoint


def with_counts(endpoints: QuerySet[WebhookEndpoint]) -> QuerySet[WebhookEndpoint]:
    """The endpoints with `pending` and `dead`; a page of them counts only its own, each by the index of its status."""
    return endpoints.annotate(pending=_count(DeliveryStatus.PENDING), dead=_count(DeliveryStatus.DEAD))


def _count(status: DeliveryStatus) -> Coalesce:
    of_endpoint = Delivery.objects.filter(endpoint=OuterRef("pk"), status=status).order_by().values("endpoint")
    return Coalesce(Subquery(of_endpoint.annotate(n=Count("pk")).values("n")), 0, output_field=IntegerField())
