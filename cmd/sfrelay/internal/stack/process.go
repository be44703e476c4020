package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a process that this package started and that outlives the command
// that did. Started tells it apart from a later process with the same id.
type Process struct {
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

// spawn starts cmd in a session of its own, so that Ctrl-C of the terminal does
// not reach it, with its output in the file log.
func spawn(cmd *exec.Cmd, log string) (Process, error) {
	out, err := create(log)
	if err != nil {
		return Process{}, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Process{}, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	p := Process{PID: cmd.Process.Pid, Started: startTime(cmd.Process.Pid)}
	go func() { _ = cmd.Wait() }() // no zombie while we live
	return p, nil
}

// alive reports whether this very process still runs.
func (p Process) alive() bool {
	return p.PID > 0 && syscall.Kill(p.PID, 0) == nil && startTime(p.PID) == p.Started
}

// stop ends the process and waits until it is gone: SIGTERM, and after five
// seconds SIGKILL. What is gone already is no error.
func (p Process) stop(ctx context.Context) error {
	const tries, pause = 100, 50 * time.Millisecond
	for try := range tries + 20 {
		if !p.alive() {
			return nil
		}
		var err error
		switch try {
		case 0:
			err = syscall.Kill(p.PID, syscall.SIGTERM)
		case tries:
			err = syscall.Kill(p.PID, syscall.SIGKILL)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("cannot stop process %d: %w", p.PID, err)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d does not end; stop it by hand", p.PID)
}

// startTime is when the process began, in words that only serve to compare; empty
// for a zombie or none. Linux says it in field 22 of /proc/<pid>/stat (proc(5)),
// other systems through ps.
func startTime(pid int) string {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		_, rest, _ := strings.Cut(string(stat), ") ") // the name before it may hold spaces
		fields := strings.Fields(rest)                // field 3, the state, is the first one here
		if len(fields) < 20 || fields[0] == "Z" {
			return ""
		}
		return fields[19]
	}
	out, err := exec.Command("ps", "-o", "lstart=", "-p", fmt.Sprint(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
