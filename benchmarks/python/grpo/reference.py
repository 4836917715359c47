"""The float64 references that a result must equal before it is timed. Plain formulas, nothing of ours or of a peer.

Log-probabilities, entropies and the loss are checked at every position; gradients at every seventh row of the logits
or of the hidden states, and at a thousand rows of the head besides those of the sampled tokens.
"""

from __future__ import annotations

import math

import torch

from .problems import BETA, CLIP, LinearProblem, LogitsProblem, RewardProblem

ROW_STEP = 7  # shares no factor with a kernel's blocks
VOCABULARY_BLOCK = 8192
FLOOR = 1e-9  # of the largest value: what is smaller counts as zero
SMALL_SLOPE = 1e-2  # of the largest; the relative error of a slope that nearly cancels says nothing


def surrogate(logp: torch.Tensor, batch, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The clipped loss with its k3 KL, mean over sequences of token means, and its derivative in `logp`."""
    logp = logp.detach().clone().requires_grad_()
    advantages = batch.advantages.double().unsqueeze(1)
    ratio = torch.exp(logp - batch.old_logp.double())
    objective = torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
    distance = batch.ref_logp.double() - logp
    token_loss = BETA * (torch.exp(distance) - distance - 1) - objective
    loss = ((token_loss * mask).sum(1) / mask.sum(1)).mean()
    (slope,) = torch.autograd.grad(loss, logp)
    return loss.detach(), slope


class LogitsReference:
    def __init__(self, problem: LogitsProblem):
        self.problem = problem
        tokens = problem.tokens.view(-1)
        logits = problem.logits.flatten(0, 1)
        self.log_z = torch.empty(len(tokens), dtype=torch.float64)
        logp, entropy = torch.empty_like(self.log_z), torch.empty_like(self.log_z)
        for rows in torch.arange(len(tokens)).split(32):
            values = logits[rows].double()
            log_z = values.logsumexp(1)
            logp[rows] = values.gather(1, tokens[rows, None]).squeeze(1) - log_z
            entropy[rows] = log_z - (values * torch.exp(values - log_z[:, None])).sum(1)
            self.log_z[rows] = log_z
        self.logp, self.entropy = logp.view_as(problem.tokens), entropy.view_as(problem.tokens)

    def errors(self, result: dict, mask: torch.Tensor) -> dict[str, float]:
        found = logp_errors(self, result, mask)
        if "loss" in result:
            loss, slope = surrogate(own_logp(self, result, mask), self.problem, mask)
            found["loss"] = abs(result["loss"].item() - loss.item())
            found["gradient"] = self.gradient_error(result["gradient"], slope)
        return found

    def gradient_error(self, gradient: torch.Tensor, slope: torch.Tensor) -> float:
        """Of each entry relative to slope x p, of the sampled token's relative to the slope; see `SMALL_SLOPE`."""
        rows = torch.arange(0, slope.numel(), ROW_STEP)
        worst = 0.0
        for some in rows.split(16):
            slopes, tokens = slope.view(-1)[some, None], self.problem.tokens.view(-1)[some, None]
            values = self.problem.logits.flatten(0, 1)[some].double()
            probability = torch.exp(values - self.log_z[some, None])
            scales = slopes.abs().clamp(min=SMALL_SLOPE * slope.abs().max())
            scale = (scales * probability).scatter_(1, tokens, scales) + FLOOR * slope.abs().max()
            expected = (-slopes * probability).scatter_add_(1, tokens, slopes)
            wrong = (gradient.flatten(0, 1)[some].double() - expected).abs() / scale
            worst = max(worst, largest(wrong))
        return worst


class LinearReference:
    def __init__(self, problem: LinearProblem):
        self.problem = problem
        self.hidden = problem.hidden.detach().flatten(0, 1).double()
        self.weight = problem.weight.detach()
        count = len(self.hidden)
        highest, total = self.hidden.new_full((count,), -math.inf), self.hidden.new_zeros(count)
        weighted = torch.zeros_like(total)  # sum of x exp(x - highest)
        for block in self.weight.split(VOCABULARY_BLOCK):
            values = self.hidden @ block.double().T
            raised = torch.maximum(highest, values.amax(1))
            shrink, powers = torch.exp(highest - raised), torch.exp(values - raised[:, None])
            total = total * shrink + powers.sum(1)
            weighted = weighted * shrink + (values * powers).sum(1)
            highest = raised
        self.log_z = highest + total.log()
        token_logit = (self.hidden * self.weight[problem.tokens.view(-1)].double()).sum(1)
        self.logp = (token_logit - self.log_z).view_as(problem.tokens)
        self.entropy = (self.log_z - weighted / total).view_as(problem.tokens)

    def errors(self, result: dict, mask: torch.Tensor) -> dict[str, float]:
        found = logp_errors(self, result, mask)
        loss, slope = surrogate(own_logp(self, result, mask), self.problem, mask)
        found["loss"] = abs(result["loss"].item() - loss.item())
        rows = torch.arange(0, slope.numel(), ROW_STEP)
        found["hidden gradient"] = row_error(
            result["hidden_gradient"].flatten(0, 1)[rows], self.hidden_gradient(slope.view(-1), rows), SMALL_SLOPE
        )
        if result["weight_gradient"] is not None:
            words = self.some_words()
            found["weight gradient"] = row_error(
                result["weight_gradient"][words], self.weight_gradient(slope.view(-1), words), FLOOR
            )
        return found

    def some_words(self) -> torch.Tensor:
        generator = torch.Generator().manual_seed(7)
        drawn = torch.randint(len(self.weight), (1000,), generator=generator).to(self.weight.device)
        return torch.cat([drawn, self.problem.tokens.view(-1)]).unique()

    def hidden_gradient(self, slope: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        gradient = slope[rows, None] * self.weight[self.problem.tokens.view(-1)[rows]].double()
        for block in self.weight.split(VOCABULARY_BLOCK):
            block = block.double()
            probability = torch.exp(self.hidden[rows] @ block.T - self.log_z[rows, None])
            gradient -= (slope[rows, None] * probability) @ block
        return gradient

    def weight_gradient(self, slope: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        probability = torch.exp(self.hidden @ self.weight[words].double().T - self.log_z[:, None])
        sampled = (self.problem.tokens.view(-1, 1) == words).double()
        return (slope[:, None] * (sampled - probability)).T @ self.hidden


class AdvantageReference:
    """(R - mean) / (sample deviation + 1e-4) over the scored members of a group, one group at a time, in Python."""

    def __init__(self, problem: RewardProblem, epsilon: float = 1e-4):
        values = []
        for members in problem.rewards.double().split(problem.group_size):
            scored = [reward for reward in members.tolist() if not math.isnan(reward)]
            mean = math.fsum(scored) / max(len(scored), 1)
            squares = math.fsum((reward - mean) ** 2 for reward in scored)
            deviation = math.sqrt(squares / max(len(scored) - 1, 1))
            values += [0.0 if math.isnan(reward) else (reward - mean) / (deviation + epsilon) for reward in members]
        self.values = torch.tensor(values, dtype=torch.float64)

    def errors(self, result: dict) -> dict[str, float]:
        return {"advantage": largest((result["values"].double() - self.values).abs())}


def logp_errors(reference, result: dict, mask: torch.Tensor) -> dict[str, float]:
    """Largest absolute errors over the mask. A peer may return no entropy."""
    pairs = {"logp": reference.logp, "entropy": reference.entropy}
    return {
        name: largest((result[name].double() - expected)[mask].abs())
        for name, expected in pairs.items()
        if result.get(name) is not None
    }


def own_logp(reference, result: dict, mask: torch.Tensor) -> torch.Tensor:
    """Where the loss and its slope are checked: at the result's own log-probabilities, whose error is known by now.

    At the exact ones, a token whose ratio is within that error of the clip would count as wrong by its whole slope.
    """
    found = result.get("logp")
    return reference.logp if found is None else torch.where(mask, found.detach().double(), reference.logp)


def row_error(found: torch.Tensor, expected: torch.Tensor, floor: float) -> float:
    """The largest error of a row relative to the row's largest entry, or to `floor` of the largest of all."""
    wrong = (found.double() - expected).abs().amax(1)
    scale = expected.abs().amax(1)
    return largest(wrong / scale.clamp(min=floor * scale.max()))


def largest(values: torch.Tensor) -> float:
    """The maximum; infinity where one of them is not a number, so that no comparison with a limit can pass it."""
    worst = values.max().item()
    return worst if math.isfinite(worst) else math.inf
