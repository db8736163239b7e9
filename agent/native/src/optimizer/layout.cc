#include "optimizer/layout.h"

#include <utility>

namespace {

class Layout {
 public:
  Layout(const std::vector<Operation>& program, std::vector<bool> kept)
      : program_(program), kept_(std::move(kept)), place_(program.size(), kNowhere) {}

  std::vector<Operation> Run(size_t start) {
    open_.push_back(start);
    while (!open_.empty()) {
      size_t at = open_.back();
      open_.pop_back();
      if (place_[Skip(at)] == kNowhere) LayOut(Skip(at));
    }
    for (Operation& operation : result_)
      if (operation.IsJump() || operation.IsBranch()) operation.target = place_[Skip(operation.target)];
    return std::move(result_);
  }

 private:
  // From operations that do nothing to the next that does something.
  size_t Skip(size_t at) const {
    for (size_t steps = 0; steps < program_.size(); steps++) {
      if (program_[at].IsJump())
        at = program_[at].target;
      else if (!kept_[at])
        at++;
      else
        break;
    }
    return at;
  }

  void LayOut(size_t at) {
    while (place_[at] == kNowhere) {
      place_[at] = result_.size();
      result_.push_back(program_[at]);
      if (program_[at].IsExit()) return;
      if (program_[at].IsBranch()) open_.push_back(program_[at].target);
      at = Skip(at + 1);
    }
    result_.push_back(JumpTo(at));
  }

  const std::vector<Operation>& program_;
  const std::vector<bool> kept_;
  std::vector<size_t> place_;  // in the result
  std::vector<size_t> open_;
  std::vector<Operation> result_;
};

}  // namespace

std::vector<Operation> LaidOut(const std::vector<Operation>& program, std::vector<bool> kept, size_t start) {
  return Layout(program, std::move(kept)).Run(start);
}
