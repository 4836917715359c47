// A model that says what a table says: for tests and dry runs. Not a default answer in sight: what is not in the table
// is `rejected`.
//
//   replies  the last message's text -> the reply's text; a blank reply has the status `empty`
//
// Usage counts white-space words. Any thread may call it.
#pragma once

#include <map>
#include <string>

#include "vlmprobe/models/model.h"

namespace vlmprobe::models {

class ScriptedModel : public Model {
 public:
  explicit ScriptedModel(std::map<std::string, std::string, std::less<>> replies, std::string identity = "scripted");

  std::string identity() const override { return identity_; }
  std::vector<Reply> reply(std::span<const Request> requests) override;

 private:
  std::map<std::string, std::string, std::less<>> replies_;
  std::string identity_;
};

}  // namespace vlmprobe::models
