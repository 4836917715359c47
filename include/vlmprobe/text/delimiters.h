// Text of a questioner or an answerer that is quoted to a verifier must not be able to end its own quotation.
//
// Every delimiter of our prompts is a tag (`<question>`, `</answer>`, `<response_1>`, `<|im_end|>`), so every `<` and
// `>` becomes U+2039 and U+203A: readable, and no tag is left, however it was spaced or nested. Other bytes stay.
// Idempotent.
#pragma once

#include <string>
#include <string_view>

namespace vlmprobe::text {

inline std::string neutralise(std::string_view quoted) {
  std::string out;
  out.reserve(quoted.size());
  for (const char character : quoted) {
    if (character == '<') {
      out += "\xE2\x80\xB9";
    } else if (character == '>') {
      out += "\xE2\x80\xBA";
    } else {
      out.push_back(character);
    }
  }
  return out;
}

}  // namespace vlmprobe::text
