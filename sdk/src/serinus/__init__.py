"""Prompts of a Serinus server, assigned without a request."""
