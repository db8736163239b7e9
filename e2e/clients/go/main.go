// A client of the agent's API that has no code in common with the agent: stubs generated from proto/ and grpc-go, with the
// connection options and the order of calls of the tetra command. Answers are printed as protobuf's JSON, one per line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"trigon.dev/e2e/clients/gen/tetragon"
)

const maxReceiveBytes = 10 << 20

// Calls that fail because nothing listens are repeated once, a second later.
const retries = `{"methodConfig": [{
	"name": [{"service": "tetragon.FineGuidanceSensors"}],
	"retryPolicy": {
		"MaxAttempts": 2, "InitialBackoff": "1s", "MaxBackoff": "3600s", "BackoffMultiplier": 2,
		"RetryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

type command func(ctx context.Context, api tetragon.FineGuidanceSensorsClient, args []string) error

var commands = map[string]command{
	"version":    unary(tetragon.FineGuidanceSensorsClient.GetVersion, noArguments[tetragon.GetVersionRequest]),
	"info":       unary(tetragon.FineGuidanceSensorsClient.GetInfo, noArguments[tetragon.GetInfoRequest]),
	"status":     unary(tetragon.FineGuidanceSensorsClient.GetHealth, noArguments[tetragon.GetHealthStatusRequest]),
	"tp-domains": unary(tetragon.FineGuidanceSensorsClient.ListDomains, noArguments[tetragon.ListDomainsRequest]),
	"tp-list":    unary(tetragon.FineGuidanceSensorsClient.ListTracingPolicies, noArguments[tetragon.ListTracingPoliciesRequest]),
	"tp-add": unary(tetragon.FineGuidanceSensorsClient.AddTracingPolicy, func(args []string) (*tetragon.AddTracingPolicyRequest, error) {
		yaml, err := os.ReadFile(args[0])
		return &tetragon.AddTracingPolicyRequest{Yaml: string(yaml)}, err
	}),
	"tp-delete": unary(tetragon.FineGuidanceSensorsClient.DeleteTracingPolicy, func(args []string) (*tetragon.DeleteTracingPolicyRequest, error) {
		return &tetragon.DeleteTracingPolicyRequest{Name: args[0]}, nil
	}),
	"tp-enable":  configure(func(*string) (*bool, *tetragon.TracingPolicyMode) { return proto.Bool(true), nil }),
	"tp-disable": configure(func(*string) (*bool, *tetragon.TracingPolicyMode) { return proto.Bool(false), nil }),
	"tp-set-mode": configure(func(mode *string) (*bool, *tetragon.TracingPolicyMode) {
		modes := map[string]tetragon.TracingPolicyMode{
			"enforce": tetragon.TracingPolicyMode_TP_MODE_ENFORCE,
			"monitor": tetragon.TracingPolicyMode_TP_MODE_MONITOR,
		}
		return nil, modes[*mode].Enum()
	}),
	"loglevel-get": unary(tetragon.FineGuidanceSensorsClient.GetDebug, func([]string) (*tetragon.GetDebugRequest, error) {
		return &tetragon.GetDebugRequest{Flag: tetragon.ConfigFlag_CONFIG_FLAG_LOG_LEVEL}, nil
	}),
	"loglevel-set": unary(tetragon.FineGuidanceSensorsClient.SetDebug, func(args []string) (*tetragon.SetDebugRequest, error) {
		level := tetragon.LogLevel(tetragon.LogLevel_value["LOG_LEVEL_"+args[0]])
		return &tetragon.SetDebugRequest{
			Flag: tetragon.ConfigFlag_CONFIG_FLAG_LOG_LEVEL,
			Arg:  &tetragon.SetDebugRequest_Level{Level: level},
		}, nil
	}),
	"dump-processes": unary(tetragon.FineGuidanceSensorsClient.GetDebug, func([]string) (*tetragon.GetDebugRequest, error) {
		return &tetragon.GetDebugRequest{
			Flag: tetragon.ConfigFlag_CONFIG_FLAG_DUMP_PROCESS_CACHE,
			Arg:  &tetragon.GetDebugRequest_Dump{Dump: &tetragon.DumpProcessCacheReqArgs{SkipZeroRefcnt: true}},
		}, nil
	}),
	"getevents": getEvents,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		if answer, ok := status.FromError(err); ok {
			fmt.Fprintf(os.Stderr, "%s: %s\n", answer.Code(), answer.Message())
		} else {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 || (commands[args[1]] == nil && (args[1] != "health" || len(args) < 3)) {
		return errors.New("usage: client ADDRESS COMMAND [ARGUMENT...]")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	connection, err := grpc.NewClient(args[0],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithMaxCallAttempts(2),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceiveBytes)),
	)
	if err != nil {
		return err
	}
	defer connection.Close()
	if args[1] == "health" {
		return checkHealth(ctx, connection, args[2])
	}
	return commands[args[1]](ctx, tetragon.NewFineGuidanceSensorsClient(connection), args[2:])
}

// The call of the kubelet's gRPC probes.
func checkHealth(ctx context.Context, connection *grpc.ClientConn, service string) error {
	limited, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	request := &grpc_health_v1.HealthCheckRequest{Service: service}
	answer, err := grpc_health_v1.NewHealthClient(connection).Check(limited, request)
	if err != nil {
		return err
	}
	return show(answer)
}

func noArguments[Request any]([]string) (*Request, error) { return new(Request), nil }

// One call with a deadline; its answer is printed.
func unary[Request any, Answer proto.Message](
	call func(tetragon.FineGuidanceSensorsClient, context.Context, *Request, ...grpc.CallOption) (Answer, error),
	request func(args []string) (*Request, error),
) command {
	return func(ctx context.Context, api tetragon.FineGuidanceSensorsClient, args []string) error {
		made, err := request(args)
		if err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, 90*time.Second)
		defer cancel()
		answer, err := call(api, limited, made)
		if err != nil {
			return err
		}
		return show(answer)
	}
}

func configure(change func(argument *string) (*bool, *tetragon.TracingPolicyMode)) command {
	return unary(tetragon.FineGuidanceSensorsClient.ConfigureTracingPolicy, func(args []string) (*tetragon.ConfigureTracingPolicyRequest, error) {
		enable, mode := change(&args[len(args)-1])
		return &tetragon.ConfigureTracingPolicyRequest{Name: args[0], Enable: enable, Mode: mode}, nil
	})
}

// Prints events until it is interrupted. The argument is a GetEventsRequest in JSON; without one the allow list has one
// empty filter, as tetra sends it. "streaming" goes to stderr once the server has answered.
func getEvents(ctx context.Context, api tetragon.FineGuidanceSensorsClient, args []string) error {
	request := &tetragon.GetEventsRequest{AllowList: []*tetragon.Filter{{}}}
	if len(args) > 0 {
		request = &tetragon.GetEventsRequest{}
		if err := protojson.Unmarshal([]byte(args[0]), request); err != nil {
			return err
		}
	}
	stream, err := api.GetEvents(ctx, request)
	if err != nil {
		return err
	}
	header, err := stream.Header()
	if err != nil {
		return err
	}
	if header.Len() > 0 { // a call that is refused has none
		fmt.Fprintln(os.Stderr, "streaming")
	}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(event); err != nil {
			return err
		}
	}
}

func show(message proto.Message) error {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err == nil {
		_, err = os.Stdout.Write(append(text, '\n'))
	}
	return err
}
