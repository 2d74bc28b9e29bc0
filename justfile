# just check: what CI checks, in the order that fails fastest.

default: check

check: format lint doc deny test

format:
    cargo fmt --all --check

lint:
    cargo clippy --locked --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

deny:
    cargo deny --locked check bans licenses sources

test *names:
    scripts/test {{names}}

# One acceptance check (A1 …, C1 …), `list` or `all`.
accept id:
    scripts/accept {{id}}

bench:
    cargo bench --locked
    scripts/bench

release:
    scripts/release
