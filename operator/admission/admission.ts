/** The admission webhook: its server, its certificate, and what API servers trust. decision-admission.md */
import { setTimeout as delay } from "node:timers/promises";
import type { KubeClient } from "../../lib/kube.ts";
import { hasStatus } from "../../lib/kube-error.ts";
import { errorText, type Logger } from "../../lib/logger.ts";
import type { KubeObject, Resource } from "../../lib/resources.ts";
import { ResourceWatch } from "../../lib/watch.ts";
import { planBundle } from "./bundle.ts";
import { type Certificate, makeCertificate, renewalMs } from "./certificate.ts";
import type { ReviewAnswer } from "./review.ts";
import { type AdmissionServer, startAdmissionServer } from "./server.ts";

/** What the webhook works with. */
export interface AdmissionDeps {
  review(body: unknown): Promise<ReviewAnswer>;
  client: KubeClient;
  logger: Logger;
  host?: string;
  port: number;
  /** Name of the ValidatingWebhookConfiguration. */
  configuration: string;
  /** Host names under which API servers reach the server. */
  names: readonly string[];
  now?: () => number;
  /** How long API servers may take to see a new bundle. */
  seenMs?: number;
}

/** A webhook that answers. */
export interface Admission {
  port: number;
  /** Makes and publishes a new certificate, then uses it; what the passing of time leads to. */
  renew(): Promise<void>;
  stop(): Promise<void>;
}

export const WEBHOOKS: Resource = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingwebhookconfigurations",
  kind: "ValidatingWebhookConfiguration",
  namespaced: false,
};
/** In that object; manifests/chart/templates/policy-webhook.yaml. */
const WEBHOOK = "policies.trigon.dev";

const FIELD_MANAGER = "trigon-operator-webhook";
const SEEN_MS = 10_000;
const RETRY_MS = 5_000;
const CHECK_MS = 3_600_000;

interface Configuration extends KubeObject {
  webhooks?: { name: string; clientConfig?: { caBundle?: string } }[];
}

/** Starts the webhook. Without rights on its configuration it answers all the same: nobody asks it then. */
export async function startAdmission(deps: AdmissionDeps): Promise<Admission> {
  const { names, logger, now = Date.now, seenMs = SEEN_MS } = deps;
  let certificate = await makeCertificate(names, now());
  const server: AdmissionServer = await startAdmissionServer({
    ...(deps.host !== undefined && { host: deps.host }),
    port: deps.port,
    certificate,
    review: deps.review,
  });
  const trust = new Trust(deps, now);
  trust.require([certificate]);
  trust.start();
  const stopped = new AbortController();
  const renew = async () => {
    const next = await makeCertificate(names, now());
    trust.require([certificate, next]);
    if (!(await trust.isPublished())) {
      trust.require([certificate]);
      throw new Error("the new one cannot be published");
    }
    await delay(seenMs, undefined, { signal: stopped.signal });
    server.setCertificate(next);
    certificate = next;
    trust.require([next]);
    logger.info("the webhook has a new certificate", { until: new Date(next.untilMs).toISOString() });
  };
  const timer = setInterval(() => {
    if (now() < renewalMs(certificate)) return;
    renew().catch((error: unknown) => logger.warn(`the webhook keeps its certificate: ${errorText(error)}`));
  }, CHECK_MS).unref();
  return {
    port: server.port,
    renew,
    stop: async () => {
      clearInterval(timer);
      stopped.abort();
      await trust.stop();
      await server.close();
    },
  };
}

/** Keeps certificates in the webhook's configuration, whatever others write there. */
class Trust {
  readonly #deps: AdmissionDeps;
  readonly #now: () => number;
  readonly #watch: ResourceWatch<Configuration>;
  #own: readonly string[] = [];
  /** Whether the bundle has what it must have after all writes so far. */
  #writing: Promise<boolean> = Promise.resolve(true);
  #isStopped = false;

  constructor(deps: AdmissionDeps, now: () => number) {
    this.#deps = deps;
    this.#now = now;
    const { client, logger, configuration } = deps;
    const fieldSelector = `metadata.name=${configuration}`;
    this.#watch = new ResourceWatch<Configuration>({ client, logger, resource: WEBHOOKS, fieldSelector });
  }

  require(certificates: readonly Certificate[]): void {
    this.#own = certificates.map(({ cert }) => cert);
    this.#update();
  }

  start(): void {
    const update = () => this.#update();
    this.#watch.start({ onAdd: update, onUpdate: update });
  }

  /** False if the bundle cannot be written now: API servers would not trust what it lacks. */
  isPublished(): Promise<boolean> {
    return this.#writing;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#watch.stop();
    await this.#writing;
  }

  #update(): void {
    if (this.#isStopped) return;
    this.#writing = this.#writing.then(() => this.#write());
  }

  /** Another operator's write in between is a conflict: the watch shows it, and this is called again. */
  async #write(): Promise<boolean> {
    const { client, logger, configuration: name } = this.#deps;
    const found = this.#watch.store.get(name);
    const webhook = found?.webhooks?.find((one) => one.name === WEBHOOK);
    if (!found || !webhook) return true;
    const caBundle = planBundle(webhook.clientConfig?.caBundle, this.#own, this.#now());
    if (caBundle === undefined) return true;
    const { resourceVersion } = found.metadata;
    const metadata = { name, ...(resourceVersion !== undefined && { resourceVersion }) };
    const object = { metadata, webhooks: [{ name: WEBHOOK, clientConfig: { caBundle } }] };
    try {
      await client.apply(WEBHOOKS, object, { fieldManager: FIELD_MANAGER });
      logger.info("API servers trust the webhook's certificate");
      return true;
    } catch (error) {
      if (hasStatus(error, 409)) return false;
      logger.warn(`the webhook's certificate is not published: ${errorText(error)}`);
      setTimeout(() => this.#update(), RETRY_MS).unref();
      return false;
    }
  }
}
