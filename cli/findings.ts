/** What `trigon validate` has found, in the forms that people and tools read. Pure. */

import { isAbsolute, sep } from "node:path";
import { pathToFileURL } from "node:url";

/** An error or a warning with its place. */
export interface Finding {
  file: string;
  /** From 1. */
  line: number;
  /** From 1. */
  column: number;
  level: "error" | "warning";
  /** Field of the policy; empty for the document as a whole. */
  path: string;
  message: string;
}

/** Documents by result. */
export interface Tally {
  files: number;
  valid: number;
  invalid: number;
  skipped: number;
  warnings: number;
}

/** Forms of the answer. */
export const FORMATS = ["text", "json", "sarif", "github"] as const;

/** One of them. */
export type Format = (typeof FORMATS)[number];

/** The answer line by line. */
export function formatFindings(format: Format, findings: readonly Finding[], tally: Tally): string[] {
  switch (format) {
    case "json":
      return [JSON.stringify({ ...tally, findings })];
    case "sarif":
      return [JSON.stringify(sarif(findings))];
    case "github":
      return findings.map(githubCommand);
    default:
      return findings.map(textLine);
  }
}

function textLine({ file, line, column, level, ...finding }: Finding): string {
  return `${file}:${line}:${column}: ${subject(finding)}${level === "warning" ? "warning: " : ""}${finding.message}`;
}

function subject({ path }: Pick<Finding, "path">): string {
  return path === "" ? "" : `${path}: `;
}

/** A workflow command of GitHub Actions, which shows it at the line of the file. */
function githubCommand({ file, line, column, level, ...finding }: Finding): string {
  const message = escapeData(subject(finding) + finding.message);
  return `::${level} file=${escapeProperty(file)},line=${line},col=${column}::${message}`;
}

function escapeData(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}

const RULES = [
  { id: "error", shortDescription: { text: "The policy is invalid: no node would run it." } },
  { id: "warning", shortDescription: { text: "The policy is valid and may not do what is wanted." } },
];

/** A log of the Static Analysis Results Interchange Format, 2.1.0. */
function sarif(findings: readonly Finding[]): object {
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "trigon validate", rules: RULES } },
        columnKind: "utf16CodeUnits",
        results: findings.map(sarifResult),
      },
    ],
  };
}

function sarifResult({ file, line, column, level, ...finding }: Finding): object {
  const region = { startLine: line, startColumn: column };
  return {
    ruleId: level,
    ruleIndex: RULES.findIndex(({ id }) => id === level),
    level,
    message: { text: subject(finding) + finding.message },
    locations: [{ physicalLocation: { artifactLocation: { uri: uriOf(file) }, region } }],
  };
}

function uriOf(file: string): string {
  if (isAbsolute(file)) return pathToFileURL(file).href;
  return file.split(sep).map(encodeURIComponent).join("/");
}
