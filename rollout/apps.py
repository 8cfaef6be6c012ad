from django.apps import AppConfig


class RolloutConfig(AppConfig):
    name = "rollout"
    verbose_name = "Rollouts and webhooks"

    def ready(self) -> None:
        from observability import retention
        from rollout.retention import kinds  # models can be imported only now

        retention.also(kinds)
