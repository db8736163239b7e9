// The relocated instructions of an object's program, from which it can be loaded again.
#pragma once

#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

// Programs whose section names no target (`SEC("fentry")`, `SEC("kprobe")`) are templates: libbpf relocates them, but
// what it loads in their place is a program of two instructions. So a kernel that refuses a template's type still
// loads the object, and nothing is verified before clone() has given it its maps.
struct Template {
  std::vector<bpf_insn> instructions;
  bpf_prog_type type;
  bpf_attach_type attach_type;
};

// Teaches libbpf about templates; once per process, before any object is opened.
void RegisterTemplateSections();

// An opened object. Handles of its programs keep it alive: their instructions name its maps by descriptor.
struct OpenObject {
  explicit OpenObject(bpf_object* object) : object(object) {}
  ~OpenObject() { bpf_object__close(object); }
  OpenObject(const OpenObject&) = delete;
  OpenObject& operator=(const OpenObject&) = delete;

  // A negative errno on failure; once only. `rdonly_cast` is the BTF id of the kernel's bpf_rdonly_cast, 0 without it.
  int Load(uint32_t rdonly_cast);

  bpf_object* const object;
  bool load_tried = false;
  bool loaded = false;
  std::unordered_map<std::string, Template> templates;
};

struct ProgramImage {
  std::shared_ptr<OpenObject> owner;
  std::span<const bpf_insn> instructions;  // the owner's: each hook has handles, and each copy would take 150 KB
  bool gpl_compatible;

  // A copy whose references to maps go elsewhere: from descriptor to descriptor.
  std::vector<bpf_insn> WithMaps(const std::unordered_map<int, int>& replacements) const;
};
