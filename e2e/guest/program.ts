import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Runs a program to its end and returns its stdout; a failure names the program and keeps the end of its stderr. */
export async function runProgram(
  program: string,
  args: string[],
  options: { cwd?: string } = {},
): Promise<string> {
  try {
    const { stdout } = await execute(program, args, { ...options, maxBuffer: 64 << 20 });
    return stdout;
  } catch (cause) {
    throw new Error(`${program} ${args.join(" ")}: ${describeFailure(cause as ExecError)}`, { cause });
  }
}

interface ExecError {
  code?: number | string;
  stderr?: string;
  message: string;
}

function describeFailure({ code, stderr, message }: ExecError): string {
  if (code === "ENOENT") return "not installed";
  const tail = stderr?.trim().split("\n").slice(-12).join("\n");
  return typeof code === "number" ? `exit status ${code}${tail ? `\n${tail}` : ""}` : message;
}
