// A small MCP server over stdio: two tools, one of them with an argument.
package main

import (
	"context"
	"fmt"
	"log"
	"os/user"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var version = "dev"

type greeting struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}

func say(text string) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}

func greet(_ context.Context, _ *mcp.CallToolRequest, in greeting) (*mcp.CallToolResult, any, error) {
	return say(fmt.Sprintf("Hello, %s!", in.Name))
}

func whoami(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
	account, err := user.Current()
	if err != nil {
		return nil, nil, err
	}
	return say(fmt.Sprintf("uid %s, gid %s", account.Uid, account.Gid))
}

func main() {
	server := mcp.NewServer(&mcp.Implementation{Name: "hello", Version: version}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "greet", Description: "Says hello"}, greet)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "The account that it runs as"}, whoami)
	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		log.Fatal(err)
	}
}
