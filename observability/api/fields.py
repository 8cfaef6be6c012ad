"""Fields of forms that several endpoints share."""

from typing import Any

from rest_framework import serializers

from observability.core.conversions import clean
from observability.core.evidence import parse_exposure


class Share(serializers.Field[float, Any, float, Any]):
    """A JSON number from 0 to 1; neither text nor true and false pass for one."""

    default_error_messages = {"invalid": "expected a number from 0 to 1, got {got}"}

    def to_internal_value(self, data: Any) -> float:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        if not is_number or not 0 <= data <= 1:
            self.fail("invalid", got=repr(data)[:40])
        return float(data)

    def to_representation(self, value: float) -> float:
        return value


class Text(serializers.CharField):
    """Text that every database can hold."""

    def to_internal_value(self, data: Any) -> str:
        text = clean(super().to_internal_value(data)).strip()
        if not (text or self.allow_blank):  # it was made of what no database can hold
            self.fail("blank")
        return text


class ExposureText(Text):
    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            parse_exposure(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return text


def hexadecimal(digits: int) -> serializers.RegexField:
    message = f"expected {digits} hexadecimal digits"
    return serializers.RegexField(
        rf"\A[0-9a-fA-F]{{{digits}}}\Z", required=False, allow_null=True, error_messages={"invalid": message}
    )
