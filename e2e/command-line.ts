import { type ParseArgsConfig, parseArgs } from "node:util";

/**
 * Splits `[OPTIONS] [--] COMMAND…` into our own arguments and the command. The command begins after `--` or at the first
 * word that is not an option, because npm removes the `--` of `npm run NAME -- COMMAND`.
 */
export function splitCommand(
  args: string[],
  options: NonNullable<ParseArgsConfig["options"]>,
): { own: string[]; command: string[] } {
  const { tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  const first = tokens.find(({ kind }) => kind === "positional" || kind === "option-terminator");
  if (!first) return { own: args, command: [] };
  const skip = first.kind === "option-terminator" ? 1 : 0;
  return { own: args.slice(0, first.index), command: args.slice(first.index + skip) };
}
