// One program with etcd and kubectl in it, for machines that do not get them from Debian.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubectl's ways to log in
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of API clients
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"

	"trigon.dev/e2e/kubernetes/parts"
)

func main() {
	parts.Run(map[string]func(){
		"etcd":    func() { etcdmain.Main(os.Args) },
		"kubectl": runKubectl,
	})
}

// Errors of kubectl are printed by kubectl's own rules, which also choose the exit status.
func runKubectl() {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}
