/** All suites, in the order in which they start: quick suites that find most mistakes come first. */
import { findGrpcClients } from "./clients/programs.ts";
import {
  API_SERVER_PROGRAMS,
  findBinaries,
  GITOPS_PROGRAMS,
  METRICS_READERS,
} from "./control-plane/binaries.ts";
import { prepareCluster } from "./control-plane/prepare.ts";
import type { KernelName } from "./guest/kernels.ts";
import { WORKLOAD_IMAGE } from "./image/build.ts";
import { gitCheckout, networkNamespaces, programs, root, x86 } from "./runner/capabilities.ts";
import { kernelSuite, oneGuestSuite } from "./runner/guest-tests.ts";
import { findTests, nodeTestArguments, PROJECT, runCheck, runTestProcess } from "./runner/run-tests.ts";
import type { Suite } from "./runner/suite.ts";

const COMPILERS = programs("make", "clang", "g++", "bpftool");
const GUESTS = [x86, programs("qemu-system-x86_64", "busybox", "cpio", "modprobe", "xz", "setpriv")];
const NODES = [root, networkNamespaces, programs("buildah", "runc", "mmdebstrap", "go", "ip")];
const GENERATED = ["crds", "agent/**/*.gen.ts", "manifests/base", "manifests/chart/definitions"];
/** What takes longest starts first: otherwise it would run alone at the end, on one of the processors. */
const LONGEST_FIRST: KernelName[] = ["5.10", "latest", "6.12", "6.1"];
const CLUSTER_KERNELS: KernelName[] = ["6.1", "6.12"];

const tool = (name: string) => `${PROJECT}/node_modules/.bin/${name}`;

export const SUITES: Suite[] = [
  {
    name: "build",
    group: "unit",
    needs: [COMPILERS],
    async run(context) {
      for (const directory of ["bpf", "agent/native", "e2e/guest/programs", "bench/programs"]) {
        await runCheck(context, `builds ${directory}`, "make", ["-C", directory, "-j2"]);
      }
      await runCheck(context, "builds bpf for arm64", "make", ["-C", "bpf", "-j2", "arm64"]);
    },
  },
  {
    name: "format and lint",
    group: "unit",
    needs: [],
    run: (context) =>
      runCheck(context, "is formatted and free of lint", tool("biome"), ["check", "--colors=off", "."]),
  },
  {
    name: "format of C and C++",
    group: "unit",
    needs: [programs("clang-format-19")],
    run: (context) =>
      runCheck(context, "C and C++ are formatted", tool("node"), ["e2e/format-c.ts", "--check"]),
  },
  {
    name: "arrows",
    group: "unit",
    needs: [],
    run: (context) =>
      runCheck(context, "imports follow the arrows between rooms, without circles", tool("node"), [
        tool("depcruise"),
        ".",
      ]),
  },
  {
    name: "unused code",
    group: "unit",
    needs: [],
    async run(context) {
      await runCheck(context, "everything is used", tool("node"), [tool("knip")]);
      await runCheck(context, "production code is used by production code", tool("node"), [
        tool("knip"),
        "--production",
      ]);
    },
  },
  {
    name: "types",
    group: "unit",
    needs: [],
    run: (context) => runCheck(context, "type-checks", tool("tsc"), ["--noEmit", "--pretty", "false"]),
  },
  {
    name: "generated files",
    group: "unit",
    needs: [gitCheckout, programs("go")],
    async run(context) {
      // A first build takes minutes; what follows finds it.
      await findBinaries(GITOPS_PROGRAMS, context.environment, context.progress);
      await runCheck(context, "can be generated", tool("node"), ["e2e/generate.ts"]);
      await runCheck(context, "are the committed ones", "git", [
        "diff",
        "--exit-code",
        "--stat",
        "--",
        ...GENERATED,
      ]);
    },
  },
  {
    name: "unit tests",
    group: "unit",
    needs: [],
    run(context) {
      const args = ["run", "--reporter=./e2e/runner/vitest-reporter.ts"];
      return runTestProcess(context, { program: tool("vitest"), args });
    },
  },
  ...LONGEST_FIRST.map((kernel) => kernelSuite(kernel, GUESTS)),
  oneGuestSuite(GUESTS),
  {
    name: "guest command",
    group: "kernel",
    besides: "a processor",
    needs: GUESTS,
    run(context) {
      const args = nodeTestArguments(findTests("e2e/guest/*.host-test.ts"));
      return runTestProcess(context, { program: process.execPath, args });
    },
  },
  {
    name: "API server",
    group: "cluster",
    besides: "little",
    needs: [programs("go")],
    async run(context) {
      // Not within the time limit of a test: a first build takes minutes.
      await findBinaries(API_SERVER_PROGRAMS, context.environment, context.progress);
      const args = nodeTestArguments(findTests("e2e/api-server/*.api-test.ts"));
      await runTestProcess(context, { program: process.execPath, args });
    },
  },
  {
    name: "clients",
    group: "cluster",
    besides: "little",
    needs: [programs("go")],
    async run(context) {
      // Not within the time limit of a test: a first build takes minutes.
      await findGrpcClients(context.environment, context.progress);
      await findBinaries(METRICS_READERS, context.environment, context.progress);
      const args = nodeTestArguments(findTests("e2e/clients/*.client-test.ts"));
      await runTestProcess(context, { program: process.execPath, args });
    },
  },
  {
    name: "cluster parts",
    group: "cluster",
    besides: "little",
    needs: NODES,
    async run(context) {
      const { environment, progress, report } = context;
      const start = Date.now();
      await prepareCluster(CLUSTER_KERNELS, environment, progress);
      const name = "programs, images and kernels for a cluster are found or built";
      report({ file: "e2e/control-plane/prepare.ts", name, state: "passed", ms: Date.now() - start });
      const args = nodeTestArguments(findTests("e2e/image/*.image-test.ts"));
      await runTestProcess(context, { program: process.execPath, args });
    },
  },
  {
    name: "cluster",
    group: "cluster",
    needs: [...GUESTS, ...NODES],
    run(context) {
      const workload = ["--workload-image", WORKLOAD_IMAGE];
      const tests = [process.execPath, "e2e/on-cluster.ts", "--report", ...workload];
      const args = [
        "e2e/control-plane/cli.ts",
        "--nodes",
        "2",
        "--kernel",
        CLUSTER_KERNELS.join(),
        "--in-container",
        "2",
        "--",
        ...tests,
      ];
      return runTestProcess(context, { program: process.execPath, args });
    },
  },
];
