// The safetensors layout: 8 bytes little-endian length of a JSON header, the header, the tensors' bytes end to end.
// Only the header is written and read here; the bytes stay with the caller. Safe on files from strangers: every length
// is checked against the bytes that are there before it is used.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vlmprobe::text {

struct TensorBytes {
  std::string name;
  std::string dtype;  // F32, I64 or U8
  std::vector<std::int64_t> shape;
  std::string_view bytes;  // a view into the caller's memory
};

struct Safetensors {
  std::map<std::string, std::string> metadata;  // text to text
  std::vector<TensorBytes> tensors;             // in the order of their bytes
};

// Length and JSON header, padded with blanks so that the bytes that follow are aligned to 8. Reads names, dtypes and
// shapes only: the bytes may not be there yet.
std::string safetensors_header(const Safetensors& file);

// Reads a whole file in memory; the result views `file`. `op` and `name` begin the messages of InvalidArgument, which
// is thrown for anything but a well-formed header (at most 1 MiB) whose tensors fill the rest of the file exactly.
Safetensors read_safetensors(std::string_view op, std::string_view name, std::string_view file);

}  // namespace vlmprobe::text
