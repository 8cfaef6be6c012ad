"""Does judging a part of the calls, unequal parts of them, leave means and verdicts what they should be?

`means`: the means of versions, by the statements that the project itself asks the database. `rollouts`: rollouts whose
canary is judged oftener than its control, by the project's own evidence and rules.
"""
