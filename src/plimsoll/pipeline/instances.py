"""How the instances of an index, and the index beside them, add up to one judgement; pure."""

from __future__ import annotations

from plimsoll.model.settings import IndexPolicy
from plimsoll.model.verdict import Instance, Judgement, Outcome, Reason, all_of, n_of


def combine_instances(instances: tuple[Instance, ...]) -> Judgement:
    """All of them must be accepted; none at all is rejected. Each reason names its platform."""
    outcome = all_of(instance.judgement.outcome for instance in instances)
    named = [(instance.platform, instance.judgement) for instance in instances]
    return _combined(outcome, named)


def combine_index(policy: IndexPolicy, *, index: Judgement | None, below: Judgement) -> Judgement:
    """The index and what lies below it, in three values: ``below`` alone for CHILDREN, which has no ``index``.

    Of EITHER an accepted index is no answer yet: what its instances inherit may still fail with their layers.
    """
    if policy is IndexPolicy.CHILDREN:
        return below
    if index is None:
        raise ValueError(f"under {policy.value} the index itself must have been judged")
    outcomes = (index.outcome, below.outcome)
    if policy is IndexPolicy.BOTH or index.outcome is Outcome.ACCEPTED:
        outcome = all_of(outcomes)
    else:
        outcome = n_of(outcomes, n=1)
    return _combined(outcome, [("the index", index), ("", below)])


def _combined(outcome: Outcome, parts: list[tuple[str, Judgement]]) -> Judgement:
    """``outcome``, with the reasons of the parts that have it, and every signature."""
    reasons = [
        Reason(code=reason.code, message=f"{name}: {reason.message}" if name else reason.message)
        for name, judgement in parts
        for reason in judgement.reasons
        if judgement.outcome is outcome and outcome is not Outcome.ACCEPTED
    ]
    signatures = [record for _, judgement in parts for record in judgement.signatures]
    return Judgement(outcome=outcome, reasons=tuple(reasons), signatures=tuple(signatures))
