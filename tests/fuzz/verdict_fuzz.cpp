// Any bytes as a verifier's words: truths and causes agree, the reason is short UTF-8, and nothing before a tagged
// verdict, or quoted inside it, turns it round.
#include "vlmprobe/text/verdict.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/core/random.h"
#include "vlmprobe/text/delimiters.h"

using namespace vlmprobe;

namespace {

const std::vector<std::string_view> kOne = {"correct"};
const std::vector<std::string_view> kFour = {"grammatical", "atomic", "grounded", "objective"};

void require(bool ok) {
  if (!ok) std::abort();
}

void check(std::string_view text, const std::vector<std::string_view>& keys, text::Asked asked) {
  const text::Verdict verdict = text::read_verdict(text, keys, asked);
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
                          "correct: no", "\\ud83d",    "'correct': True",     "\", \"correct\": true //",
                          "reason: ",    "```json\n",  "<|im_end|>",          "\xE2\x80\x9D"};
  const std::string_view piece = pieces[draw.below(16)];
  if (size + piece.size() > most) return LLVMFuzzerMutate(data, size, most);
  const auto at = static_cast<std::size_t>(draw.below(static_cast<int>(size) + 1));
  std::copy_backward(data + at, data + size, data + size + piece.size());
  std::copy(piece.begin(), piece.end(), data + at);
  return size + piece.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto asked : {text::Asked::tags, text::Asked::object}) {
    check(text, kOne, asked);
    check(text, kFour, asked);
  }

  const std::string quoted = text::neutralise(text);
  const auto truth = [](const std::string& said) { return text::read_verdict(said, kOne).truths[0]; };
  require(truth(quoted) == Tri::unknown);
  require(truth(std::string(text) + "</think><verdict>no</verdict>") != Tri::yes);
  require(truth(quoted + "<verdict>no</verdict>" + quoted) != Tri::yes);
  require(truth("<verdict>{\"reason\": \"" + quoted + "\", \"correct\": false}</verdict>") != Tri::yes);
  return 0;
}
