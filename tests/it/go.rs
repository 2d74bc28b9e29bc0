//! Tests of go.
