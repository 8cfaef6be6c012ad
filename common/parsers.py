"""How Django REST framework's views read JSON. Apart from common.rest, which needs the views that need this."""

from typing import Any

from rest_framework.parsers import BaseParser

from common.bodies import read_json


class BoundedJSONParser(BaseParser):
    """JSON within the bounds of every body.

    Not a kind of DRF's JSONParser: for that one DRF itself reads the whole body first, of any size, and then nothing
    is left on the server's stream.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return read_json(parser_context["request"]._request)
