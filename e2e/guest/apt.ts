/**
 * A private apt directory. apt fetches packages of other Debian releases from the machine's own mirror and verifies
 * them, without changing the machine's package lists.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "./program.ts";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** One package source of the machine: a mirror and the suites that it is used for. */
export interface AptSource {
  uri: string;
  suites: string[];
}

/** Mirrors of Debian's main archive and security archive that this machine uses. */
export interface Mirrors {
  main: string;
  security?: string;
}

/** apt's description of a package. */
export interface Package {
  name: string;
  version: string;
  depends: string[];
}

/** Reads one-line entries: `deb [options] URI SUITE COMPONENT…`. */
export function parseSourcesList(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)/.exec(line);
    return match?.[1] && match[2] ? [{ uri: match[1], suites: [match[2]] }] : [];
  });
}

/** Reads deb822 stanzas: `Types:`, `URIs:`, `Suites:`. */
export function parseDeb822(text: string): AptSource[] {
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  return lines
    .join("\n")
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      const field = (name: string) =>
        new RegExp(`^${name}:\\s*(.*)$`, "mi").exec(stanza)?.[1]?.trim().split(/\s+/) ?? [];
      if (!field("Types").includes("deb") || field("Enabled").includes("no")) return [];
      return field("URIs").map((uri) => ({ uri, suites: field("Suites") }));
    });
}

/** Picks the mirrors that serve the machine's release; a suite of another vendor never has just its codename. */
export function pickMirrors(sources: AptSource[], codename: string): Mirrors | undefined {
  const serving = (suite: string) => sources.find(({ suites }) => suites.some((name) => name === suite))?.uri;
  const main = serving(codename) ?? serving("stable");
  const security = serving(`${codename}-security`) ?? serving("stable-security");
  return main ? { main, ...(security ? { security } : {}) } : undefined;
}

/** Reads what `apt-cache show` prints: a stanza for each package. */
export function parsePackages(text: string): Package[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (key: string) => new RegExp(`^${key}: (.*)$`, "m").exec(stanza)?.[1] ?? "";
    const depends = field("Depends")
      .split(/[,|]/)
      .map((part) => part.trim().split(/[\s(]/)[0] ?? "");
    const name = field("Package");
    return name ? [{ name, version: field("Version"), depends: depends.filter(Boolean) }] : [];
  });
}

/** Finds the machine's Debian mirrors in its apt sources. */
export async function findMirrors(): Promise<Mirrors> {
  const release = await readFile("/etc/os-release", "utf8");
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(release)?.[1] ?? "";
  const mirrors = pickMirrors(await readAptSources(), codename);
  if (!mirrors)
    throw new Error(
      `no Debian mirror for ${codename || "this release"} in /etc/apt/sources.list and /etc/apt/sources.list.d`,
    );
  return mirrors;
}

async function readAptSources(): Promise<AptSource[]> {
  const parts = await readdir("/etc/apt/sources.list.d").catch(() => []);
  const files = ["/etc/apt/sources.list", ...parts.sort().map((name) => `/etc/apt/sources.list.d/${name}`)];
  const read = async (file: string) => {
    const text = await readFile(file, "utf8").catch(() => "");
    return file.endsWith(".sources") ? parseDeb822(text) : parseSourcesList(text);
  };
  return (await Promise.all(files.map(read))).flat();
}

/** Packages of one Debian suite; call `update` before anything else. */
export class AptSuite {
  readonly #directory: string;
  readonly #suite: string;

  constructor(directory: string, suite: string) {
    this.#directory = directory;
    this.#suite = suite;
  }

  /** Fetches the package lists of the suite, with its security updates where the mirror has them. */
  async update(mirrors: Mirrors): Promise<void> {
    await mkdir(join(this.#directory, "state/lists/partial"), { recursive: true });
    await mkdir(join(this.#directory, "cache/archives/partial"), { recursive: true });
    await writeFile(this.#installedFile, "");
    const withSecurity = this.#sources(mirrors, mirrors.security !== undefined && this.#suite !== "sid");
    await writeFile(this.#sourcesFile, withSecurity);
    // The security archive drops a release at the end of its support; its last kernel is in the main archive.
    await this.#apt("apt-get", ["update"]).catch(async () => {
      await writeFile(this.#sourcesFile, this.#sources(mirrors, false));
      await this.#apt("apt-get", ["update"]);
    });
  }

  /** The newest version of a package. */
  async show(name: string): Promise<Package> {
    const [found] = await this.showAll([name]);
    if (!found) throw new Error(`Debian ${this.#suite} has no package ${name}`);
    return found;
  }

  /** The newest versions of packages, without those that the suite does not have. */
  async showAll(names: string[]): Promise<Package[]> {
    return parsePackages(await this.#apt("apt-cache", ["show", "--no-all-versions", ...names]));
  }

  /** Downloads and verifies packages and returns the paths of their files. */
  async download(packages: Package[], directory: string): Promise<string[]> {
    await mkdir(directory, { recursive: true });
    const wanted = packages.map(({ name, version }) => `${name}=${version}`);
    await this.#apt("apt-get", ["download", ...wanted], directory);
    return (await readdir(directory))
      .filter((file) => file.endsWith(".deb"))
      .map((file) => join(directory, file));
  }

  /** No package is installed here: what the machine has of the same name may come from another vendor. */
  get #installedFile(): string {
    return join(this.#directory, "state/status");
  }

  get #sourcesFile(): string {
    return join(this.#directory, "sources.list");
  }

  #sources(mirrors: Mirrors, security: boolean): string {
    const options = `[arch=amd64 signed-by=${KEYRING}]`;
    const lines = [`deb ${options} ${mirrors.main} ${this.#suite} main`];
    if (security) lines.push(`deb ${options} ${mirrors.security} ${this.#suite}-security main`);
    return `${lines.join("\n")}\n`;
  }

  #apt(program: string, args: string[], cwd = this.#directory): Promise<string> {
    const settings = {
      "Dir::Etc::sourcelist": this.#sourcesFile,
      "Dir::Etc::sourceparts": "-",
      "Dir::State": join(this.#directory, "state"),
      "Dir::State::status": this.#installedFile,
      "Dir::Cache": join(this.#directory, "cache"),
      // Images of Debian for containers set it to nothing, and then each command reads all lists.
      "Dir::Cache::pkgcache": "pkgcache.bin",
      "APT::Architecture": "amd64",
      "APT::Update::Error-Mode": "any",
      "APT::Sandbox::User": "root",
      "Acquire::Languages": "none",
      "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
      "Acquire::IndexTargets::deb::CNF::DefaultEnabled": "false",
      "Acquire::Retries": "3",
    };
    const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
    return runProgram(program, ["-q", ...options, ...args], { cwd });
  }
}
