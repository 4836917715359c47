// Folders, batches and files for the memory's tests.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "memory/rows.h"
#include "vlmprobe/memory/question_memory.h"

struct Folder {
  static std::string name() {
    static std::atomic<int> number = 0;
    return "vlmprobe-memory-" + std::to_string(::getpid()) + "-" + std::to_string(number++);
  }
  Folder() : path(std::filesystem::temp_directory_path() / name()) { std::filesystem::remove_all(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file() const { return (path / "memory.safetensors").string(); }
  std::filesystem::path path;
};

// A batch that owns its texts: `count` questions, three to a sequence, a few images and few first words.
struct Batch {
  Batch(std::int64_t count, std::uint64_t seed, std::int64_t images = 4, std::int64_t dim = 16) {
    vlmprobe::random::Sequence draw(seed, vlmprobe::random::Stream::kQuestion, 1);
    const char* words[] = {"How many", "how, MANY", "Is the", "what"};
    std::vector<std::int64_t> image, sequence, slot;
    for (std::int64_t q = 0; q < count; ++q) {
      texts.push_back(std::string(words[draw.below(4)]) + " thing " + std::to_string(q));
      image.push_back((q / 3) % images + 100);
      sequence.push_back(q / 3), slot.push_back(q % 3);
    }
    rows = {column(image), random_unit_rows(count, dim, seed), texts, column(sequence), column(slot)};
  }
  Batch(const Batch&) = delete;
  std::vector<std::string> texts;
  vlmprobe::memory::QuestionRows rows;
};

inline std::string content(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream out;
  out << stream.rdbuf();
  return out.str();
}

inline void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string saved(const vlmprobe::memory::QuestionMemory& memory) {
  const Folder folder;
  memory.save(folder.path.string());
  return content(folder.file());
}
