"""How Django REST framework's views read JSON. Apart from common.rest, which needs the views that need this."""

from io import BytesIO
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from common.bodies import read_body


class BoundedJSONParser(JSONParser):
    """JSON within the bounds of every body; DRF's own would read any size and break on deep nesting."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        body = read_body(parser_context["request"]._request)
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error
