/** Turns the BTF of build/bpf/layouts.o into TypeScript. Pure. */
import { createHash } from "node:crypto";

/** A type as `bpftool btf dump -j` prints it. */
export interface BtfType {
  id: number;
  kind: string;
  name: string;
  size?: number;
  type_id?: number;
  nr_elems?: number;
  members?: { name: string; type_id: number; bits_offset: number }[];
  values?: { name: string; val: number }[];
}

/** The structs and enums of one generated file, by their names in C. */
export interface Layout {
  structs: Record<string, { size: number; members: Record<string, number> }>;
  enums: Record<string, Record<string, number>>;
}

const POINTER_BYTES = 8;

/** Every struct and enum that a member of struct `root` contains, in the order in which they are met. */
export function layoutOf(types: readonly BtfType[], root: string): Layout {
  const byId = new Map(types.map((type) => [type.id, type]));
  const layout: Layout = { structs: {}, enums: {} };
  const start = types.find(({ kind, name }) => kind === "STRUCT" && name === root);
  if (!start) throw new Error(`no struct ${root} in the BTF of the layouts`);
  for (const member of start.members ?? []) collect(layout, byId, member.type_id);
  return layout;
}

type Types = ReadonlyMap<number, BtfType>;

function collect(layout: Layout, types: Types, id: number): void {
  const type = types.get(id);
  if (type?.kind === "STRUCT") collectStruct(layout, types, type);
  else if (type?.kind === "ENUM") layout.enums[type.name] = enumerators(type);
  else if (type?.kind !== "PTR" && type?.type_id) collect(layout, types, type.type_id);
}

function collectStruct(layout: Layout, types: Types, type: BtfType): void {
  if (layout.structs[type.name]) return;
  const { size = 0, members = [] } = type;
  const offsets = members.map(({ name, bits_offset }) => [name, bits_offset / 8] as const);
  layout.structs[type.name] = { size, members: Object.fromEntries(offsets) };
  refuseHoles(types, type);
  for (const member of members) collect(layout, types, member.type_id);
}

/** Padding that no member names would be sent or compared without having been written. */
function refuseHoles(types: Types, { name, size = 0, members = [] }: BtfType): void {
  let end = 0;
  for (const member of members) {
    if (member.bits_offset !== end * 8) throw new Error(`struct ${name} has a hole before ${member.name}`);
    end += sizeOf(types, member.type_id);
  }
  if (end !== size) throw new Error(`struct ${name} has a hole at its end`);
}

function sizeOf(types: Types, id: number): number {
  const type = types.get(id);
  if (!type) throw new Error(`no type ${id} in the BTF of the layouts`);
  if (type.kind === "PTR") return POINTER_BYTES;
  if (type.kind === "ARRAY") return (type.nr_elems ?? 0) * sizeOf(types, type.type_id ?? 0);
  return type.size ?? sizeOf(types, type.type_id ?? 0);
}

function enumerators({ values = [] }: BtfType): Record<string, number> {
  return Object.fromEntries(values.map(({ name, val }) => [name, val]));
}

/** The TypeScript of a layout: the constants STRUCTS, ENUMS and ENUMERATORS. */
export function renderLayout({ structs, enums }: Layout): string {
  const struct = ([name, { size, members }]: [string, Layout["structs"][string]]) =>
    `  ${name}: { size: ${size}, members: ${renderNumbers(members)} },\n`;
  const entry = ([name, values]: [string, Record<string, number>]) =>
    `  ${name}: ${renderNumbers(values)},\n`;
  return `
/** Size and offsets of each struct, in bytes. */
export const STRUCTS = {
${Object.entries(structs).map(struct).join("")}} as const;

/** Enumerators of each enum. */
export const ENUMS = {
${Object.entries(enums).map(entry).join("")}} as const;

/** All enumerators by name. */
export const ENUMERATORS = {
${Object.keys(enums)
  .map((name) => `  ...ENUMS.${name},\n`)
  .join("")}} as const;
`;
}

function renderNumbers(numbers: Record<string, number>): string {
  const entries = Object.entries(numbers).map(([name, value]) => `${name}: ${value}`);
  return `{ ${entries.join(", ")} }`;
}

/** A digest of C sources that comments and white space do not change. */
export function digestOfSources(sources: readonly string[]): string {
  const code = sources.map((source) =>
    source
      .replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, " ")
      .split(/\s+/)
      .join(" ")
      .replace(/ ?([^\w#"<]) ?/g, "$1")
      .trim(),
  );
  return digest(code.join("\n"));
}

/** The first 16 hexadecimal digits of a text's SHA-256. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
