//! Tests of rebase.
