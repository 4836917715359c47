#include "vlmprobe/text/safetensors.h"

#include "support.h"
#include "vlmprobe/core/random.h"

using namespace vlmprobe;

namespace {

std::string file() {
  static const std::string payload(24, 'x');
  const std::string_view view = payload;
  const text::Safetensors content{{{"format", "t"}},
                                  {{"a", "F32", {2, 2}, view.substr(0, 16)},
                                   {"none", "I64", {0}, view.substr(0, 0)},
                                   {"b", "I64", {1}, view.substr(16)}}};
  return text::safetensors_header(content) + payload;
}

std::string read(std::string_view bytes) {
  return thrown([&] { text::read_safetensors("op", "f", bytes); });
}

std::string with_header(const std::string& json, std::size_t payload) {
  std::string out(8, '\0');
  out[0] = static_cast<char>(json.size());
  return out + json + std::string(payload, 'x');
}

}  // namespace

TEST_CASE("what is written is read") {
  const std::string bytes = file();
  const auto content = text::read_safetensors("op", "f", bytes);
  CHECK(content.metadata.at("format") == "t");
  REQUIRE(content.tensors.size() == 3);
  CHECK(content.tensors[0].name == "a");
  CHECK(content.tensors[0].shape == std::vector<std::int64_t>{2, 2});
  CHECK(content.tensors[2].bytes.size() == 8);
}

TEST_CASE("a file that lies is refused by name") {
  CHECK(read("abc") == "[op] f: expected a safetensors file, got 3 bytes");
  CHECK(read(std::string(8, '\xff')) == "[op] f: expected a header of at most 0 bytes, got 18446744073709551615");
  CHECK(read(with_header("[1]", 0)) == "[op] f: expected a JSON object as header");
  CHECK(read(with_header("{\"a\":", 0)) == "[op] f: expected a JSON object as header");
  const std::string wrong =
      "[op] f: tensor a: expected dtype F32, I64 or U8, a shape and data_offsets that agree and lie in the file";
  CHECK(read(with_header(R"({"a":1})", 0)) == wrong);
  CHECK(read(with_header(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8)) == wrong);
  CHECK(read(with_header(R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", 8)) == wrong);
  CHECK(read(with_header(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,8]}})", 8)) == wrong);
  CHECK(read(with_header(R"({"a":{"dtype":"I64","shape":[7,7,7],"data_offsets":[0,8]}})", 8)) == wrong);
  CHECK(read(with_header(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3)) ==
        "[op] f: tensor a: expected its bytes right after the ones before it");
  CHECK(read(with_header(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 3)) ==
        "[op] f: expected 2 bytes of tensors, got 3");
  CHECK(read(with_header(R"({"__metadata__":{"a":1}})", 0)) == "[op] f: __metadata__: expected a text as a");
}

TEST_CASE("no changed byte does more than throw") {
  const std::string good = file();
  random::Sequence draw(3, random::Stream::kFault, 0);
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = good;
    bytes[draw.below(static_cast<int>(bytes.size()))] = static_cast<char>(draw.below(256));
    refused += !read(bytes.substr(0, bytes.size() - draw.below(2))).empty();
  }
  CHECK(refused > 1000);
}
