//! From a Go module to a server that answers, in a container as restricted as a pod.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::cache;
use crate::builds::{Recipe, Site, built};
use crate::support::{repository, run, tool, write};

/// An MCP server over stdio that needs no other module.
const SERVER: &str = r#"package main

import (
	"bufio"
	"encoding/json"
	"os"
)

type object = map[string]any

func main() {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for in.Scan() {
		var request struct {
			ID     any
			Method string
		}
		if json.Unmarshal(in.Bytes(), &request) != nil || request.ID == nil {
			continue
		}
		_, err := os.Create("/written")
		me := object{"name": "server", "uid": os.Getuid(), "writable": err == nil}
		result := object{"protocolVersion": "2025-03-26", "capabilities": object{}, "serverInfo": me}
		if request.Method == "tools/list" {
			schema := object{"type": "object"}
			result = object{"tools": []object{{"name": "echo", "inputSchema": schema}}}
		}
		out.Encode(object{"jsonrpc": "2.0", "id": request.ID, "result": result})
	}
}
"#;

/// A server in a container, over its standard streams.
struct Server {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("runc starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self {
            child,
            stdin,
            stdout,
        }
    }

    fn ask(&mut self, id: u32, method: &str, params: &Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(self.stdin, "{request}").expect("a request");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("an answer");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(answer["id"], id, "{answer}");
        answer["result"].clone()
    }

    /// A server over stdio ends with its input.
    fn end(self) {
        let Self {
            mut child, stdin, ..
        } = self;
        drop(stdin);
        assert!(child.wait().expect("an end").success());
    }
}

/// The container's name: other runs of the tests have theirs.
fn name(bundle: &Path) -> String {
    let site = bundle.parent().and_then(Path::file_name).expect("a name");
    format!("karisimbi-test{}", site.to_string_lossy())
}

#[test]
fn a_go_server_answers_as_uid_1001_on_a_read_only_root() {
    let site = Site::new();
    let source = site.path("server");
    write(
        &source.join("go.mod"),
        "module example.org/server\n\ngo 1.25\n",
    );
    write(&source.join("main.go"), SERVER);
    let cache = cache(&site, Recipe::Go, "cache");
    let out = site.path("out");
    built(&mut site.build(&source, Recipe::Go, &cache, &out), &out);

    let bundle = site.path("bundle");
    run(tool("umoci")
        .arg("unpack")
        .arg("--image")
        .arg(format!("{}:v1", out.display()))
        .arg(&bundle));
    let tools = repository().join("scripts/tools");
    run(Command::new(tools.join("box.py"))
        .arg(&bundle)
        .args(["--user", "1001:1001", "--read-only", "--no-capabilities"])
        .arg("--seccomp")
        .arg(tools.join("moby-linux-seccomp.json")));
    let mut server = Server::start(
        tool("runc")
            .arg("--root")
            .arg(site.path("runc"))
            .args(["run", "--bundle"])
            .arg(&bundle)
            .arg(name(&bundle)),
    );
    let client = json!({
        "protocolVersion": "2025-03-26",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    });
    let said = server.ask(1, "initialize", &client);
    assert_eq!(
        said["serverInfo"],
        json!({"name": "server", "uid": 1001, "writable": false})
    );
    let said = server.ask(2, "tools/list", &json!({}));
    assert_eq!(said["tools"][0]["name"], "echo");
    server.end();
}
