import { expect, test } from "vitest";
import { nameSyscall, SYSCALL_32_BIT, syscallNumbers } from "./syscall-abis.ts";

const X32 = 0x4000_0000;

test.each([
  ["setuid", "x64", [105, X32 + 105, SYSCALL_32_BIT + 23, SYSCALL_32_BIT + 213]],
  ["setuid", "arm64", [146]],
  ["mmap", "x64", [9, X32 + 9, SYSCALL_32_BIT + 90, SYSCALL_32_BIT + 192]],
  ["futex", "x64", [202, X32 + 202, SYSCALL_32_BIT + 240, SYSCALL_32_BIT + 422]],
  ["dup", "x64", [32, X32 + 32, SYSCALL_32_BIT + 41]],
  ["getdents", "x64", [78, X32 + 78, SYSCALL_32_BIT + 141]],
  ["mseal", "x64", [462, X32 + 462, SYSCALL_32_BIT + 462]],
  ["map_shadow_stack", "x64", [453, X32 + 453]],
  ["execve", "x64", [59, X32 + 520, SYSCALL_32_BIT + 11]],
  ["elephant", "x64", []],
] as const)("%s on %s is %j", (name, architecture, numbers) => {
  expect(syscallNumbers(name, architecture)).toEqual(numbers);
});

test.each([
  [105, "x64", { id: 105, name: "setuid", abi: "x64" }],
  [0, "x64", { id: 0, name: "read", abi: "x64" }],
  [SYSCALL_32_BIT + 213, "x64", { id: 213, name: "setuid32", abi: "i386" }],
  [0x4000_0000 + 105, "x64", { id: 105, name: "setuid", abi: "x32" }],
  [0x4000_0000 + 520, "x64", { id: 520, name: "execve", abi: "x32" }],
  [9999, "x64", { id: 9999, abi: "x64" }],
  [146, "arm64", { id: 146, name: "setuid", abi: "arm64" }],
  [SYSCALL_32_BIT + 213, "arm64", { id: 213, abi: "arm32" }],
] as const)("%i on %s is named", (number, architecture, want) => {
  expect(nameSyscall(number, architecture)).toEqual(want);
});
