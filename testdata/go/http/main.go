// An MCP server without dependencies: over stdio, or over HTTP with -http ADDRESS.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

var version = "dev"

type object = map[string]any

type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Arguments struct {
			Text string `json:"text"`
		} `json:"arguments"`
	} `json:"params"`
}

// answer returns nil for notifications.
func answer(message []byte) []byte {
	var in request
	if err := json.Unmarshal(message, &in); err != nil || in.ID == nil {
		return nil
	}
	out := object{"jsonrpc": "2.0", "id": in.ID}
	switch in.Method {
	case "initialize":
		out["result"] = object{
			"protocolVersion": "2025-03-26",
			"capabilities":    object{"tools": object{}},
			"serverInfo":      object{"name": "http", "version": version},
		}
	case "ping":
		out["result"] = object{}
	case "tools/list":
		schema := object{"type": "object", "properties": object{"text": object{"type": "string"}}}
		out["result"] = object{"tools": []object{
			{"name": "echo", "description": "Says it again", "inputSchema": schema},
		}}
	case "tools/call":
		content := []object{{"type": "text", "text": in.Params.Arguments.Text}}
		out["result"] = object{"content": content}
	default:
		out["error"] = object{"code": -32601, "message": "no method " + in.Method}
	}
	text, err := json.Marshal(out)
	if err != nil {
		log.Fatal(err)
	}
	return text
}

func overHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	text := answer(body)
	if text == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

func main() {
	address := flag.String("http", "", "listen address, such as :8080; stdio without it")
	flag.Parse()
	if *address != "" {
		http.HandleFunc("POST /mcp", overHTTP)
		log.Fatal(http.ListenAndServe(*address, nil))
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if text := answer(lines.Bytes()); text != nil {
			fmt.Println(string(text))
		}
	}
}
