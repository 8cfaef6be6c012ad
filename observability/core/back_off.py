"""How long until a question to a judge that failed is asked again?"""

from datetime import timedelta

MINUTE = 60
BACK_OFF_S = (30, 2 * MINUTE, 10 * MINUTE, 40 * MINUTE)  # after the first, second, … attempt: 52 min 30 s together
JITTER = 0.2  # of each, longer or shorter
LONGEST_WAITS = tuple(timedelta(seconds=wait_s * (1 + JITTER)) for wait_s in BACK_OFF_S)  # where no judge asks for more
