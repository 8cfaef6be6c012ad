"""The statistics of the verdict. `metric` is what the rest of the project uses; only the evaluator imports it.

Every question is answered by an e-process: a non-negative number that starts at 1 and, as long as the hypothesis holds,
ever exceeds 1/alpha with probability at most alpha, however often one looks (Ville's inequality). All are kept as logs.
"""
