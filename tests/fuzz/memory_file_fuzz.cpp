// Any bytes as a memory's file, and a good file with a few bytes changed: a whole memory, or InvalidArgument.
#include <ATen/ops/empty.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/memory/question_memory.h"

using namespace vlmprobe;
using memory::QuestionMemory;

namespace {

// Five questions on two images, in two runs, with rows of width 2.
std::string good_file() {
  const std::int64_t count = 5;
  const std::vector<std::string> texts = {"How many?", "Is the cat", "", "how many birds", "Why"};
  at::Tensor image = at::empty({count}, at::kLong), slot = at::empty({count}, at::kLong);
  at::Tensor embeddings = at::empty({count, 2}, at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) {
    image.mutable_data_ptr<std::int64_t>()[i] = i % 2, slot.mutable_data_ptr<std::int64_t>()[i] = i;
    embeddings.mutable_data_ptr<float>()[2 * i] = i % 2 ? 0.6F : 1.0F;
    embeddings.mutable_data_ptr<float>()[2 * i + 1] = i % 2 ? 0.8F : 0.0F;
  }
  QuestionMemory memory(2);
  memory.commit("run", 0, {image, embeddings, texts, slot, slot});
  memory.commit("again", 1, {image, embeddings, texts, slot, slot});
  const auto folder = std::filesystem::temp_directory_path() / ("fuzz-memory-" + std::to_string(::getpid()));
  memory.save(folder.string());
  std::ifstream stream(folder / "memory.safetensors", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  std::filesystem::remove_all(folder);
  return bytes;
}

void load(std::string_view bytes) {
  try {
    QuestionMemory memory = QuestionMemory::from_bytes(bytes);
    if (memory.prefixes().total() != memory.size()) std::abort();
    QuestionMemory other(memory.dim(), memory.prefixes().length());
    if (other.merge(memory) != memory.size()) std::abort();
  } catch (const InvalidArgument&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string good = good_file();
  load({reinterpret_cast<const char*>(data), size});
  std::string changed = good;  // three bytes an edit: where, and what
  for (std::size_t i = 0; i + 3 <= size && i < 24; i += 3)
    changed[(data[i] * 256U + data[i + 1]) % changed.size()] = static_cast<char>(data[i + 2]);
  load(changed);
  load(std::string_view(good).substr(0, size > 0 ? data[0] * 8U : 0));
  return 0;
}

// Now and then a whole good file, so that mutations start from one.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  static const std::string good = good_file();
  random::Sequence draw(seed, random::Stream::kFault, 0);
  if (!draw.chance(0.05) || good.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::copy(good.begin(), good.end(), data);
  return LLVMFuzzerMutate(data, good.size(), most);
}
