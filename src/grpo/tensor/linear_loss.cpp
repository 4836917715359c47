#include "vlmprobe/grpo/linear_loss.h"
#include "vlmprobe/grpo/option_names.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "check.h"
#include "head.h"
#include "operators.h"
#include "scale_gradient.h"
#include "terms.h"
#include "vlmprobe/core/shape.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::linear_loss";
constexpr std::int64_t kFrozenBytes = 128 << 20, kTrainableBytes = 384 << 20;
constexpr std::int64_t kLeastRows = 16;

void check_arguments(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                     const at::Tensor& mask, double temperature, std::optional<std::int64_t> logits_bytes) {
  expect_head(hidden, weight, temperature, kOp);
  Shapes shapes(kOp);
  shapes.require("hidden", hidden.sizes(), {"B", "T", "H"});
  shapes.require("weight", weight.sizes(), {"V", "H"});
  shapes.require("tokens", tokens.sizes(), {"B", "T"});
  shapes.require("mask", mask.sizes(), {"B", "T"});
  expect_dtype(tokens, at::kLong, kOp, "tokens");
  expect_dtype(mask, at::kBool, kOp, "mask");
  expect(logits_bytes.value_or(1) > 0, kOp, "logits_bytes must be positive, got {}", logits_bytes.value_or(1));
}

// The rows that count, as positions in the flattened batch.
std::vector<std::int64_t> counted(const at::Tensor& mask) {
  std::vector<std::int64_t> rows;
  const bool* counts = mask.const_data_ptr<bool>();
  for (std::int64_t i = 0; i < mask.numel(); ++i)
    if (counts[i]) rows.push_back(i);
  return rows;
}

// Rows [begin, end) of those that count; ends lie between sequences if they must.
struct Chunk {
  std::int64_t begin, end;
};

std::vector<Chunk> chunks(const std::vector<std::int64_t>& rows, std::int64_t most, std::int64_t length,
                          bool whole_sequences) {
  std::vector<Chunk> result;
  const auto count = static_cast<std::int64_t>(rows.size());
  if (!whole_sequences) {
    const std::int64_t pieces = (count + most - 1) / most;  // of nearly equal size
    for (std::int64_t i = 0; i < pieces; ++i) result.push_back({i * count / pieces, (i + 1) * count / pieces});
    return result;
  }
  for (std::int64_t begin = 0; begin < count;) {
    std::int64_t end = begin;
    for (std::int64_t next = begin; next < count;) {
      const std::int64_t sequence = rows[static_cast<std::size_t>(next)] / length;
      while (next < count && rows[static_cast<std::size_t>(next)] / length == sequence) ++next;
      if (end > begin && next - begin > most) break;
      end = next;
    }
    result.push_back({begin, end});
    begin = end;
  }
  return result;
}

at::Tensor index_tensor(const std::vector<std::int64_t>& rows, const at::Device& device) {
  const at::Tensor index = at::empty({static_cast<std::int64_t>(rows.size())}, at::TensorOptions().dtype(at::kLong));
  std::copy(rows.begin(), rows.end(), index.mutable_data_ptr<std::int64_t>());
  return index.to(device);
}

// Log-probabilities and their gradients over the whole batch, filled a chunk at a time; all [B, T] on the CPU.
struct Batch {
  at::Tensor logp, entropy, d_logp, d_entropy;
  LossTotals totals;

  Batch(const Terms& terms, at::ScalarType dtype) {
    const at::TensorOptions options = at::TensorOptions().dtype(dtype);
    for (at::Tensor* tensor : {&logp, &entropy, &d_logp, &d_entropy})
      *tensor = at::zeros({terms.sequences, terms.length}, options);
  }
};

// The surrogate of the rows [chunk.begin, chunk.end), and its gradients.
template <class T>
ChunkUpstream chunk_loss(const Terms& terms, const std::vector<std::int64_t>& rows, const Chunk& chunk,
                         const ChunkNumbers& numbers, Batch& batch) {
  const auto size = static_cast<std::size_t>(chunk.end - chunk.begin);
  const std::int64_t* position = rows.data() + chunk.begin;
  T *logp = batch.logp.mutable_data_ptr<T>(), *entropy = batch.entropy.mutable_data_ptr<T>();
  T *d_logp = batch.d_logp.mutable_data_ptr<T>(), *d_entropy = batch.d_entropy.mutable_data_ptr<T>();
  for (std::size_t i = 0; i < size; ++i) {
    logp[position[i]] = static_cast<T>(numbers.logp[i]);
    entropy[position[i]] = static_cast<T>(numbers.entropy[i]);
  }
  if (terms.options.surrogate.ratio == RatioLevel::sequence) {
    batch.totals.add(loss_pass(terms, position[0] / terms.length, position[size - 1] / terms.length + 1, batch.logp,
                               batch.entropy, batch.d_logp, batch.d_entropy));
  } else {
    for (std::size_t i = 0; i < size; ++i) {
      const std::int64_t at = position[i];
      batch.totals.add(sequence_loss<T>(terms.view<T>(at, 1, logp + at, entropy + at),
                                        terms.weight[static_cast<std::size_t>(at / terms.length)],
                                        terms.options.surrogate, {d_logp + at, 1}, {d_entropy + at, 1}));
    }
  }
  ChunkUpstream upstream{std::vector<double>(size), std::vector<double>(size)};
  for (std::size_t i = 0; i < size; ++i)
    upstream.d_logp[i] = d_logp[position[i]], upstream.d_entropy[i] = d_entropy[position[i]];
  return upstream;
}

// Rows of [B, T, H] from those that count; the others are 0.
at::Tensor scattered(const at::Tensor& counted_rows, const at::Tensor& index, const at::Tensor& like) {
  if (counted_rows.size(0) == like.numel() / like.size(2)) return counted_rows.reshape(like.sizes());
  const at::Tensor all = at::zeros({like.size(0) * like.size(1), like.size(2)}, like.options());
  return all.index_copy_(0, index, counted_rows).reshape(like.sizes());
}

Six run(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens, const TermInputs& inputs,
        double temperature, std::optional<std::int64_t> logits_bytes, const Maybe& banned, Numbers options,
        bool hidden_gradient, bool weight_gradient) {
  check_arguments(hidden, weight, tokens, inputs.mask, temperature, logits_bytes);
  const at::ScalarType dtype = logp_dtype(hidden.scalar_type());
  const Terms terms =
      grpo::terms(kOp, "tokens", tokens.sizes(), dtype, inputs, unpack({options.data(), options.size()}, kOp));
  const std::vector<std::int64_t> rows = counted(terms.mask);
  const at::Tensor index = index_tensor(rows, hidden.device());
  const at::Tensor token = tokens.detach().reshape({-1}).index_select(0, index).to(at::kCPU);
  expect_tokens(token, weight.size(0), kOp);

  const std::int64_t budget = logits_bytes.value_or(weight_gradient ? kTrainableBytes : kFrozenBytes);
  const auto row_bytes = weight.size(0) * static_cast<std::int64_t>(c10::elementSize(dtype));
  const std::int64_t most = std::max(budget / row_bytes / kLeastRows * kLeastRows, kLeastRows);
  const auto parts = chunks(rows, most, terms.length, terms.options.surrogate.ratio == RatioLevel::sequence);
  std::int64_t most_rows = 0;
  for (const Chunk& part : parts) most_rows = std::max(most_rows, part.end - part.begin);

  const at::Tensor flat = hidden.detach().reshape({-1, hidden.size(2)});
  const bool every = static_cast<std::int64_t>(rows.size()) == flat.size(0);
  const HeadProblem problem{.hidden = every ? flat.contiguous() : flat.index_select(0, index),
                            .weight = weight.detach().contiguous(),
                            .tokens = token,
                            .banned = banned_ids(banned, weight.size(0), kOp),
                            .temperature = temperature,
                            .hidden_gradient = hidden_gradient,
                            .weight_gradient = weight_gradient,
                            .most_rows = most_rows};
  const std::unique_ptr<Head> head = make_head(problem);

  Batch batch(terms, dtype);
  for (const Chunk& part : parts) {
    const ChunkNumbers numbers = head->statistics(part.begin, part.end);
    const ChunkUpstream upstream = dtype == at::kDouble ? chunk_loss<double>(terms, rows, part, numbers, batch)
                                                        : chunk_loss<float>(terms, rows, part, numbers, batch);
    if (hidden_gradient || weight_gradient) head->gradient(numbers, upstream);
  }
  const auto device = hidden.device();
  const at::Tensor none = at::empty({0}, hidden.options());
  return {at::scalar_tensor(batch.totals.loss, batch.logp.options()).to(device),
          monitors(batch.totals, terms, true).to(device),
          batch.logp.to(device),
          batch.entropy.to(device),
          hidden_gradient ? scattered(head->d_hidden, index, hidden) : none,
          weight_gradient ? head->d_weight : none.clone()};
}

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& hidden,
                                                const at::Tensor& weight, const at::Tensor& tokens,
                                                const at::Tensor& advantages, const at::Tensor& mask,
                                                const Maybe& old_logp, const Maybe& ref_logp,
                                                const at::Tensor& normalizer, double temperature,
                                                std::optional<std::int64_t> logits_bytes, const Maybe& banned,
                                                Numbers options, bool hidden_gradient, bool weight_gradient) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const auto [loss, monitors, logp, entropy, d_hidden, d_weight] = call<LinearLossForwardOp>(
        "vlmprobe::linear_loss_forward", hidden, weight, tokens, advantages, mask, old_logp, ref_logp, normalizer,
        temperature, logits_bytes, banned, options, hidden_gradient, weight_gradient);
    context->save_for_backward({d_hidden, d_weight});
    context->saved_data["hidden"] = hidden_gradient;
    context->saved_data["weight"] = weight_gradient;
    context->mark_non_differentiable({monitors, logp, entropy});
    return {loss, monitors, logp, entropy};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    expect_state(!at::GradMode::is_enabled(), kOp,
                 "backward: expected create_graph=False, the loss is differentiable once");
    const auto saved = context->get_saved_variables();
    const auto scaled = [&](const char* name, const at::Tensor& gradient) {
      return context->saved_data[name].toBool() ? scale_gradient(gradient, gradients[0], false) : at::Tensor();
    };
    return {scaled("hidden", saved[0]), scaled("weight", saved[1]), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  }
};

}  // namespace

Six kernel::linear_loss_forward(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                                const at::Tensor& advantages, const at::Tensor& mask, const Maybe& old_logp,
                                const Maybe& ref_logp, const at::Tensor& normalizer, double temperature,
                                std::optional<std::int64_t> logits_bytes, const Maybe& banned, Numbers options,
                                bool hidden_gradient, bool weight_gradient) {
  return run(hidden, weight, tokens, {old_logp, advantages, mask, ref_logp, normalizer}, temperature, logits_bytes,
             banned, options, hidden_gradient, weight_gradient);
}

Four kernel::linear_loss(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                         const at::Tensor& advantages, const at::Tensor& mask, const Maybe& old_logp,
                         const Maybe& ref_logp, const at::Tensor& normalizer, double temperature,
                         std::optional<std::int64_t> logits_bytes, const Maybe& banned, Numbers options) {
  const Six all = run(hidden, weight, tokens, {old_logp, advantages, mask, ref_logp, normalizer}, temperature,
                      logits_bytes, banned, options, false, false);
  return {std::get<0>(all), std::get<1>(all), std::get<2>(all), std::get<3>(all)};
}

Four meta::linear_loss(const at::Tensor& hidden, const at::Tensor&, const at::Tensor& tokens, const at::Tensor&,
                       const at::Tensor&, const Maybe&, const Maybe&, const at::Tensor&, double,
                       std::optional<std::int64_t>, const Maybe&, Numbers) {
  const at::TensorOptions options = hidden.options().dtype(logp_dtype(hidden.scalar_type()));
  const auto per_token = [&] { return at::empty_symint(tokens.sym_sizes(), options); };
  return {at::empty({}, options), at::empty({kMonitors}, options.dtype(at::kDouble)), per_token(), per_token()};
}

Six meta::linear_loss_forward(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                              const at::Tensor& advantages, const at::Tensor& mask, const Maybe& old_logp,
                              const Maybe& ref_logp, const at::Tensor& normalizer, double temperature,
                              std::optional<std::int64_t> logits_bytes, const Maybe& banned, Numbers options,
                              bool hidden_gradient, bool weight_gradient) {
  const auto [loss, monitors, logp, entropy] = linear_loss(hidden, weight, tokens, advantages, mask, old_logp, ref_logp,
                                                           normalizer, temperature, logits_bytes, banned, options);
  const auto gradient = [&](const at::Tensor& of, bool wanted) {
    return wanted ? at::empty_symint(of.sym_sizes(), of.options()) : at::empty({0}, of.options());
  };
  return {loss, monitors, logp, entropy, gradient(hidden, hidden_gradient), gradient(weight, weight_gradient)};
}

Four autograd::linear_loss(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                           const at::Tensor& advantages, const at::Tensor& mask, const Maybe& old_logp,
                           const Maybe& ref_logp, const at::Tensor& normalizer, double temperature,
                           std::optional<std::int64_t> logits_bytes, const Maybe& banned, Numbers options) {
  expect_device(weight, hidden, kOp, "weight", "hidden");
  expect_device(tokens, hidden, kOp, "tokens", "hidden");
  expect_devices(kOp, hidden, "hidden", advantages, mask, old_logp, ref_logp);
  const bool enabled = at::GradMode::is_enabled();
  const auto out = LinearFunction::apply(hidden, weight, tokens, advantages, mask, old_logp, ref_logp, normalizer,
                                         temperature, logits_bytes, banned, options, enabled && hidden.requires_grad(),
                                         enabled && weight.requires_grad());
  return {out[0], out[1], out[2], out[3]};
}

TokenLoss linear_loss(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                      const LossInputs& inputs, const at::Tensor& normalizer, const LossOptions& options,
                      const LinearOptions& how) {
  expect_defined(kOp, {{"hidden", hidden}, {"weight", weight}, {"tokens", tokens}, {"banned", how.banned}});
  expect_inputs(kOp, inputs, normalizer);
  const PackedOptions packed = pack(options);
  const auto [loss, monitors, logp, entropy] = call<LinearLossOp>(
      "vlmprobe::linear_loss", hidden, weight, tokens, inputs.advantages, inputs.mask, inputs.old_logp, inputs.ref_logp,
      normalizer, how.temperature, how.logits_bytes, how.banned, Numbers(packed));
  return {{loss, monitors}, logp, entropy};
}

}  // namespace vlmprobe::grpo
