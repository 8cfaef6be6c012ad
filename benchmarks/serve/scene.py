"""What is served while it is measured: names and numbers that the measured server's data and the requests agree on."""

PROMPTS, VERSIONS = 5000, 20
ROLLOUT, PLAIN, FIRST_MOVED = "prompt-0", "prompt-1", 2
"""A prompt with a rollout, one without, and the number of the first one whose label moves."""
WEIGHT_BP = 500
MOVES_PER_S = 10
