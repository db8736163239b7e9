import { expect, test } from "vitest";
import { TETRA_COLOURED, TETRA_PLAIN } from "./style.ts";
import { tetraLines } from "./tetra.ts";

const options = { timestamps: false, stackTraces: true, imaHash: true };
const su = { binary: "/bin/su", arguments: "root", pod: { namespace: "default", name: "xwing" } };
const kprobe = (function_name: string, args: object[] = [], more: object = {}) => ({
  process_kprobe: { process: su, function_name, args, ...more },
});

const cases: Record<string, { event: object; line: string }> = {
  "an exec with its arguments": {
    event: { process_exec: { process: su } },
    line: "🚀 process default/xwing /bin/su root",
  },
  "an exec on the host stands under the node's name": {
    event: { process_exec: { process: { binary: "/bin/id" } }, node_name: "node-1" },
    line: "🚀 process node-1 /bin/id ",
  },
  "an exit with its status": {
    event: { process_exit: { process: su } },
    line: "💥 exit    default/xwing /bin/su root 0",
  },
  "an exit by a signal": {
    event: { process_exit: { process: su, signal: "SIGKILL", status: 0 } },
    line: "💥 exit    default/xwing /bin/su root SIGKILL",
  },
  "setuid with the uid": {
    event: kprobe("__x64_sys_setuid", [{ int_arg: 0 }]),
    line: "🔑 setuid  default/xwing /bin/su 0",
  },
  "setuid on arm64": {
    event: kprobe("__arm64_sys_setuid", [{ int_arg: 1000 }]),
    line: "🔑 setuid  default/xwing /bin/su 1000",
  },
  "setns with the type of the namespace": {
    event: kprobe("__x64_sys_setns", [{ int_arg: 3 }, { int_arg: 0x1000_0000 }]),
    line: "🔧 setns   default/xwing /bin/su user",
  },
  "a write with file and size": {
    event: kprobe("__x64_sys_write", [{ file_arg: { path: "/etc/passwd" } }, {}, { size_arg: "9" }]),
    line: "📝 write   default/xwing /bin/su /etc/passwd 9 bytes",
  },
  "a memory mapping with its protection": {
    event: kprobe("security_mmap_file", [{ file_arg: { path: "/lib/a.so" } }, { uint_arg: 5 }]),
    line: "📝 mmap-rx default/xwing /bin/su /lib/a.so",
  },
  "any other call by its name alone": {
    event: kprobe("commit_creds", [{ process_credentials_arg: { uid: 0 } }]),
    line: "❓ syscall default/xwing /bin/su commit_creds",
  },
  "a tracepoint": {
    event: { process_tracepoint: { process: su, subsys: "sched", event: "sched_switch" } },
    line: "⁉️ tracepoint default/xwing /bin/su sched sched_switch",
  },
  "an LSM hook, with the hash of its file below": {
    event: {
      process_lsm: {
        process: su,
        function_name: "bprm_check_security",
        args: [{ linux_binprm_arg: { path: "/bin/su" } }],
        ima_hash: "sha256:ab",
      },
    },
    line: "🔒 LSM     default/xwing /bin/su bprm_check_security\n   /bin/su sha256:ab",
  },
  "stack traces below": {
    event: kprobe("commit_creds", [], {
      kernel_stack_trace: [{ address: "255", symbol: "commit_creds", offset: "5" }],
      user_stack_trace: [{ address: "4096", module: "/lib/libc.so.6", offset: "16" }],
    }),
    line: [
      "❓ syscall default/xwing /bin/su commit_creds",
      "Kernel:",
      "   0xff: commit_creds+0x5",
      "User:",
      "   0x1000: (/lib/libc.so.6+0x10)",
    ].join("\n"),
  },
  "what would move the cursor is escaped": {
    event: { process_exec: { process: { binary: "/bin/\u001b[2J" } }, node_name: "n" },
    line: "🚀 process n /bin/\\x1b[2J ",
  },
};

test.each(Object.entries(cases))("%s", (_name, { event, line }) => {
  expect(tetraLines(event as Record<string, unknown>, TETRA_PLAIN, options)).toBe(line);
});

test("timestamps have nine digits", () => {
  const event = { ...kprobe("commit_creds"), time: "2026-11-28T10:00:00.5Z" };
  expect(tetraLines(event, TETRA_PLAIN, { ...options, timestamps: true })).toBe(
    "2026-11-28T10:00:00.500000000Z ❓ syscall default/xwing /bin/su commit_creds",
  );
});

test("CAP_SYS_ADMIN stands at the right edge of processes that have it", () => {
  const process = { ...su, cap: { effective: ["CAP_CHOWN", "CAP_SYS_ADMIN"] } };
  const line = tetraLines({ process_exec: { process } }, TETRA_PLAIN, options);
  expect(line).toMatch(/^🚀 process default\/xwing \/bin\/su root +🛑 CAP_SYS_ADMIN$/u);
});

test("other types have no line", () => {
  expect(tetraLines({ rate_limit_info: {} }, TETRA_PLAIN, options)).toBeUndefined();
});

test("colours are tetra's", () => {
  const line = tetraLines({ process_exec: { process: su } }, TETRA_COLOURED, options);
  expect(line).toContain("\u001b[34m🚀 process\u001b[39m \u001b[32mdefault/xwing\u001b[39m");
});
