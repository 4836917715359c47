#include "vlmprobe/reward/score.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "../../core/tensor/defined.h"

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/shape.h"
#include "vlmprobe/reward/expression.h"

namespace vlmprobe::reward {
namespace {

constexpr auto kOp = "reward::score";

// The columns of a batch as spans, for `check` of terms.h; holds what it had to make contiguous.
class Checked {
 public:
  explicit Checked(const Batch& batch) : shapes_(kOp) {
    columns.num_sequences = batch.num_sequences;
    expect(batch.num_sequences >= 0, kOp, "num_sequences: expected at least 0, got {}", batch.num_sequences);
    columns.sequence = column<std::int64_t>("sequence", batch.sequence, at::kLong);
    columns.valid = column<std::int8_t>("valid", batch.valid, at::kChar);
    columns.correct = column<std::int8_t>("correct", batch.correct, at::kChar);
    columns.semantic = column<double>("semantic", batch.semantic, at::kDouble);
    columns.lexical = column<double>("lexical", batch.lexical, at::kDouble);
    check(columns, kOp);
  }
  void add_custom(const std::string& name, const std::map<std::string, at::Tensor>& custom) {
    const auto found = custom.find(name);
    expect(found != custom.end(), kOp, "custom: expected values for the term {}, got none", name);
    columns.custom.push_back(column<double>(name.c_str(), found->second, at::kDouble));
    check_custom(columns.custom.back(), columns.size(), kOp, name);
  }

  Columns columns;

 private:
  template <class T>
  std::span<const T> column(const char* name, const at::Tensor& tensor, at::ScalarType dtype) {
    expect_defined(kOp, {{name, tensor}});
    expect(tensor.scalar_type() == dtype, kOp, "{}: expected {}, got {}", name, c10::toString(dtype),
           c10::toString(tensor.scalar_type()));
    expect(tensor.is_cpu(), kOp, "{}: expected a tensor on the CPU, got {}", name, tensor.device().str());
    shapes_.require(name, tensor.sizes(), {"Q"});
    kept_.push_back(tensor.detach().contiguous());
    return {kept_.back().template const_data_ptr<T>(), static_cast<std::size_t>(tensor.numel())};
  }

  Shapes shapes_;
  std::vector<at::Tensor> kept_;
};

std::span<double> span_of(const at::Tensor& column) {
  return {column.mutable_data_ptr<double>(), static_cast<std::size_t>(column.numel())};
}

}  // namespace

Rewards score(const Formula& formula, const Batch& batch) {
  Checked checked(batch);
  for (const std::string& name : formula.custom_names()) checked.add_custom(name, batch.custom);

  const auto questions = static_cast<std::int64_t>(checked.columns.size());
  Rewards rewards{at::empty({questions}, at::kDouble), at::empty({batch.num_sequences}, at::kDouble), {}};
  detail::score_into(formula, checked.columns, span_of(rewards.question), span_of(rewards.total),
                     [&](std::string_view name) {
                       const auto [term, fresh] = rewards.terms.try_emplace(std::string(name));
                       if (fresh) term->second = at::empty({questions}, at::kDouble);
                       return fresh ? span_of(term->second) : std::span<double>();
                     });
  return rewards;
}

}  // namespace vlmprobe::reward
