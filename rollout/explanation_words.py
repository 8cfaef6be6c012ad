"""The explanation of a verdict as people read it: the answer first, then every number on the way to it.

Numbers are written so that they can be checked with a pocket calculator: a plain minus, plain spaces, six places.
"""

import math
from collections.abc import Iterator, Sequence

from rollout.core.plan import dollars
from rollout.core.stats import metric as statistics
from rollout.core.stats import mixtures, sample_ratio
from rollout.core.stats.metric import Frozen
from rollout.core.stats.mixtures import Mixture, Question
from rollout.core.stats.sample_ratio import CONCENTRATION, Counted, log_bayes_factor
from rollout.core.verdict import log_threshold
from rollout.explanation import Account, Explanation, Folded
from rollout.formats import estimate, limit, margin, plain, weight
from rollout.wording import plan_in_words

BATCHES_SHOWN = 20
LARGEST_EXPONENT = 700  # of what a float can hold
ACTS = {
    None: "nothing for now; the next look follows",
    "advance_step": "it goes to the next step",
    "promote": "it is promoted",
    "rollback": "it is rolled back",
    "hold": "it is held where it is until a person acts",
}


def lines(explained: Explanation) -> Iterator[str]:
    """The whole explanation, line by line."""
    for part in (
        _answer(explained),
        _asked(explained),
        *(_metric(account, explained) for account in explained.accounts),
        _overall(explained),
        _sample_ratio(explained),
        *([_judged_ratio(explained)] if explained.inputs.judged_ratio else []),
        *([_spend(explained)] if explained.plan.canary_spend_cap is not None else []),
        _decision(explained),
        _comparison(explained),
    ):
        for line in part:
            yield plain(line).rstrip()
        yield ""


def _answer(explained: Explanation) -> Iterator[str]:
    verdict, rollout, finding = explained.verdict, explained.verdict.rollout, explained.finding
    step = explained.plan.steps[explained.inputs.step]
    yield f"Verdict {verdict.pk}: {finding.kind}"
    yield (
        f"  rollout {rollout.pk}: {rollout.prompt.name}:{rollout.label.name}, control {rollout.control.number}, "
        f"canary {rollout.canary.number}"
    )
    yield (
        f"  look of {explained.inputs.at:%Y-%m-%d %H:%M:%S} UTC, on step {explained.inputs.step + 1} of "
        f"{len(explained.plan.steps)}: {weight(step.weight_bp)} of units get the canary"
    )
    for reason in finding.reasons:
        yield f"  because: {reason}"
    for transition in verdict.transitions.order_by("id"):
        yield f"  then: {transition.action} (cause {transition.cause})"


def _asked(explained: Explanation) -> Iterator[str]:
    alpha = explained.plan.alpha
    yield "What was asked"
    yield (
        f"  Is the canary worse? An e-value of harm starts at 1. If the canary is not worse, it ever reaches 1/alpha = "
        f"{1 / alpha:g} with a"
    )
    yield (
        f"  chance of at most alpha = {alpha:g}, however often one looks. All is kept in logarithms: "
        f"ln(1/alpha) = {log_threshold(alpha):z.6f}."
    )
    for term, meaning in plan_in_words(explained.plan):
        yield f"  {term}: {meaning}"


def _metric(account: Account, explained: Explanation) -> Iterator[str]:
    report = account.report
    role = f"guardrail of weight {report.weight:g}" if report.role == "guardrail" else "observed: it never decides"
    against = (
        f"margin {margin(report.margin, report.unit, report.direction)} against the control"
        if report.limit is None
        else limit(report.limit, report.kind, report.direction, report.unit)
    )
    yield f"Metric {report.name}, {role}"
    yield f"  It judges {report.measure} as a {report.kind}: {report.direction} is better, {against}."
    if account.frozen is None or account.state is None:
        yield "  No batch was closed yet: its e-values are 1, their logarithms 0."
        return
    yield (
        f"  Control {estimate(report.control_estimate, report.unit)} (n {report.control_n}), "
        f"canary {estimate(report.canary_estimate, report.unit)} (n {report.canary_n})."
    )
    yield f"  Design effect d = {report.design_effect:.6g}: so many calls are worth one independent unit."
    yield from _batches(account.frozen, account.folded)
    process, threshold = account.frozen.process, log_threshold(explained.plan.alpha)
    yield f"  Harm: ln e = {report.log_e_harm:z.6f}"
    yield from _question(mixtures.of_harm(process), account.state.harm, report.design_effect)
    yield f"  Safety: ln e = {report.log_e_safe:z.6f}"
    yield from _question(mixtures.of_safety(process), account.state.safe, report.design_effect)
    largest = _reached(report.max_log_e_safe, threshold, "ln(1/alpha)")
    yield f"    what counts is the largest after any batch, or the 0 of the start: ln e = {largest}"


def _batches(frozen: Frozen, folded: tuple[Folded, ...]) -> Iterator[str]:
    """n: calls; sum: of the metric's values, which for a rate are its 1s. ln e: after the batch."""
    row = "{:>7} {:>5} {:>8} {:>10} {:>8} {:>10} {:>8} {:>11} {:>11}".format
    yield row("batch", "step", "n_C", "sum_C", "n_T", "sum_T", "d", "ln e harm", "ln e safe")
    if len(folded) > BATCHES_SHOWN:
        yield f"    (batches 1 to {len(folded) - BATCHES_SHOWN}: see --json)"
    for one in folded[-BATCHES_SHOWN:]:
        control, canary = one.weighed.totals.control, one.weighed.totals.canary
        yield row(
            one.batch.number,
            one.batch.step + 1,
            control.n,
            f"{control.total:.6g}",
            canary.n,
            f"{canary.total:.6g}",
            f"{one.after.design_effect:.6g}",
            f"{statistics.log_e_harm(frozen, one.after):z.6f}",
            f"{statistics.log_e_safe(frozen, one.after):z.6f}",
        )


def _question(question: Question, logs: Sequence[float], design_effect: float) -> Iterator[str]:
    parts = list(question.split(logs))
    for mixture, of_mixture in parts:
        yield from _mixture(mixture, of_mixture, design_effect)
    if len(parts) > 1:
        together = " and ".join(
            f"{mixture.asks} {mixtures.log_e(mixture, of_mixture, design_effect=design_effect):z.6f}"
            for mixture, of_mixture in parts
        )
        yield f"    together the {question.together} of these e-values, whose ln e are: {together}"


def _mixture(mixture: Mixture, logs: Sequence[float], design_effect: float) -> Iterator[str]:
    about = f"of {mixture.asks}: " if mixture.asks else ""
    log_e = mixtures.log_e(mixture, logs, design_effect=design_effect)
    yield f"    {about}e = sum of w e^(L / d) over {len(logs)} alternatives = {_power(log_e)}"
    yield f"    a batch adds to L: {mixture.adds}"
    for meaning in mixture.where:
        yield f"      {meaning}"
    row = "    {:>8} {:>12} {:>12} {:>14} {:>14}".format
    yield row("", "alternative", "w", "L", "w e^(L / d)")
    for symbol, point, share, log in zip(mixture.symbols, mixture.grid.points, mixture.grid.weights, logs, strict=True):
        yield row(symbol, f"{point:.6g}", f"{share:.6g}", f"{log:z.6f}", _power(math.log(share) + log / design_effect))


def _overall(explained: Explanation) -> Iterator[str]:
    guardrails = [account.report for account in explained.accounts if account.report.role == "guardrail"]
    log_e, threshold = explained.found.log_e_harm, log_threshold(explained.plan.alpha)
    yield "All guardrails together"
    terms = " + ".join(f"{report.weight:g} e^({report.log_e_harm:z.6f})" for report in guardrails)
    weights = " + ".join(f"{report.weight:g}" for report in guardrails)
    yield "  The weighted mean of e-values is an e-value, however they depend on each other:"
    yield f"  e = ({terms}) / ({weights}) = {_power(log_e)}"
    yield f"  ln e = {_reached(log_e, threshold, 'ln(1/alpha)')}"
    if explained.finding.guilty:
        yield f"  Blamed for it, by e-BH: {', '.join(explained.finding.guilty)}."


def _sample_ratio(explained: Explanation) -> Iterator[str]:
    log_e = explained.found.log_e_sample_ratio
    yield "Sample ratio: do the arms get the shares of units that they were given?"
    yield from _bayes_factor_in_words()
    yield from _bayes_factors(explained.inputs.sample_ratio)
    yield f"  together ln B = {_reached(log_e, sample_ratio.LOG_THRESHOLD, 'ln 1000')}"


def _judged_ratio(explained: Explanation) -> Iterator[str]:
    log_e, judged = explained.found.log_e_judged_ratio, explained.inputs.judged_ratio
    yield "Sample ratio of scores: do the arms' calls get the shares of scores that were planned?"
    for name, counted in judged.items():
        yield f"  {name}: ln B = {log_bayes_factor(counted):z.6f}"
        yield from _bayes_factors(counted)
    yield f"  the mean of these B: ln B = {_reached(log_e, sample_ratio.LOG_THRESHOLD, 'ln 1000')}"


def _spend(explained: Explanation) -> Iterator[str]:
    cap, spend = explained.plan.canary_spend_cap, explained.inputs.spend
    yield f"Spend cap: has the canary cost the {cap:f} USD that it may?"
    if spend is None:
        yield "  It was not recorded."
        return
    for arm, of_arm in spend.items():
        known = f"{dollars(of_arm.usd)} USD of {of_arm.priced} calls"
        yield f"  {arm}: {known}; the cost of {of_arm.unpriced} more is not known"


def _bayes_factor_in_words() -> Iterator[str]:
    k = f"{CONCENTRATION:g}"
    yield "  B of a planned share w of the canary, with t and c effective units of canary and control:"
    yield f"  ln B = ln Beta({k} w + t, {k} (1 - w) + c) - ln Beta({k} w, {k} (1 - w)) - t ln w - c ln(1 - w)"


def _bayes_factors(counted: Sequence[Counted]) -> Iterator[str]:
    for one in counted:
        units = f"w = {one.share:.6g}, t = {one.canary:z.6f}, c = {one.control:z.6f}"
        yield f"    {units}: ln B = {log_bayes_factor([one]):z.6f}"
    if not counted:
        yield "    no units yet: ln B = 0"


def _decision(explained: Explanation) -> Iterator[str]:
    yield "The decision: the first yes decides"
    for number, rule in enumerate(explained.rules, start=1):
        answer = {True: "yes", False: "no", None: "not asked any more"}[rule.answer]
        yield f"  {number}. {rule.question} {answer}{f'. {rule.why}' if rule.why else ''}"
    finding = explained.finding
    cause = f" (cause {finding.cause})" if finding.cause else ""
    yield f"  So the verdict is {finding.kind}, and {ACTS[finding.act]}{cause}."


def _comparison(explained: Explanation) -> Iterator[str]:
    batches = f"Recomputed from {explained.batches} {'batch' if explained.batches == 1 else 'batches'}"
    if not explained.differences:
        yield f"{batches}: the same to the last bit."
        return
    yield f"{batches}, which does not give what is stored:"
    for difference in explained.differences:
        yield f"  {difference.where}: stored {difference.stored!r}, recomputed {difference.recomputed!r}"


def _reached(log_e: float, threshold: float, name: str) -> str:
    """The number beside what it has to reach."""
    reached = log_e >= threshold
    return (
        f"{log_e:z.6f} {'>=' if reached else '<'} {name} = {threshold:z.6f}: {'reached' if reached else 'not reached'}"
    )


def _power(log: float) -> str:
    """e^log, in figures where a float can hold it."""
    return f"{math.exp(log):.6g}" if abs(log) < LARGEST_EXPONENT else f"e^({log:z.6f})"
