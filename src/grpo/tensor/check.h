// Checks of tensor arguments, in the house's wording. For src/grpo only.
#pragma once

#include <ATen/MemoryOverlap.h>
#include <ATen/core/Tensor.h>

#include <cmath>
#include <optional>
#include <string_view>

#include "../../core/tensor/defined.h"

#include "vlmprobe/core/error.h"
#include "vlmprobe/grpo/loss.h"

namespace vlmprobe::grpo {

// What every loss takes.
inline void expect_inputs(std::string_view op, const LossInputs& inputs, const at::Tensor& normalizer) {
  expect_defined(op, {{"advantages", inputs.advantages},
                      {"mask", inputs.mask},
                      {"old_logp", inputs.old_logp},
                      {"ref_logp", inputs.ref_logp},
                      {"normalizer", normalizer}});
}

inline void expect_dtype(const at::Tensor& tensor, at::ScalarType dtype, std::string_view op, std::string_view name) {
  expect(tensor.scalar_type() == dtype, op, "{}: expected {}, got {}", name,
         dtype == at::kBool ? "bool" : (dtype == at::kLong ? "int64" : c10::toString(dtype)),
         c10::toString(tensor.scalar_type()));
}

inline void expect_float32_or_float64(const at::Tensor& tensor, std::string_view op, std::string_view name) {
  expect(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble, op,
         "{}: expected float32 or float64, got {}", name, c10::toString(tensor.scalar_type()));
}

inline void expect_device(const at::Tensor& tensor, const at::Tensor& like, std::string_view op, std::string_view name,
                          std::string_view like_name) {
  expect(tensor.device() == like.device(), op, "{}: expected a tensor on {} as {}, got {}", name, like.device().str(),
         like_name, tensor.device().str());
}

// The inputs that every loss takes, on the device of what it is computed from. A normalizer may stay on the CPU.
inline void expect_devices(std::string_view op, const at::Tensor& like, std::string_view like_name,
                           const at::Tensor& advantages, const at::Tensor& mask,
                           const std::optional<at::Tensor>& old_logp, const std::optional<at::Tensor>& ref_logp) {
  expect_device(advantages, like, op, "advantages", like_name);
  expect_device(mask, like, op, "mask", like_name);
  if (old_logp) expect_device(*old_logp, like, op, "old_logp", like_name);
  if (ref_logp) expect_device(*ref_logp, like, op, "ref_logp", like_name);
}

inline void expect_temperature(double temperature, std::string_view op) {
  expect(temperature > 0 && std::isfinite(temperature), op, "temperature must be in (0, inf), got {}", temperature);
  expect(temperature >= 1e-30 && temperature <= 1e30, op, "temperature must be in [1e-30, 1e30], got {}", temperature);
}

// Hidden states and the weight of the head over them; shapes are checked apart.
inline void expect_head(const at::Tensor& hidden, const at::Tensor& weight, double temperature, std::string_view op) {
  const at::ScalarType dtype = hidden.scalar_type();
  expect(dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf || dtype == at::kDouble, op,
         "hidden: expected float32, bfloat16, float16 or float64, got {}", c10::toString(dtype));
  expect(weight.scalar_type() == dtype, op, "weight: expected {} as hidden, got {}", c10::toString(dtype),
         c10::toString(weight.scalar_type()));
  expect(weight.numel() > 0, op, "weight: expected V >= 1 and H >= 1, got [{}]", joined(weight.sizes(), ", "));
  expect_temperature(temperature, op);
}

// `tokens` are those of unmasked rows, or 0.
inline void expect_tokens(const at::Tensor& tokens, std::int64_t vocabulary, std::string_view op) {
  const at::Tensor on_cpu = tokens.to(at::kCPU).contiguous();
  const auto* id = on_cpu.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < on_cpu.numel(); ++i)
    expect(id[i] >= 0 && id[i] < vocabulary, op, "tokens: expected ids in [0, {}), got {}", vocabulary, id[i]);
}

// Ids that no completion may hold: distinct, ascending.
inline std::vector<std::int64_t> banned_ids(const std::optional<at::Tensor>& banned, std::int64_t vocabulary,
                                            std::string_view op) {
  if (!banned) return {};
  expect_dtype(*banned, at::kLong, op, "banned");
  expect(banned->dim() == 1, op, "banned: expected shape [n], got [{}]", joined(banned->sizes(), ", "));
  const at::Tensor here = banned->to(at::kCPU).contiguous();
  const auto* id = here.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> ids(id, id + here.numel());
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  expect(ids.empty() || (ids.front() >= 0 && ids.back() < vocabulary), op,
         "banned: expected ids in [0, {}), got {} to {}", vocabulary, ids.empty() ? 0 : ids.front(),
         ids.empty() ? 0 : ids.back());
  return ids;
}

// Random numbers of the caller's.
inline void expect_uniform(const at::Tensor& uniform, std::int64_t rows, std::string_view op) {
  expect_dtype(uniform, at::kDouble, op, "uniform");
  expect(uniform.is_cpu() && uniform.dim() == 1 && uniform.size(0) == rows, op,
         "uniform: expected shape [{}] on the CPU, got [{}] on {}", rows, joined(uniform.sizes(), ", "),
         uniform.device().str());
  const auto* u = uniform.const_data_ptr<double>();
  for (std::int64_t r = 0; r < rows; ++r)
    expect(u[r] >= 0 && u[r] < 1, op, "uniform: row {}: expected a number in [0, 1), got {}", r, u[r]);
}

// A tensor that is written in place: its rows must lie in memory as they are, each for itself.
inline void expect_writable_rows(const at::Tensor& logits, std::string_view op) {
  expect(logits.dim() >= 1 && (logits.stride(-1) == 1 || logits.size(-1) == 1), op,
         "in_place: expected logits whose last dimension is contiguous, got a stride of {}",
         logits.dim() >= 1 ? logits.stride(-1) : 0);
  expect(at::has_internal_overlap(logits) != at::MemOverlap::Yes, op,
         "in_place: expected logits whose rows do not share memory, got an expanded tensor");
}

// The dtype of log-probabilities computed from logits of `dtype`.
inline at::ScalarType logp_dtype(at::ScalarType dtype) {
  return dtype == at::kDouble ? at::kDouble : at::kFloat;
}

}  // namespace vlmprobe::grpo
