// The memory's file; docs/formats/memory.md has the layout.
#include <fcntl.h>
#include <unistd.h>

#include <ATen/ops/from_blob.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "nearest.h"

#include "vlmprobe/core/error.h"
#include "vlmprobe/memory/question_memory.h"
#include "vlmprobe/text/safetensors.h"

namespace vlmprobe::memory {
namespace {

constexpr auto kSave = "memory::save", kLoad = "memory::load";
constexpr auto kFormat = "vlmprobe.memory", kVersion = "1", kFile = "memory.safetensors";

using Integers = std::vector<std::int64_t>;

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// Texts as one block of bytes and the end of each in it.
struct TextColumn {
  std::string bytes;
  Integers ends;
  void add(std::string_view text) {
    bytes += text;
    ends.push_back(static_cast<std::int64_t>(bytes.size()));
  }
};

// Writes all of it beside the target, makes it durable, and puts it in the target's place.
void replace_file(const std::filesystem::path& target, const std::vector<std::string_view>& parts) {
  const auto draft = target.string() + ".draft." + std::to_string(::getpid());
  const auto check = [&](bool ok) {
    expect(ok, kSave, "directory: cannot write {}: {}", target.string(), std::strerror(errno));
  };
  const int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  check(file >= 0);
  bool ok = true;
  for (std::string_view part : parts) {
    while (ok && !part.empty()) {
      const auto written = ::write(file, part.data(), part.size());
      ok = written > 0 || (written < 0 && errno == EINTR);
      part.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
  }
  ok = ok && ::fsync(file) == 0;
  ok = ::close(file) == 0 && ok && ::rename(draft.c_str(), target.c_str()) == 0;
  if (!ok) {
    const int cause = errno;
    ::unlink(draft.c_str());
    errno = cause;
  }
  check(ok);
}

// The tensors of a file by name, checked as they are taken.
class Reader {
 public:
  Reader(std::string path, std::string_view file)
      : path_(std::move(path)), file_(text::read_safetensors(kLoad, path_, file)) {}

  std::int64_t number(const std::string& field) const {
    const std::string text = metadata(field);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    check(error == std::errc() && end == text.data() + text.size() && value >= 1,
          "__metadata__: expected a whole number from 1 on as {}, got '{}'", field, text);
    return value;
  }
  std::string metadata(const std::string& field) const {
    const auto found = file_.metadata.find(field);
    return found == file_.metadata.end() ? "" : found->second;
  }
  // The values of a tensor of this dtype and shape; -1 stands for any size.
  template <class T>
  std::vector<T> values(std::string_view name, std::string_view dtype, const Integers& shape) const {
    const auto found =
        std::find_if(file_.tensors.begin(), file_.tensors.end(), [&](const auto& t) { return t.name == name; });
    check(found != file_.tensors.end(), "tensor {}: expected one, got none", name);
    bool same = found->dtype == dtype && found->shape.size() == shape.size();
    for (std::size_t axis = 0; same && axis < shape.size(); ++axis)
      same = shape[axis] < 0 || shape[axis] == found->shape[axis];
    check(same, "tensor {}: expected {} [{}], got {} [{}]", name, dtype, fmt::join(shape, ", "), found->dtype,
          fmt::join(found->shape, ", "));
    std::vector<T> out(found->bytes.size() / sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), found->bytes.data(), found->bytes.size());
    return out;
  }
  std::vector<std::string> texts(const std::string& name) const {
    const auto bytes = values<char>(name + ".bytes", "U8", {-1});
    const auto ends = values<std::int64_t>(name + ".ends", "I64", {-1});
    std::vector<std::string> out;
    std::int64_t begin = 0;
    for (const std::int64_t end : ends) {
      check(end >= begin && end <= static_cast<std::int64_t>(bytes.size()),
            "tensor {}.ends: expected non-decreasing offsets into {} bytes, got {}", name, bytes.size(), end);
      out.emplace_back(bytes.begin() + begin, bytes.begin() + end);
      begin = end;
    }
    return out;
  }
  template <class... Args>
  void check(bool ok, fmt::format_string<Args...> message, Args&&... args) const {
    if (!ok) expect(false, kLoad, "{}: {}", path_, fmt::format(message, std::forward<Args>(args)...));
  }

 private:
  std::string path_;
  text::Safetensors file_;
};

std::string read_file(const std::filesystem::path& path) {
  std::error_code ignored;
  expect(std::filesystem::is_regular_file(path, ignored), kLoad, "directory: expected one that holds {}, got {}", kFile,
         path.parent_path().string());
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream content;
  content << stream.rdbuf();
  expect(stream.good(), kLoad, "directory: cannot read {}", path.string());
  return std::move(content).str();
}

}  // namespace

void QuestionMemory::save(const std::string& directory) const {
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  expect(!failure, kSave, "directory: cannot create {}: {}", directory, failure.message());

  Integers keys, image, times;
  std::vector<float> embeddings;
  for (const Entry& entry : entries_) {
    keys.insert(keys.end(), entry.key.begin(), entry.key.end());
    image.push_back(entry.image);
    const float* row = banks_.at(entry.image).data() + entry.row * dim_;
    embeddings.insert(embeddings.end(), row, row + dim_);
  }
  TextColumn runs, prefixes;
  for (const auto& run : runs_) runs.add(run);
  for (const auto& [prefix, count] : prefixes_.counts()) prefixes.add(prefix), times.push_back(count);

  const auto length = [](const auto& values) { return static_cast<std::int64_t>(values.size()); };
  const text::Safetensors file{{{"format", kFormat},
                                {"version", kVersion},
                                {"dim", std::to_string(dim_)},
                                {"prefix_length", std::to_string(prefixes_.length())}},
                               {{"keys", "I64", {size(), 4}, bytes_of(keys)},
                                {"image", "I64", {size()}, bytes_of(image)},
                                {"runs.ends", "I64", {length(runs.ends)}, bytes_of(runs.ends)},
                                {"prefixes.ends", "I64", {length(prefixes.ends)}, bytes_of(prefixes.ends)},
                                {"prefixes.count", "I64", {length(times)}, bytes_of(times)},
                                {"embeddings", "F32", {size(), dim_}, bytes_of(embeddings)},
                                {"runs.bytes", "U8", {length(runs.bytes)}, runs.bytes},
                                {"prefixes.bytes", "U8", {length(prefixes.bytes)}, prefixes.bytes}}};
  const std::string header = text::safetensors_header(file);
  std::vector<std::string_view> parts = {header};
  for (const auto& tensor : file.tensors) parts.push_back(tensor.bytes);
  replace_file(std::filesystem::path(directory) / kFile, parts);
}

QuestionMemory QuestionMemory::load(const std::string& directory, Backend backend) {
  const auto path = std::filesystem::path(directory) / kFile;
  const std::string content = read_file(path);
  const Reader reader(path.string(), content);
  reader.check(reader.metadata("format") == kFormat, "expected format {}, got '{}'", kFormat,
               reader.metadata("format"));
  reader.check(reader.metadata("version") == kVersion, "expected version {}, got '{}'", kVersion,
               reader.metadata("version"));

  QuestionMemory memory(reader.number("dim"), reader.number("prefix_length"), backend);
  const auto image = reader.values<std::int64_t>("image", "I64", {-1});
  const auto count = static_cast<std::int64_t>(image.size());
  const auto keys = reader.values<std::int64_t>("keys", "I64", {count, 4});
  auto embeddings = reader.values<float>("embeddings", "F32", {count, memory.dim_});
  const auto checked =
      unit_rows(kLoad, "embeddings", at::from_blob(embeddings.data(), {count, memory.dim_}, at::kFloat), memory.dim_);
  memory.runs_ = reader.texts("runs");
  for (std::int64_t i = 0; i < count; ++i) {
    const Key key = {keys[4 * i], keys[4 * i + 1], keys[4 * i + 2], keys[4 * i + 3]};
    reader.check(key[0] >= 0 && key[0] < static_cast<std::int64_t>(memory.runs_.size()),
                 "tensor keys: row {}: expected one of {} runs, got {}", i, memory.runs_.size(), key[0]);
    reader.check(!memory.keys_.contains(key), "tensor keys: row {}: expected keys that differ, got one again", i);
    memory.enter(key, image[i], checked.const_data_ptr<float>() + i * memory.dim_);
  }
  const auto prefixes = reader.texts("prefixes");
  const auto times = reader.values<std::int64_t>("prefixes.count", "I64", {static_cast<std::int64_t>(prefixes.size())});
  std::int64_t left = count;
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    reader.check(times[i] >= 1 && times[i] <= left && memory.prefixes_.count_prefix(prefixes[i]) == 0,
                 "tensor prefixes.count: row {}: expected counts of different prefixes that add up to {}", i, count);
    memory.prefixes_.add_prefix(prefixes[i], times[i]);
    left -= times[i];
  }
  reader.check(left == 0, "tensor prefixes.count: expected a sum of {}, got {}", count, count - left);
  return memory;
}

}  // namespace vlmprobe::memory
