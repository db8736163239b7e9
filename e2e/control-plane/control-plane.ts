/** A real Kubernetes control plane: etcd and kube-apiserver, and with `controllers` the ones that run pods. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import type { Progress } from "../progress.ts";
import { findFreePorts } from "./addresses.ts";
import { API_SERVER_PROGRAMS, type Binaries, type ClusterProgram, findBinaries } from "./binaries.ts";
import { ADMIN, type Identity, kubeconfig, writeServiceAccountKeys, writeTokens } from "./credentials.ts";
import { Daemon } from "./daemon.ts";

const CONTROLLER_PROGRAMS = ["kube-controller-manager", "kube-scheduler"] as const satisfies ClusterProgram[];

/** Everything has a default: `startControlPlane()` gives an API server on the loopback address. */
export interface ControlPlaneOptions {
  /** Where data, keys and logs go; a fresh directory that stop() removes when absent. */
  directory?: string;
  /** Address that the API server listens on (default 127.0.0.1). */
  bindAddress?: string;
  /** Address that clients use, when it is not `bindAddress`. */
  advertiseAddress?: string;
  /** A free port when absent. */
  port?: number;
  /** Services get addresses of this range (default 10.96.0.0/16); its first one is `kubernetes.default`. */
  serviceCidr?: string;
  /** Users with static tokens besides the admin, e.g. nodeIdentity("node-1"). */
  identities?: Identity[];
  /** Also runs kube-controller-manager and kube-scheduler. */
  controllers?: boolean;
  /** Further flags of kube-apiserver; later ones win. */
  apiServerArgs?: string[];
  /** Environment in which the binaries are searched (default: this process's). */
  environment?: NodeJS.ProcessEnv;
  /** Prints progress of builds that take minutes (default: to stderr). */
  progress?: Progress;
}

/** A control plane that is up. */
export interface ControlPlane {
  readonly url: string;
  /** For tests that bypass the API server. */
  readonly etcdUrl: string;
  /** PEM file to verify the server with. */
  readonly caFile: string;
  readonly directory: string;
  /** Path of the admin's kubeconfig. */
  readonly kubeconfigPath: string;
  readonly adminToken: string;
  /** Directory with kubectl, for PATH. */
  readonly binDirectory: string;
  readonly binaries: Binaries<(typeof API_SERVER_PROGRAMS)[number]>;
  /** Writes and returns the path of a kubeconfig for one of `identities`. */
  kubeconfigFor(user: string): Promise<string>;
  /** Reads `/api/...` or `/apis/...` as the admin. A process of kubectl for each look would take more of the machine's time. */
  get<T>(path: string): Promise<T>;
  /** Kills the API server (open watches break as in a crash) and starts it on the same port; resolves when ready. */
  restartApiServer(): Promise<void>;
  /** Kills the API server; clients get ECONNREFUSED until startApiServer(). */
  stopApiServer(): Promise<void>;
  startApiServer(): Promise<void>;
  /** The last lines of each daemon's log. */
  logs(lines?: number): Promise<string>;
  /** Ends every daemon; removes the directory if it was made here. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a control plane and resolves when the API server is ready; nothing is left running when it rejects. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const progress = options.progress ?? ((line) => process.stderr.write(`${line}\n`));
  const names: readonly ClusterProgram[] = [
    ...API_SERVER_PROGRAMS,
    ...(options.controllers ? CONTROLLER_PROGRAMS : []),
  ];
  const binaries = await findBinaries(names, options.environment ?? process.env, progress);
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "trigon-control-plane-")));
  await mkdir(directory, { recursive: true });
  const plane = new RunningControlPlane(options, directory, binaries, await choosePorts(options));
  try {
    await plane.start();
    return plane;
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

interface Ports {
  etcd: number;
  etcdPeer: number;
  apiServer: number;
}

async function choosePorts({ bindAddress = "127.0.0.1", port }: ControlPlaneOptions): Promise<Ports> {
  const [etcd = 0, etcdPeer = 0] = await findFreePorts(2, "127.0.0.1");
  return { etcd, etcdPeer, apiServer: port ?? (await findFreePorts(1, bindAddress))[0] ?? 0 };
}

class RunningControlPlane implements ControlPlane {
  readonly url: string;
  readonly etcdUrl: string;
  readonly caFile: string;
  readonly directory: string;
  readonly kubeconfigPath: string;
  readonly binDirectory: string;
  readonly binaries: Binaries;
  readonly #options: ControlPlaneOptions;
  readonly #etcd: Daemon;
  readonly #apiServer: Daemon;
  #controllers: Daemon[] = [];
  #tokens = new Map<string, string>();

  constructor(options: ControlPlaneOptions, directory: string, binaries: Binaries, ports: Ports) {
    const address = options.advertiseAddress ?? options.bindAddress ?? "127.0.0.1";
    this.#options = options;
    this.directory = directory;
    this.binaries = binaries;
    this.binDirectory = dirname(binaries.kubectl);
    this.url = `https://${address}:${ports.apiServer}`;
    this.etcdUrl = `http://127.0.0.1:${ports.etcd}`;
    this.caFile = join(directory, "ca.crt");
    this.kubeconfigPath = join(directory, "kubeconfig");
    this.#etcd = this.#daemon("etcd", etcdArgs(directory, ports));
    this.#apiServer = this.#daemon("kube-apiserver", apiServerArgs(directory, ports, options));
  }

  get adminToken(): string {
    return this.#token(ADMIN.user);
  }

  async start(): Promise<void> {
    const identities = [
      ADMIN,
      ...CONTROLLER_PROGRAMS.map(controllerIdentity),
      ...(this.#options.identities ?? []),
    ];
    await writeServiceAccountKeys(this.directory);
    this.#tokens = await writeTokens(join(this.directory, "tokens.csv"), identities);
    await this.#etcd.start();
    await this.startApiServer();
    await this.#writeKubeconfig(this.kubeconfigPath, ADMIN.user);
    if (this.#options.controllers) await this.#startControllers();
  }

  async kubeconfigFor(user: string): Promise<string> {
    const path = join(this.directory, `kubeconfig-${user.replaceAll(/[^\w.-]/g, "_")}`);
    await this.#writeKubeconfig(path, user);
    return path;
  }

  async get<T>(path: string): Promise<T> {
    return JSON.parse(await this.#read(path)) as T;
  }

  async restartApiServer(): Promise<void> {
    await this.stopApiServer();
    await this.startApiServer();
  }

  async stopApiServer(): Promise<void> {
    await this.#apiServer.stop("SIGKILL");
  }

  async startApiServer(): Promise<void> {
    await this.#apiServer.start();
    await this.#apiServer.ready(() => this.#isReady());
  }

  async logs(lines = 40): Promise<string> {
    const parts = [this.#etcd, this.#apiServer, ...this.#controllers].map(
      async (daemon) => `--- ${daemon.name}\n${await daemon.log(lines)}\n`,
    );
    return (await Promise.all(parts)).join("");
  }

  async stop(): Promise<void> {
    for (const daemon of [...this.#controllers, this.#apiServer, this.#etcd]) await daemon.stop("SIGKILL");
    if (this.#options.directory === undefined) await rm(this.directory, { recursive: true, force: true });
  }

  /** A self-signed certificate: the server makes it at its first start and keeps it over restarts. */
  async #isReady(): Promise<boolean> {
    const copied = await copyFile(join(this.directory, "certificates", "apiserver.crt"), this.caFile).then(
      () => true,
      () => false,
    );
    if (!copied) return false;
    return this.#read("/readyz").then(
      () => true,
      () => false,
    );
  }

  async #read(path: string): Promise<string> {
    return read(`${this.url}${path}`, await readFile(this.caFile), this.adminToken);
  }

  async #startControllers(): Promise<void> {
    this.#controllers = await Promise.all(
      CONTROLLER_PROGRAMS.map(async (name) => {
        const config = await this.kubeconfigFor(controllerIdentity(name).user);
        const daemon = this.#daemon(name, controllerArgs(name, this.directory, config));
        await daemon.start();
        return daemon;
      }),
    );
  }

  async #writeKubeconfig(path: string, user: string): Promise<void> {
    const caPem = await readFile(this.caFile, "utf8");
    await writeFile(path, kubeconfig({ url: this.url, caPem }, user, this.#token(user)), { mode: 0o600 });
  }

  #token(user: string): string {
    const token = this.#tokens.get(user);
    if (!token) throw new Error(`no identity ${user} in this control plane`);
    return token;
  }

  #daemon(name: ClusterProgram, args: string[]): Daemon {
    return new Daemon({
      name,
      program: this.binaries[name],
      args,
      logFile: join(this.directory, `${name}.log`),
    });
  }
}

const controllerIdentity = (name: string): Identity => ({ user: `system:${name}`, groups: [] });

/** Tests discard the data, so nothing has to reach the disk. */
function etcdArgs(directory: string, ports: Ports): string[] {
  const client = `http://127.0.0.1:${ports.etcd}`;
  const peer = `http://127.0.0.1:${ports.etcdPeer}`;
  return [
    ...["--name", "test", "--data-dir", join(directory, "etcd"), "--unsafe-no-fsync", "--log-level", "warn"],
    ...["--listen-client-urls", client, "--advertise-client-urls", client],
    ...[
      "--listen-peer-urls",
      peer,
      "--initial-advertise-peer-urls",
      peer,
      "--initial-cluster",
      `test=${peer}`,
    ],
  ];
}

function apiServerArgs(directory: string, ports: Ports, options: ControlPlaneOptions): string[] {
  const { bindAddress = "127.0.0.1", serviceCidr = "10.96.0.0/16" } = options;
  return [
    ...["--etcd-servers", `http://127.0.0.1:${ports.etcd}`],
    ...["--bind-address", bindAddress, "--secure-port", String(ports.apiServer)],
    ...["--advertise-address", options.advertiseAddress ?? bindAddress],
    ...["--cert-dir", join(directory, "certificates")],
    ...["--token-auth-file", join(directory, "tokens.csv"), "--authorization-mode", "Node,RBAC"],
    ...["--service-account-issuer", "https://kubernetes.default.svc"],
    ...["--service-account-key-file", join(directory, "sa.pub")],
    ...["--service-account-signing-key-file", join(directory, "sa.key")],
    ...["--service-cluster-ip-range", serviceCidr],
    ...["--enable-admission-plugins", "NodeRestriction", "--allow-privileged=true"],
    "--enable-aggregator-routing=true", // no proxy runs: webhooks are asked at the addresses of their pods
    ...["--kubelet-preferred-address-types", "InternalIP", "--profiling=false"],
    ...(options.apiServerArgs ?? []),
  ];
}

function controllerArgs(name: ClusterProgram, directory: string, config: string): string[] {
  // Without a port of their own, two control planes can run at once.
  const common = ["--kubeconfig", config, "--leader-elect=false", "--secure-port", "0"];
  if (name === "kube-scheduler") return common;
  return [
    ...common,
    ...["--root-ca-file", join(directory, "ca.crt")],
    ...["--service-account-private-key-file", join(directory, "sa.key"), "--use-service-account-credentials"],
    ...["--cert-dir", join(directory, "certificates-controller-manager")],
  ];
}

/** The body of an answer with status 200; rejects for any other. */
function read(url: string, ca: Buffer, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const call = request(url, { ca, headers, agent: false, timeout: 5000 }, async (response) => {
      const body = await text(response).catch(reject);
      if (body === undefined) return;
      if (response.statusCode === 200) resolve(body);
      else reject(new Error(`GET ${url}: status ${response.statusCode}: ${body.trim()}`));
    });
    call.once("error", reject);
    call.once("timeout", () => call.destroy(new Error(`GET ${url}: no answer`)));
    call.end();
  });
}
