"""A picture and its prompt once for the G completions of a group, in training and in generation.

I prompts of P_i tokens, B = I x G completions of T_b tokens. One row holds the prompts, then the completions:

    training     N = sum P_i + sum (T_b - 1) tokens, no padding: a completion's last token predicts nothing
    generation   the prompts once, then a token of every completion that still runs

A prompt sees itself; a completion sees its prompt and itself; positions go on after the prompt. That is attention of
three kinds, done apart and exactly: prompts (causal), completions against their prompt, completions against themselves.
No mask of the whole row exists. The model's own code runs; only its attention function is replaced, and the layout
reaches that through the model's keyword arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from vlmprobe.vlm.inputs import Prompts, replace_features

NAME = "vlmprobe_shared_prefix"
"""The attention function's name in transformers' registry. Without a layout it is `sdpa`."""


def attend(module, query: Tensor, key: Tensor, value: Tensor, attention_mask, *, shared=None, **others):
    """Attention as transformers calls it: query [1, heads, N, D], key and value [1, key-value heads, N, D]."""
    if shared is not None:
        return shared.attention(module.layer_idx, query[0], key[0], value[0], others["scaling"]), None
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    return sdpa_attention_forward(module, query, key, value, attention_mask, **others)


@dataclass(frozen=True)
class Bucket:
    """Prompts of one length, beside each other in the row."""

    groups: int
    """I of this bucket."""
    length: int
    """P."""

    @property
    def size(self) -> int:
        """Tokens."""
        return self.groups * self.length

    def apart(self, rows: Tensor) -> Tensor:
        """The bucket's part of a row [heads, I * P, D] as prompts [I, heads, P, D]."""
        return rows.unflatten(1, (self.groups, self.length)).transpose(0, 1)


class PromptRow:
    """The prompts in one row, by length; `attention` is called by every layer."""

    def __init__(self, prompts: Prompts):
        lengths = prompts.mask.sum(1).tolist()
        self.order = sorted(range(len(lengths)), key=lambda i: lengths[i])
        """The prompts' places in the batch, in the order of the row."""
        self.buckets = [Bucket(lengths.count(length), length) for length in sorted(set(lengths))]
        self.size = sum(lengths)
        kept = [prompts.mask[i].bool() for i in self.order]
        self.ids = torch.cat([prompts.ids[i][keep] for i, keep in zip(self.order, kept, strict=True)])[None]
        self.positions = torch.cat(
            [prompts.positions[:, i][:, keep] for i, keep in zip(self.order, kept, strict=True)], 1
        )[:, None]
        self.features = replace_features(prompts.features, lambda rows: [rows[i] for i in self.order])
        ends = torch.tensor([lengths[i] for i in self.order], device=prompts.ids.device).cumsum(0) - 1
        self.last = torch.empty_like(ends)
        """[I] where each prompt's last token is in the row; by its place in the batch."""
        self.last[torch.tensor(self.order, device=ends.device)] = ends

    def attention(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """query [heads, N, D], key and value [key-value heads, N, D] to [1, N, heads, D]."""
        queries, keys, values = _split(query, key, value, [bucket.size for bucket in self.buckets])
        parts = zip(self.buckets, queries, keys, values, strict=True)
        return torch.cat([prompts_attention(*part, scale) for part in parts], 1).transpose(0, 1)[None]


def _split(query: Tensor, key: Tensor, value: Tensor, sizes: list[int]) -> list[tuple[Tensor, ...]]:
    """Each [heads, N, D], cut along the row: the gradient of all the cuts is one concatenation."""
    return [rows.split(sizes, 1) for rows in (query, key, value)]


def prompts_attention(bucket: Bucket, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Prompts against themselves: [heads, I * P, D]."""
    query, key, value = (bucket.apart(rows) for rows in (query, key, value))
    out = scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=True)
    return out.transpose(0, 1).flatten(1, 2)


class TrainingRow(PromptRow):
    """Prompts and completions in one row.

    Args:
        prompts: I prompts.
        tokens: [B, T] completions, G to each prompt, in its order.
        mask: [B, T] bool, true up to and including the last token of each.
    """

    def __init__(self, prompts: Prompts, tokens: Tensor, mask: Tensor):
        super().__init__(prompts)
        device, width = tokens.device, tokens.shape[1]
        self.group_size = len(tokens) // len(prompts.ids)
        rows = torch.tensor(self.order, device=device)[:, None] * self.group_size
        rows = (rows + torch.arange(self.group_size, device=device)).flatten()
        fed = (mask.sum(1) - 1).clamp(min=0)[rows]  # tokens that the model reads, by place in the row
        inside = torch.arange(width, device=device) < fed[:, None]
        where, at = inside.nonzero(as_tuple=True)
        after = prompts.next_position.repeat_interleave(self.group_size)[rows]
        self.ids = torch.cat([self.ids, tokens[rows][inside][None]], 1)
        self.positions = torch.cat([self.positions, (after[where] + at).expand(3, 1, -1)], 2)
        begins = self.size + fed.cumsum(0) - fed
        before = torch.arange(-1, width - 1, device=device)
        predicted = begins[:, None] + before.clamp(max=fed[:, None] - 1)
        predicted[:, 0] = self.last.repeat_interleave(self.group_size)[rows]
        self.hidden_at = torch.empty_like(predicted)
        """[B, T] where in the row the state is that predicts each token; of masked ones, any place."""
        self.hidden_at[rows] = torch.where(fed[:, None] > 0, predicted, predicted[:, :1])
        per_bucket = fed.split([bucket.groups * self.group_size for bucket in self.buckets])
        self._completions = [Completions(*each) for each in zip(self.buckets, per_bucket, strict=True)]

    def attention(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        sizes = [bucket.size for bucket in self.buckets] + [each.size for each in self._completions]
        queries, keys, values = _split(query, key, value, sizes)
        prompts, own = [], []
        for i, (bucket, completions) in enumerate(zip(self.buckets, self._completions, strict=True)):
            j = len(self.buckets) + i
            prompts.append(prompts_attention(bucket, queries[i], keys[i], values[i], scale))
            own.append(completions.attention(queries[j], keys[j], values[j], keys[i], values[i], scale))
        return torch.cat(prompts + own, 1).transpose(0, 1)[None]


class Completions:
    """The completions of one bucket: against their prompt and themselves. `lengths` [B] are the tokens of each."""

    def __init__(self, bucket: Bucket, lengths: Tensor):
        self.bucket, self.size = bucket, int(lengths.sum())
        self.rows, self.width = len(lengths), int(lengths.max())
        self.gather = self.scatter = None
        if 0 < self.size < self.rows * self.width:  # of different lengths: padded for attention alone
            at = torch.arange(self.width, device=lengths.device)
            inside = at < lengths[:, None]
            first = (lengths.cumsum(0) - lengths)[:, None]
            self.gather = (first + at).where(inside, 0).flatten()
            self.scatter = inside.flatten().nonzero()[:, 0]
        visible = torch.ones(self.width, bucket.length + self.width, dtype=torch.bool, device=lengths.device)
        self.visible = visible.tril(bucket.length)

    def apart(self, rows: Tensor) -> Tensor:
        """The completions' part of a row [heads, tokens, D] as completions [B, heads, U, D]."""
        padded = rows if self.gather is None else rows.index_select(1, self.gather)
        return padded.unflatten(1, (self.rows, self.width)).transpose(0, 1)

    def attention(
        self, query: Tensor, key: Tensor, value: Tensor, prompt_key: Tensor, prompt_value: Tensor, scale: float
    ) -> Tensor:
        """[heads, tokens, D]."""
        if not self.size:
            return query
        group_size = self.rows // self.bucket.groups

        def seen(prompt: Tensor, own: Tensor) -> Tensor:
            repeated = self.bucket.apart(prompt)[:, None].expand(-1, group_size, -1, -1, -1).flatten(0, 1)
            return torch.cat([repeated, self.apart(own)], 2)

        keys, values = seen(prompt_key, key), seen(prompt_value, value)
        if query.is_cuda and len(query) != len(key):  # kernels that take a mask want as many keys as queries there
            keys, values = (rows.repeat_interleave(len(query) // len(key), 1) for rows in (keys, values))
        out = scaled_dot_product_attention(
            self.apart(query), keys, values, attn_mask=self.visible, scale=scale, enable_gqa=len(keys[0]) != len(query)
        )
        out = out.transpose(0, 1).flatten(1, 2)
        return out if self.scatter is None else out.index_select(1, self.scatter)


class DecodingRow:
    """The completions that run, a token each; their prompts' keys and values are held once.

    Args:
        prompts: the row of the prompts, after `PrefillRow` ran.
        group_size: G.
        steps: the most tokens that a completion reads.
    """

    def __init__(self, prompts: PrefillRow, group_size: int, steps: int):
        self._prompts, self._group_size, self._steps = prompts, group_size, steps
        self._own: dict[int, tuple[Tensor, Tensor]] = {}
        self._at = 0

    def set(self, running: Tensor, at: int) -> None:
        """The next pass feeds token `at` of the completions `running`, ascending places in the row's order."""
        self._running, self._at = running, at
        self._whole = len(running) == len(self._prompts.order) * self._group_size
        self._spans = []
        first_group = 0
        for bucket in self._prompts.buckets:
            low, high = first_group * self._group_size, (first_group + bucket.groups) * self._group_size
            begin, end = torch.searchsorted(running, torch.tensor([low, high], device=running.device)).tolist()
            self._spans.append(RunningRows(bucket.groups, running[begin:end] - low, self._group_size, begin, end))
            first_group += bucket.groups

    def attention(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """query [heads, R, D], key and value [key-value heads, R, D] to [1, R, heads, D]."""
        keys, values = self._remembered(layer, key.transpose(0, 1), value.transpose(0, 1))
        heads, rows, dim = query.shape
        asked = query.transpose(0, 1).reshape(rows, len(key), heads // len(key), dim) * scale
        parts = []
        for bucket, span in enumerate(self._spans):
            if span.begin == span.end:
                continue
            mine = slice(span.begin, span.end)
            prompt_keys, prompt_values = self._prompts.held[layer][bucket]
            shared = span.against(prompt_keys.transpose(2, 3), asked[mine])
            own = asked[mine] @ keys[mine].transpose(2, 3)
            weight = torch.cat([shared, own], -1).softmax(-1, dtype=torch.float32).to(query.dtype)
            length = shared.shape[-1]
            parts.append(span.against(prompt_values, weight[..., :length]) + weight[..., length:] @ values[mine])
        return torch.cat(parts).reshape(1, rows, heads, dim)

    def _remembered(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Stores this token's [R, key-value heads, D]; all so far of the running rows, [R, key-value heads, t, D]."""
        if layer not in self._own:
            shape = (len(self._prompts.order) * self._group_size, key.shape[1], self._steps, key.shape[2])
            self._own[layer] = (key.new_empty(shape), value.new_empty(shape))
        stored = []
        for held, new in zip(self._own[layer], (key, value), strict=True):
            if self._whole:
                held[:, :, self._at] = new
                stored.append(held[:, :, : self._at + 1])
            else:
                held[self._running, :, self._at] = new
                stored.append(held[self._running, :, : self._at + 1])
        return stored[0], stored[1]


class RunningRows:
    """The running completions of one bucket, as G rows (or fewer) to each prompt."""

    def __init__(self, groups: int, rows: Tensor, group_size: int, begin: int, end: int):
        self.begin, self.end, self._groups = begin, end, groups
        self._whole = len(rows) == groups * group_size
        self._width = group_size
        if not self._whole and len(rows):
            group = rows // group_size
            first = torch.searchsorted(group, group)  # rows are ascending: where the group's first one is
            slot = torch.arange(len(rows), device=rows.device) - first
            self._width = int(slot.max()) + 1
            self._place = group * self._width + slot

    def against(self, prompt: Tensor, rows: Tensor) -> Tensor:
        """rows [R, key-value heads, heads per, a] times their prompts' [I, key-value heads, a, b]."""
        _, kv_heads, per, a = rows.shape
        if not self._whole:
            padded = rows.new_zeros(self._groups * self._width, kv_heads, per, a)
            padded[self._place] = rows
            rows = padded
        grouped = rows.view(self._groups, self._width, kv_heads, per, a).transpose(1, 2)
        out = grouped.reshape(self._groups, kv_heads, self._width * per, a) @ prompt
        out = out.view(self._groups, kv_heads, self._width, per, -1).transpose(1, 2).flatten(0, 1)
        return out if self._whole else out[self._place]


class PrefillRow(PromptRow):
    """The prompts in one row; keeps every layer's keys and values, by bucket."""

    def __init__(self, prompts: Prompts):
        super().__init__(prompts)
        self.held: dict[int, Sequence[tuple[Tensor, Tensor]]] = {}

    def attention(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        sizes = [bucket.size for bucket in self.buckets]
        parts = zip(self.buckets, key.split(sizes, 1), value.split(sizes, 1), strict=True)
        self.held[layer] = [(bucket.apart(k).contiguous(), bucket.apart(v).contiguous()) for bucket, k, v in parts]
        return super().attention(layer, query, key, value, scale)
