"""The models around the questioner: what an answerer, a verifier and an embedder must do, and what they return.

`replies` and `protocols` import nothing heavy; the embedders are in `vlmprobe.models.embedder`, which imports torch.
"""

from vlmprobe.models.protocols import Answerer, Embedder, Picture, Verifier
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply, Verdict

__all__ = [
    "Answerer",
    "Criteria",
    "Embedder",
    "Failure",
    "Judgement",
    "Picture",
    "Reply",
    "Verdict",
    "Verifier",
]
