"""How often the verdict is wrong and how soon it is right: simulated rollouts through the code that decides.

`traffic` makes the calls, `driving` takes them through the project's statistics and its rules, `references` does with
the same calls what a user might do instead, `scenarios` says what is simulated, `running` repeats it, `presenting`
shows it. `python -m benchmarks.operating_characteristics --help` runs it.
"""
