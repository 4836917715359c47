#include <pybind11/operators.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "vlmprobe/world/answer.h"
#include "vlmprobe/world/faults.h"
#include "vlmprobe/world/grammar.h"
#include "vlmprobe/world/judge.h"
#include "vlmprobe/world/sample.h"
#include "vlmprobe/world/scene.h"

namespace vlmprobe::python {

namespace py = pybind11;
using namespace vlmprobe::world;

namespace {

random::Sequence question_draw(std::uint64_t seed, std::uint32_t index, std::uint32_t part) {
  return {seed, random::Stream::kQuestion, index, part};
}

void bind_scenes(py::module_& module) {
  py::class_<Object>(module, "Object")
      .def_property_readonly("color",
                             [](const Object& o) { return kColors[static_cast<std::size_t>(o[Attribute::color])]; })
      .def_property_readonly("shape",
                             [](const Object& o) { return kShapes[static_cast<std::size_t>(o[Attribute::shape])]; })
      .def_property_readonly("size",
                             [](const Object& o) { return kSizes[static_cast<std::size_t>(o[Attribute::size])]; })
      .def_property_readonly("texture",
                             [](const Object& o) { return kTextures[static_cast<std::size_t>(o[Attribute::texture])]; })
      .def_readonly("x", &Object::x)
      .def_readonly("y", &Object::y)
      .def_property_readonly("radius", &Object::radius);
  py::class_<Scene>(module, "Scene")
      .def_readonly("id", &Scene::id)
      .def_readonly("clutter", &Scene::clutter)
      .def_readonly("objects", &Scene::objects);
  const SceneOptions defaults;
  module.def(
      "sample_scene",
      [](std::uint64_t seed, std::uint32_t index, int min_objects, int max_objects, double clutter) {
        return sample_scene(seed, index, {min_objects, max_objects, clutter});
      },
      py::arg("seed"), py::arg("index"), py::kw_only(), py::arg("min_objects") = defaults.min_objects,
      py::arg("max_objects") = defaults.max_objects, py::arg("clutter") = defaults.clutter);
}

void bind_questions(py::module_& module) {
  py::class_<Program>(module, "Program")
      .def_property_readonly("family", [](const Program& p) { return name_of(kFamilies, p.family); })
      .def_property_readonly("steps", &steps)
      .def_property_readonly("skills", &skills)
      .def("__str__", &to_string)
      .def(py::self == py::self);
  py::class_<Sample>(module, "Sample")
      .def_readonly("program", &Sample::program)
      .def_readonly("question", &Sample::question)
      .def_readonly("answer", &Sample::answer);
  py::class_<Criteria>(module, "Criteria")
      .def_property_readonly("grammatical", [](const Criteria& c) { return static_cast<int>(c.grammatical); })
      .def_property_readonly("atomic", [](const Criteria& c) { return static_cast<int>(c.atomic); })
      .def_property_readonly("grounded", [](const Criteria& c) { return static_cast<int>(c.grounded); })
      .def_property_readonly("objective", [](const Criteria& c) { return static_cast<int>(c.objective); });
  py::class_<Judgement>(module, "Judgement")
      .def_readonly("criteria", &Judgement::criteria)
      .def_readonly("program", &Judgement::program)
      .def_readonly("answer", &Judgement::answer)
      .def_readonly("reason", &Judgement::reason)
      .def_property_readonly("valid", &Judgement::valid);

  py::enum_<Criterion>(module, "Criterion")
      .value("grammatical", Criterion::grammatical)
      .value("atomic", Criterion::atomic)
      .value("grounded", Criterion::grounded)
      .value("objective", Criterion::objective);
  py::enum_<Family> families(module, "Family");
  for (std::size_t i = 0; i < kFamilies.size(); ++i)
    families.value(std::string(kFamilies[i]).c_str(), static_cast<Family>(i));

  module.def("judge", py::overload_cast<const Scene&, std::string_view>(&judge), py::arg("scene"), py::arg("question"));
  module.def(
      "same_answer",
      [](std::string_view answer, std::string_view truth) { return static_cast<int>(same_answer(answer, truth)); },
      py::arg("answer"), py::arg("truth"));
  module.def("grammar_words", &grammar_words);
  module.def("all_skills", &all_skills);
  module.def(
      "sample_question",
      [](const Scene& scene, std::uint64_t seed, std::uint32_t index, std::uint32_t part) {
        random::Sequence draw = question_draw(seed, index, part);
        return sample_question(scene, draw);
      },
      py::arg("scene"), py::arg("seed"), py::arg("index"), py::arg("part") = 0);
  module.def(
      "sample_question_of",
      [](const Scene& scene, Family family, std::uint64_t seed, std::uint32_t index, std::uint32_t part) {
        random::Sequence draw = question_draw(seed, index, part);
        return sample_question(scene, family, draw);
      },
      py::arg("scene"), py::arg("family"), py::arg("seed"), py::arg("index"), py::arg("part") = 0);
  module.def(
      "sample_invalid",
      [](const Scene& scene, Criterion broken, std::uint64_t seed, std::uint32_t index, std::uint32_t part) {
        random::Sequence draw = question_draw(seed, index, part);
        return sample_invalid(scene, broken, draw);
      },
      py::arg("scene"), py::arg("broken"), py::arg("seed"), py::arg("index"), py::arg("part") = 0);
}

void bind_faults(py::module_& module) {
  py::class_<Fault>(module, "Fault").def_readonly("id", &Fault::id).def_readonly("rate", &Fault::rate);
  py::class_<Corruption>(module, "Corruption")
      .def_readonly("answer", &Corruption::answer)
      .def_readonly("reached", &Corruption::reached)
      .def_readonly("fired", &Corruption::fired);
  py::class_<FaultSet>(module, "FaultSet")
      .def(py::init<>())
      .def_static("parse", &FaultSet::parse, py::arg("json"), py::arg("seed") = 0)
      .def("to_json", &FaultSet::to_json)
      .def("corrupt", &FaultSet::corrupt, py::arg("scene"), py::arg("program"), py::arg("question"), py::arg("truth"),
           py::arg("answer"))
      .def("masses", &FaultSet::masses, py::arg("n"), py::arg("seed"), py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("faults", &FaultSet::faults)
      .def_property_readonly("seed", &FaultSet::seed);
  const RandomFaultOptions defaults;
  module.def(
      "random_faults",
      [](std::uint64_t seed, int count, double min_mass, double max_mass) {
        return random_faults(seed, {count, min_mass, max_mass});
      },
      py::arg("seed"), py::kw_only(), py::arg("count") = defaults.count, py::arg("min_mass") = defaults.min_mass,
      py::arg("max_mass") = defaults.max_mass, py::call_guard<py::gil_scoped_release>());
}

}  // namespace

void bind_world(py::module_& module) {
  auto world = module.def_submodule("world");
  world.attr("canvas") = kCanvas;
  world.attr("colors") = std::vector<std::string>(kColors.begin(), kColors.end());
  world.attr("shapes") = std::vector<std::string>(kShapes.begin(), kShapes.end());
  world.attr("sizes") = std::vector<std::string>(kSizes.begin(), kSizes.end());
  world.attr("textures") = std::vector<std::string>(kTextures.begin(), kTextures.end());
  world.attr("families") = std::vector<std::string>(kFamilies.begin(), kFamilies.end());
  bind_scenes(world);
  bind_questions(world);
  bind_faults(world);
}

}  // namespace vlmprobe::python
