// Probe says what a process sees and can do; each argument is one question.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	for _, question := range os.Args[1:] {
		word, rest, _ := strings.Cut(question, "=")
		switch word {
		case "who":
			folder, _ := os.Getwd()
			fmt.Println("uid", os.Getuid(), "gid", os.Getgid(), "in", folder)
			if os.Getpid() == 1 {
				fmt.Println("process 1")
			}
		case "env":
			for _, pair := range os.Environ() {
				fmt.Println("env", pair)
			}
		case "write":
			fmt.Println("write", rest, reason(os.WriteFile(rest, []byte("x"), 0o644)))
		case "read":
			text, err := os.ReadFile(rest)
			fmt.Printf("read %s %q %s\n", rest, text, reason(err))
		case "list":
			entries, err := os.ReadDir(rest)
			fmt.Print("list ", rest, " ", reason(err), ":")
			for _, entry := range entries {
				fmt.Print(" ", entry.Name())
			}
			fmt.Println()
		case "status":
			text, _ := os.ReadFile("/proc/self/status")
			for _, line := range strings.Split(string(text), "\n") {
				for _, name := range []string{"CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"} {
					if strings.HasPrefix(line, name) {
						fmt.Println("status", strings.Join(strings.Fields(line), " "))
					}
				}
			}
		case "mask":
			text, _ := os.ReadFile("/proc/self/status")
			_, rest, _ := strings.Cut(string(text), "SigBlk:\t")
			blocked, _, _ := strings.Cut(rest, "\n")
			fmt.Println("blocked", blocked)
		case "groups":
			groups, _ := os.Getgroups()
			fmt.Println("groups", groups)
		case "leave":
			child := exec.Command("/proc/self/exe", "sleep")
			child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			fmt.Println("leave", reason(child.Start()))
		case "unshare":
			fmt.Println("unshare", reason(syscall.Unshare(syscall.CLONE_NEWUSER)))
		case "dial":
			connection, err := net.DialTimeout("tcp", rest, time.Second)
			if err == nil {
				line, _ := bufio.NewReader(connection).ReadString('\n')
				fmt.Printf("dial %q\n", line)
			} else {
				fmt.Println("dial failed")
			}
		case "serve":
			listener, err := net.Listen("tcp", rest)
			if err != nil {
				fmt.Println("serve", err)
				os.Exit(1)
			}
			go func() {
				for {
					connection, err := listener.Accept()
					if err != nil {
						return
					}
					fmt.Fprintln(connection, "from inside")
					connection.Close()
				}
			}()
		case "input":
			text, _ := bufio.NewReader(os.Stdin).ReadString(0)
			fmt.Printf("input %q\n", text)
		case "signal":
			signals := make(chan os.Signal, 1)
			signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
			fmt.Println("ready")
			fmt.Println("signal", <-signals)
			os.Exit(42)
		case "sleep":
			fmt.Println("ready")
			time.Sleep(time.Hour)
		case "kill":
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Hour)
		case "exit":
			var code int
			fmt.Sscan(rest, &code)
			os.Exit(code)
		}
	}
}

func reason(err error) string {
	switch err := err.(type) {
	case nil:
		return "ok"
	case *os.PathError:
		return err.Err.Error()
	default:
		return err.Error()
	}
}
