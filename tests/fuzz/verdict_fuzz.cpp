// Any bytes as a verifier's words: truths and causes agree, the reason is short UTF-8, and nothing before a tagged
// verdict changes it.
#include "vlmprobe/text/verdict.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/core/random.h"

using namespace vlmprobe;

namespace {

const std::vector<std::string_view> kOne = {"correct"};
const std::vector<std::string_view> kFour = {"grammatical", "atomic", "grounded", "objective"};

void require(bool ok) {
  if (!ok) std::abort();
}

void check(std::string_view text, const std::vector<std::string_view>& keys) {
  const text::Verdict verdict = text::read_verdict(text, keys);
  require(verdict.truths.size() == keys.size() && verdict.causes.size() == keys.size());
  const bool read = verdict.reading == text::Reading::ok;
  const auto missing = std::count(verdict.causes.begin(), verdict.causes.end(), text::Cause::missing);
  require(read == (missing < static_cast<std::ptrdiff_t>(keys.size())));
  for (std::size_t i = 0; i < keys.size(); ++i)
    require((verdict.truths[i] == Tri::unknown) == (verdict.causes[i] != text::Cause::none));
  require(verdict.reason.size() <= 2000 && text::well_formed(verdict.reason) == verdict.reason);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

// Half of the time a piece of a verdict is put in: plain mutations rarely spell one.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  random::Sequence draw(seed, random::Stream::kFault, 0);
  if (draw.chance(0.5)) return LLVMFuzzerMutate(data, size, most);
  const char* pieces[] = {"<verdict>",   "</verdict>", "{\"correct\": true}", "\"grammatical\": \"no\",",
                          "</think>",    "<think>",    "\n{\"atomic\":",      "\"reason\": \"",
                          "correct: no", "\\ud83d"};
  const std::string_view piece = pieces[draw.below(10)];
  if (size + piece.size() > most) return LLVMFuzzerMutate(data, size, most);
  const auto at = static_cast<std::size_t>(draw.below(static_cast<int>(size) + 1));
  std::copy_backward(data + at, data + size, data + size + piece.size());
  std::copy(piece.begin(), piece.end(), data + at);
  return size + piece.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text, kOne);
  check(text, kFour);

  const text::Verdict ended = text::read_verdict(std::string(text) + "</think><verdict>no</verdict>", kOne);
  require(ended.reading == text::Reading::ok && ended.truths[0] == Tri::no);
  return 0;
}
