// Any bytes as a completion: k rows, valid UTF-8, spans that lie in the text and do not overlap.
#include "vlmprobe/text/responses.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vlmprobe/core/random.h"

using namespace vlmprobe;

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

// A second opinion on UTF-8, by the table of the standard (RFC 3629): lead byte, then the range of the second byte.
bool is_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if (lead < 0xC2 || lead > 0xF4) return false;
    const std::size_t more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (byte(i + 1) < low || byte(i + 1) > high) return false;
    for (std::size_t j = 2; j <= more; ++j)
      if (byte(i + j) < 0x80 || byte(i + j) > 0xBF) return false;
    i += more + 1;
  }
  return true;
}

void check(std::string_view completion, std::int64_t k, std::int64_t token) {
  std::vector<std::int64_t> ends;
  for (auto end = token; end < static_cast<std::int64_t>(completion.size()); end += token) ends.push_back(end);
  if (!completion.empty()) ends.push_back(static_cast<std::int64_t>(completion.size()));
  const std::vector<std::vector<std::int64_t>> token_ends = {ends};
  const std::vector<std::string_view> completions = {completion};
  const Questions questions = text::parse_responses(completions, k, token_ends);
  require(static_cast<std::int64_t>(questions.text.size()) == k);
  std::vector<std::pair<std::int64_t, std::int64_t>> spans;
  for (std::size_t i = 0; i < questions.text.size(); ++i) {
    const bool ok = questions.status[i] == SlotStatus::ok;
    require(questions.slot[i] == static_cast<std::int64_t>(i) && ok == !questions.text[i].empty());
    require(is_utf8(questions.text[i]) && questions.text[i].size() <= 1000);
    const std::int64_t begin = questions.token_begin[i], end = questions.token_end[i];
    require((begin == -1 && end == -1) || (begin >= 0 && begin < end && end <= static_cast<std::int64_t>(ends.size())));
    if (begin >= 0) spans.emplace_back(begin, end);
    require(!ok || begin >= 0);
  }
  std::sort(spans.begin(), spans.end());
  const std::int64_t shared = token == 1 ? 0 : 1;  // a longer token may straddle two blocks
  for (std::size_t i = 1; i < spans.size(); ++i) require(spans[i].first >= spans[i - 1].second - shared);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

// Half of the time a tag or half a character is put in: plain mutations rarely spell a tag.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  random::Sequence draw(seed, random::Stream::kFault, 0);
  if (draw.chance(0.5)) return LLVMFuzzerMutate(data, size, most);
  const char* pieces[] = {"<response_1>",  "</response_1>", "<response_2>",  "</response_2>", "<response_3>",
                          "</response_3>", "<response_",    "</response_0>", "What is it?",   "\xF0\x9F\x90",
                          "<think>",       "</think>",      "[/THINK]",      "\xE2\x80\x8B"};
  const std::string_view piece = pieces[draw.below(14)];
  if (size + piece.size() > most) return LLVMFuzzerMutate(data, size, most);
  const auto at = static_cast<std::size_t>(draw.below(static_cast<int>(size) + 1));
  std::copy_backward(data + at, data + size, data + size + piece.size());
  std::copy(piece.begin(), piece.end(), data + at);
  return size + piece.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::int64_t token : {1, 3})
    for (const std::int64_t k : {1, 3}) check(text, k, token);
  return 0;
}
