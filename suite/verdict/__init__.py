"""From claims and runs to verdicts: pairs, paired statistics, and what they say about published numbers.

Torch-free, except `claims.model_counts`, which builds models to count their parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.faces import lazy

if TYPE_CHECKING:
    from suite.verdict.claims.claim import Claim as Claim
    from suite.verdict.claims.reader import load_claims as load_claims
    from suite.verdict.comparisons import Comparison as Comparison
    from suite.verdict.verdicts import Verdict as Verdict
    from suite.verdict.verdicts import judge as judge
    from suite.verdict.verdicts import to_json as to_json

__getattr__ = lazy(
    __name__,
    {
        "Claim": "claims.claim",
        "Comparison": "comparisons",
        "Verdict": "verdicts",
        "judge": "verdicts",
        "load_claims": "claims.reader",
        "to_json": "verdicts",
    },
)
