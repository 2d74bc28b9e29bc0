// Server is a small MCP server for images: `stdio`, `http` (127.0.0.1:8080), `picky` (ends at a
// question that it does not know) or `token` (ends without TOKEN).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

type object = map[string]any

func answer(line []byte, picky bool) []byte {
	var request struct {
		ID     any
		Method string
	}
	if json.Unmarshal(line, &request) != nil || request.ID == nil {
		return nil
	}
	reply := object{"jsonrpc": "2.0", "id": request.ID}
	info := object{"name": "small", "version": "1"}
	switch {
	case request.Method == "server/discover" && picky:
		fmt.Fprintln(os.Stderr, "unknown method")
		os.Exit(4)
	case request.Method == "server/discover":
		reply["result"] = object{
			"supportedVersions": []string{"2026-07-28"},
			"capabilities":      object{"tools": object{}},
			"_meta":             object{"io.modelcontextprotocol/serverInfo": info},
		}
	case request.Method == "initialize":
		reply["result"] = object{
			"protocolVersion": "2025-11-25", "capabilities": object{"tools": object{}}, "serverInfo": info,
		}
	case request.Method == "tools/list":
		tool := object{"name": "whoami", "inputSchema": object{"type": "object"}}
		reply["result"] = object{"tools": []object{tool}}
	case request.Method == "tools/call":
		text := fmt.Sprint("uid ", os.Getuid())
		reply["result"] = object{"content": []object{{"type": "text", "text": text}}}
	default:
		reply["error"] = object{"code": -32601, "message": "Method not found"}
	}
	text, _ := json.Marshal(reply)
	return text
}

func serve(connection net.Conn) {
	defer connection.Close()
	reader := bufio.NewReader(connection)
	for {
		length, host := 0, ""
		for {
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			name, value, found := strings.Cut(strings.TrimSpace(line), ":")
			if strings.EqualFold(name, "content-length") {
				length, _ = strconv.Atoi(strings.TrimSpace(value))
			}
			if strings.EqualFold(name, "host") {
				host = strings.TrimSpace(value)
			}
			if !found && name == "" {
				break
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(reader, body); err != nil {
			return
		}
		status, text := "200 OK", answer(body, false)
		if host != "localhost:8080" {
			status, text = "421 Misdirected Request", []byte("Invalid Host header")
		}
		fmt.Fprintf(connection, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			status, len(text), text)
	}
}

func main() {
	mode := "stdio"
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	if mode == "token" && os.Getenv("TOKEN") == "" {
		fmt.Fprintln(os.Stderr, "TOKEN must be set")
		os.Exit(1)
	}
	if mode == "http" {
		listener, err := net.Listen("tcp", "127.0.0.1:8080")
		if err != nil {
			panic(err)
		}
		for {
			connection, err := listener.Accept()
			if err != nil {
				panic(err)
			}
			go serve(connection)
		}
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if text := answer(lines.Bytes(), mode == "picky"); text != nil {
			fmt.Printf("%s\n", text)
		}
	}
}
