"""How often does a baseline alert say something of nothing, how soon does it find what is there, and when does it end?

`traffic`: metrics whose level differs from day to day. `simulations`: what observability.core.baselines makes of them,
five minutes by five minutes. Nothing of thresholds, evidence or recovery is computed here.
"""
