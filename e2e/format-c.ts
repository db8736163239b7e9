/** Formats C and C++ in place; with `--check` it changes nothing, lists differences and exits with 1. */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { PROJECT } from "./runner/run-tests.ts";

/** Debian's package and program. Versions format differently, so the number is part of the name. */
const CLANG_FORMAT = "clang-format-19";
/** Not bpf/vmlinux, which is generated. */
const SOURCES = ["agent/native", "bpf/include", "bench/programs", "e2e"].map(
  (room) => `${room}/**/*.{c,cc,h}`,
);

const isCheck = process.argv.includes("--check");
const mode = isCheck ? ["--dry-run", "--Werror"] : ["-i"];
const files = globSync([...SOURCES, "bpf/*.c"], { cwd: PROJECT });
const { error, status } = spawnSync(CLANG_FORMAT, [...mode, ...files], { cwd: PROJECT, stdio: "inherit" });
if (error) console.error(`${CLANG_FORMAT}: not installed: apt-get install ${CLANG_FORMAT}`);
process.exitCode = status ?? 1;
