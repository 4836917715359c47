#include "vlmprobe/reward/score.h"

#include <ATen/ops/empty.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/shape.h"
#include "vlmprobe/reward/expression.h"

namespace vlmprobe::reward {
namespace {

constexpr auto kOp = "reward::score";

// The columns of a batch as spans; holds what it had to make contiguous.
class Checked {
 public:
  explicit Checked(const Batch& batch) : shapes_(kOp) {
    columns.num_sequences = batch.num_sequences;
    expect(batch.num_sequences >= 0, kOp, "num_sequences: expected at least 0, got {}", batch.num_sequences);
    columns.sequence = column<std::int64_t>("sequence", batch.sequence, at::kLong, "an index below num_sequences",
                                            [&](auto b) { return (b >= 0) & (b < batch.num_sequences); });
    const auto tri = [](std::int8_t value) { return (value >= -1) & (value <= 1); };
    columns.valid = column<std::int8_t>("valid", batch.valid, at::kChar, "1, 0 or -1", tri);
    columns.correct = column<std::int8_t>("correct", batch.correct, at::kChar, "1, 0 or -1", tri);
    const auto novelty = [](double value) { return (value != value) | ((value >= 0) & (value <= 1)); };
    columns.semantic = column<double>("semantic", batch.semantic, at::kDouble, "a value in [0, 1] or NaN", novelty);
    columns.lexical = column<double>("lexical", batch.lexical, at::kDouble, "a value in [0, 1] or NaN", novelty);
  }
  void add_custom(const std::string& name, const std::map<std::string, at::Tensor>& custom) {
    const auto found = custom.find(name);
    expect(found != custom.end(), kOp, "custom: expected values for the term {}, got none", name);
    columns.custom.push_back(column<double>(name.c_str(), found->second, at::kDouble, "a finite value or NaN",
                                            [](double value) { return !std::isinf(value); }));
  }

  Columns columns;

 private:
  template <class T, class Check>
  std::span<const T> column(const char* name, const at::Tensor& tensor, at::ScalarType dtype, const char* allowed,
                            const Check& check) {
    expect(tensor.defined() && tensor.scalar_type() == dtype, kOp, "{}: expected {}, got {}", name,
           c10::toString(dtype), tensor.defined() ? c10::toString(tensor.scalar_type()) : "nothing");
    expect(tensor.is_cpu(), kOp, "{}: expected a tensor on the CPU, got {}", name, tensor.device().str());
    shapes_.require(name, tensor.sizes(), {"Q"});
    kept_.push_back(tensor.detach().contiguous());
    const std::span<const T> values(kept_.back().template const_data_ptr<T>(),
                                    static_cast<std::size_t>(tensor.numel()));
    bool good = true;
    for (const T value : values) good &= check(value);  // no branch: compilers make vectors of it
    const auto bad = good ? values.end() : std::find_if_not(values.begin(), values.end(), check);
    expect(good, kOp, "{}: row {}: expected {}, got {}", name, bad - values.begin(), allowed, good ? T{} : *bad);
    return values;
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
  score_into(formula, checked.columns, span_of(rewards.question), span_of(rewards.total), [&](std::string_view name) {
    const auto [term, fresh] = rewards.terms.try_emplace(std::string(name));
    if (fresh) term->second = at::empty({questions}, at::kDouble);
    return fresh ? span_of(term->second) : std::span<double>();
  });
  return rewards;
}

}  // namespace vlmprobe::reward
