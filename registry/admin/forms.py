"""What people fill in, and how a service's refusal comes back to the field that it is about."""

import json
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html

from common.errors import DomainError
from registry import selectors
from registry.core.content import Content
from registry.core.problems import Problem
from registry.core.versions import Bump
from registry.models import Draft, Label, LabelMove, Prompt, PromptVersion, Scope, TemplateType

VERSIONS_OFFERED = 500
WIDE = {"class": "vLargeTextField written", "spellcheck": "false"}


class JSONField(forms.JSONField):
    """JSON that is shown indented and may be left empty."""

    def __init__(self, *, help_text: str) -> None:
        super().__init__(required=False, help_text=help_text, widget=forms.Textarea(attrs=WIDE | {"rows": 6}))

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed is shown as it was typed."""
        return forms.fields.InvalidJSONInput(data or "")

    def to_python(self, value: Any) -> Any:
        try:
            return _showable(super().to_python(value))
        except RecursionError as error:
            raise ValidationError("Enter JSON that is not nested so deeply.") from error
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, forms.fields.InvalidJSONInput):
            return value
        return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)


class MomentField(forms.DateTimeField):
    """A moment in UTC, whatever offset it was written with."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"help_text": "UTC, such as 2027-01-31 14:05"} | options)

    def to_python(self, value: Any) -> datetime | None:
        moment: datetime | None = super().to_python(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError as error:  # the first and the last hours of the calendar do not exist everywhere
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class PromptForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    tags = forms.CharField(required=False, help_text="Separated by commas")

    class Meta:
        model = Prompt
        fields = ["name", "description", "tags"]

    def clean_tags(self) -> list[str]:
        return [tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()]


class RevisionForm(forms.Form):
    """revision: of the draft that was read, so that nobody acts on a text that they have not seen."""

    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def sees_now(self, revision: int) -> bool:
        """Show the form again to someone who now sees this revision; whether that is another than they had seen."""
        if not self.is_bound or self.data.get("revision") == str(revision):
            return False
        self.data = {**self.data.dict(), "revision": revision}  # type: ignore[attr-defined]  # request.POST
        return True


class DraftForm(RevisionForm):
    type = forms.ChoiceField(choices=TemplateType.choices, widget=forms.RadioSelect, initial=TemplateType.TEXT)
    template = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs=WIDE | {"rows": 16}),
        help_text=format_html(
            '{} <span class="as-json">{}</span>',
            "{{ name }} is a variable, \\{{ are two literal braces.",
            'For chat write a JSON list of {"role": …, "content": …} and {"type": "placeholder", "name": …}.',
        ),
    )
    config = JSONField(help_text="Model, temperature, tools: any JSON object")
    input_schema = JSONField(
        help_text="JSON Schema of the variables: types, and defaults of those that may be left out"
    )
    response_schema = JSONField(help_text="JSON Schema of the answers")
    notes = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 3}),
        help_text="What changes and why; needed to publish",
    )

    @classmethod
    def initial_of(cls, content: Content, draft: Draft | None) -> dict[str, Any]:
        return {
            "type": content.type,
            "template": written(content.template),
            "config": content.config,
            "input_schema": content.input_schema,
            "response_schema": content.response_schema,
            "notes": draft.notes if draft else "",
            "revision": draft and draft.revision,
        }

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("type") == TemplateType.CHAT and "template" in self.cleaned_data:
            try:
                self.cleaned_data["template"] = _showable(json.loads(self.cleaned_data["template"] or "[]"))
            except (ValueError, RecursionError) as error:
                self.add_error("template", f"A chat template is a JSON list of messages: {error}")
        return self.cleaned_data

    @property
    def content(self) -> Content:
        """What was filled in. Only after is_valid()."""
        fields = self.cleaned_data
        config = {} if fields["config"] is None else fields["config"]
        return Content(fields["type"], fields["template"], config, fields["input_schema"], fields["response_schema"])

    @property
    def typed(self) -> tuple[Content, list[Problem]]:
        """What was filled in as far as it can be read, and what of it cannot be. Only of a form that was sent."""
        errors = {name: messages for name, messages in self.errors.items() if name in self.fields}
        unread = {name: self.data.get(name, "") for name in ("type", "template") if name in errors}
        read: dict[str, Any] = {"config": None, "input_schema": None, "response_schema": None} | unread
        read |= self.cleaned_data
        problems = [Problem(name, "invalid", str(text)) for name, messages in errors.items() for text in messages]
        config = {} if read["config"] is None else read["config"]
        return Content(read["type"], read["template"], config, read["input_schema"], read["response_schema"]), problems


class PublishForm(RevisionForm):
    bump = forms.ChoiceField(required=False, label="Step")
    version = forms.CharField(required=False, help_text="Or an exact version such as 2.3, in place of a step")

    def __init__(self, *arguments: Any, smallest: Bump | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        offered = [bump for bump in Bump if smallest is None or bump.covers(smallest)]
        self.fields["bump"].choices = [("", "the smallest allowed"), *[(bump, bump) for bump in offered]]  # type: ignore[attr-defined]  # of ChoiceField


class MoveForm(forms.Form):
    """Offers the newest versions, without what they say; the API moves a label to any."""

    label = forms.CharField(max_length=64, help_text="An existing label or a new one")
    version = forms.ModelChoiceField(PromptVersion.objects.none())
    reason = forms.CharField(widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 3}))

    def __init__(self, *arguments: Any, prompt: Prompt, **options: Any) -> None:
        super().__init__(*arguments, **options)
        newest = prompt.versions.values_list("ordinal", flat=True).first() or 0
        offered = prompt.versions.filter(ordinal__gt=newest - VERSIONS_OFFERED).select_related("prompt")
        self.fields["version"].queryset = offered.only("ordinal", "major", "minor", "patch", "prompt__name")  # type: ignore[attr-defined]  # of ModelChoiceField


class MomentForm(forms.Form):
    at = MomentField(label="At")


class RestoreForm(RevisionForm, MomentForm):
    """revision: of the label, so that nobody moves it back from what they have not seen."""

    reason = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 3}))

    def __init__(self, *arguments: Any, label: Label, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.label = label

    def clean_at(self) -> LabelMove:
        """The move in force then."""
        move = selectors.moves(self.label, at=self.cleaned_data["at"]).first()
        if move is None:
            raise ValidationError(f"{self.label} did not point anywhere yet.")
        return move


class KeyForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="Whose key it is, for people to tell keys apart")
    scopes = forms.MultipleChoiceField(choices=Scope.choices, widget=forms.CheckboxSelectMultiple)
    prompt_prefix = forms.CharField(
        max_length=128,
        required=False,
        help_text="It sees only prompts whose names begin with this; empty for all",
    )
    labels = forms.CharField(required=False, help_text="It may use only these, separated by commas; none for all")
    expires_at = MomentField(required=False, help_text="UTC, such as 2027-01-31 14:05; empty for never")

    def __init__(self, *arguments: Any, scopes: Collection[str], **options: Any) -> None:
        """scopes: those that the person may give."""
        super().__init__(*arguments, **options)
        offered = [choice for choice in Scope.choices if choice[0] in scopes]
        self.fields["scopes"].choices = offered  # type: ignore[attr-defined]  # of MultipleChoiceField

    def clean_labels(self) -> list[str]:
        return [label.strip() for label in self.cleaned_data["labels"].split(",") if label.strip()]


def _showable(value: Any) -> Any:
    """The value, if a page can show it. Raises ValueError."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("expected text without lone surrogate characters") from error
    return value


def written(template: Any) -> str:
    """A template as it is edited: text as it is, chat as JSON."""
    return template if isinstance(template, str) else json.dumps(template, indent=2, ensure_ascii=False)


def show_refusal(form: forms.Form, error: DomainError) -> None:
    """Put each of the error's messages at its field of the form, or above the form."""
    if not error.errors:
        form.add_error(None, error.detail)
    for found in error.errors:
        field = re.split(r"[.\[]", found.field)[0]
        place = field if field in form.fields else None
        form.add_error(place, found.message if found.field == place else f"{found.field}: {found.message}")
