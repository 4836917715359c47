#include <pybind11/stl.h>

#include "bindings.h"
#include "columns.h"
#include "texts.h"
#include "vlmprobe/memory/approximate_bank.h"
#include "vlmprobe/memory/embedding_bank.h"
#include "vlmprobe/memory/lexical.h"
#include "vlmprobe/memory/prefix_counts.h"
#include "vlmprobe/memory/question_memory.h"

namespace vlmprobe::python {

void bind_memory(pybind11::module_& module) {
  namespace py = pybind11;
  using memory::ApproximateBank;
  using memory::EmbeddingBank;
  using memory::PrefixCounts;
  using memory::QuestionMemory;
  using Release = py::call_guard<py::gil_scoped_release>;

  py::enum_<memory::Backend>(module, "Backend")
      .value("automatic", memory::Backend::automatic)
      .value("native", memory::Backend::native)
      .value("faiss", memory::Backend::faiss)
      .value("aten", memory::Backend::aten);
  py::enum_<memory::Within>(module, "Within")
      .value("none", memory::Within::none)
      .value("sequence", memory::Within::sequence)
      .value("step", memory::Within::step);
  module.def("has_faiss", &memory::has_faiss);

  py::class_<EmbeddingBank>(module, "EmbeddingBank")
      .def(py::init<std::int64_t, memory::Backend>(), py::arg("dim"), py::arg("backend"))
      .def("add", &EmbeddingBank::add, py::arg("rows"), Release())
      .def(
          "nearest",
          [](const EmbeddingBank& bank, const at::Tensor& queries, std::int64_t k) {
            memory::Neighbours found = bank.nearest(queries, k);
            return std::pair(found.score, found.id);
          },
          py::arg("queries"), py::arg("k"), Release())
      .def("rows", &EmbeddingBank::rows)
      .def_property_readonly("dim", &EmbeddingBank::dim)
      .def_property_readonly("backend", &EmbeddingBank::backend)
      .def("__len__", &EmbeddingBank::size);

  py::class_<ApproximateBank>(module, "ApproximateBank")
      .def(py::init([](const at::Tensor& rows, std::int64_t lists, std::int64_t probes) {
             return ApproximateBank(rows, {lists, probes});
           }),
           py::arg("rows"), py::arg("lists"), py::arg("probes"), Release())
      .def("add", &ApproximateBank::add, py::arg("rows"), Release())
      .def(
          "nearest",
          [](const ApproximateBank& bank, const at::Tensor& queries, std::int64_t k) {
            memory::Neighbours found = bank.nearest(queries, k);
            return std::pair(found.score, found.id);
          },
          py::arg("queries"), py::arg("k"), Release())
      .def("recall", &ApproximateBank::recall, py::arg("queries"), py::arg("k"), Release())
      .def_property_readonly("dim", &ApproximateBank::dim)
      .def_property_readonly("lists", &ApproximateBank::lists)
      .def_property_readonly("probes", &ApproximateBank::probes)
      .def("__len__", &ApproximateBank::size);
  module.attr("DEFAULT_PROBES") = memory::ApproximateOptions().probes;

  py::class_<PrefixCounts>(module, "PrefixCounts")
      .def(py::init<std::int64_t>(), py::arg("length") = text::kPrefixLength)
      .def("add", &PrefixCounts::add, py::arg("question"))
      .def("count", &PrefixCounts::count, py::arg("question"))
      .def(
          "counts_of",
          [](const PrefixCounts& counts, const Questions& questions) {
            return column_tensor(memory::counts_of(counts, questions), at::kLong);
          },
          py::arg("questions"), Release())
      .def(
          "counts_of",
          [](const PrefixCounts& counts, const Texts& texts) {
            return column_tensor(memory::counts_of<std::string_view>(counts, texts.views), at::kLong);
          },
          py::arg("texts"), Release())
      .def(
          "lexical_novelty",
          [](const PrefixCounts& counts, const Questions& questions) {
            return column_tensor(memory::lexical_novelty(counts, questions), at::kDouble);
          },
          py::arg("questions"), Release())
      .def(
          "lexical_novelty",
          [](const PrefixCounts& counts, const Texts& texts) {
            return column_tensor(memory::lexical_novelty<std::string_view>(counts, texts.views), at::kDouble);
          },
          py::arg("texts"), Release())
      .def(
          "add_all", [](PrefixCounts& counts, const Questions& questions) { memory::add_all(counts, questions); },
          py::arg("questions"), Release())
      .def(
          "add_all",
          [](PrefixCounts& counts, const Texts& texts) { memory::add_all<std::string_view>(counts, texts.views); },
          py::arg("texts"), Release())
      .def("merge", &PrefixCounts::merge, py::arg("other"))
      .def_property_readonly("counts", &PrefixCounts::counts)
      .def_property_readonly("length", &PrefixCounts::length)
      .def_property_readonly("total", &PrefixCounts::total);

  py::class_<QuestionMemory>(module, "QuestionMemory")
      .def(py::init<std::int64_t, std::int64_t, memory::Backend>(), py::arg("dim"), py::arg("prefix_length"),
           py::arg("backend"))
      .def(
          "novelty",
          [](const QuestionMemory& memory, const at::Tensor& image, const at::Tensor& embeddings,
             const std::vector<std::string>& texts, memory::Within within, const std::optional<at::Tensor>& sequence,
             const std::optional<at::Tensor>& slot) {
            memory::Novelty novelty = memory.novelty(
                {image, embeddings, texts, sequence.value_or(at::Tensor()), slot.value_or(at::Tensor())}, within);
            return std::pair(novelty.semantic, novelty.lexical);
          },
          py::arg("image"), py::arg("embeddings"), py::arg("texts"), py::arg("within"), py::arg("sequence"),
          py::arg("slot"), Release())
      .def(
          "commit",
          [](QuestionMemory& memory, const std::string& run, std::int64_t step, const at::Tensor& image,
             const at::Tensor& embeddings, const std::vector<std::string>& texts, const at::Tensor& sequence,
             const at::Tensor& slot) { return memory.commit(run, step, {image, embeddings, texts, sequence, slot}); },
          py::arg("run"), py::arg("step"), py::arg("image"), py::arg("embeddings"), py::arg("texts"),
          py::arg("sequence"), py::arg("slot"), Release())
      .def(
          "nearest",
          [](const QuestionMemory& memory, const at::Tensor& image, const at::Tensor& embeddings, std::int64_t k) {
            memory::Neighbours found = memory.nearest(image, embeddings, k);
            return std::pair(found.score, found.id);
          },
          py::arg("image"), py::arg("embeddings"), py::arg("k"), Release())
      .def("crowding", &QuestionMemory::crowding, py::arg("embeddings"), py::arg("floor"), Release())
      .def("merge", &QuestionMemory::merge, py::arg("other"), Release())
      .def("save", &QuestionMemory::save, py::arg("directory"), Release())
      .def_static("load", &QuestionMemory::load, py::arg("directory"), py::arg("backend"), py::arg("dim"), Release())
      .def("count", &QuestionMemory::count, py::arg("image"))
      .def_property_readonly("prefixes", &QuestionMemory::prefixes)
      .def_property_readonly("images", &QuestionMemory::images)
      .def_property_readonly("bytes", &QuestionMemory::bytes)
      .def_property_readonly("dim", &QuestionMemory::dim)
      .def_property_readonly("backend", &QuestionMemory::backend)
      .def("__len__", &QuestionMemory::size);
}

}  // namespace vlmprobe::python
