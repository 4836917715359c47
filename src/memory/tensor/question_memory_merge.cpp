#include <algorithm>
#include <mutex>
#include <optional>
#include <tuple>

#include "question_state.h"

#include "vlmprobe/core/error.h"

namespace vlmprobe::memory {

// The questions of `mine`, and those of `theirs` whose keys mine has not, in the order of (run's name, step, sequence,
// slot).
std::unique_ptr<QuestionMemory::State> QuestionMemory::State::merged(const State& mine, const State& theirs) {
  struct Source {
    const State* state;
    const Entry* entry;
    auto key() const {
      const Key& key = entry->key;
      return std::tuple(std::string_view(state->runs[key.run]), key.step, key.sequence, key.slot);
    }
  };
  std::vector<Source> sources;
  for (const State* state : {&mine, &theirs})
    for (const Entry& entry : state->entries) sources.push_back({state, &entry});
  std::stable_sort(sources.begin(), sources.end(), [](const auto& a, const auto& b) { return a.key() < b.key(); });
  const auto same = [](const auto& a, const auto& b) { return a.key() == b.key(); };
  sources.erase(std::unique(sources.begin(), sources.end(), same), sources.end());  // keeps mine, which came first

  auto out = std::make_unique<State>(mine.dim, mine.prefixes.length(), mine.backend);
  std::map<std::int64_t, std::int64_t> sizes;
  for (const Source& source : sources) ++sizes[source.entry->image];
  for (const auto& [image, rows] : sizes) out->rows.reserve(image, rows);
  const std::vector<std::string> texts[] = {mine.prefixes.prefixes(), theirs.prefixes.prefixes()};
  for (const auto& [state, entry] : sources) {
    Key key = entry->key;
    key.run = out->run(state->runs[key.run]);
    const std::string& prefix = texts[state == &theirs && state != &mine][entry->prefix];
    out->enter(key, entry->image, out->prefixes.add_prefix(prefix, 1), state->embedding(*entry));
  }
  out->index_keys();
  return out;
}

std::int64_t QuestionMemory::merge(const QuestionMemory& other) {
  constexpr auto kOp = "memory::merge";
  expect(other.state_->dim == state_->dim, kOp, "other: expected embeddings of width {}, got {}", state_->dim,
         other.state_->dim);
  expect(other.state_->prefixes.length() == state_->prefixes.length(), kOp,
         "other: expected prefixes of length {}, got {}", state_->prefixes.length(), other.state_->prefixes.length());

  std::unique_lock mine(state_->mutex, std::defer_lock);
  std::shared_lock theirs(other.state_->mutex, std::defer_lock);
  if (&other == this)
    mine.lock();
  else
    std::lock(mine, theirs);
  const auto merged = State::merged(*state_, *other.state_);
  const std::size_t before = state_->entries.size();
  state_->take(*merged);
  return static_cast<std::int64_t>(state_->entries.size() - before);
}

}  // namespace vlmprobe::memory
