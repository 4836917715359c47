#include <string>
#include <string_view>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/text/detail/utf8.h"

using namespace vlmprobe;

namespace {

// By the definition, a scalar value at a time.
std::string by_definition(std::string_view raw) {
  std::string out;
  bool blank = false;
  for (std::size_t at = 0; at < raw.size();) {
    const text::Scalar scalar = text::decode(raw, at);
    at += scalar.bytes;
    if (text::is_space(scalar.value)) {
      blank = !out.empty();
      continue;
    }
    if (blank) out.push_back(' ');
    blank = false;
    text::append(out, scalar.value);
  }
  return out;
}

std::string drawn(random::Sequence& draw) {
  const std::vector<std::string_view> pieces = {"a",        "word", "plain words",  " ",        "  ",  "\n",
                                                "\xC3\xA9", "\xFF", "\xE2\x80\x83", "\xE2\x82", "?\t", "\x7F"};
  std::string text;
  const int count = draw.below(30), kind = draw.below(3);
  for (int i = 0; i < count; ++i) {
    if (kind == 0) {
      text.push_back(static_cast<char>(draw.below(256)));
    } else {
      text += pieces[static_cast<std::size_t>(draw.below(kind == 1 ? 4 : 12))];
    }
  }
  return text;
}

}  // namespace

TEST_CASE("a clean text is what its definition says, of whatever bytes and however it falls into strides") {
  random::Sequence draw(6, random::Stream::kFault, 0);
  for (int round = 0; round < 30000; ++round) {
    const std::string raw = drawn(draw), expected = by_definition(raw);
    if (text::clean(raw) != expected) FAIL("text '" << raw << "'");
    if (text::clean(expected) != expected) FAIL("cleaned twice: '" << expected << "'");
    const auto most = static_cast<std::size_t>(draw.below(40));
    const std::string cut = text::clean(raw, most);
    if ((cut.size() > most) != (expected.size() > most)) FAIL("at most " << most << ": '" << raw << "'");
    if (cut.size() <= most && cut != expected) FAIL("within " << most << ": '" << raw << "'");
  }
}

TEST_CASE("what is made well-formed keeps its scalar values") {
  CHECK(text::well_formed("a\xC3\xA9\xFF \n") == "a\xC3\xA9\xEF\xBF\xBD \n");
  CHECK(text::well_formed("\xED\xA0\x80") == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}
