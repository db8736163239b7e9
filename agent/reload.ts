/** What SIGHUP changes: settings are read again, and those that can change while the agent runs are applied. */
import type { Command, Config } from "./config.ts";
import { OPTIONS, type Option, type OptionName } from "./options.ts";
import { changedSettings, type Settings } from "./settings.ts";

/** A command that runs the agent. */
export type RunCommand = Extract<Command, { kind: "run" }>;

/** What becomes of settings that have been read again. */
export type Reload =
  | { kind: "apply"; config: Config; settings: Settings; needRestart: readonly OptionName[] }
  | { kind: "refuse"; message: string };

/** Settings that cannot be used as a whole change nothing. */
export function planReload(before: Settings, command: Command): Reload {
  if (command.kind === "error") return { kind: "refuse", message: command.message };
  if (command.kind !== "run") return { kind: "refuse", message: `--${command.kind} is among the settings` };
  const { config, settings } = command;
  const options: Record<string, Option> = OPTIONS;
  const needRestart = changedSettings(before, settings).filter((name) => !options[name]?.reload);
  return { kind: "apply", config, settings, needRestart };
}
