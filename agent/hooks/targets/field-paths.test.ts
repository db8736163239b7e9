import { existsSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import type { ArgType } from "../../../crds/argument-types.ts";
import { MemberError, resolveMember } from "../../../policy/members/field-path.ts";
import { type KernelBtf, loadBinding } from "../../bpf/binding.ts";
import { makeHook } from "../testing/hooks.ts";
import { resolveFieldPaths } from "./field-paths.ts";

const available = existsSync("/sys/kernel/btf/vmlinux") && existsSync("build/bpf.node");

describe.skipIf(!available)(
  "field paths in the running kernel's types (skipped without BTF and addon)",
  () => {
    const btf: KernelBtf | undefined = available ? loadBinding().loadKernelBtf() : undefined;
    afterAll(() => btf?.close());
    const fieldPath = (struct: string, path: string) =>
      resolveMember(btf as KernelBtf, btf?.structId(struct) ?? 0, path).fieldPath;
    const offset = (struct: string, member: string) => btf?.structMember(struct, member)?.offset;

    test("a member of the struct itself is one step", () => {
      expect(fieldPath("cred", "euid.val")).toEqual({
        offsets: [offset("cred", "euid")],
        load: 4,
        signed: false,
      });
    });

    test("a parameter leads to its element 0", () => {
      expect(fieldPath("cred", "[0].euid.val")).toEqual(fieldPath("cred", "euid.val"));
    });

    test("a pointer between is followed", () => {
      expect(fieldPath("task_struct", "cred.user_ns.level")).toEqual({
        offsets: [
          offset("task_struct", "cred"),
          offset("cred", "user_ns"),
          offset("user_namespace", "level"),
        ],
        load: 4,
        signed: true,
      });
    });

    test("a pointer at the end is the value, a struct or an array is its address, a struct around a number the number", () => {
      expect(fieldPath("cred", "user_ns").load).toBe(8);
      expect(fieldPath("cred", "cap_effective").load).toBe(0);
      expect(fieldPath("task_struct", "comm").load).toBe(0);
      expect(fieldPath("cred", "uid").load).toBe(4);
    });

    test("elements of arrays and members of anonymous structs are found", () => {
      const comm = offset("task_struct", "comm") ?? 0;
      expect(fieldPath("task_struct", "comm[3]")).toEqual({
        offsets: [comm + 3],
        load: 1,
        signed: expect.any(Boolean),
      });
      expect(fieldPath("file", "f_path.dentry.d_name.name").offsets.length).toBe(2);
      expect(fieldPath("dentry", "d_name.len").load).toBe(4);
    });

    test("a bit-field is some bits of the fewest bytes that have them", () => {
      const after = fieldPath("task_struct", "in_iowait");
      expect(after).toMatchObject({ load: 1, signed: false, bits: { count: 1 } });
      expect(after.bits?.shift).toBeLessThan(8);
      expect(fieldPath("task_struct", "pid")).not.toHaveProperty("bits");
    });

    const bounds: Record<
      string,
      { path: string; step: number; of: [string, string]; index?: number; most?: number }
    > = {
      "an open array": {
        path: "cred.group_info.gid[3].val",
        step: 3,
        of: ["group_info", "ngroups"],
        index: 3,
      },
      "an array behind a pointer": { path: "files.fdt.fd[3]", step: 3, of: ["fdtable", "max_fds"], index: 3 },
      "an array with one element more": {
        path: "thread_pid.numbers[1].nr",
        step: 2,
        of: ["pid", "level"],
        index: 0,
      },
    };
    test.each(Object.entries(bounds))("%s is bounded by the length that the kernel keeps", (_name, row) => {
      expect(fieldPath("task_struct", row.path).bound).toEqual({
        step: row.step,
        offset: offset(...row.of),
        width: 4,
        index: row.index,
        most: 0,
      });
    });

    test("elements inside a structure are bounded by their count, and elsewhere if there are more", () => {
      const base = (offset("user_namespace", "uid_map") ?? 0) + (offset("uid_gid_map", "nr_extents") ?? 0);
      const bound = (path: string) => fieldPath("user_namespace", path).bound;
      expect(bound("uid_map.extent[2].first")).toEqual({
        step: 1,
        offset: base,
        width: 4,
        index: 2,
        most: 5,
      });
      expect(bound("uid_map.forward.first")).toEqual({ step: 1, offset: base, width: 4, index: 5, most: 0 });
      expect(bound("uid_map.forward[7].first")).toMatchObject({ index: 7 });
      expect(bound("level")).toBeUndefined();
    });

    test("the first of several levels always exists", () => {
      expect(fieldPath("task_struct", "thread_pid.numbers[0].nr").bound).toBeUndefined();
    });

    const errors: Record<string, { path: string; message: RegExp }> = {
      "a member that is missing": {
        path: "cred.user_ns.levl",
        message: /struct user_namespace has no member levl: did you mean "level"\?/,
      },
      "a member with two letters swapped": {
        path: "cred.eiud.val",
        message: /struct cred has no member eiud: did you mean "euid"\?/,
      },
      "a member of a number": { path: "pid.val", message: /val: an integer has no members|no members/ },
      "an element beyond the end": { path: "comm[16]", message: /\[16\] is beyond 16 elements/ },
      "an element of an array that is open": {
        path: "cred.session_keyring.description[2].x",
        message: /\[2\]: the kernel's types do not say how many elements a pointer leads to/,
      },
      "an element of an open array whose length is not listed": {
        path: "cgroups.dfl_cgrp.bpf.effective[0].items[3].prog",
        message: /\[3\]: the kernel's types do not contain the array's length/,
      },
      "a second array with a length elsewhere": {
        path: "files.fdt.fd[3].f_cred.group_info.gid[0].val",
        message:
          /\[0\]: leads through a second array whose length the kernel keeps elsewhere, one is possible/,
      },
      "another element than the first behind a pointer": {
        path: "cred[1].euid.val",
        message: /\[1\]: the kernel's types do not say how many elements a pointer leads to/,
      },
      "an index of no array": { path: "pid[1]", message: /is no array/ },
      "another element than the first of a parameter": {
        path: "[1].pid",
        message: /\[1\]: the kernel's types do not say how many elements a pointer leads to/,
      },
      "an element without a member": { path: "[0]", message: /\[0\]: name a member of what is there/ },
      "what is no member": { path: "cred..uid", message: /is no member/ },
      "too many levels": { path: Array(11).fill("real_parent").join("."), message: /11 levels, at most 10/ },
    };
    test.each(Object.entries(errors))("%s is refused by name", (_name, { path, message }) => {
      expect(() => fieldPath("task_struct", path)).toThrow(MemberError);
      expect(() => fieldPath("task_struct", path)).toThrow(message);
    });

    const proto = btf?.funcProto("commit_creds");
    const refused: Record<string, { def: Parameters<typeof makeHook>[0]; message: RegExp }> = {
      "a register that there is not": {
        def: { args: [{ index: 0, type: "uint64", source: "pt_regs", resolve: "rsp" }] },
        message: /^data\[0\]: resolve rsp: struct pt_regs has no member rsp/,
      },
      "a member of data that comes after arguments": {
        def: {
          args: [
            { index: 0, type: "cred" },
            { index: 0, type: "uint32", source: "current_task", resolve: "tgid" },
            { index: 1, type: "uint32", source: "current_task", resolve: "comm[20]" },
          ],
        },
        message: /^data\[1\]: resolve comm\[20\]: \[20\] is beyond 16 elements/,
      },
      "a type of a module that is not loaded": {
        def: {
          args: [{ index: 0, type: "uint64", resolve: "val", btfType: "thing", btfTypeModule: "no-such" }],
        },
        message: /btfTypeModule no-such: ENOENT: the module is not loaded, or/,
      },
      "a structure as a number": {
        def: { args: [{ index: 0, type: "uint64", resolve: "cap_effective" }] },
        message: /is no number, as type uint64 wants/,
      },
      "an address as a number": {
        def: { args: [{ index: 0, type: "int", resolve: "user_ns" }] },
        message:
          /^args\[0\]: resolve user_ns: it is an address, not of the type int: name the type of what is/,
      },
      "an address as a capability": {
        def: { args: [{ index: 0, type: "capability", resolve: "group_info" }] },
        message: /it is an address, not of the type capability/,
      },
      "a whole address as a number": {
        def: { args: [{ index: 0, type: "uint64", source: "current_task", resolve: "real_parent" }] },
        message: /it is an address, not of the type uint64/,
      },
      "an address in an array as a number": {
        def: { args: [{ index: 0, type: "int", source: "current_task", resolve: "signal.pids[0]" }] },
        message: /it is an address, not of the type int/,
      },
      "an address as a descriptor": {
        def: { args: [{ index: 0, type: "fd", source: "current_task", resolve: "files" }] },
        message: /it is an address, not of the type fd/,
      },
      "a number of more bytes": {
        def: { args: [{ index: 0, type: "uint32", source: "current_task", resolve: "start_time" }] },
        message: /resolve start_time: it has 8 bytes, type uint32 has 4: write long or uint64$/,
      },
      "a number of twice the bytes": {
        def: { args: [{ index: 0, type: "uint8", source: "current_task", resolve: "flags" }] },
        message: /it has 4 bytes, type uint8 has 1: write int or uint32$/,
      },
      "a number as a structure": {
        def: { args: [{ index: 0, type: "cred", resolve: "euid.val" }] },
        message: /is a number, type cred wants an address/,
      },
      "another structure": {
        def: { args: [{ index: 0, type: "cred", resolve: "user_ns" }] },
        message: /^args\[0\]: resolve user_ns: it is struct user_namespace, not of the type cred$/,
      },
      "another structure of the task": {
        def: { args: [{ index: 0, type: "file", source: "current_task", resolve: "fs.pwd" }] },
        message: /resolve fs.pwd: it is struct path, not of the type file/,
      },
      "a structure as a text": {
        def: { args: [{ index: 0, type: "string", resolve: "user_ns" }] },
        message: /resolve user_ns: it is struct user_namespace, not of the type string/,
      },
      "numbers as a text": {
        def: { args: [{ index: 0, type: "string", resolve: "group_info.gid" }] },
        message: /not of the type string/,
      },
      "a structure as a set of capabilities": {
        def: { args: [{ index: 0, type: "cap_effective", resolve: "group_info" }] },
        message: /it is struct group_info, not of the type cap_effective/,
      },
      "an array of characters without a length": {
        def: { args: [{ index: 0, type: "string", btfType: "user_key_payload", resolve: "data" }] },
        message: /resolve data: the kernel's types do not contain the array's length, and no NUL need end it/,
      },
      "an argument of a system call": {
        def: { syscall: true, args: [{ index: 0, type: "uint64", resolve: "val" }] },
        message: /no structure of the kernel/,
      },
      "a type that the kernel has not": {
        def: { args: [{ index: 0, type: "uint64", resolve: "val", btfType: "no_such" }] },
        message: /no struct no_such/,
      },
    };
    test("a register is a member of the struct that holds them", () => {
      const args = [{ index: 0, type: "uint64", source: "pt_regs", resolve: "sp" } as const];
      expect(resolveFieldPaths(btf as KernelBtf, makeHook({ args }), undefined)).toEqual([
        { offsets: [offset("pt_regs", "sp")], load: 8, signed: false },
      ]);
    });

    const read: [source: string, type: ArgType, resolve: string][] = [
      ["cred", "user_namespace", "user_ns"],
      ["cred", "uint64", "uid.val"],
      ["cred", "capability", "securebits"],
      ["task_struct", "uint8", "in_iowait"],
      ["cred", "cap_inheritable", "cap_inheritable"],
      ["cred", "kernel_cap_t", "cap_bset"],
      ["task_struct", "cred", "real_cred"],
      ["task_struct", "string", "comm"],
      ["task_struct", "string", "fs.pwd.dentry.d_name.name"],
      ["task_struct", "file", "mm.exe_file"],
      ["task_struct", "path", "fs.pwd"],
      ["task_struct", "dentry", "fs.pwd.dentry"],
      ["task_struct", "string", "stack"],
    ];
    test.each(read)("%s leads to %s by %s", (from, type, resolve) => {
      const source = from === "cred" ? {} : { source: "current_task" as const };
      const def = makeHook({ args: [{ index: 0, type, resolve, ...source }] });
      expect(resolveFieldPaths(btf as KernelBtf, def, proto)).toHaveLength(1);
    });

    test.each(Object.entries(refused))("%s is refused", (_name, { def, message }) => {
      expect(() => resolveFieldPaths(btf as KernelBtf, makeHook(def), proto)).toThrow(message);
    });
  },
);
