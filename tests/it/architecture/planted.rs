//! Violations that the test must catch, and code that it must leave alone.

/// A file below src, what is wrong in it, and what the test says about it.
pub(super) const PLANTED: [(&str, &str, &str); 20] = [
    (
        "layer/tar.rs",
        "use crate::store::Store;",
        "tar.rs:1: layer imports store",
    ),
    (
        "layer/tar.rs",
        "use crate::{digest, image::{Blob}};",
        "layer imports image",
    ),
    (
        "layer/tar.rs",
        "\nfn f() { crate::net::get(); }",
        "tar.rs:2: layer imports net",
    ),
    (
        "layer/tar.rs",
        "use super::super::recipe;",
        "layer imports recipe",
    ),
    (
        "layer/mod.rs",
        "use super::{cli, digest};",
        "layer imports cli",
    ),
    (
        "layer/tar.rs",
        "mod a { use super::super::super::net; }",
        "layer imports net",
    ),
    (
        "digest.rs",
        "use crate::layer::Entry;",
        "digest imports layer",
    ),
    (
        "store/gc.rs",
        "type T = Vec<crate::source::SourceTree>;",
        "store imports source",
    ),
    (
        "plan/mod.rs",
        "use crate::novel::Thing;",
        "novel has no place",
    ),
    ("novel/mod.rs", "", "novel has no place"),
    (
        "image/audit.rs",
        "use oci_client::Client;",
        "independent reader",
    ),
    (
        "store/mod.rs",
        "async fn f() { tokio::spawn(x) }",
        "async stays",
    ),
    ("source/git.rs", "use reqwest as r;", "async stays"),
    (
        "pipeline/mod.rs",
        "fn f() { eprintln!(\"{}\", 1) }",
        "printing happens",
    ),
    ("cli/build.rs", "fn f() { println!() }", "printing happens"),
    (
        "sink/mod.rs",
        "let out = std::io::stdout();",
        "standard streams",
    ),
    (
        "recipe/go/mod.rs",
        "std::env::var(\"GOPROXY\")",
        "settings reads",
    ),
    ("recipe/go/mod.rs", "use std::{env, fs};", "settings reads"),
    ("image/helpers.rs", "", "says nothing"),
    ("image/util/mod.rs", "", "says nothing"),
];

/// Looks wrong to a text search only.
const HARMLESS: &str = r##"
        //! println!("{}", crate::cli::x) in a comment, std::env too
        /* use crate::cli; */
        use crate::digest::Digest;
        const A: &str = "crate::cli::run println!(";
        const B: &str = r#"use crate::cli; "tokio::spawn" "#;
        const C: [char; 3] = ['"', '\'', 'x'];
        fn f<'a>(x: &'a str) -> &'a str { super::name(x) }
        fn g(command: Command) { command.stdout(Stdio::piped()); env!("CARGO_PKG_NAME"); }
        #[cfg(test)]
        mod tests {
            use crate::cli::Arguments;
            fn f() { println!("{:?}", std::env::temp_dir()); }
        }
    "##;

/// A file below src and what may stand in it.
pub(super) const ALLOWED: [(&str, &str); 10] = [
    ("recipe/go/mod.rs", "std::env::split_paths(path)"),
    ("layer/tar.rs", HARMLESS),
    (
        "layer/tar.rs",
        "use super::entry::Entry; use super::super::digest::Digest;",
    ),
    (
        "store/mod.rs",
        "use crate::layer::{LayerKey, LayerRecord}; use crate::store::gc;",
    ),
    (
        "registry/upload.rs",
        "use tokio::io; use reqwest::Body; use crate::net::Client;",
    ),
    ("settings.rs", "fn f() { std::env::var_os(\"HOME\"); }"),
    ("settings/env.rs", "use std::env;"),
    (
        "main.rs",
        "fn main() { karisimbi::cli::run(std::env::args_os()) }",
    ),
    ("cli/output.rs", "fn f() { println!(); std::io::stderr(); }"),
    (
        "reference.rs",
        "use crate::digest::Digest; use crate::error::Coded;",
    ),
];
