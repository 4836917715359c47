// The memory's file; docs/formats/memory.md has the layout.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <span>

#include "question_state.h"

#include "vlmprobe/core/error.h"
#include "vlmprobe/text/safetensors.h"

namespace vlmprobe::memory {
namespace {

constexpr std::int64_t kBlock = 1024;  // rows that are copied at a time
constexpr auto kSave = "memory::save", kLoad = "memory::load";
constexpr auto kFormat = "vlmprobe.memory", kVersion = "2", kFile = "memory.safetensors";

using Integers = std::vector<std::int64_t>;

// Texts as one block of bytes and the end of each in it.
struct TextColumn {
  explicit TextColumn(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      bytes += text;
      ends.push_back(static_cast<std::int64_t>(bytes.size()));
    }
  }
  std::string bytes;
  Integers ends;
};

// A file beside the target that takes the target's place when it is whole, and goes away when it is not.
class Draft {
 public:
  explicit Draft(const std::filesystem::path& target)
      : target_(target.string()), draft_(target_ + ".draft." + std::to_string(::getpid())) {
    file_ = ::open(draft_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    check(file_ >= 0);
  }
  ~Draft() {
    if (file_ >= 0) ::close(file_);
    if (!placed_) ::unlink(draft_.c_str());
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(file_, bytes.data(), bytes.size());
      check(written > 0 || (written < 0 && errno == EINTR));
      bytes.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
  }
  template <class T>
  void write_values(const std::vector<T>& values) {
    write({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
  }
  // Makes it durable first.
  void place() {
    check(::fsync(file_) == 0);
    check(::close(std::exchange(file_, -1)) == 0);
    check(::rename(draft_.c_str(), target_.c_str()) == 0);
    placed_ = true;
  }

 private:
  void check(bool ok) const { expect(ok, kSave, "directory: cannot write {}: {}", target_, std::strerror(errno)); }

  std::string target_, draft_;
  int file_ = -1;
  bool placed_ = false;
};

// A whole file as bytes. It is mapped, not copied: what was read can leave the memory again.
class FileBytes {
 public:
  explicit FileBytes(const std::filesystem::path& path) {
    std::error_code ignored;
    expect(std::filesystem::is_regular_file(path, ignored), kLoad, "directory: expected one that holds {}, got {}",
           kFile, path.parent_path().string());
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct ::stat about = {};
    const bool known = file >= 0 && ::fstat(file, &about) == 0;
    size_ = known ? static_cast<std::size_t>(about.st_size) : 0;
    if (size_ > 0) data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    if (file >= 0) ::close(file);
    expect(known && data_ != MAP_FAILED, kLoad, "directory: cannot read {}", path.string());
  }
  ~FileBytes() {
    if (size_ > 0) ::munmap(data_, size_);
  }
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;
  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

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
  // The bytes of a tensor of this dtype and shape; -1 stands for any size.
  std::string_view bytes(std::string_view name, std::string_view dtype, const Integers& shape) const {
    const auto found =
        std::find_if(file_.tensors.begin(), file_.tensors.end(), [&](const auto& t) { return t.name == name; });
    check(found != file_.tensors.end(), "tensor {}: expected one, got none", name);
    bool same = found->dtype == dtype && found->shape.size() == shape.size();
    for (std::size_t axis = 0; same && axis < shape.size(); ++axis)
      same = shape[axis] < 0 || shape[axis] == found->shape[axis];
    check(same, "tensor {}: expected {} [{}], got {} [{}]", name, dtype, joined(shape, ", "), found->dtype,
          joined(found->shape, ", "));
    return found->bytes;
  }
  Integers integers(std::string_view name, const Integers& shape) const {
    const std::string_view from = bytes(name, "I64", shape);
    Integers out(from.size() / sizeof(std::int64_t));
    if (!out.empty()) std::memcpy(out.data(), from.data(), from.size());
    return out;
  }
  std::vector<std::string> texts(const std::string& name) const {
    const std::string_view all = bytes(name + ".bytes", "U8", {-1});
    std::vector<std::string> out;
    std::int64_t begin = 0;
    for (const std::int64_t end : integers(name + ".ends", {-1})) {
      check(end >= begin && end <= static_cast<std::int64_t>(all.size()),
            "tensor {}.ends: expected non-decreasing offsets into {} bytes, got {}", name, all.size(), end);
      out.emplace_back(all.begin() + begin, all.begin() + end);
      begin = end;
    }
    check(begin == static_cast<std::int64_t>(all.size()), "tensor {}.ends: expected the last to be {}, got {}", name,
          all.size(), begin);
    return out;
  }
  template <class... Args>
  void check(bool ok, Pattern<std::type_identity_t<Args>...> message, const Args&... args) const {
    if (!ok) expect(false, kLoad, "{}: {}", path_, formatted<Args...>(message, args...));
  }

 private:
  std::string path_;
  text::Safetensors file_;
};

// The places of texts in their sorted order, and the sorted texts.
std::pair<Integers, std::vector<std::string>> sorted(const std::vector<std::string>& texts) {
  Integers order(texts.size()), rank(texts.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return texts[a] < texts[b]; });
  std::vector<std::string> out;
  for (const std::int64_t place : order) {
    rank[place] = static_cast<std::int64_t>(out.size());
    out.push_back(texts[place]);
  }
  return {rank, out};
}

// Throws unless the names are texts, and each once.
void check_names(const Reader& reader, std::string_view name, const std::vector<std::string>& names, bool ordered) {
  const auto [rank, texts] = sorted(names);
  for (std::size_t i = 1; i < texts.size(); ++i)
    reader.check(texts[i - 1] != texts[i], "tensor {}.bytes: expected texts that differ, got '{}' again", name,
                 texts[i]);
  reader.check(!ordered || std::is_sorted(rank.begin(), rank.end()), "tensor {}.bytes: expected sorted texts", name);
}

}  // namespace

void QuestionMemory::save(const std::string& directory) const {
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  expect(!failure, kSave, "directory: cannot create {}: {}", directory, failure.message());

  const std::shared_lock lock(state_->mutex);
  state_->write(std::filesystem::path(directory) / kFile);
}

void QuestionMemory::State::write(const std::filesystem::path& target) const {
  const auto length = [](const auto& values) { return static_cast<std::int64_t>(values.size()); };
  const auto [rank, texts] = sorted(prefixes.prefixes());
  const TextColumn run_column(runs), prefix_column(texts);
  const std::int64_t count = length(entries);
  Draft draft(target);
  draft.write(text::safetensors_header({{{"format", kFormat},
                                         {"version", kVersion},
                                         {"dim", std::to_string(dim)},
                                         {"prefix_length", std::to_string(prefixes.length())}},
                                        {{"keys", "I64", {count, 4}, {}},
                                         {"image", "I64", {count}, {}},
                                         {"prefix", "I64", {count}, {}},
                                         {"runs.ends", "I64", {length(runs)}, {}},
                                         {"prefixes.ends", "I64", {length(texts)}, {}},
                                         {"embeddings", "F32", {count, dim}, {}},
                                         {"runs.bytes", "U8", {length(run_column.bytes)}, {}},
                                         {"prefixes.bytes", "U8", {length(prefix_column.bytes)}, {}}}}));
  // A column at a time, a block of rows at a time: the embeddings are never in memory twice.
  const auto column = [&]<class T>(std::vector<T> block, auto append) {
    for (std::int64_t i = 0; i < count; ++i) {
      append(block, entries[i]);
      if ((i + 1) % kBlock != 0 && i + 1 < count) continue;
      draft.write_values(block);
      block.clear();
    }
  };
  column(Integers(), [](Integers& out, const Entry& entry) {
    const auto& [run_id, step, sequence, slot] = entry.key;
    out.insert(out.end(), {run_id, step, sequence, slot});
  });
  column(Integers(), [](Integers& out, const Entry& entry) { out.push_back(entry.image); });
  column(Integers(), [&](Integers& out, const Entry& entry) { out.push_back(rank[entry.prefix]); });
  draft.write_values(run_column.ends);
  draft.write_values(prefix_column.ends);
  column(std::vector<float>(), [&](std::vector<float>& out, const Entry& entry) {
    const float* row = embedding(entry);
    out.insert(out.end(), row, row + dim);
  });
  draft.write(run_column.bytes);
  draft.write(prefix_column.bytes);
  draft.place();
}

QuestionMemory QuestionMemory::load(const std::string& directory, Backend backend, std::int64_t dim) {
  const auto path = std::filesystem::path(directory) / kFile;
  const FileBytes file(path);
  return read(path.string(), file.bytes(), backend, dim);
}

QuestionMemory QuestionMemory::from_bytes(std::string_view file, Backend backend, std::int64_t dim) {
  return read("file", file, backend, dim);
}

QuestionMemory QuestionMemory::read(const std::string& name, std::string_view file, Backend backend, std::int64_t dim) {
  const Reader reader(name, file);
  reader.check(reader.metadata("format") == kFormat, "expected format {}, got '{}'", kFormat,
               reader.metadata("format"));
  reader.check(reader.metadata("version") == kVersion, "expected version {}, got '{}'", kVersion,
               reader.metadata("version"));
  const std::int64_t width = reader.number("dim");
  reader.check(dim == 0 || width == dim, "expected embeddings of width {}, got {}", dim, width);
  reader.check(width <= kMaxDim, "__metadata__: expected a dim of at most {}, got {}", kMaxDim, width);

  QuestionMemory memory(width, reader.number("prefix_length"), backend);
  State& state = *memory.state_;
  const Integers image = reader.integers("image", {-1});
  const auto count = static_cast<std::int64_t>(image.size());
  const Integers keys = reader.integers("keys", {count, 4}), prefix = reader.integers("prefix", {count});
  const std::string_view embeddings = reader.bytes("embeddings", "F32", {count, width});
  state.runs = reader.texts("runs");
  check_names(reader, "runs", state.runs, false);
  const std::vector<std::string> prefixes = reader.texts("prefixes");
  check_names(reader, "prefixes", prefixes, true);
  const auto check_place = [&](std::string_view tensor, std::int64_t row, std::int64_t place, const auto& table) {
    reader.check(place >= 0 && place < static_cast<std::int64_t>(table.size()),
                 "tensor {}: row {}: expected a row of the {} {}, got {}", tensor, row, table.size(),
                 &table == &state.runs ? "runs" : "prefixes", place);
  };

  std::map<std::int64_t, std::int64_t> sizes;
  for (const std::int64_t label : image) ++sizes[label];
  for (const auto& [label, rows] : sizes) state.rows.reserve(label, rows);
  std::vector<float> block(static_cast<std::size_t>(std::min(kBlock, count) * width));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t place = i % kBlock, rows = std::min(kBlock, count - i);
    if (place == 0) {
      std::memcpy(block.data(), embeddings.data() + i * width * 4, static_cast<std::size_t>(rows * width * 4));
      check_unit(kLoad, name + ": tensor embeddings", {block.data(), rows, width}, i);
    }
    check_place("keys", i, keys[4 * i], state.runs);
    check_place("prefix", i, prefix[i], prefixes);
    state.enter({keys[4 * i], keys[4 * i + 1], keys[4 * i + 2], keys[4 * i + 3]}, image[i],
                state.prefixes.add_prefix(prefixes[prefix[i]], 1), block.data() + place * width);
  }
  const std::int64_t twice = state.index_keys();
  reader.check(twice < 0, "tensor keys: row {}: expected keys that differ, got one again", twice);
  const auto used = state.prefixes.prefixes().size();
  reader.check(used == prefixes.size(), "tensor prefix: expected all of {} prefixes, got {}", prefixes.size(), used);
  return memory;
}

}  // namespace vlmprobe::memory
