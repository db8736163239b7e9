// Package parts puts several programs into one. The name by which it is started chooses the part, as with busybox. The
// programs share most of their packages, and linking them once takes a fraction of the time.
package parts

import (
	"fmt"
	"os"
	"path/filepath"
)

// Run runs the part that the program was started as. A part builds its command only here, because building one sets
// defaults for the whole process.
func Run(parts map[string]func()) {
	name := filepath.Base(os.Args[0])
	run, known := parts[name]
	if !known {
		fmt.Fprintf(os.Stderr, "no part is named %q: start this program through a link named like one of its parts\n", name)
		os.Exit(2)
	}
	run()
}
