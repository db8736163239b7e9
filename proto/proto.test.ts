import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { registry } from "./descriptors.ts";

/**
 * The fields of each message of Tetragon's API, as its clients number and read them. s: string, b: bool, u and i: unsigned and
 * signed integers, W: their wrappers, *: repeated, ?: absence is told from zero.
 */
const UPSTREAM: Record<string, string> = {
  Image: "id=1:s name=2:s",
  SecurityContext: "privileged=1:b",
  Container:
    "id=1:s name=2:s image=3:Image start_time=4:Timestamp pid=5:W32 maybe_exec_probe=13:b security_context=14:SecurityContext",
  Pod: "namespace=1:s name=2:s uid=3:s container=4:Container pod_labels=5:map<s,s> workload=6:s workload_kind=7:s pod_annotations=8:map<s,s>",
  Capabilities: "permitted=1:CapabilitiesType* effective=2:CapabilitiesType* inheritable=3:CapabilitiesType*",
  Namespace: "inum=1:u32 is_host=2:b",
  Namespaces:
    "uts=1:Namespace ipc=2:Namespace mnt=3:Namespace pid=4:Namespace pid_for_children=5:Namespace net=6:Namespace time=7:Namespace time_for_children=8:Namespace cgroup=9:Namespace user=10:Namespace",
  UserNamespace: "level=1:WI32 uid=2:W32 gid=3:W32 ns=4:Namespace",
  ProcessCredentials:
    "uid=1:W32 gid=2:W32 euid=3:W32 egid=4:W32 suid=5:W32 sgid=6:W32 fsuid=7:W32 fsgid=8:W32 securebits=9:SecureBitsType* caps=10:Capabilities user_ns=11:UserNamespace",
  InodeProperties: "number=1:u64 links=2:W32",
  FileProperties: "inode=1:InodeProperties path=2:s",
  BinaryProperties:
    "setuid=1:W32 setgid=2:W32 privileges_changed=3:ProcessPrivilegesChanged* file=4:FileProperties",
  UserRecord: "name=1:s",
  EnvVar: "Key=1:s Value=2:s",
  Process:
    "exec_id=1:s pid=2:W32 uid=3:W32 cwd=4:s binary=5:s arguments=6:s flags=7:s start_time=8:Timestamp auid=9:W32 pod=10:Pod docker=11:s parent_exec_id=12:s refcnt=13:u32 cap=14:Capabilities ns=15:Namespaces tid=16:W32 process_credentials=17:ProcessCredentials binary_properties=18:BinaryProperties user=19:UserRecord in_init_tree=20:WB environment_variables=21:EnvVar*",
  ProcessExec: "process=1:Process parent=2:Process ancestors=3:Process*",
  ProcessExit:
    "process=1:Process parent=2:Process signal=3:s status=4:u32 time=5:Timestamp ancestors=6:Process*",
  ProcessKprobe:
    "process=1:Process parent=2:Process function_name=3:s args=4:KprobeArgument* return=5:KprobeArgument action=6:KprobeAction kernel_stack_trace=7:StackTraceEntry* policy_name=8:s return_action=9:KprobeAction message=10:s tags=11:s* user_stack_trace=12:StackTraceEntry* ancestors=13:Process* data=14:KprobeArgument*",
  ProcessTracepoint:
    "process=1:Process parent=2:Process subsys=4:s event=5:s args=6:KprobeArgument* policy_name=7:s action=8:KprobeAction message=9:s tags=10:s* ancestors=11:Process*",
  ProcessLsm:
    "process=1:Process parent=2:Process function_name=3:s policy_name=5:s message=6:s args=7:KprobeArgument* action=8:KprobeAction tags=9:s* ancestors=10:Process* ima_hash=11:s",
  ProcessUprobe:
    "process=1:Process parent=2:Process path=3:s symbol=4:s policy_name=5:s message=6:s args=7:KprobeArgument* tags=8:s* ancestors=9:Process* offset=10:u64 ref_ctr_offset=11:u64 action=12:KprobeAction data=13:KprobeArgument*",
  ProcessUsdt:
    "process=1:Process parent=2:Process path=3:s provider=4:s name=5:s policy_name=6:s message=7:s args=8:KprobeArgument* tags=9:s* ancestors=10:Process* action=11:KprobeAction flags=12:s",
  ProcessLoader: "process=1:Process path=2:s buildid=3:bytes parent=4:Process ancestors=5:Process*",
  ProcessThrottle: "type=1:ThrottleType cgroup=2:s",
  StackTraceEntry: "address=1:u64 offset=2:u64 symbol=3:s module=4:s",
  KernelModule: "name=1:s signature_ok=2:WB tainted=3:TaintedBitsType*",
  RateLimitInfo: "number_of_dropped_process_events=1:u64",
  AggregationInfo: "count=1:u64",
  KprobeCapability: "value=1:WI32 name=2:s",
  KprobeUserNamespace: "level=1:WI32 owner=2:W32 group=3:W32 ns=4:Namespace",
  KprobeCred: "permitted=1:CapabilitiesType* effective=2:CapabilitiesType* inheritable=3:CapabilitiesType*",
  KprobeLinuxBinprm: "path=1:s flags=2:s permission=3:s",
  KprobePath: "mount=1:s path=2:s flags=3:s permission=4:s",
  KprobeFile: "mount=1:s path=2:s flags=3:s permission=4:s",
  KprobeTruncatedBytes: "bytes_arg=1:bytes orig_size=2:u64",
  KprobeError: "Message=1:s",
  SyscallId: "id=1:u32 abi=2:s",
  KprobeNetDev: "name=1:s",
  KprobeSock:
    "family=1:s type=2:s protocol=3:s mark=4:u32 priority=5:u32 saddr=6:s daddr=7:s sport=8:u32 dport=9:u32 cookie=10:u64 state=11:s",
  KprobeSkb:
    "hash=1:u32 len=2:u32 priority=3:u32 mark=4:u32 saddr=5:s daddr=6:s sport=7:u32 dport=8:u32 proto=9:u32 sec_path_len=10:u32 sec_path_olen=11:u32 protocol=12:s family=13:s",
  KprobeBpfAttr: "ProgType=1:s InsnCnt=2:u32 ProgName=3:s",
  KprobeBpfProg: "ProgType=1:s InsnCnt=2:u32 ProgName=3:s",
  KprobePerfEvent: "KprobeFunc=1:s Type=2:s Config=3:u64 ProbeOffset=4:u64",
  KprobeBpfMap: "MapType=1:s KeySize=2:u32 ValueSize=3:u32 MaxEntries=4:u32 MapName=5:s",
  GetEventsRequest:
    "allow_list=1:Filter* deny_list=2:Filter* aggregation_options=3:AggregationOptions field_filters=4:FieldFilter*",
  AggregationOptions: "window_size=1:Duration channel_buffer_size=2:u64",
  FieldFilter: "event_set=1:EventType* fields=2:FieldMask action=3:FieldFilterAction invert_event_set=4:WB",
  Filter:
    "binary_regex=1:s* namespace=2:s* health_check=3:WB pid=4:u32* pid_set=5:u32* event_set=6:EventType* pod_regex=7:s* arguments_regex=8:s* labels=9:s* policy_names=10:s* capabilities=11:CapFilter parent_binary_regex=12:s* cel_expression=13:s* parent_arguments_regex=14:s* container_id=15:s* in_init_tree=16:WB ancestor_binary_regex=17:s* container_name_regex=18:s* namespace_regex=19:s*",
  CapFilter: "permitted=1:CapFilterSet effective=2:CapFilterSet inheritable=3:CapFilterSet",
  CapFilterSet:
    "any=1:CapabilitiesType* all=2:CapabilitiesType* exactly=3:CapabilitiesType* none=4:CapabilitiesType*",
  RedactionFilter: "match=1:Filter* redact=2:s* binary_regex=3:s*",
  GetEventsResponse:
    "process_exec=1:ProcessExec process_exit=5:ProcessExit process_kprobe=9:ProcessKprobe process_tracepoint=10:ProcessTracepoint process_loader=11:ProcessLoader process_uprobe=12:ProcessUprobe process_throttle=27:ProcessThrottle process_lsm=28:ProcessLsm process_usdt=29:ProcessUsdt credential_drift=20000:CredentialDrift test=40000:Test rate_limit_info=40001:RateLimitInfo node_name=1000:s time=1001:Timestamp aggregation_info=1002:AggregationInfo cluster_name=1003:s node_labels=1004:map<s,s>",
  ListTracingPoliciesRequest: "domain=1:s",
  ListTracingPoliciesResponse: "policies=1:TracingPolicyStatus*",
  TracingPolicyStatus:
    "id=1:u64 name=2:s namespace=3:s info=4:s sensors=5:s* enabled=6:b filter_id=7:u64 error=8:s state=9:TracingPolicyState kernel_memory_bytes=10:u64 mode=11:TracingPolicyMode stats=12:TracingPolicyStats? domain=13:s hook_statuses=14:HookStatus*",
  TracingPolicyStats:
    "action_counters=1:TracingPolicyActionCounters selector_action_counters=2:TracingPolicySelectorActionCounters*",
  TracingPolicyActionCounters:
    "post=1:u64 signal=2:u64 monitor_signal=3:u64 override=4:u64 monitor_override=5:u64 notify_enforcer=6:u64 monitor_notify_enforcer=7:u64 set=8:u64 monitor_set=9:u64 nopost=10:u64",
  TracingPolicySelectorActionCounters:
    "hook=1:s hook_index=2:W32 selector_index=3:W32 action_counters=4:TracingPolicyActionCounters selector_label=5:s",
  HookStatus: "section=1:s state=2:HookState hook_description=3:s hook_idx=4:u32",
  AddTracingPolicyRequest: "yaml=1:s domain=2:s",
  DeleteTracingPolicyRequest: "name=1:s namespace=2:s domain=3:s",
  EnableTracingPolicyRequest: "name=1:s namespace=2:s domain=3:s",
  DisableTracingPolicyRequest: "name=1:s namespace=2:s domain=3:s",
  ConfigureTracingPolicyRequest: "name=1:s namespace=2:s enable=3:b? mode=4:TracingPolicyMode? domain=5:s",
  GetVersionResponse: "version=1:s",
  GetHealthStatusRequest: "event_set=1:HealthStatusType*",
  GetEventLogParamsResponse: "max_size=1:i32 rotation_interval=2:s max_backups=3:i32",
  KprobeArgument:
    "string_arg=1:s int_arg=2:i32 skb_arg=3:KprobeSkb size_arg=4:u64 bytes_arg=5:bytes path_arg=6:KprobePath file_arg=7:KprobeFile truncated_bytes_arg=8:KprobeTruncatedBytes sock_arg=9:KprobeSock cred_arg=10:KprobeCred long_arg=11:i64 bpf_attr_arg=12:KprobeBpfAttr perf_event_arg=13:KprobePerfEvent bpf_map_arg=14:KprobeBpfMap uint_arg=15:u32 user_namespace_arg=16:KprobeUserNamespace capability_arg=17:KprobeCapability process_credentials_arg=19:ProcessCredentials user_ns_arg=20:UserNamespace module_arg=21:KernelModule kernel_cap_t_arg=22:s cap_inheritable_arg=23:s cap_permitted_arg=24:s cap_effective_arg=25:s linux_binprm_arg=26:KprobeLinuxBinprm net_dev_arg=27:KprobeNetDev bpf_cmd_arg=28:BpfCmd syscall_id=29:SyscallId sockaddr_arg=30:KprobeSockaddr bpf_prog_arg=31:KprobeBpfProg error_arg=32:KprobeError sockaddrun_arg=33:KprobeSockaddrUn label=18:s",
  Test: "arg0=1:u64 arg1=2:u64 arg2=3:u64 arg3=4:u64",
  KprobeSockaddr: "family=1:s addr=2:s port=3:u32",
  KprobeSockaddrUn: "family=1:s path=2:s",
  ListDomainsResponse: "domains=1:s*",
  ListSensorsResponse: "sensors=1:SensorStatus*",
  SensorStatus: "name=1:s enabled=2:b collection=3:s",
  RemoveSensorRequest: "name=1:s",
  EnableSensorRequest: "name=1:s",
  DisableSensorRequest: "name=1:s",
  GetInfoResponse: "version=1:s name=2:s probes=3:Probe* conf=4:ConfVal* build=5:BuildInfo",
  Probe: "Name=1:s Enabled=2:WB",
  ConfVal: "key=1:s value=2:Any",
  BuildInfo: "go_version=1:s commit=2:s time=3:s modified=4:s",
  GetHealthStatusResponse: "health_status=1:HealthStatus*",
  HealthStatus: "event=1:HealthStatusType status=2:HealthStatusResult details=3:s",
  GetDebugRequest: "flag=1:ConfigFlag dump=2:DumpProcessCacheReqArgs",
  DumpProcessCacheReqArgs: "skip_zero_refcnt=1:b exclude_execve_map_processes=2:b",
  GetDebugResponse: "flag=1:ConfigFlag level=2:LogLevel processes=3:DumpProcessCacheResArgs",
  DumpProcessCacheResArgs: "processes=1:ProcessInternal*",
  ProcessInternal: "process=1:Process color=2:s refcnt=3:W32 refcnt_ops=4:map<s,i32>",
  SetDebugRequest: "flag=1:ConfigFlag level=2:LogLevel",
  SetDebugResponse: "flag=1:ConfigFlag level=2:LogLevel",
  RuntimeHookRequest: "createContainer=1:CreateContainer",
  CreateContainer:
    "cgroupsPath=1:s rootDir=2:s annotations=3:map<s,s> containerName=4:s containerID=5:s podName=6:s podUID=7:s podNamespace=8:s containerImage=9:s mounts=10:Mount*",
  Mount: "destination=1:s type=2:s source=3:s options=4:s*",
  SetEventLogParamsRequest: "max_size=1:i32? rotation_interval=2:s? max_backups=3:i32?",
};

/** The values of its enumerations. */
const UPSTREAM_ENUMS: Record<string, string> = {
  CapabilitiesType:
    "CAP_CHOWN=0 DAC_OVERRIDE=1 CAP_DAC_READ_SEARCH=2 CAP_FOWNER=3 CAP_FSETID=4 CAP_KILL=5 CAP_SETGID=6 CAP_SETUID=7 CAP_SETPCAP=8 CAP_LINUX_IMMUTABLE=9 CAP_NET_BIND_SERVICE=10 CAP_NET_BROADCAST=11 CAP_NET_ADMIN=12 CAP_NET_RAW=13 CAP_IPC_LOCK=14 CAP_IPC_OWNER=15 CAP_SYS_MODULE=16 CAP_SYS_RAWIO=17 CAP_SYS_CHROOT=18 CAP_SYS_PTRACE=19 CAP_SYS_PACCT=20 CAP_SYS_ADMIN=21 CAP_SYS_BOOT=22 CAP_SYS_NICE=23 CAP_SYS_RESOURCE=24 CAP_SYS_TIME=25 CAP_SYS_TTY_CONFIG=26 CAP_MKNOD=27 CAP_LEASE=28 CAP_AUDIT_WRITE=29 CAP_AUDIT_CONTROL=30 CAP_SETFCAP=31 CAP_MAC_OVERRIDE=32 CAP_MAC_ADMIN=33 CAP_SYSLOG=34 CAP_WAKE_ALARM=35 CAP_BLOCK_SUSPEND=36 CAP_AUDIT_READ=37 CAP_PERFMON=38 CAP_BPF=39 CAP_CHECKPOINT_RESTORE=40",
  ProcessPrivilegesChanged:
    "PRIVILEGES_CHANGED_UNSET=0 PRIVILEGES_RAISED_EXEC_FILE_CAP=1 PRIVILEGES_RAISED_EXEC_FILE_SETUID=2 PRIVILEGES_RAISED_EXEC_FILE_SETGID=3",
  SecureBitsType:
    "SecBitNotSet=0 SecBitNoRoot=1 SecBitNoRootLocked=2 SecBitNoSetUidFixup=4 SecBitNoSetUidFixupLocked=8 SecBitKeepCaps=16 SecBitKeepCapsLocked=32 SecBitNoCapAmbientRaise=64 SecBitNoCapAmbientRaiseLocked=128",
  TaintedBitsType:
    "TAINT_UNSET=0 TAINT_PROPRIETARY_MODULE=1 TAINT_FORCED_MODULE=2 TAINT_FORCED_UNLOAD_MODULE=4 TAINT_STAGED_MODULE=1024 TAINT_OUT_OF_TREE_MODULE=4096 TAINT_UNSIGNED_MODULE=8192 TAINT_KERNEL_LIVE_PATCH_MODULE=32768 TAINT_TEST_MODULE=262144",
  KprobeAction:
    "KPROBE_ACTION_UNKNOWN=0 KPROBE_ACTION_POST=1 KPROBE_ACTION_FOLLOWFD=2 KPROBE_ACTION_SIGKILL=3 KPROBE_ACTION_UNFOLLOWFD=4 KPROBE_ACTION_OVERRIDE=5 KPROBE_ACTION_COPYFD=6 KPROBE_ACTION_GETURL=7 KPROBE_ACTION_DNSLOOKUP=8 KPROBE_ACTION_NOPOST=9 KPROBE_ACTION_SIGNAL=10 KPROBE_ACTION_TRACKSOCK=11 KPROBE_ACTION_UNTRACKSOCK=12 KPROBE_ACTION_NOTIFYENFORCER=13 KPROBE_ACTION_CLEANUPENFORCERNOTIFICATION=14 KPROBE_ACTION_SET=15",
  ThrottleType: "THROTTLE_UNKNOWN=0 THROTTLE_START=1 THROTTLE_STOP=2",
  EventType:
    "UNDEF=0 PROCESS_EXEC=1 PROCESS_EXIT=5 PROCESS_KPROBE=9 PROCESS_TRACEPOINT=10 PROCESS_LOADER=11 PROCESS_UPROBE=12 PROCESS_THROTTLE=27 PROCESS_LSM=28 PROCESS_USDT=29 TEST=40000 RATE_LIMIT_INFO=40001",
  FieldFilterAction: "INCLUDE=0 EXCLUDE=1",
  TracingPolicyState:
    "TP_STATE_UNKNOWN=0 TP_STATE_ENABLED=1 TP_STATE_DISABLED=2 TP_STATE_LOAD_ERROR=3 TP_STATE_ERROR=4 TP_STATE_LOADING=5 TP_STATE_UNLOADING=6 TP_STATE_SKIPPED=7 TP_STATE_PARTIALLY_ENABLED=8",
  TracingPolicyMode: "TP_MODE_UNKNOWN=0 TP_MODE_ENFORCE=1 TP_MODE_MONITOR=2 TP_MODE_MONITOR_ONLY=3",
  HookState:
    "STATUS_UNSPECIFIED=0 STATUS_LOADED=1 STATUS_DIGEST_REJECTED=2 STATUS_CALL_NOT_FOUND=3 STATUS_PARTIAL_CALL_NOT_FOUND=4",
  HealthStatusType: "HEALTH_STATUS_TYPE_UNDEF=0 HEALTH_STATUS_TYPE_STATUS=1",
  HealthStatusResult:
    "HEALTH_STATUS_UNDEF=0 HEALTH_STATUS_RUNNING=1 HEALTH_STATUS_STOPPED=2 HEALTH_STATUS_ERROR=3",
  ConfigFlag: "CONFIG_FLAG_LOG_LEVEL=0 CONFIG_FLAG_DUMP_PROCESS_CACHE=1",
  LogLevel:
    "LOG_LEVEL_PANIC=0 LOG_LEVEL_FATAL=1 LOG_LEVEL_ERROR=2 LOG_LEVEL_WARN=3 LOG_LEVEL_INFO=4 LOG_LEVEL_DEBUG=5 LOG_LEVEL_TRACE=6",
};

const SCALARS: Partial<Record<ScalarType, string>> = {
  [ScalarType.STRING]: "s",
  [ScalarType.BOOL]: "b",
  [ScalarType.BYTES]: "bytes",
  [ScalarType.UINT32]: "u32",
  [ScalarType.UINT64]: "u64",
  [ScalarType.INT32]: "i32",
  [ScalarType.INT64]: "i64",
};
const WRAPPERS: Record<string, string> = { UInt32Value: "W32", Int32Value: "WI32", BoolValue: "WB" };

/** A field as UPSTREAM has it. */
function wireForm(field: DescField): string {
  const { name, number, message, enum: values, proto } = field;
  const scalar = field.scalar === undefined ? undefined : SCALARS[field.scalar];
  const one = message ? (WRAPPERS[message.name] ?? message.name) : (values?.name ?? scalar);
  const type = field.fieldKind === "map" ? `map<s,${one}>` : one;
  return `${name}=${number}:${type}${field.fieldKind === "list" ? "*" : ""}${proto.proto3Optional ? "?" : ""}`;
}

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
    "%s has upstream's numbers and types, and ours far from them",
    (name, { fields }) => {
      const near = fields.filter(
        ({ number, name }) => number < FIRST_OF_OURS || UPSTREAM.GetEventsResponse?.includes(`${name}=`),
      );
      expect(near.map(wireForm).sort()).toEqual(UPSTREAM[name]?.split(" ").sort());
    },
  );
});

test.each(Object.entries(UPSTREAM_ENUMS))(
  "%s has upstream's values, and ours far from them",
  (name, values) => {
    const type = registry.getEnum(`tetragon.${name}`);
    const theirs = type?.values.filter(
      ({ name: value, number }) => number < FIRST_OF_OURS || values.includes(`${value}=`),
    );
    expect(theirs?.map(({ name, number }) => `${name}=${number}`).join(" ")).toBe(values);
  },
);

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
