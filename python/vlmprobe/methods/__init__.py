"""The methods that the paper compares, and controls; a file each.

Each is a `Method`: `run(task)` spends the calls of a `Task` on its pool, writes all down, and gives back what asks
then (an `Asker`). The tables come from `evaluate`, a pass that is the same for all; see docs/methods.md.

    ZeroShot            the untrained questioner, or `ChatAsker`: a model that is asked by message
    ConMe               two turns; `ConMeAsker`, `PromptedTurns` and `WorldTurns` are who asks so
    SFT                 on rows of image and question (`rows`)
    ExpertIteration     rounds of sampling, keeping failures, learning them
    RL                  `vlmprobe.Trainer`; with `preface` ConMe's turns inside
    RLSFT               SFT, then RL
    Bandit              chooses what to ask about by what failed, for `Hinted` and `ChatAsker(hints=)`
    FollowUp            asks what failed about other pictures, and varied; around any asker
    RandomValid, Sweep  controls in the embedded world
"""

from vlmprobe.methods.bandit import Bandit, BanditOptions
from vlmprobe.methods.chat import ChatAsker
from vlmprobe.methods.conme import ConMe, ConMeAsker, PromptedTurns, WorldTurns
from vlmprobe.methods.expert_iteration import ExpertIteration
from vlmprobe.methods.hinted import Hinted
from vlmprobe.methods.hints import Hint, UniformHints, read_hints
from vlmprobe.methods.local_search import FollowUp, FollowUpOptions
from vlmprobe.methods.random_valid import RandomValid
from vlmprobe.methods.rl import RL
from vlmprobe.methods.rl_sft import RLSFT
from vlmprobe.methods.sft import SFT
from vlmprobe.methods.task import Method, Task, evaluate, evaluation, pool, pool_runs
from vlmprobe.methods.templates import Sweep
from vlmprobe.methods.zero_shot import ZeroShot

__all__ = [
    "RL",
    "RLSFT",
    "SFT",
    "Bandit",
    "BanditOptions",
    "ChatAsker",
    "ConMe",
    "ConMeAsker",
    "ExpertIteration",
    "FollowUp",
    "FollowUpOptions",
    "Hint",
    "Hinted",
    "Method",
    "PromptedTurns",
    "RandomValid",
    "Sweep",
    "Task",
    "UniformHints",
    "WorldTurns",
    "ZeroShot",
    "evaluate",
    "evaluation",
    "pool",
    "pool_runs",
    "read_hints",
]
