/** Remote calls about policies. */
import { status } from "@grpc/grpc-js";
import { type PolicyRef, policyKey } from "../../crds/names.ts";
import { isEnforcing } from "../hooks/config/selectors.ts";
import type { AttachedHook, Mode } from "../hooks/engine.ts";
import type { HookCounts } from "../metrics/kernel-metrics.ts";
import type { PolicyOutcome } from "../policies/outcome.ts";
import type { Override, PolicyOverrides } from "../policies/overrides.ts";
import type { ApiSource } from "../policies/sources/api.ts";
import { type CompiledPolicy, compileText, PolicyTextError } from "../policies/sources/policy-text.ts";
import type { DesiredPolicy, SpecSource } from "../policies/sources/source.ts";
import { policyStatus, refOf } from "./policy-status.ts";
import type { Request, UnaryHandler } from "./service.ts";
import { CallError } from "./status.ts";

/** What runs, as the reconciler knows it. */
export interface RunningPolicies {
  outcomes(): readonly PolicyOutcome[];
  hooks(): readonly { policy: PolicyRef; hook: AttachedHook }[];
  counts(): readonly HookCounts[];
  /** Why policies cannot be changed yet. */
  starting(): string | undefined;
  /** Calls the listener each time a policy has been brought to what is wanted; returns what ends that. */
  onTried(listener: (key: string) => void): () => void;
}

/** What the calls need. */
export interface PolicyApiDeps {
  source: ApiSource;
  overrides: PolicyOverrides;
  /** All sources with the changes of clients in them, the API's among them. */
  sources: readonly SpecSource[];
  running: RunningPolicies;
}

/** Domain of policies that are added without one, and those that clients cannot add to. */
const DEFAULT_DOMAIN = "grpc";
const RESERVED = { k8s: "ConfigMaps", static: "files" } as const;
/** How long a policy may take to attach before the client is answered. */
const PATIENCE_MS = 60_000;
const MAX_YAML_BYTES = 1 << 20;
const MODES: Readonly<Record<string, Mode>> = { TP_MODE_ENFORCE: "enforce", TP_MODE_MONITOR: "monitor" };

/** Adds, lists and changes policies. */
export class PolicyApi {
  readonly #deps: PolicyApiDeps;
  readonly #ids = new Map<string, number>();

  constructor(deps: PolicyApiDeps) {
    this.#deps = deps;
  }

  /** By the names of the calls. */
  handlers(): Record<string, UnaryHandler> {
    return {
      AddTracingPolicy: (request) => this.#add(request),
      DeleteTracingPolicy: (request) => this.#delete(request),
      ListTracingPolicies: ({ domain = "" }) => ({ policies: this.#list(String(domain)) }),
      ConfigureTracingPolicy: (request) => this.#configure(request),
      ListDomains: () => ({ domains: this.#domains() }),
    };
  }

  /** Answers when the policy is attached; one that does not attach is not kept. */
  async #add({ yaml = "", domain = "" }: Request): Promise<object> {
    this.#refuseWhileStarting();
    const wanted = this.#compile(String(yaml), String(domain) || DEFAULT_DOMAIN);
    const { source, running } = this.#deps;
    await this.#change(wanted.key, () => source.add(wanted));
    const outcome = running.outcomes().find(({ ref }) => policyKey(ref) === wanted.key);
    if (outcome?.state !== "Failed") return {};
    await this.#change(wanted.key, () => source.remove(wanted.key));
    throw new CallError(status.FAILED_PRECONDITION, `${wanted.key}: ${outcome.message}`);
  }

  #compile(yaml: string, domain: string): CompiledPolicy {
    if (domain in RESERVED) {
      throw new CallError(
        status.INVALID_ARGUMENT,
        `domain: ${domain} is reserved for policies of other sources`,
      );
    }
    const size = Buffer.byteLength(yaml);
    if (size > MAX_YAML_BYTES) {
      throw new CallError(
        status.INVALID_ARGUMENT,
        `yaml: has ${size} bytes, and ${MAX_YAML_BYTES} is the limit`,
      );
    }
    const compiled = compileOrRefuse(yaml, domain);
    const known = this.#find(compiled.key);
    if (!known) return compiled;
    throw new CallError(status.ALREADY_EXISTS, `${compiled.key} is already given by ${known.desired.origin}`);
  }

  async #delete(request: Request): Promise<object> {
    const { key, domain, desired } = this.#named(request);
    const { source, overrides } = this.#deps;
    if (source.domainOf(key) === undefined) {
      const where = `${key} is of domain ${domain}: it goes when ${desired.origin} does`;
      throw new CallError(status.FAILED_PRECONDITION, where);
    }
    await this.#change(key, () => source.remove(key));
    overrides.forget(key);
    return {};
  }

  async #configure(request: Request): Promise<object> {
    const { key, desired } = this.#named(request);
    const change: Override = {
      ...(request.enable !== undefined && { isDisabled: request.enable === false }),
      ...modeChange(request),
    };
    if (Object.keys(change).length === 0) {
      throw new CallError(status.INVALID_ARGUMENT, "enable or mode: expected one of the two at least");
    }
    if (change.mode && !("spec" in desired)) {
      const why =
        "problem" in desired ? desired.problem : "the nodeSelector of the policy excludes this node";
      throw new CallError(status.FAILED_PRECONDITION, why);
    }
    refuseModeOfMonitor(desired, change);
    await this.#change(key, () => this.#deps.overrides.change(key, change));
    return {};
  }

  /** Makes a change and waits until it has had its effect. */
  async #change(key: string, change: () => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const end = this.#deps.running.onTried((tried) => {
      if (tried === key) resolve();
    });
    const late = new CallError(
      status.DEADLINE_EXCEEDED,
      `${key} is not attached yet: see ListTracingPolicies`,
    );
    const timer = setTimeout(() => reject(late), PATIENCE_MS);
    try {
      change();
      await promise;
    } finally {
      end();
      clearTimeout(timer);
    }
  }

  #list(domain: string): object[] {
    const { running } = this.#deps;
    const outcomes = new Map(running.outcomes().map((outcome) => [policyKey(outcome.ref), outcome]));
    const hooks = Map.groupBy(running.hooks(), ({ policy }) => policyKey(policy));
    const counts = Map.groupBy(
      running.counts().flatMap((one) => (one.policy ? [{ key: policyKey(one.policy), one }] : [])),
      ({ key }) => key,
    );
    return this.#all()
      .filter((policy) => domain === "" || policy.domain === domain)
      .map(({ key, ...policy }) =>
        policyStatus({
          ...policy,
          id: this.#idOf(key),
          outcome: outcomes.get(key),
          memoryBytes: (hooks.get(key) ?? []).reduce((sum, { hook }) => sum + hook.memoryBytes(), 0),
          counts: (counts.get(key) ?? []).map(({ one }) => one),
        }),
      );
  }

  #domains(): string[] {
    return [...new Set(this.#all().map(({ domain }) => domain))].sort();
  }

  #all(): { key: string; domain: string; desired: DesiredPolicy }[] {
    const { sources } = this.#deps;
    const all = new Map<string, { key: string; domain: string; desired: DesiredPolicy }>();
    for (const source of sources) {
      for (const [key, desired] of source.desired() ?? []) {
        if (!all.has(key)) all.set(key, { key, domain: this.#domainOf(source, key), desired });
      }
    }
    return [...all.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #domainOf(source: SpecSource, key: string): string {
    const reserved = Object.entries(RESERVED).find(([, name]) => name === source.name);
    return reserved?.[0] ?? this.#deps.source.domainOf(key) ?? DEFAULT_DOMAIN;
  }

  #find(key: string) {
    return this.#all().find((policy) => policy.key === key);
  }

  /** The policy that a request is about; a domain that is given must be its own. */
  #named({ name = "", namespace = "", domain = "" }: Request) {
    this.#refuseWhileStarting();
    if (name === "") throw new CallError(status.INVALID_ARGUMENT, "name: expected the name of a policy");
    const key = policyKey(refOf(String(name), String(namespace)));
    const found = this.#find(key);
    if (!found) throw new CallError(status.NOT_FOUND, `there is no ${key} on this node`);
    if (domain !== "" && domain !== found.domain) {
      throw new CallError(
        status.NOT_FOUND,
        `there is no ${key} in the domain ${domain}: it is in ${found.domain}`,
      );
    }
    return found;
  }

  #refuseWhileStarting(): void {
    const starting = this.#deps.running.starting();
    if (starting !== undefined) throw new CallError(status.UNAVAILABLE, `the agent is starting: ${starting}`);
  }

  #idOf(key: string): number {
    const id = this.#ids.get(key) ?? this.#ids.size + 1;
    this.#ids.set(key, id);
    return id;
  }
}

function compileOrRefuse(yaml: string, domain: string): CompiledPolicy {
  try {
    return compileText(yaml, domain);
  } catch (error) {
    if (error instanceof PolicyTextError) throw new CallError(status.INVALID_ARGUMENT, error.message);
    throw error;
  }
}

/** Upstream's modes know no counting: it is a monitor that posts nothing. */
function modeChange({ mode: name, count_only: isCountOnly = false }: Request): Pick<Override, "mode"> {
  const mode = name === undefined ? undefined : modeOf(String(name));
  if (!isCountOnly) return mode ? { mode } : {};
  if (mode === "monitor") return { mode: "count" };
  throw new CallError(status.INVALID_ARGUMENT, "count_only: expected together with mode TP_MODE_MONITOR");
}

/** Such a policy has one mode, unless it only counts. */
function refuseModeOfMonitor(desired: DesiredPolicy, { mode }: Override): void {
  if (mode === undefined || mode === "count" || !("spec" in desired)) return;
  if (desired.spec.mode === "count" || desired.spec.hooks.some(isEnforcing)) return;
  const why = "cannot set policy mode on a policy that is monitor only: none of its actions is enforced";
  throw new CallError(status.FAILED_PRECONDITION, why);
}

function modeOf(name: string): Mode {
  const mode = MODES[name];
  if (mode) return mode;
  throw new CallError(
    status.INVALID_ARGUMENT,
    `mode: ${name} is neither TP_MODE_ENFORCE nor TP_MODE_MONITOR`,
  );
}
