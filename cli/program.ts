/** The commands of `trigon` with their options; what a command does is loaded when it is run. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { DEFAULT_NAMESPACE } from "../crds/names.ts";
import type { ConnectionFlags } from "./connection.ts";
import { FORMATS } from "./findings.ts";
import { KERNEL_CHOICES } from "./kernels/choices.ts";
import { EXIT, type LiveStreams, UsageError } from "./streams.ts";

/** Of policies. */
const MODES = ["enforce", "monitor", "count"];

/** Runs the command line; returns the exit status. */
export async function runCommand(
  args: readonly string[],
  version: string,
  streams: LiveStreams,
): Promise<number> {
  const result = { status: EXIT.ok as number };
  const program = await makeProgram(version, streams, (status) => {
    result.status = status;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return result.status;
  } catch (error) {
    return failure(error, streams);
  }
}

function failure(error: unknown, { err, signal }: LiveStreams): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (signal.aborted) return EXIT.ok;
  err(`trigon: ${(error as Error).message}`);
  return error instanceof UsageError || isUnreadable(error) ? EXIT.usage : EXIT.failed;
}

function isUnreadable(error: unknown): boolean {
  return /^(ENOENT|EACCES|EISDIR|ENOTDIR)$/.test(String((error as NodeJS.ErrnoException).code));
}

type Done = (status: number) => void;

interface Shared {
  streams: LiveStreams;
  done: Done;
}

async function makeProgram(version: string, streams: LiveStreams, done: Done): Promise<Command> {
  const program = new Command("trigon")
    .description("Watches who changes Linux process credentials.")
    .version(version)
    .configureOutput({
      writeOut: (text) => streams.out(text.trimEnd()),
      writeErr: (text) => streams.err(text.trimEnd()),
    })
    .exitOverride()
    .showHelpAfterError("(--help shows what is possible)")
    .showSuggestionAfterError();
  const shared = { streams, done };
  addEvents(program, shared);
  addPolicies(program, shared);
  addStatus(program, shared, version);
  addValidate(program, shared);
  addExplain(program, shared);
  const { addCompletion } = await import("./completion.ts");
  example(
    addCompletion(program, streams),
    "source <(trigon completion bash)",
    "trigon completion fish | source",
  );
  return program;
}

/** An example at the end of the help. */
function example(command: Command, ...lines: string[]): void {
  command.addHelpText("after", `\nExample:\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, ...value.split(",").filter((part) => part !== "")];
}

/** A list in which commas belong to the values: patterns and expressions. */
function collectWhole(value: string, earlier: string[] = []): string[] {
  return [...earlier, value];
}

function seconds(value: string): number {
  const [, digits, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(value) ?? [];
  if (digits === undefined) throw new InvalidArgumentError("expected a duration such as 2s or 1m.");
  return (Number(digits) * ({ ms: 1, s: 1000, m: 60_000 }[unit] ?? 0)) / 1000;
}

/** tetra's flags for reaching the agent. */
function connectionFlags(command: Command): Command {
  const place = "where the agent listens: unix:///PATH or HOST:PORT";
  const usual = "Default: what the agent has written into its info file, or its usual socket.";
  return command
    .addOption(new Option("--server-address <address>", `${place}. ${usual}`).env("TRIGON_SERVER_ADDRESS"))
    .option("--tls-ca-cert-files <files>", "over TLS: who signs the agent's certificate", collect)
    .option("--tls-cert-file <file>", "over TLS: certificate of this client")
    .option("--tls-key-file <file>", "over TLS: key of that certificate")
    .option("--tls-server-name <name>", "over TLS: the name in the agent's certificate")
    .option("--tls-skip-verify", "over TLS: whatever the agent's certificate is");
}

function addEvents(program: Command, shared: Shared): void {
  const events = eventsCommand(program.command("events"), shared, "compact").description(
    "Shows events: of the agent on this node, of a file with exported events, or of the standard input (-).",
  );
  example(
    events,
    "trigon events --namespace shop --policy process-creds-changed",
    "trigon events /var/log/trigon/events.json --since 10m -e exec",
    "kubectl logs -n trigon-system ds/trigon-agent | trigon events -",
  );
  const tetra = eventsCommand(program.command("getevents"), shared, "json")
    .description(
      "The same as `tetra getevents`: JSON by default, tetra's lines with -o compact, and events from the standard input when it is a pipe.",
    )
    .addOption(new Option("--policy-names <names>", "the same as --policy").argParser(collect))
    .addOption(new Option("--namespaces <names>", "the same as --namespace").argParser(collect).hideHelp())
    .addOption(new Option("--pods <patterns>", "the same as --pod").argParser(collect).hideHelp())
    .addOption(
      new Option("--containers <patterns>", "only containers with names like this")
        .argParser(collect)
        .hideHelp(),
    )
    .addOption(new Option("--processes <patterns>", "the same as --process").argParser(collect).hideHelp())
    .option("--timestamps", "compact lines begin with the time")
    .option("-t, --tty-encode <tty>", "no effect: control characters are never passed to the terminal")
    .addOption(flag("--stack-traces [on]", "stack traces below compact lines; =false leaves them out"))
    .addOption(flag("--ima-hash [on]", "IMA hashes below compact lines; =false leaves them out"));
  example(tetra, "trigon getevents -o json --pod demo | jq .process_kprobe.function_name");
}

/** A flag that is on by default and can be given as --name=false, as tetra's. */
function flag(flags: string, description: string): Option {
  const parse = (value: string) => {
    if (value === "true" || value === "false") return value === "true";
    throw new InvalidArgumentError("expected true or false.");
  };
  return new Option(flags, description).argParser(parse).preset("true").default(true);
}

/** Several of them with commas in between; tetra's long names are taken as well. */
function eventTypes(): Option {
  const option = new Option("-e, --event-types <types>", "only events of these types").argParser(collect);
  option.argChoices = ["exec", "exit", "kprobe", "tracepoint", "lsm", "rate_limit_info"];
  return option;
}

function eventsCommand(command: Command, { streams, done }: Shared, output: "compact" | "json"): Command {
  return connectionFlags(command)
    .argument(
      "[file]",
      "exported events, one JSON object per line, also with gzip (.gz); - is the standard input",
    )
    .addOption(
      new Option("-o, --output <format>", "form of the events").choices(["compact", "json"]).default(output),
    )
    .addOption(
      new Option("--color <when>", "colours in compact lines")
        .choices(["auto", "always", "never"])
        .default("auto"),
    )
    .option("-n, --namespace <names>", "only pods of these namespaces", collect)
    .option("--namespace-regex <pattern>", "only pods of namespaces like this (RE2)", collectWhole)
    .option("--host", "only processes that are in no pod")
    .option("--pod <pattern>", "only pods with names like this (RE2)", collectWhole)
    .option("--process <pattern>", "only binaries like this (RE2)", collectWhole)
    .option("--policy <names>", "only events of these policies", collect)
    .addOption(eventTypes())
    .option(
      "--cel-expression <expression>",
      "only events for which this is true; the agent evaluates it",
      collectWhole,
    )
    .option("-f, --include-fields <paths>", "only these fields, such as process.binary", collect)
    .option("-F, --exclude-fields <paths>", "without these fields", collect)
    .option("--since <time>", "of a file: not what is older than 10m, 2h or a time (RFC 3339)")
    .option("--reconnect", "connect again when the agent ends")
    .option("--reconnect-wait <duration>", "how long to wait before that", seconds, 2)
    .action(
      async (file: string | undefined, { policyNames, namespaces, pods, processes, ...options }, self) => {
        const { events } = await import("./events/events.ts");
        const isTetra = self.name() === "getevents";
        const selection = {
          ...options,
          policy: [...(options.policy ?? []), ...(policyNames ?? [])],
          namespace: [...(options.namespace ?? []), ...(namespaces ?? [])],
          pod: [...(options.pod ?? []), ...(pods ?? [])],
          process: [...(options.process ?? []), ...(processes ?? [])],
          ...(isTetra && { tetra: { timestamps: options.timestamps === true, ...options } }),
        };
        const piped = isTetra && options.serverAddress === undefined && streams.isPiped();
        done(await events(file ?? (piped ? "-" : undefined), selection, streams));
      },
    );
}

function addPolicies(program: Command, shared: Shared): void {
  const policies = program
    .command("policies")
    .aliases(["tracingpolicy", "tp"])
    .description("Policies on this node, over the agent's socket.");
  example(policies, "trigon policies list", "trigon policies add policy.yaml --mode monitor");
  const command = (name: string, description: string, ...examples: string[]) => {
    const made = connectionFlags(policies.command(name).description(description));
    made.option("--timeout <duration>", "how long the agent may take", seconds, 60);
    example(made, ...examples);
    return made;
  };
  const domain = [
    "--domain <name>",
    "domain that the policy is in: k8s, static, grpc or one given when it was added",
  ] as const;
  const namespace = [
    "-n, --namespace <name>",
    "namespace of the policy, if it is a TracingPolicyNamespaced",
  ] as const;

  command(
    "list",
    "Policies with state, mode and counts, and what is wrong with them.",
    "trigon policies list -o json",
  )
    .addOption(
      new Option("-o, --output <format>", "form of the list").choices(["text", "json"]).default("text"),
    )
    .option(...domain)
    .action((options) =>
      withAgent(shared, options, async (client) =>
        (await import("./policies.ts")).listPolicies(client, options, shared.streams),
      ),
    );
  command(
    "add",
    "Adds the policy of each file; - is the standard input.",
    "trigon policies add policy.yaml --mode monitor",
  )
    .argument("<files...>")
    .addOption(new Option("-m, --mode <mode>", "instead of the file's own mode").choices(MODES))
    .option(...domain)
    .action((files, options) =>
      withAgent(shared, options, async (client) =>
        (await import("./policies.ts")).addPolicies(client, files, options, shared.streams),
      ),
    );
  command("delete", "Deletes policies that were added over the socket.", "trigon policies delete my-policy")
    .argument("<names...>")
    .option(...namespace)
    .option(...domain)
    .action((names, options) =>
      withAgent(shared, options, async (client) =>
        (await import("./policies.ts")).deletePolicies(client, names, choice(options), shared.streams),
      ),
    );
  for (const [name, enable, what] of [
    ["enable", true, "Lets a policy run again on this node."],
    ["disable", false, "Keeps a policy from running on this node."],
  ] as const) {
    command(name, what, `trigon policies ${name} my-policy`)
      .argument("<name>")
      .option(...namespace)
      .option(...domain)
      .action((policy, options) =>
        withAgent(shared, options, async (client) =>
          (await import("./policies.ts")).configurePolicy(
            client,
            policy,
            { enable },
            choice(options),
            shared.streams,
          ),
        ),
      );
  }
  command(
    "mode",
    "Makes a policy enforce, report without enforcing (monitor), or only count its events (count).",
    "trigon policies mode my-policy count",
  )
    .alias("set-mode")
    .argument("<name>")
    .addArgument(program.createArgument("<mode>").choices(MODES))
    .option(...namespace)
    .option(...domain)
    .action((policy, mode, options) =>
      withAgent(shared, options, async (client) =>
        (await import("./policies.ts")).configurePolicy(
          client,
          policy,
          { mode },
          choice(options),
          shared.streams,
        ),
      ),
    );
  command("domains", "Domains that policies come from.", "trigon policies domains").action((options) =>
    withAgent(shared, options, async (client) =>
      (await import("./policies.ts")).listDomains(client, shared.streams),
    ),
  );
}

function choice({ namespace, domain }: { namespace?: string; domain?: string }) {
  return { ...(namespace !== undefined && { namespace }), ...(domain !== undefined && { domain }) };
}

type Agent = import("./client.ts").AgentClient;

async function withAgent(
  { done }: Shared,
  options: ConnectionFlags & { timeout: number },
  run: (client: Agent) => Promise<number>,
): Promise<void> {
  const [{ AgentClient }, { connectionOf }] = await Promise.all([
    import("./client.ts"),
    import("./connection.ts"),
  ]);
  const client = new AgentClient(connectionOf(options), options.timeout * 1000);
  try {
    done(await run(client));
  } finally {
    client.close();
  }
}

function addStatus(program: Command, { streams, done }: Shared, version: string): void {
  const command = program
    .command("status")
    .description("Policies and nodes of the cluster: what runs, what fails and why, losses, versions.")
    .addOption(
      new Option("-o, --output <format>", "form of the answer").choices(["text", "json"]).default("text"),
    )
    .addOption(new Option("--kubeconfig <file>", "how to reach the API server").env("KUBECONFIG"))
    .option("-n, --namespace <name>", "namespace of the agents", DEFAULT_NAMESPACE)
    .option("--wait <duration>", "wait so long until every policy is ready", seconds)
    .addHelpText(
      "after",
      "\nExit status: 0 every policy is ready and there is an agent, 1 not so, 2 usage error.",
    )
    .action(async ({ kubeconfig, ...options }) => {
      const [{ connectToCluster }, { status }] = await Promise.all([
        import("./cluster.ts"),
        import("./status/status.ts"),
      ]);
      const client = await connectToCluster(kubeconfig, version);
      try {
        done(await status(client, options, streams));
      } finally {
        client.transport.close();
      }
    });
  example(command, "trigon status --wait 2m && echo ready");
}

const VALIDATE = `
Reads files, all *.yaml, *.yml and *.json files below directories, and standard input (-). Each item of a List, as
\`kubectl get -o yaml\` prints it, is checked. Below directories it leaves out hidden directories, kustomization.yaml
and documents that are no policies; the last line counts these documents.

Prints each problem as

  FILE:LINE:COLUMN: FIELD: what is wrong and what would be right

and warnings likewise, marked as such. Of four kernels of Debian (x86_64) the names of all functions and tracepoints are
known, and the prototypes of functions around credentials and the members of their structures, which are compared. What
some or all of them lack is a warning: other kernels and modules may have it. With --kernel, what this one lacks or
refuses is an error; hooks that the policy says may be missing are warnings.

Exit status: 0 all policies are valid, 1 some are not, 2 usage error or unreadable path.`;

function addValidate(program: Command, { streams, done }: Shared): void {
  const command = program
    .command("validate")
    .description("Checks policies as the cluster would: schema, then meaning.")
    .argument("<paths...>", "files, directories, or - for the standard input")
    .option(
      "--strict",
      "read hidden directories too, and take documents that are no policies for errors",
      false,
    )
    .addOption(
      new Option("-o, --output <format>", "github: annotations of a pull request; sarif: for code scanning")
        .choices(FORMATS)
        .default("text"),
    )
    .addOption(
      new Option("--kernel <version>", "report hooks that this kernel lacks").choices(KERNEL_CHOICES),
    )
    .addHelpText("after", VALIDATE)
    .action(async (paths: string[], options) => {
      const { validate } = await import("./validate.ts");
      done(await validate(paths, options, streams));
    });
  example(command, "trigon validate policies/ -o github", "trigon validate --kernel 5.10 policy.yaml");
}

function addExplain(program: Command, { streams, done }: Shared): void {
  const command = program
    .command("explain")
    .description("What a policy attaches, filters in the kernel and posts, and what that costs.")
    .argument("<file>", "a policy, or - for the standard input")
    .option("--events <file>", "exported events: how many of them each selector would have posted")
    .addHelpText(
      "after",
      "\nAn export has only what the policies of that time posted: calls that they filtered are not in it.",
    )
    .action(async (file: string, { events }: { events?: string }) => {
      const { explain } = await import("./explain/explain.ts");
      done(await explain(file, events, streams));
    });
  example(command, "trigon explain policy.yaml --events events.json");
}
