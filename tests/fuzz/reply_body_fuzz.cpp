// Bodies of replies: any bytes give a reply whose text is UTF-8, and text only where the status is ok or truncated.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../../src/models/chat_body.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/text/detail/utf8.h"

using namespace vlmprobe;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

// Half of the time a piece of a reply is put in: plain mutations rarely spell one.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  random::Sequence draw(seed, random::Stream::kFault, 0);
  if (draw.chance(0.5)) return LLVMFuzzerMutate(data, size, most);
  const char* pieces[] = {R"({"choices":[{"message":{"content":")",
                          R"("},"finish_reason":"length"}]})",
                          R"("},"finish_reason":"stop"}]})",
                          R"([{"type":"text","text":"x"}])",
                          "\xE2\x97\x81think\xE2\x96\xB7",
                          "</think>",
                          "<think>",
                          R"("reasoning_content":"x",)",
                          R"({"error":{"message":"no"}})",
                          R"(\u0041)",
                          R"(\ud83d\ude00)",
                          "\xF0\x9F\x90",
                          R"("usage":{"prompt_tokens":1e300})"};
  const std::string_view piece = pieces[draw.below(13)];
  if (size + piece.size() > most) return LLVMFuzzerMutate(data, size, most);
  const auto at = static_cast<std::size_t>(draw.below(static_cast<int>(size) + 1));
  std::copy_backward(data + at, data + size, data + size + piece.size());
  std::copy(piece.begin(), piece.end(), data + at);
  return size + piece.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const models::Reply reply = models::read_reply({reinterpret_cast<const char*>(data), size});
  for (const std::string& text : {reply.text, reply.reasoning, reply.error}) require(text::well_formed(text) == text);
  const bool ok = reply.status == models::Status::ok;
  require(!ok || !reply.text.empty());
  require(ok || reply.status == models::Status::truncated || reply.text.empty());
  require(reply.status != models::Status::transport || !reply.error.empty());
  require(reply.usage.prompt_tokens >= 0 && reply.usage.completion_tokens >= 0);
  return 0;
}
