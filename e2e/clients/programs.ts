/** Clients that are not ours, built from Go modules: grpcurl, Prometheus and its checker, and one generated from proto/. */
import { createHash } from "node:crypto";
import { access, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { cacheDirectory } from "../cache.mjs";
import { type Binaries, findBinaries, findCached } from "../control-plane/binaries.ts";
import { goBuildAlone } from "../control-plane/go-modules.mjs";
import { runProgram } from "../guest/program.ts";
import { type Progress, step } from "../progress.ts";

const SOURCE = join(import.meta.dirname, "go");
const PROTO = resolve(import.meta.dirname, "../../proto");
const MODULE = "trigon.dev/e2e/clients";
const PLUGINS = ["protoc-gen-go", "protoc-gen-go-grpc"] as const;

/** What reads events. */
export interface GrpcClients {
  grpcurl: string;
  /** See go/main.go. */
  generated: string;
}

/** Finds the clients of the gRPC API in the cache, or builds them. */
export async function findGrpcClients(
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<GrpcClients> {
  const { grpcurl } = await findBinaries(["grpcurl"], environment, progress);
  const generated = await generatedPath(environment);
  if (!(await isThere(generated))) {
    const plugins = await findBinaries(PLUGINS, environment, progress);
    await step(progress, "build a Go client from proto/", () => buildGenerated(generated, plugins));
  }
  return { grpcurl, generated };
}

/** The clients if they are in the cache; undefined otherwise. For machines that build nothing. */
export async function cachedGrpcClients(environment: NodeJS.ProcessEnv): Promise<GrpcClients | undefined> {
  const generated = await generatedPath(environment);
  const grpcurl = await findCached("grpcurl", environment);
  return grpcurl !== undefined && (await isThere(generated)) ? { grpcurl, generated } : undefined;
}

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** Named by a hash of all sources, those of proto/ among them. */
async function generatedPath(environment: NodeJS.ProcessEnv): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(goPackages(await protoFiles())));
  for (const file of ["go.mod", "go.sum", "main.go"]) hash.update(await readFile(join(SOURCE, file)));
  for (const file of await protoFiles()) hash.update(await readFile(join(PROTO, file)));
  return join(cacheDirectory(environment), "binaries", hash.digest("hex").slice(0, 16), "client");
}

async function protoFiles(): Promise<string[]> {
  const files = await readdir(join(PROTO, "tetragon"));
  return ["trigon.proto", ...files.sort().map((name) => `tetragon/${name}`)];
}

/** Go packages may not import each other in a circle: the messages that ours and the others share have one of their own. */
const SHARED = new Set(["tetragon/bpf.proto", "tetragon/capabilities.proto", "tetragon/values.proto"]);

function goPackages(files: readonly string[]): string[] {
  const packageOf = (file: string) => (SHARED.has(file) ? "shared" : (file.split(/[/.]/)[0] as string));
  return files.map((file) => `M${file}=${MODULE}/gen/${packageOf(file)}`);
}

async function buildGenerated(target: string, plugins: Binaries<(typeof PLUGINS)[number]>): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "trigon-client-"));
  try {
    await cp(SOURCE, work, { recursive: true });
    await generate(work, plugins);
    const [program = "", ...args] = goBuildAlone({}, ["-o", "client", "."]);
    await runProgram(program, args, { cwd: work });
    await mkdir(join(target, ".."), { recursive: true });
    await cp(join(work, "client"), `${target}.${process.pid}`);
    await rename(`${target}.${process.pid}`, target);
  } finally {
    await rm(work, { recursive: true });
  }
}

async function generate(work: string, plugins: Record<string, string>): Promise<void> {
  const opt = [`module=${MODULE}`, ...goPackages(await protoFiles())];
  const template = {
    version: "v2",
    plugins: PLUGINS.map((plugin) => ({ local: plugins[plugin], out: work, opt })),
  };
  const file = join(work, "buf.gen.json");
  await writeFile(file, JSON.stringify(template));
  const buf = createRequire(import.meta.url).resolve("@bufbuild/buf/bin/buf");
  const paths = (await protoFiles()).flatMap((path) => ["--path", path]);
  await runProgram(process.execPath, [buf, "generate", "--template", file, ...paths], { cwd: PROTO });
}
