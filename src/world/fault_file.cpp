#include <algorithm>
#include <climits>

#include <nlohmann/json.hpp>

#include "vlmprobe/core/error.h"
#include "vlmprobe/world/faults.h"

namespace vlmprobe::world {
namespace {

using nlohmann::json;

constexpr const char* kOp = "world::faults";
constexpr std::array<std::string_view, 4> kEffects = {"off_by_one", "swap", "replace", "other"};
constexpr std::array<std::string_view, 9> kFeatures = {"family", "answer",  "num_objects", "color", "shape",
                                                       "size",   "texture", "relation",    "depth"};
constexpr std::array<std::string_view, 5> kFields = {"id", "when", "effect", "rate", "map"};
constexpr int kMaxDepth = 16;  // levels of a file; a fault needs four, and copying and printing JSON recurse

bool is_count(std::string_view feature) {
  return feature == "num_objects" || feature == "depth";
}

std::vector<std::string> answers() {
  std::vector<std::string> all = {"yes", "no", "0", "1", "2", "3", "4", "5", "6", "7"};
  for (std::size_t i = 0; i < kAttributes; ++i)
    for (const std::string_view word : values(static_cast<Attribute>(i))) all.emplace_back(word);
  return all;
}

std::vector<std::string> allowed_words(std::string_view feature) {
  if (feature == "family") return {kFamilies.begin(), kFamilies.end()};
  if (feature == "relation") return {kRelations.begin(), kRelations.end()};
  if (feature == "answer") return answers();
  const auto words = values(static_cast<Attribute>(index_of(kAttributeNames, feature)));
  return {words.begin(), words.end()};
}

// A word of the feature; `where` names the fault and the field.
std::string word_of(const json& value, std::string_view feature, const std::string& where) {
  const std::vector<std::string> allowed = allowed_words(feature);
  const std::string word = value.is_string() ? value.get<std::string>() : value.dump();
  expect(std::ranges::find(allowed, word) != allowed.end(), kOp, "{}: expected one of {}, got {}", where,
         joined(allowed, ", "), word);
  return word;
}

int whole_number(const json& value, const std::string& where) {
  expect(value.is_number_integer() && value.get<double>() >= INT_MIN && value.get<double>() <= INT_MAX, kOp,
         "{}: expected a whole number, got {}", where, value.dump());
  return value.get<int>();
}

Condition read_condition(const std::string& feature, const json& value, const std::string& fault) {
  const std::string where = formatted("{}: when.{}", fault, feature);
  expect(std::ranges::find(kFeatures, feature) != kFeatures.end(), kOp, "{}: expected a feature among {}, got {}",
         fault, joined(kFeatures, ", "), feature);
  Condition condition{feature, {}, INT_MIN, INT_MAX};
  if (!is_count(feature)) {
    expect(!value.is_object(), kOp, "{}: expected a word or a list of words, got {}", where, value.dump());
    for (const json& word : value.is_array() ? value : json::array({value}))
      condition.words.push_back(word_of(word, feature, where));
    expect(!condition.words.empty(), kOp, "{}: expected at least one word, got []", where);
    return condition;
  }
  if (!value.is_object()) {
    condition.min = condition.max = whole_number(value, where);
    return condition;
  }
  expect(!value.empty(), kOp, "{}: expected min or max, got {{}}", where);
  for (const auto& [bound, number] : value.items()) {
    expect(bound == "min" || bound == "max", kOp, "{}: expected min or max, got {}", where, bound);
    (bound == "min" ? condition.min : condition.max) = whole_number(number, formatted("{}.{}", where, bound));
  }
  expect(condition.min <= condition.max, kOp, "{}: expected min <= max, got {} > {}", where, condition.min,
         condition.max);
  return condition;
}

Fault read_fault(const json& entry, std::size_t index) {
  expect(entry.is_object(), kOp, "fault {}: expected an object, got {}", index, entry.type_name());
  expect(entry.contains("id") && entry["id"].is_string() && !entry["id"].get_ref<const std::string&>().empty(), kOp,
         "fault {}: id: expected a name", index);
  Fault fault{.id = entry["id"].get<std::string>(), .when = {}, .replacement = {}};
  const std::string where = formatted("fault {}", fault.id);
  for (const auto& [field, ignored] : entry.items())
    expect(std::ranges::find(kFields, field) != kFields.end(), kOp, "{}: expected a field among {}, got {}", where,
           joined(kFields, ", "), field);

  expect(entry.contains("when") && entry["when"].is_object() && !entry["when"].empty(), kOp,
         "{}: when: expected at least one feature", where);
  for (const auto& [feature, value] : entry["when"].items())
    fault.when.push_back(read_condition(feature, value, where));

  const std::string effect =
      entry.value("effect", json("")).is_string() ? entry.value("effect", "") : entry["effect"].dump();
  const int found = index_of(kEffects, effect);
  expect(found >= 0, kOp, "{}: effect: expected one of {}, got {}", where, joined(kEffects, ", "),
         effect.empty() ? "nothing" : effect);
  fault.effect = static_cast<Effect>(found);

  const json rate = entry.value("rate", json(1.0));
  expect(rate.is_number() && rate.get<double>() >= 0 && rate.get<double>() <= 1, kOp,
         "{}: rate: expected a number in [0, 1], got {}", where, rate.dump());
  fault.rate = rate.get<double>();

  const json map = entry.value("map", json::object());
  const bool wants_map = fault.effect == Effect::replace;
  expect(map.is_object() && map.empty() != wants_map, kOp, "{}: map: expected {}, got {}", where,
         wants_map ? "a map of answers, as replace needs" : "none, as only replace takes one", map.dump());
  for (const auto& [from, to] : map.items())
    fault.replacement[word_of(json(from), "answer", where + ": map")] = word_of(to, "answer", where + ": map");
  return fault;
}

json write_condition(const Condition& condition) {
  if (!condition.words.empty()) return condition.words.size() == 1 ? json(condition.words[0]) : json(condition.words);
  if (condition.min == condition.max) return condition.min;
  json range = json::object();
  if (condition.min != INT_MIN || condition.max == INT_MAX) range["min"] = condition.min;
  if (condition.max != INT_MAX) range["max"] = condition.max;
  return range;
}

}  // namespace

FaultSet FaultSet::parse(std::string_view text, std::uint64_t seed) {
  const auto shallow = [](int depth, json::parse_event_t, json&) {
    expect(depth <= kMaxDepth, kOp, "file: expected at most {} levels of brackets, got more", kMaxDepth);
    return true;
  };
  const json list = json::parse(text, shallow, /*allow_exceptions=*/false);
  expect(list.is_array(), kOp, "file: expected a JSON list of faults, got {}",
         list.is_discarded() ? "text that is no JSON" : list.type_name());
  std::vector<Fault> faults;
  for (const json& entry : list) {
    Fault fault = read_fault(entry, faults.size());
    expect(std::ranges::find(faults, fault.id, &Fault::id) == faults.end(), kOp,
           "fault {}: id: expected a name used once", fault.id);
    faults.push_back(std::move(fault));
  }
  return FaultSet(std::move(faults), seed);
}

std::string FaultSet::to_json() const {
  json list = json::array();
  for (const Fault& fault : faults_) {
    json entry = {{"id", fault.id}, {"effect", kEffects[static_cast<std::size_t>(fault.effect)]}, {"rate", fault.rate}};
    for (const Condition& condition : fault.when) entry["when"][condition.feature] = write_condition(condition);
    if (!fault.replacement.empty()) entry["map"] = fault.replacement;
    list.push_back(std::move(entry));
  }
  return list.dump(2);
}

}  // namespace vlmprobe::world
