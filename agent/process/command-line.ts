/** How a command line is shown. */
import { posix } from "node:path";

/**
 * Arguments after argv[0], joined by blanks. One that contains a blank stands in double quotes, inner quotes are left
 * alone, and when it is the first the string begins with a blank: what consumers of upstream's events expect.
 */
export function joinArguments(argv: readonly string[]): string {
  const shown = argv.slice(1).map((argument) => (argument.includes(" ") ? `"${argument}"` : argument));
  const text = shown.join(" ");
  return argv[1]?.includes(" ") ? ` ${text}` : text;
}

/** The file name given to exec, made absolute with the working directory. */
export function absoluteBinary(filename: string, cwd: string): string {
  if (filename === "" || filename.startsWith("/") || cwd === "") return filename;
  return posix.join(cwd, filename);
}
