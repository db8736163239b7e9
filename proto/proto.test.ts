import { describe, expect, test } from "vitest";
import { registry } from "./descriptors.ts";

/** The fields of each message of Tetragon's API, as its clients number them. */
const UPSTREAM: Record<string, string> = {
  Image: "id=1 name=2",
  SecurityContext: "privileged=1",
  Container: "id=1 name=2 image=3 start_time=4 pid=5 maybe_exec_probe=13 security_context=14",
  Pod: "namespace=1 name=2 uid=3 container=4 pod_labels=5 workload=6 workload_kind=7 pod_annotations=8",
  Capabilities: "permitted=1 effective=2 inheritable=3",
  Namespace: "inum=1 is_host=2",
  Namespaces: "uts=1 ipc=2 mnt=3 pid=4 pid_for_children=5 net=6 time=7 time_for_children=8 cgroup=9 user=10",
  UserNamespace: "level=1 uid=2 gid=3 ns=4",
  ProcessCredentials:
    "uid=1 gid=2 euid=3 egid=4 suid=5 sgid=6 fsuid=7 fsgid=8 securebits=9 caps=10 user_ns=11",
  InodeProperties: "number=1 links=2",
  FileProperties: "inode=1 path=2",
  BinaryProperties: "setuid=1 setgid=2 privileges_changed=3 file=4",
  UserRecord: "name=1",
  EnvVar: "Key=1 Value=2",
  Process:
    "exec_id=1 pid=2 uid=3 cwd=4 binary=5 arguments=6 flags=7 start_time=8 auid=9 pod=10 docker=11 parent_exec_id=12 refcnt=13 cap=14 ns=15 tid=16 process_credentials=17 binary_properties=18 user=19 in_init_tree=20 environment_variables=21",
  ProcessExec: "process=1 parent=2 ancestors=3",
  ProcessExit: "process=1 parent=2 signal=3 status=4 time=5 ancestors=6",
  ProcessKprobe:
    "process=1 parent=2 function_name=3 args=4 return=5 action=6 kernel_stack_trace=7 policy_name=8 return_action=9 message=10 tags=11 user_stack_trace=12 ancestors=13 data=14",
  ProcessTracepoint:
    "process=1 parent=2 subsys=4 event=5 args=6 policy_name=7 action=8 message=9 tags=10 ancestors=11",
  ProcessLsm:
    "process=1 parent=2 function_name=3 policy_name=5 message=6 args=7 action=8 tags=9 ancestors=10 ima_hash=11",
  ProcessUprobe:
    "process=1 parent=2 path=3 symbol=4 policy_name=5 message=6 args=7 tags=8 ancestors=9 offset=10 ref_ctr_offset=11 action=12 data=13",
  ProcessUsdt:
    "process=1 parent=2 path=3 provider=4 name=5 policy_name=6 message=7 args=8 tags=9 ancestors=10 action=11 flags=12",
  ProcessLoader: "process=1 path=2 buildid=3 parent=4 ancestors=5",
  ProcessThrottle: "type=1 cgroup=2",
  StackTraceEntry: "address=1 offset=2 symbol=3 module=4",
  KernelModule: "name=1 signature_ok=2 tainted=3",
  RateLimitInfo: "number_of_dropped_process_events=1",
  AggregationInfo: "count=1",
  KprobeCapability: "value=1 name=2",
  KprobeUserNamespace: "level=1 owner=2 group=3 ns=4",
  KprobeCred: "permitted=1 effective=2 inheritable=3",
  KprobeLinuxBinprm: "path=1 flags=2 permission=3",
  KprobePath: "mount=1 path=2 flags=3 permission=4",
  KprobeFile: "mount=1 path=2 flags=3 permission=4",
  KprobeTruncatedBytes: "bytes_arg=1 orig_size=2",
  KprobeError: "Message=1",
  SyscallId: "id=1 abi=2",
  KprobeNetDev: "name=1",
  KprobeSock:
    "family=1 type=2 protocol=3 mark=4 priority=5 saddr=6 daddr=7 sport=8 dport=9 cookie=10 state=11",
  KprobeSkb:
    "hash=1 len=2 priority=3 mark=4 saddr=5 daddr=6 sport=7 dport=8 proto=9 sec_path_len=10 sec_path_olen=11 protocol=12 family=13",
  KprobeBpfAttr: "ProgType=1 InsnCnt=2 ProgName=3",
  KprobeBpfProg: "ProgType=1 InsnCnt=2 ProgName=3",
  KprobePerfEvent: "KprobeFunc=1 Type=2 Config=3 ProbeOffset=4",
  KprobeBpfMap: "MapType=1 KeySize=2 ValueSize=3 MaxEntries=4 MapName=5",
  GetEventsRequest: "allow_list=1 deny_list=2 aggregation_options=3 field_filters=4",
  AggregationOptions: "window_size=1 channel_buffer_size=2",
  FieldFilter: "event_set=1 fields=2 action=3 invert_event_set=4",
  Filter:
    "binary_regex=1 namespace=2 health_check=3 pid=4 pid_set=5 event_set=6 pod_regex=7 arguments_regex=8 labels=9 policy_names=10 capabilities=11 parent_binary_regex=12 cel_expression=13 parent_arguments_regex=14 container_id=15 in_init_tree=16 ancestor_binary_regex=17 container_name_regex=18 namespace_regex=19",
  CapFilter: "permitted=1 effective=2 inheritable=3",
  CapFilterSet: "any=1 all=2 exactly=3 none=4",
  RedactionFilter: "match=1 redact=2 binary_regex=3",
  GetEventsResponse:
    "process_exec=1 process_exit=5 process_kprobe=9 process_tracepoint=10 process_loader=11 process_uprobe=12 process_throttle=27 process_lsm=28 process_usdt=29 credential_drift=20000 test=40000 rate_limit_info=40001 node_name=1000 time=1001 aggregation_info=1002 cluster_name=1003 node_labels=1004",
  ListTracingPoliciesRequest: "domain=1",
  ListTracingPoliciesResponse: "policies=1",
  TracingPolicyStatus:
    "id=1 name=2 namespace=3 info=4 sensors=5 enabled=6 filter_id=7 error=8 state=9 kernel_memory_bytes=10 mode=11 stats=12 domain=13 hook_statuses=14",
  TracingPolicyStats: "action_counters=1 selector_action_counters=2",
  TracingPolicyActionCounters:
    "post=1 signal=2 monitor_signal=3 override=4 monitor_override=5 notify_enforcer=6 monitor_notify_enforcer=7 set=8 monitor_set=9 nopost=10",
  TracingPolicySelectorActionCounters:
    "hook=1 hook_index=2 selector_index=3 action_counters=4 selector_label=5",
  HookStatus: "section=1 state=2 hook_description=3 hook_idx=4",
  AddTracingPolicyRequest: "yaml=1 domain=2",
  DeleteTracingPolicyRequest: "name=1 namespace=2 domain=3",
  EnableTracingPolicyRequest: "name=1 namespace=2 domain=3",
  DisableTracingPolicyRequest: "name=1 namespace=2 domain=3",
  ConfigureTracingPolicyRequest: "name=1 namespace=2 enable=3 mode=4 domain=5",
  GetVersionResponse: "version=1",
  GetHealthStatusRequest: "event_set=1",
  GetEventLogParamsResponse: "max_size=1 rotation_interval=2 max_backups=3",
  KprobeArgument:
    "string_arg=1 int_arg=2 skb_arg=3 size_arg=4 bytes_arg=5 path_arg=6 file_arg=7 truncated_bytes_arg=8 sock_arg=9 cred_arg=10 long_arg=11 bpf_attr_arg=12 perf_event_arg=13 bpf_map_arg=14 uint_arg=15 user_namespace_arg=16 capability_arg=17 process_credentials_arg=19 user_ns_arg=20 module_arg=21 kernel_cap_t_arg=22 cap_inheritable_arg=23 cap_permitted_arg=24 cap_effective_arg=25 linux_binprm_arg=26 net_dev_arg=27 bpf_cmd_arg=28 syscall_id=29 sockaddr_arg=30 bpf_prog_arg=31 error_arg=32 sockaddrun_arg=33 label=18",
  Test: "arg0=1 arg1=2 arg2=3 arg3=4",
  KprobeSockaddr: "family=1 addr=2 port=3",
  KprobeSockaddrUn: "family=1 path=2",
  ListDomainsResponse: "domains=1",
  ListSensorsResponse: "sensors=1",
  SensorStatus: "name=1 enabled=2 collection=3",
  RemoveSensorRequest: "name=1",
  EnableSensorRequest: "name=1",
  DisableSensorRequest: "name=1",
  GetInfoResponse: "version=1 name=2 probes=3 conf=4 build=5",
  Probe: "Name=1 Enabled=2",
  ConfVal: "key=1 value=2",
  BuildInfo: "go_version=1 commit=2 time=3 modified=4",
  GetHealthStatusResponse: "health_status=1",
  HealthStatus: "event=1 status=2 details=3",
  GetDebugRequest: "flag=1 dump=2",
  DumpProcessCacheReqArgs: "skip_zero_refcnt=1 exclude_execve_map_processes=2",
  GetDebugResponse: "flag=1 level=2 processes=3",
  DumpProcessCacheResArgs: "processes=1",
  ProcessInternal: "process=1 color=2 refcnt=3 refcnt_ops=4",
  SetDebugRequest: "flag=1 level=2",
  SetDebugResponse: "flag=1 level=2",
  RuntimeHookRequest: "createContainer=1",
  CreateContainer:
    "cgroupsPath=1 rootDir=2 annotations=3 containerName=4 containerID=5 podName=6 podUID=7 podNamespace=8 containerImage=9 mounts=10",
  Mount: "destination=1 type=2 source=3 options=4",
  SetEventLogParamsRequest: "max_size=1 rotation_interval=2 max_backups=3",
};

const EMPTY = /^(List|Get).*Request$|Response$/;
const FIRST_OF_OURS = 20_000;

const messages = [...registry].filter((type) => type.kind === "message");
const upstream = messages.filter(({ file }) => file.proto.package === "tetragon");
const ours = messages.filter(({ file }) => file.proto.package === "trigon");

describe("messages of Tetragon's API", () => {
  test("are all there, and no others", () => {
    const names = upstream.map(({ name }) => name);
    expect(Object.keys(UPSTREAM).filter((name) => !names.includes(name))).toEqual([]);
    const others = upstream.filter(({ name, fields }) => !(name in UPSTREAM) && fields.length > 0);
    // Ours, but of their Process: files that import each other are not possible.
    expect(others.map(({ name }) => name)).toEqual(["CredentialDrift"]);
    const empty = upstream.filter(({ fields }) => fields.length === 0);
    for (const { name } of empty) expect(name).toMatch(EMPTY);
  });

  test.each(upstream.filter(({ name }) => name in UPSTREAM).map((type) => [type.name, type] as const))(
    "%s has upstream's numbers, and ours far from them",
    (name, { fields }) => {
      const near = fields.filter(
        ({ number, name }) => number < FIRST_OF_OURS || UPSTREAM.GetEventsResponse?.includes(`${name}=`),
      );
      expect(near.map(({ name, number }) => `${name}=${number}`).sort()).toEqual(
        UPSTREAM[name]?.split(" ").sort(),
      );
    },
  );
});

describe("our messages", () => {
  /** Fields that upstream's messages of these names have too. */
  const SUPERSETS: Record<string, string> = {
    Credentials: "ProcessCredentials",
    Capabilities: "Capabilities",
  };

  test.each(ours.map((type) => [type.name, type] as const))(
    "%s counts from 1, or on from upstream's",
    (name, { fields }) => {
      const base = UPSTREAM[SUPERSETS[name] ?? ""]?.split(" ").length;
      const wanted = fields.map(
        (_, index) => index + 1 + (base !== undefined && index >= base ? FIRST_OF_OURS - base - 1 : 0),
      );
      expect(fields.map(({ number }) => number)).toEqual(wanted);
    },
  );
});

test("services have every call of Tetragon's API", () => {
  const calls = [...registry].flatMap((type) =>
    type.kind === "service" ? type.methods.map(({ name }) => `${type.typeName}/${name}`) : [],
  );
  const sensors = [
    ...["GetEvents", "GetHealth", "AddTracingPolicy", "DeleteTracingPolicy", "ListTracingPolicies"],
    ...[
      "ConfigureTracingPolicy",
      "EnableTracingPolicy",
      "DisableTracingPolicy",
      "ListSensors",
      "EnableSensor",
    ],
    ...[
      "DisableSensor",
      "RemoveSensor",
      "ListDomains",
      "GetVersion",
      "GetInfo",
      "RuntimeHook",
      "GetDebug",
      "SetDebug",
    ],
  ].map((call) => `tetragon.FineGuidanceSensors/${call}`);
  const log = ["SetEventLogParams", "GetEventLogParams"].map((call) => `tetragon.EventLogService/${call}`);
  expect(calls.filter((call) => call.startsWith("tetragon.")).sort()).toEqual([...sensors, ...log].sort());
});
