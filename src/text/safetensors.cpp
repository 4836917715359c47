#include "vlmprobe/text/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "vlmprobe/core/error.h"

namespace vlmprobe::text {
namespace {

static_assert(std::endian::native == std::endian::little, "the layout is little-endian and is read in place");

constexpr std::uint64_t kMaxHeader = 1 << 20;
constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 40;  // of one axis; an empty tensor may have long ones

std::uint64_t item_bytes(std::string_view dtype) {
  return dtype == "F32" ? 4 : dtype == "I64" ? 8 : dtype == "U8" ? 1 : 0;
}

// Bytes of a tensor of this shape, or `limit` + 1 when it would be more: no product overflows.
std::uint64_t tensor_bytes(std::string_view dtype, const std::vector<std::int64_t>& shape, std::uint64_t limit) {
  std::uint64_t bytes = item_bytes(dtype);
  for (const std::int64_t size : shape) {
    if (size == 0) return 0;
    if (bytes > limit / static_cast<std::uint64_t>(size)) return limit + 1;
    bytes *= static_cast<std::uint64_t>(size);
  }
  return bytes;
}

bool is_offset(const nlohmann::json& value) {
  return value.is_number_unsigned();
}

// One entry of the header, or an empty dtype when it is not of the layout.
TensorBytes entry(const std::string& name, const nlohmann::json& value, std::string_view payload) {
  TensorBytes tensor{name, "", {}, {}};
  if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") || !value.contains("data_offsets"))
    return tensor;
  const auto &dtype = value["dtype"], &shape = value["shape"], &offsets = value["data_offsets"];
  if (!dtype.is_string() || !shape.is_array() || !offsets.is_array() || shape.size() > 8 || offsets.size() != 2)
    return tensor;
  if (!std::all_of(shape.begin(), shape.end(), is_offset) || !std::all_of(offsets.begin(), offsets.end(), is_offset))
    return tensor;
  const auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
  for (const auto& size : shape)
    if (size.get<std::uint64_t>() > kMaxSize) return tensor;
  tensor.shape = shape.get<std::vector<std::int64_t>>();
  const auto type = dtype.get<std::string>();
  if (begin > end || end > payload.size() || item_bytes(type) == 0) return tensor;
  if (tensor_bytes(type, tensor.shape, payload.size()) != end - begin) return tensor;
  tensor.bytes = payload.substr(begin, end - begin);
  tensor.dtype = type;
  return tensor;
}

}  // namespace

std::string safetensors_header(const Safetensors& file) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::uint64_t begin = 0;
  for (const TensorBytes& tensor : file.tensors) {
    const std::uint64_t end = begin + tensor_bytes(tensor.dtype, tensor.shape, std::uint64_t{1} << 62);
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = json.size();
  std::string out(sizeof(length), '\0');
  std::memcpy(out.data(), &length, sizeof(length));
  return out + json;
}

Safetensors read_safetensors(std::string_view op, std::string_view name, std::string_view file) {
  std::uint64_t length = 0;
  expect(file.size() >= sizeof(length), op, "{}: expected a safetensors file, got {} bytes", name, file.size());
  std::memcpy(&length, file.data(), sizeof(length));
  const std::uint64_t room = std::min<std::uint64_t>(file.size() - sizeof(length), kMaxHeader);
  expect(length <= room, op, "{}: expected a header of at most {} bytes, got {}", name, room, length);
  const std::string_view text = file.substr(sizeof(length), length), payload = file.substr(sizeof(length) + length);
  const auto header = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  expect(header.is_object(), op, "{}: expected a JSON object as header", name);

  Safetensors out;
  for (const auto& [key, value] : header.items()) {
    if (key == "__metadata__") {
      expect(value.is_object(), op, "{}: __metadata__: expected an object of texts", name);
      for (const auto& [field, content] : value.items()) {
        expect(content.is_string(), op, "{}: __metadata__: expected a text as {}", name, field);
        out.metadata[field] = content.get<std::string>();
      }
      continue;
    }
    out.tensors.push_back(entry(key, value, payload));
    expect(!out.tensors.back().dtype.empty(), op,
           "{}: tensor {}: expected dtype F32, I64 or U8, a shape and data_offsets that agree and lie in the file",
           name, key);
  }
  std::sort(out.tensors.begin(), out.tensors.end(), [](const TensorBytes& a, const TensorBytes& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  const char* end = payload.data();
  for (const TensorBytes& tensor : out.tensors) {
    expect(tensor.bytes.data() == end, op, "{}: tensor {}: expected its bytes right after the ones before it", name,
           tensor.name);
    end += tensor.bytes.size();
  }
  const auto used = static_cast<std::size_t>(end - payload.data());
  expect(used == payload.size(), op, "{}: expected {} bytes of tensors, got {}", name, used, payload.size());
  return out;
}

}  // namespace vlmprobe::text
