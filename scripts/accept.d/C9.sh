#!/usr/bin/env bash
# smoke against real MCP servers of both eras, from npm, PyPI and Go modules, over every transport
. "$(dirname "$0")/rig.sh"
packages python3 jq
program
for tool in node npm go; do
  command -v "$tool" >/dev/null || failed "$tool is not on PATH"
done
KEPT=$ACCEPT_CACHE/C9
mkdir -p "$KEPT"

# --- servers ------------------------------------------------------------------------------------

# Sets PYTHON: one of 3.10 to 3.13 that can make virtual environments.
find_python() {
  local candidate
  for candidate in python3.13 python3.12 python3.11 python3.10 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[0-3].*/bin/python3 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
      >/dev/null 2>&1; then
      PYTHON=$candidate
      return 0
    fi
  done
  failed "no Python of 3.10 to 3.13 with venv"
}

# venv NAME REQUIREMENT…: a virtual environment that is kept.
venv() {
  local dir=$KEPT/$1
  shift
  [ "$(cat "$dir/installed" 2>/dev/null)" != "$*" ] || return 0
  rm -rf "$dir"
  "$PYTHON" -m venv "$dir"
  "$dir/bin/pip" install --quiet --disable-pip-version-check "$@" >"$WORK/pip.log" 2>&1 ||
    failed "pip install $*: $(tail -3 "$WORK/pip.log")"
  printf '%s\n' "$*" >"$dir/installed"
}

# npm_packages PACKAGE…: sets NODE_BIN
npm_packages() {
  local dir=$KEPT/node
  NODE_BIN=$dir/node_modules/.bin
  [ "$(cat "$dir/installed" 2>/dev/null)" != "$*" ] || return 0
  rm -rf "$dir"
  npm install --prefix "$dir" --no-audit --no-fund --ignore-scripts --silent "$@" >"$WORK/npm.log" 2>&1 ||
    failed "npm install $*: $(tail -3 "$WORK/npm.log")"
  printf '%s\n' "$*" >"$dir/installed"
}

# go_server NAME PACKAGE: builds a program of the SDK's own examples into KEPT.
go_server() {
  local environment
  [ ! -x "$KEPT/go/$1" ] || return 0
  mapfile -t environment < <(network_environment)
  (cd "$ROOT/testdata/go/wrappers/go-sdk-hello" && env -i PATH="$PATH" HOME="$ACCEPT_CACHE/go-home" \
    GOPATH="$ACCEPT_CACHE/go" GOCACHE="$ACCEPT_CACHE/go-build" CGO_ENABLED=0 "${environment[@]}" \
    go build -trimpath -o "$KEPT/go/$1" "github.com/modelcontextprotocol/go-sdk/$2") >"$WORK/go.log" 2>&1 ||
    failed "go build $2: $(tail -3 "$WORK/go.log")"
}

# --- verdicts -------------------------------------------------------------------------------------

count=0

# smoke EXIT NAME REGEX ARGUMENTS…: a smoke test that ends with this code and says this.
smoke() {
  local exit_code=0 expected=$1 name=$2 regex=$3
  shift 3
  timeout 120 "$KARISIMBI" smoke "$@" >"$WORK/smoke.out" 2>&1 </dev/null || exit_code=$?
  same "exit code of $name ($(tail -c 1200 "$WORK/smoke.out"))" "$expected" "$exit_code"
  holds "$name" "$regex" "$WORK/smoke.out"
  say "$name: $(grep -Em 1 '^(answered|error)' "$WORK/smoke.out" | cut -c 1-150)"
  count=$((count + 1))
}

# answers NAME ERA TRANSPORT TOOLS ARGUMENTS…
answers() {
  local name=$1 regex="^answered: .* \($2, $3\), $4 tools? in"
  shift 4
  smoke 0 "$name" "$regex" "$@"
}

# asks NAME VARIABLE ARGUMENTS…: exit code 3, and the variable is named.
asks() {
  local name=$1 regex="^error\[SRV-NEEDS-CONFIG\].*: .*$2"
  shift 2
  smoke 3 "$name" "$regex" "$@"
}

find_python
say "$("$PYTHON" --version), node $(node --version), $(go version | cut -d ' ' -f 3)"
venv mcp1 'mcp==1.30.*'
venv mcp2 'mcp==2.3.*'
venv fastmcp 'fastmcp==2.14.7'
venv servers mcp-server-time==2026.10.19 mcp-server-git==2026.10.19
venv arxiv arxiv-mcp-server==0.8.2
venv obsidian mcp-obsidian==0.2.3
venv alchemy mcp-alchemy
npm_packages @modelcontextprotocol/server-everything@2026.8.31 \
  @modelcontextprotocol/server-memory@2026.8.31 @modelcontextprotocol/server-filesystem@2026.8.31 \
  @upstash/context7-mcp@4.1.1 @notionhq/notion-mcp-server@2.5.2 \
  @brave/brave-search-mcp-server@2.1.4 tavily-mcp@0.2.22 @perplexity-ai/mcp-server@1.2.1
mkdir -p "$KEPT/go"
for name in hello memory basic distributed; do
  go_server "$name" "examples/server/$name"
done

# --- stdio ----------------------------------------------------------------------------------------

sdk=$TOOLS/mcp-sdk-server.py
add=(--call add '{"a": 2, "b": 3}')
answers mcp-1 legacy stdio 2 "${add[@]}" --exec -- "$KEPT/mcp1/bin/python" "$sdk" mcp1 stdio
holds "the call" '^called add in .*: 5$' "$WORK/smoke.out"
answers mcp-2 modern stdio 2 "${add[@]}" --exec -- "$KEPT/mcp2/bin/python" "$sdk" mcp2 stdio
holds "the call" '^called add in .*: 5$' "$WORK/smoke.out"
answers fastmcp legacy stdio 2 "${add[@]}" --exec -- "$KEPT/fastmcp/bin/python" "$sdk" fastmcp stdio
answers mcp-server-time modern stdio 2 --exec -- "$KEPT/servers/bin/mcp-server-time" --local-timezone UTC
answers mcp-server-git modern stdio 12 --exec -- "$KEPT/servers/bin/mcp-server-git"
answers arxiv legacy stdio 19 --exec -- "$KEPT/arxiv/bin/arxiv-mcp-server" --storage-path "$WORK/arxiv"
answers server-everything legacy stdio 13 --exec -- "$NODE_BIN/mcp-server-everything"
answers server-memory legacy stdio 9 -e MEMORY_FILE_PATH="$WORK/memory.json" --exec -- "$NODE_BIN/mcp-server-memory"
answers server-filesystem legacy stdio 14 --call list_directory "{\"path\": \"$WORK\"}" \
  --exec -- "$NODE_BIN/mcp-server-filesystem" "$WORK"
answers context7 modern stdio 2 --exec -- "$NODE_BIN/context7-mcp"
answers notion legacy stdio 24 -e NOTION_TOKEN=x --exec -- "$NODE_BIN/notion-mcp-server"
answers tavily legacy stdio 5 -e TAVILY_API_KEY=x --exec -- "$NODE_BIN/tavily-mcp"
answers brave '(modern|legacy)' stdio 8 -e BRAVE_API_KEY=x --exec -- "$NODE_BIN/brave-search-mcp-server"
answers go-hello modern stdio 1 --exec -- "$KEPT/go/hello"
answers go-memory modern stdio 9 --exec -- "$KEPT/go/memory"

# --- what is wrong ----------------------------------------------------------------------------------

asks obsidian OBSIDIAN_API_KEY --exec -- "$KEPT/obsidian/bin/mcp-obsidian"
asks alchemy DB_URL --exec -- "$KEPT/alchemy/bin/mcp-alchemy"
asks brave BRAVE_API_KEY --exec -- "$NODE_BIN/brave-search-mcp-server"
asks perplexity PERPLEXITY_API_KEY --exec -- "$NODE_BIN/perplexity-mcp"
asks go-distributed -http --exec -- "$KEPT/go/distributed"
smoke 1 go-basic '^error\[SRV-STDOUT-NOISE\].*Hi user' --exec -- "$KEPT/go/basic"
smoke 1 'a program that is no server' '^error\[SRV-PROTOCOL\].*repeats' --exec -- cat
smoke 1 'a missing module' '^error\[SRV-EXITED\]' --exec -- "$KEPT/mcp1/bin/python" -c 'import no_such_module'

# --- lists of tools -----------------------------------------------------------------------------------

everything=(--exec -- "$NODE_BIN/mcp-server-everything")
smoke 0 'accepting a list' '^wrote .*13 tools, sha256:' --tools "$WORK/tools.json" --accept "${everything[@]}"
same "tools in the file" 13 "$(jq length "$WORK/tools.json")"
answers 'the same list' legacy stdio 13 --tools "$WORK/tools.json" "${everything[@]}"
jq 'map(select(.name != "echo")) | .[0].description = "other"' "$WORK/tools.json" >"$WORK/other.json"
smoke 1 'another list' '^error\[SRV-TOOLS-DRIFT\].*added echo; changed ' --tools "$WORK/other.json" "${everything[@]}"

# --- HTTP -----------------------------------------------------------------------------------------------

# listens NAME ERA TRANSPORT TOOLS PATH COMMAND…: PORT in the command is a free one.
listens() {
  local name=$1 era=$2 transport=$3 tools=$4 path=$5 port
  shift 5
  port=$(free_port)
  answers "$name" "$era" "$transport" "$tools" --port "$port" --path "$path" -e PORT="$port" \
    --exec -- "${@//PORT/$port}"
}

for host in 127.0.0.1 0.0.0.0; do
  for option in '' json stateless; do
    listens "mcp-1 $host $option" legacy http 2 /mcp \
      "$KEPT/mcp1/bin/python" "$sdk" mcp1 streamable-http "$host" PORT $option
    listens "fastmcp $host $option" legacy http 2 /mcp \
      "$KEPT/fastmcp/bin/python" "$sdk" fastmcp streamable-http "$host" PORT $option
    listens "mcp-2 $host $option" modern http 2 /mcp \
      "$KEPT/mcp2/bin/python" "$sdk" mcp2 streamable-http "$host" PORT $option
  done
done
listens 'mcp-1 with a slash' legacy http 2 /mcp/ \
  "$KEPT/mcp1/bin/python" "$sdk" mcp1 streamable-http 127.0.0.1 PORT
for sdk_name in mcp1 mcp2 fastmcp; do
  listens "$sdk_name over SSE" legacy sse 2 /sse "$KEPT/$sdk_name/bin/python" "$sdk" "$sdk_name" sse 127.0.0.1 PORT
done
listens 'everything over HTTP' legacy http 13 /mcp "$NODE_BIN/mcp-server-everything" streamableHttp
listens 'everything over SSE' legacy sse 13 /sse "$NODE_BIN/mcp-server-everything" sse
# Over HTTP it answers server/discover, and names versions that begin with initialize.
listens 'go-memory over HTTP' legacy http 9 /mcp "$KEPT/go/memory" -http 127.0.0.1:PORT
listens 'go-memory, any path' legacy http 9 / "$KEPT/go/memory" -http 127.0.0.1:PORT

# A Host that the server does not know is its own mistake to name.
foreign() {
  local name=$1 port
  shift
  port=$(free_port)
  smoke 1 "$name" '^error\[SRV-HOST-REJECTED\].*foreign.example' --port "$port" \
    --host foreign.example --exec -- "${@//PORT/$port}"
}
foreign 'mcp-1, foreign Host' "$KEPT/mcp1/bin/python" "$sdk" mcp1 streamable-http 127.0.0.1 PORT
foreign 'mcp-2, foreign Host' "$KEPT/mcp2/bin/python" "$sdk" mcp2 streamable-http 127.0.0.1 PORT
foreign 'go-memory, foreign Host' "$KEPT/go/memory" -http 127.0.0.1:PORT

# A server that runs already, at its address.
port=$(free_port)
"$KEPT/mcp2/bin/python" "$sdk" mcp2 streamable-http 127.0.0.1 "$port" >"$WORK/running.log" 2>&1 &
servers+=($!)
for _ in $(seq 300); do
  ! (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  sleep 0.1
done
answers 'a running server' modern http 2 "http://127.0.0.1:$port"
smoke 1 'another path' '^error\[SRV-HTTP\].*404' "http://127.0.0.1:$port/elsewhere"

# --- images ------------------------------------------------------------------------------------------------

wrapper=$ROOT/testdata/go/wrappers/go-sdk-memory
image=oci:$WORK/out:memory
build "$WORK/memory.digest" "$wrapper" --cache-dir "$WORK/cache" -o "$image" >/dev/null
answers 'an image over stdio' modern stdio 9 --cache-dir "$WORK/cache" "$image"
answers 'a source, built first' modern stdio 9 --cache-dir "$WORK/cache" "$wrapper"
answers 'an image over HTTP' legacy http 9 --cache-dir "$WORK/cache" --port 8080 "$image" -- -http 127.0.0.1:8080
answers 'an image that exposes its port' legacy http 9 --cache-dir "$WORK/cache" "$wrapper" \
  --set container.port=8080 -- -http 0.0.0.0:8080
smoke 1 'a stdio server that was taken for a listener' 'hint: .*--transport stdio' \
  --cache-dir "$WORK/cache" --port 8080 "$image"

say "$count smoke tests of real servers"
passed
