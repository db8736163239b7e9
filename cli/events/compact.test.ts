import { describe, expect, test } from "vitest";
import { type CompactEvent, compactLine } from "./compact.ts";

const process = {
  pid: 7,
  binary: "/usr/bin/su",
  arguments: "root",
  pod: { namespace: "default", name: "demo", container: { name: "shell" } },
};
const root = { uid: 0, gid: 0, euid: 0, egid: 0, suid: 0, sgid: 0, fsuid: 0, fsgid: 0 };
const base = { node_name: "node-1", time: "2026-11-20T10:11:12.123456789Z" };
const kprobe = (args: unknown[], name = "commit_creds", more: object = {}): CompactEvent => ({
  ...base,
  process_kprobe: { process, function_name: name, args: args as never, ...more },
});
const change = (credential_change: Record<string, unknown>): CompactEvent => ({
  ...base,
  process_kprobe: { process, function_name: "commit_creds", credential_change },
});
const PREFIX = "10:11:12.123  node-1  default/demo  /usr/bin/su root";

describe("compactLine", () => {
  const cases: Record<string, [CompactEvent, string]> = {
    "shows a syscall without the architecture's prefix": [
      kprobe([{ int_arg: -1 }, { int_arg: 0 }], "__x64_sys_setreuid"),
      "10:11:12.123  node-1  default/demo  /usr/bin/su root  setreuid(-1, 0)",
    ],
    "shows one id where all four agree and names the capabilities": [
      kprobe([{ process_credentials_arg: { ...root, caps: { effective: ["CAP_CHOWN", "DAC_OVERRIDE"] } } }]),
      "10:11:12.123  node-1  default/demo  /usr/bin/su root  commit_creds(uid 0 gid 0 caps chown,dac_override)",
    ],
    "shows real, effective, saved and file-system id where they differ": [
      kprobe([{ process_credentials_arg: { ...root, uid: 1000, caps: {}, user_ns: { level: 1 } } }]),
      "10:11:12.123  node-1  default/demo  /usr/bin/su root  commit_creds(uid 1000/0/0/0 gid 0 caps none user ns level 1)",
    ],
    "shows a failed read as such": [
      kprobe([{ error_arg: { Message: "Bad address for basic type" }, label: "new" }]),
      "10:11:12.123  node-1  default/demo  /usr/bin/su root  commit_creds(new=<Bad address for basic type>)",
    ],
    "shows drift as what it is": [
      {
        ...base,
        credential_drift: { process, noticed_at: "exit", credential_change: { uid: { old: 1000, new: 0 } } },
      },
      `${PREFIX}  CREDENTIAL DRIFT noticed at exit  uid 1000 -> 0`,
    ],
    "shows from what to what ids change": [
      change({ uid: { old: 1000, new: 0 }, groups: { old: { count: 0 }, new: { count: 2, ids: [4, 27] } } }),
      `${PREFIX}  commit_creds()  uid 1000 -> 0; groups none -> 4,27`,
    ],
    "shows which capabilities come and go": [
      change({
        cap_permitted: { added: ["ALL"], old: "0000000000000000", new: "000001ffffffffff" },
        cap_effective: { added: ["CAP_CHOWN"], removed: ["CAP_KILL", "CAP_SETGID"], old: "60", new: "1" },
      }),
      `${PREFIX}  commit_creds()  cap_permitted +all; cap_effective +chown -kill,setgid`,
    ],
    "shows the other changes in short": [
      change({
        securebits: { new: ["SecBitKeepCaps", "SecBitNoRoot"] },
        user_ns: { old: { level: 0 }, new: { level: 1 } },
        no_new_privs: { old: false, new: true },
        keyrings: { session: { old: 1, new: 2 } },
      }),
      `${PREFIX}  commit_creds()  securebits none -> SecBitKeepCaps+SecBitNoRoot; user_ns level 0 -> level 1; no_new_privs false -> true; keyrings session`,
    ],
    "shows a change of nothing as such, and does not repeat the whole credentials": [
      change({ old: { uid: 0 }, new: { uid: 0 } }),
      `${PREFIX}  commit_creds()  changes nothing`,
    ],
    "shows a change that could not be read as such": [
      change({ error_arg: { Message: "Bad address for basic type" } }),
      `${PREFIX}  commit_creds()  <Bad address for basic type>`,
    ],
    "says host for a process without a pod": [
      { ...base, process_exit: { process: { binary: "/bin/true" }, status: 3 } },
      "10:11:12.123  node-1  host  /bin/true  exit 3",
    ],
    "says that a call was allowed": [
      kprobe([{ int_arg: 0 }], "__x64_sys_setuid", { return: { int_arg: 0 } }),
      `${PREFIX}  setuid(0)  allowed`,
    ],
    "names the error of a call that was denied": [
      kprobe([{ int_arg: 0 }], "__x64_sys_setuid", { return: { int_arg: -1 } }),
      `${PREFIX}  setuid(0)  denied EPERM`,
    ],
    "names the error of a call that failed for another reason": [
      kprobe([{ int_arg: 0 }], "__x64_sys_setuid", { return: { int_arg: -22 } }),
      `${PREFIX}  setuid(0)  failed EINVAL`,
    ],
    "shows another value that is returned": [
      kprobe([], "__x64_sys_dup", { return: { int_arg: 5 } }),
      `${PREFIX}  dup()  returned 5`,
    ],
    "says what the policy did to the process": [
      kprobe([], "commit_creds", { action: "KPROBE_ACTION_SIGKILL" }),
      `${PREFIX}  commit_creds()  killed`,
    ],
    "shows an LSM hook": [
      { ...base, process_lsm: { process, function_name: "task_fix_setuid", return: { int_arg: -13 } } },
      `${PREFIX}  task_fix_setuid()  denied EACCES`,
    ],
    "shows a tracepoint": [
      {
        ...base,
        process_tracepoint: {
          process,
          subsys: "raw_syscalls",
          event: "sys_enter",
          args: [{ syscall_id: { id: 105 } }],
        },
      },
      `${PREFIX}  raw_syscalls/sys_enter({"id":105})`,
    ],
    "shows what an exec gains": [
      {
        ...base,
        process_exec: {
          process: { ...process, process_credentials: { uid: 1000 }, binary_properties: { setuid: 0 } },
        },
      },
      `${PREFIX}  exec  euid 0 (real uid 1000)`,
    ],
    "shows losses": [
      { ...base, rate_limit_info: { number_of_dropped_process_events: "7" } },
      "10:11:12.123  7 events were lost",
    ],
    "shows control characters of a command line as such": [
      { ...base, process_exec: { process: { binary: "/bin/\u001b[31mx", arguments: "a\nb\u202ec" } } },
      "10:11:12.123  node-1  host  /bin/\\x1b[31mx a\\x0ab\\u202ec  exec",
    ],
    "shows an exec with its arguments": [
      { ...base, process_exec: { process } },
      "10:11:12.123  node-1  default/demo  /usr/bin/su root  exec",
    ],
  };
  test.each(Object.entries(cases))("%s", (_name, [event, want]) => {
    expect(compactLine(event)).toBe(want);
  });

  test("has no line for an event that it does not know", () => {
    expect(compactLine({ ...base })).toBeUndefined();
  });
});
