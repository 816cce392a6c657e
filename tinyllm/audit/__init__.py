"""Is a model's answer the same for everyone? Rates per group, and the same text with one word exchanged."""

from tinyllm.audit.counterfactual import Counterfactual, counterfactual, swap_words
from tinyllm.audit.fairness import (
    FairnessReport,
    accuracy_gap,
    demographic_parity_difference,
    disparate_impact_ratio,
    equal_opportunity_difference,
    equalized_odds_difference,
    fairness_report,
)

__all__ = [
    "Counterfactual",
    "FairnessReport",
    "accuracy_gap",
    "counterfactual",
    "demographic_parity_difference",
    "disparate_impact_ratio",
    "equal_opportunity_difference",
    "equalized_odds_difference",
    "fairness_report",
    "swap_words",
]
