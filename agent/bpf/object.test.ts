import { expect, test } from "vitest";
import { bpf, describeBpf, loadHooks, testObject, thrownBy, u32 } from "./testing/programs.ts";

test("an opened object lists its programs and maps", () => {
  const object = bpf.openObject(testObject("hooks"));
  expect(object.programNames()).toEqual(
    expect.arrayContaining(["on_getuid", "hook_fentry", "hook_kprobe", "left_out"]),
  );
  expect(object.mapNames()).toEqual(expect.arrayContaining(["events", "hits", "table", "hooks.rodata"]));
  object.close();
});

test("a struct's layout comes from the object's BTF, through anonymous members", () => {
  const object = bpf.openObject(testObject("hooks"));
  expect(object.structLayout("layout_sample")).toEqual({
    size: 24,
    members: {
      first: { offset: 0, size: 4 },
      second: { offset: 8, size: 8 },
      third: { offset: 8, size: 4 },
      list: { offset: 16, size: 6 },
      low: { offset: 22, size: 1 },
      high: { offset: 22, size: 1 },
    },
  });
  expect(thrownBy(() => object.structLayout("no_such_struct"))).toMatchObject({ code: "ENOENT" });
  object.close();
});

const unreadable: Record<string, { path: string; code: string; message: RegExp }> = {
  "a file that is not there": {
    path: "/no/such/file",
    code: "ENOENT",
    message: /^open object \/no\/such\/file: ENOENT/,
  },
  "a file that is no ELF object": {
    path: "/etc/passwd",
    code: "ENOEXEC",
    message: /not a proper ELF object/,
  },
  "a directory": { path: "/etc", code: "ENOEXEC", message: /^open object \/etc: ENOEXEC/ },
};
test.each(Object.entries(unreadable))("%s is refused with a reason", (_name, { path, code, message }) => {
  const error = thrownBy(() => bpf.openObject(path));
  expect(error).toMatchObject({ name: "BpfError", code, step: "open object", subject: path });
  expect(error.message).toMatch(message);
});

test("nothing can be taken out of an object before load()", () => {
  const object = bpf.openObject(testObject("hooks"));
  expect(thrownBy(() => object.map("events"))).toMatchObject({ code: "EINVAL" });
  expect(thrownBy(() => object.program("on_getuid"))).toMatchObject({ code: "EINVAL" });
  object.close();
});

test("an initial value must fit into the data section", () => {
  const object = bpf.openObject(testObject("hooks"));
  expect(() => object.setInitialValue(".rodata", u32(1, 2, 3, 4))).toThrow(RangeError);
  expect(() => object.setInitialValue(".rodata", u32(1), 12)).toThrow(RangeError);
  expect(thrownBy(() => object.setInitialValue("events", u32(1)))).toMatchObject({ code: "EINVAL" });
  expect(thrownBy(() => object.setInitialValue("no_such_map", u32(1)))).toMatchObject({ code: "ENOENT" });
  object.close();
});

test("use after close() fails, close() again does not", () => {
  const object = bpf.openObject(testObject("hooks"));
  object.close();
  object.close();
  expect(thrownBy(() => object.load())).toMatchObject({ code: "EBADF", message: /used after close\(\)/ });
  expect(thrownBy(() => object.programNames())).toMatchObject({ code: "EBADF" });
});

describeBpf("a loaded object", () => {
  test("has the initial values, sizes and programs that were asked for", () => {
    const object = bpf.openObject(testObject("hooks"));
    object.setInitialValue(".rodata", u32(4711), 4);
    object.setMaxEntries("table", 7);
    object.setAutoload("left_out", false);
    object.load();
    const rodata = object.map(".rodata");
    expect(rodata.lookup(u32(0))).toEqual(u32(0, 4711, 0));
    expect(object.map("table").maxEntries).toBe(7);
    expect(thrownBy(() => object.program("left_out"))).toMatchObject({ code: "ENOENT", message: /autoload/ });
    object.close();
  });

  test("takes no more settings", () => {
    const object = loadHooks();
    const calls = [
      () => object.setInitialValue(".rodata", u32(1)),
      () => object.setMaxEntries("table", 1),
      () => object.setAutoload("left_out", true),
      () => object.load(),
    ];
    for (const call of calls) expect(thrownBy(call)).toMatchObject({ code: "EBUSY" });
    object.close();
  });

  test("names what it does not have", () => {
    const object = loadHooks();
    expect(thrownBy(() => object.map("nope")).message).toBe(
      "find map nope: ENOENT (the object has no such map)",
    );
    expect(thrownBy(() => object.program("nope")).message).toMatch(/^find program nope: ENOENT/);
    object.close();
  });

  test("can be closed before the handles of its maps and programs", () => {
    const object = loadHooks();
    const table = object.map("table");
    const program = object.program("on_getuid");
    object.close();
    table.update(u32(1), new Uint8Array(8));
    expect(table.keys()).toEqual([u32(1)]);
    program.clone({ name: "late", type: "raw_tracepoint", expectedAttachType: "none" }).close();
    table.close();
    program.close();
  });

  test("keeps the verifier's log of a program that is refused", () => {
    const object = bpf.openObject(testObject("refused"));
    const error = thrownBy(() => object.load());
    expect(error).toMatchObject({
      name: "BpfError",
      code: "EACCES",
      step: "load program",
      subject: "reads_wild_pointer",
    });
    expect(error.message).toMatch(/R0 invalid mem access/);
    expect(error.verifierLog).toMatch(/call bpf_get_prandom_u32/);
    expect(error.libbpfLog).toMatch(/BPF program load failed/);
    expect(thrownBy(() => object.load())).toMatchObject({ code: "EBUSY" });
    object.close();
  });
});
