import { expect, test } from "vitest";
import { errorsOf, type Loose, makePolicy, warningsOf } from "../testing/policies.ts";

const event = (name: string, index: number, type: string) => {
  const [subsystem, event] = name.split("/");
  return makePolicy({ tracepoints: [{ subsystem, event, args: [{ index, type }] }] });
};
const EXEC = "sched/sched_process_exec";

const refused: Record<string, [policy: Loose, error: string]> = {
  "characters as a number": [
    event(EXEC, 4, "int"),
    `type: int does not fit field 4 of ${EXEC}, __data_loc char[] filename: write string`,
  ],
  "a number as text": [
    event(EXEC, 5, "string"),
    `type: string does not fit field 5 of ${EXEC}, pid_t pid: write int or uint32`,
  ],
  "a number as a structure": [
    event(EXEC, 5, "cred"),
    `type: cred does not fit field 5 of ${EXEC}, pid_t pid`,
  ],
  "a number as another one": [
    event(EXEC, 5, "capability"),
    `type: capability does not fit field 5 of ${EXEC}, pid_t pid: pid_t is another number: write int or uint32`,
  ],
  "fewer bytes than the field has": [
    event("task/task_newtask", 6, "int"),
    "type: int does not fit field 6 of task/task_newtask, u64 clone_flags: write long or uint64",
  ],
  "an address as a number": [
    event("capability/cap_capable", 4, "uint64"),
    "type: uint64 does not fit field 4 of capability/cap_capable, const struct cred *cred: it is an address: name the type of what is there",
  ],
  "a field that is not there": [
    event(EXEC, 7, "int"),
    `index: is 7, beyond the fields of ${EXEC}: 4 filename, 5 pid, 6 old_pid`,
  ],
};
test.each(Object.entries(refused))("%s is refused", (_name, [policy, error]) => {
  expect(errorsOf(policy)).toEqual([`spec.tracepoints[0].args[0].${error}`]);
});

test("a field of newer kernels is warned of, with the names of the others", () => {
  const policy = event("sched/sched_process_exit", 7, "uint8");
  expect(errorsOf(policy)).toEqual([]);
  expect(warningsOf(policy)).toEqual([
    "spec.tracepoints[0].args[0].index: in the kernels 5.10, 6.1 and 6.12: is 7, beyond the fields of sched/sched_process_exit: 4 comm, 5 pid, 6 prio",
  ]);
});

test.each<[name: string, index: number, type: string]>([
  [EXEC, 4, "string"],
  [EXEC, 4, "auto"],
  [EXEC, 5, "int"],
  [EXEC, 5, "uint64"],
  [EXEC, 6, "nop"],
  ["sched/sched_process_exit", 4, "string"],
  ["task/task_newtask", 6, "uint64"],
  ["capability/cap_capable", 4, "cred"],
  ["capability/cap_capable", 7, "capability"],
  ["some/event", 9, "int"],
])("field %2$s of %1$s is read as %3$s", (name, index, type) => {
  expect([...errorsOf(event(name, index, type)), ...warningsOf(event(name, index, type))]).toEqual([]);
});
