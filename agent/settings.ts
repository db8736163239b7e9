/** Values of the options, with where each of them comes from. */
import { parseArgs } from "node:util";
import { environmentName, isSetting, OPTIONS, type Option, type OptionName } from "./options.ts";

/** Thrown for a value that cannot be used; the message begins with where it comes from. */
export class UsageError extends Error {}

/** Variables of a process. */
export type Environment = Record<string, string | undefined>;

/** Where settings are read from. */
export interface SettingSources {
  argv: readonly string[];
  env: Environment;
  /** Every file of a directory by its name, as text. Throws when the directory cannot be read. */
  readDirectory: (directory: string) => ReadonlyMap<string, string>;
}

type Value = string | boolean | string[];

interface Setting {
  value: Value;
  origin: string;
}

/** Settings from all sources; SOURCES in options.ts has their order. An empty value is none. */
export class Settings {
  /** What was passed over. */
  readonly warnings: string[] = [];
  readonly #settings = new Map<string, Setting>();

  /** Throws UsageError. */
  constructor({ argv, env, readDirectory }: SettingSources) {
    const flags = flagSettings(argv);
    const variables = environmentSettings(env);
    const directory = flags.get("config-dir") ?? variables.get("config-dir");
    const files = directory?.value ? this.#fileSettings(directory, readDirectory) : [];
    for (const [name, setting] of [...files, ...variables, ...flags]) this.#settings.set(name, setting);
  }

  text(name: OptionName): string | undefined {
    const value = this.#settings.get(name)?.value;
    return typeof value === "string" && value !== "" ? value : undefined;
  }

  isOn(name: OptionName): boolean {
    return this.#settings.get(name)?.value === true;
  }

  list(name: OptionName): string[] | undefined {
    const value = this.#settings.get(name)?.value;
    return Array.isArray(value) ? value.filter((item) => item !== "") : undefined;
  }

  /** Names of all that have a value. */
  names(): OptionName[] {
    return [...this.#settings.keys()] as OptionName[];
  }

  /** As it was given; undefined where nothing was. */
  value(name: OptionName): Value | undefined {
    return this.#settings.get(name)?.value;
  }

  /** The flag, variable or file that an error must name. */
  origin(name: OptionName): string {
    return this.#settings.get(name)?.origin ?? `--${name}`;
  }

  #fileSettings(directory: Setting, read: SettingSources["readDirectory"]): [string, Setting][] {
    return [...readDirectoryOrFail(directory, read)].flatMap(([name, content]): [string, Setting][] => {
      const origin = `${directory.value}/${name}`;
      const text = content.trim();
      if (!isSetting(name)) this.warnings.push(`${origin}: there is no such setting`);
      else if (text !== "") return [[name, { value: parseValue(OPTIONS[name], origin, text), origin }]];
      return [];
    });
  }
}

/** Settings with different values, from whichever source. */
export function changedSettings(before: Settings, after: Settings): OptionName[] {
  const names = new Set([...before.names(), ...after.names()]);
  const text = (settings: Settings, name: OptionName) => JSON.stringify(settings.value(name) || undefined);
  return [...names].filter((name) => text(before, name) !== text(after, name));
}

function settingNames(): string[] {
  return Object.keys(OPTIONS).filter(isSetting);
}

function readDirectoryOrFail({ value, origin }: Setting, read: SettingSources["readDirectory"]) {
  try {
    return read(String(value));
  } catch (error) {
    throw new UsageError(`${origin}: ${(error as Error).message}`);
  }
}

function flagSettings(argv: readonly string[]): Map<string, Setting> {
  const { booleans, rest } = takeBooleanAssignments(argv);
  try {
    const { values } = parseArgs({ args: rest, options: OPTIONS, strict: true, allowPositionals: false });
    return new Map(
      Object.entries({ ...values, ...booleans }).map(([name, value]) => [
        name,
        { value: value as Value, origin: `--${name}` },
      ]),
    );
  } catch (error) {
    throw new UsageError(`${firstSentence(error)}; see --help`);
  }
}

/** `--kubernetes=false` and `=true`, as Tetragon's flags may be written; parseArgs knows the bare form only. */
function takeBooleanAssignments(argv: readonly string[]): {
  booleans: Record<string, boolean>;
  rest: string[];
} {
  const booleans: Record<string, boolean> = {};
  const rest: string[] = [];
  for (const argument of argv) {
    const [, name, value] = /^--([a-z-]+)=(.*)$/.exec(argument) ?? [];
    if (name !== undefined && value !== undefined && isBoolean(name)) {
      booleans[name] = parseBoolean(`--${name}`, value);
    } else {
      rest.push(argument);
    }
  }
  return { booleans, rest };
}

function isBoolean(name: string): boolean {
  return Object.hasOwn(OPTIONS, name) && OPTIONS[name as OptionName].type === "boolean";
}

function environmentSettings(env: Environment): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  for (const name of [...settingNames(), "config-dir"] as OptionName[]) {
    const origin = environmentName(name);
    const text = env[origin];
    if (text) settings.set(name, { value: parseValue(OPTIONS[name], origin, text), origin });
  }
  return settings;
}

/** What a variable or a file has. */
function parseValue(option: Option, origin: string, text: string): Value {
  if (option.type === "boolean") return parseBoolean(origin, text);
  return option.multiple ? text.split(/[,\r\n]/).map((part) => part.trim()) : text;
}

function parseBoolean(origin: string, text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new UsageError(`${origin}: "${text}" is neither true nor false`);
}

/** parseArgs explains how to escape positionals; what is wrong stands in its first sentence. */
function firstSentence(error: unknown): string {
  return (error as Error).message.split(". ")[0] ?? "wrong flags";
}
