"""How the demo fails."""


class DemoFailed(Exception):
    """Something came out wrong; the message says what was expected and what came."""
